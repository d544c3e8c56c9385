/** What an operator looks up is there: each verdict and each event of the log. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { VERDICTS } from "./index.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
/** The first column of a page's tables. */
const listed = (page: string): string[] => [...page.matchAll(/^\| `([\w.-]+)`/gm)].map(([, name]) => name as string);

test("docs/verdicts.md has every verdict, in the order in which they are looked for", () => {
  assert.deepEqual(listed(read("../../../docs/verdicts.md")), Object.keys(VERDICTS));
});

test("docs/log.md has every event", () => {
  const types = [...read("./types.ts").matchAll(/readonly type: "([\w.]+)"/g)].map(([, type]) => type as string);
  assert.deepEqual(listed(read("../../../docs/log.md")).toSorted(), [...new Set(types)].toSorted());
});
