/** `npm run demo`, as a user runs it; it leaves nothing behind however it ends. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { bootAssets } from "./setup.ts";

const ROOT = join(import.meta.dirname, "..");

interface Run {
  readonly process: ChildProcess;
  readonly ended: Promise<number | null>;
  output: string;
}

function demo(...args: string[]): Run {
  const child = spawn("node", ["--disable-warning=ExperimentalWarning", "packages/lab/src/demo/main.ts", ...args], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, PATH: `${ROOT}/node_modules/.bin:${process.env.PATH}` },
  });
  const run: Run = { process: child, output: "", ended: new Promise((resolve) => child.once("close", resolve)) };
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (data) => {
      run.output += data;
    });
  return run;
}

/** Namespaces, folders and processes of the run with this pid. */
function left(pid: number): string[] {
  const name = `nb6-${pid}-`;
  const files = (dir: string): string[] => {
    try {
      return readdirSync(dir).filter((entry) => entry.startsWith(name));
    } catch {
      return [];
    }
  };
  const processes = readdirSync("/proc").filter((entry) => {
    if (!/^\d+$/.test(entry)) return false;
    try {
      return readFileSync(`/proc/${entry}/cmdline`, "latin1").includes(name);
    } catch {
      return false;
    }
  });
  return [...files("/run/netns"), ...files(tmpdir()), ...processes];
}

test("--simulated --machines 5: all come all the way, the last line says so, nothing is left behind", async () => {
  await bootAssets();
  const run = demo("--simulated", "--machines", "5");
  assert.equal(await run.ended, 0, run.output);
  assert.match(
    run.output.trimEnd().split("\n").at(-1) ?? "",
    /^5 simulated machines came all the way, .* the last in \d+\.\d s, over IPv6 alone\.$/,
  );
  assert.deepEqual(left(run.process.pid as number), []);
});

test("a boot that does not come all the way: exit code 1, and how far it came", async () => {
  const run = demo("--simulated", "--seconds", "1");
  assert.equal(await run.ended, 1, run.output);
  assert.match(run.output, /1 of 1 did not come all the way within 1 s; node-01 came as far as: /);
  assert.deepEqual(left(run.process.pid as number), []);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const)
  test(`${signal} in the middle of a virtual machine's boot: nothing is left behind${signal === "SIGKILL" ? " by the next run" : ""}`, async () => {
    const run = demo();
    const end = Date.now() + 60_000;
    while (!run.output.includes("is switched on")) {
      assert.ok(Date.now() < end, run.output);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    run.process.kill(signal);
    const code = await run.ended;
    if (signal === "SIGKILL") assert.equal(await demo("--simulated").ended, 0);
    else assert.equal(code, 130);
    assert.deepEqual(left(run.process.pid as number), []);
  });
