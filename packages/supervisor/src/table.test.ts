import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTable } from "./table.ts";
import { formatDuration } from "./words.ts";

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

test("the widest of the columns that may give way does so first, and none becomes too narrow to be read", () => {
  const head = ["A", "B", "C"];
  const row = ["a".repeat(10), "b".repeat(30), "c".repeat(5)];
  assert.equal(formatTable(head, [row], [0, 1], 40).split("\n")[1], `${row[0]}  ${"b".repeat(18)}…  ${row[2]}`);
  assert.equal(formatTable(head, [row], [1], 10).split("\n")[1], `${row[0]}  ${"b".repeat(5)}…  ${row[2]}`);
});

test("a time is told in its two largest units", () => {
  const times = { 0: "0s", 59: "59s", 60: "1m 0s", 3661: "1h 1m", 90000: "1d 1h", 864000: "10d 0h" };
  for (const [seconds, text] of Object.entries(times)) assert.equal(formatDuration(Number(seconds)), text);
  assert.equal(formatDuration(-5), "0s");
});
