/** Tables on standard output: as wide as the terminal at most; whole where it is none. */
import { stripVTControlCharacters } from "node:util";
import Table from "cli-table3";

const NO_LINES = Object.fromEntries(
  ["top", "bottom", "left", "right", "mid"]
    .flatMap((side) => [side, `${side}-mid`, `${side}-left`, `${side}-right`, "mid-mid", "left-mid", "right-mid", "middle"])
    .map((name) => [name, ""]),
);
const GAP = 2;
const NARROWEST = 8;

/** `shrinks`: the columns that give way where the terminal is too narrow for all; `wraps`: they go on below, else they are cut. */
export function formatTable(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  shrinks: readonly number[],
  width: number = process.stdout.columns ?? Number.POSITIVE_INFINITY,
  wraps = false,
): string {
  const shown = (cell = ""): number => stripVTControlCharacters(cell).length;
  const widths = head.map((title, column) => rows.reduce((most, row) => Math.max(most, shown(row[column])), title.length) + GAP);
  for (let over = widths.reduce((sum, each) => sum + each, 0) - width; over > 0; over--) {
    const widest = shrinks.toSorted((a, b) => (widths[b] ?? 0) - (widths[a] ?? 0))[0];
    if (widest === undefined || (widths[widest] ?? 0) <= NARROWEST) break;
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  const table = new Table({
    head: [...head],
    colWidths: widths,
    wordWrap: wraps,
    chars: NO_LINES,
    style: { "padding-left": 0, "padding-right": GAP, head: [], border: [] },
  });
  table.push(...rows.map((row) => [...row]));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}
