import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const setup = fileURLToPath(new URL("../setup.sh", import.meta.url));

/** What setup.sh says on a host where `dpkg-query` knows these packages. */
function missing(set: string, installed: readonly string[]): string[] {
  const bin = mkdtempSync(join(tmpdir(), "setup-test-"));
  try {
    const query = join(bin, "dpkg-query");
    writeFileSync(
      query,
      `#!/bin/sh\nfor name; do :; done\ncase " ${installed.join(" ")} " in *" $name "*) echo installed;; *) exit 1;; esac\n`,
    );
    chmodSync(query, 0o755);
    const { stdout, status } = spawnSync("sh", [setup, "--missing", set], {
      encoding: "utf8",
      env: { PATH: `${bin}:${process.env.PATH}` },
    });
    assert.equal(status, 0);
    return stdout.trim().split(/\s+/).filter(Boolean);
  } finally {
    rmSync(bin, { recursive: true });
  }
}

test("what is not installed is named, and each set has all of the smaller one", () => {
  const [base, demo, tests] = [missing("base", []), missing("demo", []), missing("test", [])];
  assert.ok(base.length > 0 && demo.length > base.length && tests.length > demo.length);
  assert.deepEqual(missing("demo", demo), []);
  assert.deepEqual(missing("base", demo), []);
  assert.deepEqual(missing("demo", tests), []);
  assert.deepEqual(missing("demo", demo.slice(1)), demo.slice(0, 1));
});

test("an unknown set is an error", () => {
  assert.equal(spawnSync("sh", [setup, "nothing"]).status, 2);
});
