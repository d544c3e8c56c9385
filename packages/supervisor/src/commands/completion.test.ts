/** What a shell offers after some words. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { Argument, Command } from "commander";
import { completion } from "./completion.ts";

const program = new Command("nb");
program.command("leases").description("it's all of them").option("--json", "as JSON").command("release").argument("<address>");
program
  .command("machine")
  .argument("<name>")
  .addArgument(new Argument("[action]").choices(["profile", "forget"]));

const offered = (...words: string[]): string[] =>
  execFileSync("bash", [
    "-c",
    `${completion(program, "bash")}\nCOMP_WORDS=(nb "$@"); COMP_CWORD=$#; _nb; echo "\${COMPREPLY[@]}"`,
    "bash",
    ...words,
  ])
    .toString()
    .split(/\s+/)
    .filter((word) => word !== "");

test("bash offers commands, then what belongs to the command alone", () => {
  assert.deepEqual(offered(""), ["leases", "machine"]);
  assert.deepEqual(offered("leases", ""), ["release", "--json"]);
  assert.deepEqual(offered("leases", "--"), ["--json"]);
  assert.deepEqual(offered("leases", "release", ""), []);
  assert.deepEqual(offered("machine", "node-01", "p"), ["profile"]);
});

test("fish's lines quote what they say", () => {
  assert.ok(completion(program, "fish").includes("-a leases -d 'it\\'s all of them'"));
});
