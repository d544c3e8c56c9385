/** What an operator looks up is there: each finding of `check`; and each of them is staged by a test. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { FINDING_IDS } from "@netboot6/config";

test("docs/checks.md has every finding of check, and none that there is not", () => {
  const page = readFileSync(new URL("../../../docs/checks.md", import.meta.url), "utf8");
  assert.deepEqual(
    [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, id]) => id),
    FINDING_IDS,
  );
});

test("every finding of check is staged by a test", () => {
  const root = new URL("../../../", import.meta.url).pathname;
  const own = "packages/supervisor/src/docs.test.ts";
  const files = globSync(["packages/*/src/**/*.test.ts", "test/*.test.ts"], { cwd: root }).filter((file) => file !== own);
  const tests = files.map((file) => readFileSync(`${root}${file}`, "utf8")).join("\n");
  assert.deepEqual(
    FINDING_IDS.filter((id) => !new RegExp(`(?<![\\w-])${id}(?![\\w-])`).test(tests)),
    [],
  );
});
