/** What an operator looks up is there: each finding of `check`. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { FINDING_IDS } from "@netboot6/config";

test("docs/checks.md has every finding of check, and none that there is not", () => {
  const page = readFileSync(new URL("../../../docs/checks.md", import.meta.url), "utf8");
  assert.deepEqual(
    [...page.matchAll(/^\| `([^`]+)`/gm)].map(([, id]) => id),
    FINDING_IDS,
  );
});
