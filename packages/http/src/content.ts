/** Content types as boot clients need them, strong tags, and byte ranges (RFC 9110 §8.8.3, §14). */
import { extname } from "node:path";

/** EDK2 compares the whole value: `application/efi` without a charset. */
const TYPES: Readonly<Record<string, string>> = {
  ".efi": "application/efi",
  ".iso": "application/vnd.efi-iso",
  ".img": "application/vnd.efi-img",
  ".ipxe": "text/plain; charset=utf-8",
  ".cfg": "text/plain; charset=utf-8",
  ".txt": "text/plain; charset=utf-8",
  ".yaml": "text/yaml; charset=utf-8",
  ".json": "application/json",
  ".html": "text/html; charset=utf-8",
};

export const contentType = (name: string): string => TYPES[extname(name).toLowerCase()] ?? "application/octet-stream";

/** Bytes of a file; `end` is the last one. */
export interface Range {
  readonly start: number;
  readonly end: number;
}

/** More, or more bytes than the file has, is no use to anyone but an attacker (RFC 9110 §14.2). */
const MAX_RANGES = 16;

/** Reads byte ranges, leaving out those beyond the end. Null where the header is to be ignored: another unit, nonsense, too much. */
export function parseRanges(header: string | undefined, size: number): readonly Range[] | "unsatisfiable" | null {
  const list = /^bytes=(.*)$/i.exec(header ?? "")?.[1];
  if (list === undefined) return null;
  const ranges: Range[] = [];
  const elements = list.split(",", MAX_RANGES + 1);
  if (elements.length > MAX_RANGES) return null;
  const specs = elements.map((element) => element.trim()).filter((spec) => spec !== ""); // empty ones are to be skipped (§5.6.1.2)
  if (specs.length === 0) return null;
  for (const spec of specs) {
    const range = parseRange(spec, size);
    if (range === null) return null;
    if (range !== "unsatisfiable") ranges.push(range);
  }
  if (ranges.length === 0) return "unsatisfiable";
  return ranges.length > 1 && ranges.reduce((sum, { start, end }) => sum + end - start + 1, 0) > size ? null : ranges;
}

function parseRange(spec: string, size: number): Range | "unsatisfiable" | null {
  const match = /^(\d*)-(\d*)$/.exec(spec);
  if (!match || (match[1] === "" && match[2] === "")) return null;
  const [from, to] = [match[1] ?? "", match[2] ?? ""];
  if (from === "") {
    const length = Math.min(Number(to), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size - 1 };
  }
  const start = Number(from);
  const end = to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (to !== "" && Number(to) < start) return null;
  return start >= size ? "unsatisfiable" : { start, end };
}

/** What a conditional request asks to be held against (RFC 9110 §13.1). */
export interface Conditions {
  readonly "if-match"?: string | undefined;
  readonly "if-none-match"?: string | undefined;
  readonly "if-modified-since"?: string | undefined;
  readonly "if-unmodified-since"?: string | undefined;
}

/** The status that the conditions bring about, in the order of RFC 9110 §13.2.2; null: answered as if there were none. `modified` in Unix milliseconds. */
export function precondition(conditions: Conditions, etag: string, modified: number): 304 | 412 | null {
  const seconds = Math.floor(modified / 1000) * 1000; // as Last-Modified tells it
  const listed = (tags: string): boolean => tags.trim() === "*" || tags.split(",").some((tag) => tag.trim() === etag);
  const { "if-match": match, "if-none-match": none, "if-modified-since": since, "if-unmodified-since": until } = conditions;
  if (match !== undefined ? !listed(match) : seconds > date(until)) return 412;
  if (none !== undefined ? listedWeakly(none, etag) : seconds <= date(since, Number.NEGATIVE_INFINITY)) return 304;
  return null;
}

/** If-None-Match compares weakly (§13.1.2). */
const listedWeakly = (tags: string, etag: string): boolean =>
  tags.trim() === "*" || tags.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);

/** The three forms of RFC 9110 §5.6.7: what else Date.parse reads, such as a year alone, is none. */
const HTTP_DATES = [
  /^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/,
  /^\w{6,9}, \d{2}-\w{3}-\d{2} \d{2}:\d{2}:\d{2} GMT$/,
  /^\w{3} \w{3} [ \d]\d \d{2}:\d{2}:\d{2} \d{4}$/,
];

/** A date that cannot be read is as if it were not there. */
function date(text: string | undefined, otherwise = Number.POSITIVE_INFINITY): number {
  if (text === undefined || !HTTP_DATES.some((form) => form.test(text))) return otherwise;
  const value = Date.parse(text.endsWith("GMT") ? text : `${text} GMT`);
  return Number.isNaN(value) ? otherwise : value;
}
