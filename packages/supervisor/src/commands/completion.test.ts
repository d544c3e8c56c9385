/** What a shell offers after some words of the command as it is. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { STAGES } from "@netboot6/events";
import { Command } from "commander";
import { completion } from "./completion.ts";

const NETBOOT6 = fileURLToPath(new URL("../../bin/netboot6", import.meta.url));
const script = (shell: string): string => execFileSync(NETBOOT6, ["completion", shell], { encoding: "utf8" });
const BASH = script("bash");

/** COMPREPLY of a bash that sourced the script, for the last of the words; by what bash itself has registered for the command. */
function offered(...words: string[]): string[] {
  const ask = `source /dev/stdin <<<"$SCRIPT" || exit 1
netboot6() { [[ "$*" == "machines --json" ]] && echo '[{"id":"node-01","macs":[]},{"id":"node-02","macs":[]}]'; }
[[ $(complete -p netboot6) =~ -F\\ ([^ ]+) ]] || exit 1
COMP_WORDS=(netboot6 "$@"); COMP_CWORD=$#; "\${BASH_REMATCH[1]}" netboot6 "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
printf '%s\\n' "\${COMPREPLY[@]}"`;
  const reply = execFileSync("bash", ["-c", ask, "bash", ...words], { encoding: "utf8", env: { ...process.env, SCRIPT: BASH } });
  return reply.split("\n").filter((word) => word !== "");
}

test("bash offers every command, and of them those that begin so", () => {
  const help = execFileSync(NETBOOT6, ["--help"], { encoding: "utf8" });
  const commands = [...help.matchAll(/^ {2}([a-z]+) /gm)].map(([, word]) => word as string).filter((word) => word !== "help");
  assert.ok(commands.length > 10, help);
  assert.deepEqual(offered(""), commands);
  assert.deepEqual(offered("ma"), ["machines", "machine"]);
  assert.deepEqual(offered("nonsense"), []);
});

test("bash offers a command's own words, options and what may follow them", () => {
  assert.deepEqual(offered("leases", ""), ["release", "import", "--config", "--json"]);
  assert.deepEqual(offered("leases", "release", "--"), ["--config", "--json"]);
  assert.deepEqual(offered("machine", "node-01", ""), ["profile", "boot-again", "forget", "--config", "--boot", "--json"]);
  assert.deepEqual(offered("machine", "node-01", "p"), ["profile"]);
  assert.deepEqual(offered("machines", "--st"), ["--stage", "--stuck"]);
  assert.deepEqual(
    offered("machines", "--stage", ""),
    STAGES.map(({ name }) => name),
  );
  assert.deepEqual(offered("events", "--level", "w"), ["warn"]);
  assert.deepEqual(offered("machine", "--j"), ["--json"]);
  assert.deepEqual(offered("machine", ""), ["node-01", "node-02"]);
  assert.deepEqual(offered("events", "--machine", "node-02"), ["node-02"]);
  assert.deepEqual(offered("completion", ""), ["bash", "zsh", "fish"]);
});

test("zsh's script is bash's, by its own emulation; fish's lines quote what they say", () => {
  assert.ok(script("zsh").endsWith(BASH));
  assert.match(script("fish"), /^complete -c netboot6 -n '.*machines' -l stage -xa 'firmware program/m);
  const program = new Command("nb");
  program.command("leases").description("it's all of them");
  assert.ok(completion(program, "fish").includes("-a leases -d 'it\\'s all of them'"));
});
