/** What is answered to a request for a file: status, headers and which bytes (RFC 9110 §13, §14). */
import { type Conditions, contentType, parseRanges, precondition, type Range } from "./content.ts";

export interface FileFacts {
  readonly name: string;
  readonly size: number;
  /** Unix milliseconds. */
  readonly modified: number;
  /** Strong. */
  readonly etag: string;
}

export interface RangeConditions extends Conditions {
  readonly range?: string | undefined;
  readonly "if-range"?: string | undefined;
}

/** A stretch of the file, or text between two of them. */
export type Part = Range | Buffer;

export interface FileAnswer {
  readonly status: 200 | 206 | 304 | 412 | 416;
  readonly headers: Readonly<Record<string, string | number>>;
  /** The body of a GET. */
  readonly parts: readonly Part[];
  /** Bytes of all parts. */
  readonly length: number;
}

/** A date names one version of a file only where the file may not have changed twice in its second (RFC 9110 §8.8.2.2). */
const ONE_VERSION_MS = 1000;

/** `now`: Unix milliseconds. */
export function answerFile(file: FileFacts, method: string, conditions: RangeConditions, now: number): FileAnswer {
  const { size, etag } = file;
  const modified = httpDate(file.modified);
  const type = contentType(file.name);
  const about = { "Accept-Ranges": "bytes", ETag: etag, "Last-Modified": modified };
  const status = precondition(conditions, etag, file.modified);
  if (status === 304) return { status, headers: about, parts: [], length: 0 };
  if (status === 412) return plain(412, "The file has changed.\n", {});

  const condition = conditions["if-range"];
  const ranged =
    method === "GET" && (condition === undefined || condition === etag || (condition === modified && now - file.modified > ONE_VERSION_MS));
  const ranges = ranged ? parseRanges(conditions.range, size) : null;
  if (ranges === "unsatisfiable") return plain(416, "No such bytes.\n", { "Content-Range": `bytes */${size}` });
  if (ranges === null)
    return {
      status: 200,
      headers: { ...about, "Content-Type": type, "Content-Length": size },
      parts: size > 0 ? [{ start: 0, end: size - 1 }] : [],
      length: size,
    };
  const [only] = ranges;
  if (only && ranges.length === 1) {
    const length = only.end - only.start + 1;
    const headers = { ...about, "Content-Type": type, "Content-Length": length, "Content-Range": contentRange(only, size) };
    return { status: 206, headers, parts: [only], length };
  }
  return multipart(ranges, size, type, about);
}

let newest = { at: 0, text: "" };

/** RFC 9110 §5.6.7; the same few files are asked for over and over. */
function httpDate(at: number): string {
  if (newest.at !== at) newest = { at, text: new Date(at).toUTCString() };
  return newest.text;
}

const contentRange = ({ start, end }: Range, size: number): string => `bytes ${start}-${end}/${size}`;

function plain(status: 412 | 416, text: string, headers: Record<string, string>): FileAnswer {
  const body = Buffer.from(text);
  return {
    status,
    headers: { ...headers, "Content-Type": "text/plain; charset=utf-8", "Content-Length": body.length },
    parts: [body],
    length: body.length,
  };
}

/** RFC 9110 §14.6. */
function multipart(ranges: readonly Range[], size: number, type: string, about: Readonly<Record<string, string>>): FileAnswer {
  const boundary = `netboot6-${String(about.ETag).replace(/[^A-Za-z0-9]/g, "")}`;
  const parts: Part[] = ranges.flatMap((range, i) => [
    Buffer.from(
      `${i === 0 ? "" : "\r\n"}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${contentRange(range, size)}\r\n\r\n`,
    ) as Part,
    range,
  ]);
  parts.push(Buffer.from(`\r\n--${boundary}--\r\n`));
  const length = parts.reduce((sum, part) => sum + (Buffer.isBuffer(part) ? part.length : part.end - part.start + 1), 0);
  const headers = { ...about, "Content-Type": `multipart/byteranges; boundary=${boundary}`, "Content-Length": length };
  return { status: 206, headers, parts, length };
}
