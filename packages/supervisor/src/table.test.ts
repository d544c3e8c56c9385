import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable } from "./table.ts";

const HEAD = ["ADDRESS", "MACHINE", "STATE"];
const ROW = ["2001:db8::1", "m-000100012a00000002000000000b", "bound"];

test("a table is as wide as its values, without lines, where there is no terminal", () => {
  assert.equal(
    formatTable(HEAD, [ROW], [1], Number.POSITIVE_INFINITY),
    "ADDRESS      MACHINE                         STATE\n2001:db8::1  m-000100012a00000002000000000b  bound",
  );
});

test("a narrow terminal cuts the columns that may give way, and says so", () => {
  const lines = formatTable(HEAD, [ROW], [1], 40).split("\n");
  for (const line of lines) assert.ok(line.length <= 40, line);
  assert.match(lines[1] ?? "", /^2001:db8::1 +m-\S+… +bound$/);
});
