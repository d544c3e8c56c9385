/** What an operator looks up is there: each verdict, and what each event of the log means. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { VERDICTS } from "./index.ts";
import { eventTable } from "./reference.ts";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
/** The first column of a page's tables. */
const listed = (page: string): string[] => [...page.matchAll(/^\| `([\w.-]+)`/gm)].map(([, name]) => name as string);

test("docs/verdicts.md has every verdict, in the order in which they are looked for", () => {
  assert.deepEqual(listed(read("../../../docs/verdicts.md")), Object.keys(VERDICTS));
});

test("docs/log.md is made from what the code says of each event (UPDATE_DOCS=1 makes it anew)", () => {
  const file = new URL("../../../docs/log.md", import.meta.url);
  const page = readFileSync(file, "utf8");
  const made = page.replace(/(?:^\|.*\n)+/m, `${eventTable()}\n`);
  if (process.env.UPDATE_DOCS === "1") writeFileSync(file, made);
  else assert.equal(page, made);
});
