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

export type Range = { readonly start: number; readonly end: number } | "unsatisfiable" | null;

/** Reads one byte range; null where the header is to be ignored (another unit, several ranges, nonsense). `end` is the last byte. */
export function parseRange(header: string | undefined, size: number): Range {
  const match = /^bytes=\s*(\d*)-(\d*)\s*$/.exec(header ?? "");
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
