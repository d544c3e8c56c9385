import assert from "node:assert/strict";
import { test } from "node:test";
import { answerFile } from "./file-answer.ts";

const MODIFIED = Date.UTC(2026, 10, 23, 12);
const NOW = MODIFIED + 60_000;
const DATE = new Date(MODIFIED).toUTCString();
const file = { name: "d/initrd.gz", size: 100, modified: MODIFIED, etag: '"e"' };
const answer = (conditions: Parameters<typeof answerFile>[2], method = "GET") => answerFile(file, method, conditions, NOW);

test("the whole file, with what a client needs to ask for it again", () => {
  const { status, headers, parts, length } = answer({});
  assert.equal(status, 200);
  assert.deepEqual(headers, {
    "Accept-Ranges": "bytes",
    ETag: '"e"',
    "Last-Modified": DATE,
    "Content-Type": "application/octet-stream",
    "Content-Length": 100,
  });
  assert.deepEqual([parts, length], [[{ start: 0, end: 99 }], 100]);
  assert.deepEqual(answerFile({ ...file, size: 0 }, "GET", {}, NOW).parts, []);
  const older = answerFile({ ...file, modified: MODIFIED - 5_000 }, "GET", {}, NOW);
  assert.equal(older.headers["Last-Modified"], new Date(MODIFIED - 5_000).toUTCString());
});

test("one range is told by its header, several come as parts whose length is told before", () => {
  const one = answer({ range: "bytes=10-19,200-300" });
  assert.deepEqual([one.status, one.headers["Content-Range"], one.headers["Content-Length"]], [206, "bytes 10-19/100", 10]);
  for (const { headers } of [one, answer({ range: "bytes=0-1,-2" })])
    assert.deepEqual([headers.ETag, headers["Last-Modified"]], ['"e"', DATE], "of which version it is a part");
  const several = answer({ range: "bytes=0-1,-2" });
  assert.equal(several.status, 206);
  assert.match(String(several.headers["Content-Type"]), /^multipart\/byteranges; boundary=\S+$/);
  const bytes = several.parts.map((part) => (Buffer.isBuffer(part) ? part.toString() : "x".repeat(part.end - part.start + 1))).join("");
  assert.equal(bytes.length, several.headers["Content-Length"]);
  const boundary = String(several.headers["Content-Type"]).split("boundary=")[1];
  assert.equal(
    bytes,
    `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 0-1/100\r\n\r\nxx\r\n` +
      `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes 98-99/100\r\n\r\nxx\r\n--${boundary}--\r\n`,
  );
});

test("a range beyond the end is 416 with the size; If-Range holds it against the file; HEAD has none", () => {
  const beyond = answer({ range: "bytes=100-" });
  assert.deepEqual([beyond.status, beyond.headers["Content-Range"]], [416, "bytes */100"]);
  assert.equal(answer({ range: "bytes=0-1", "if-range": '"e"' }).status, 206);
  assert.equal(answer({ range: "bytes=0-1", "if-range": DATE }).status, 206);
  assert.equal(answer({ range: "bytes=0-1", "if-range": '"other"' }).status, 200);
  const fresh = answerFile(file, "GET", { range: "bytes=0-1", "if-range": DATE }, MODIFIED + 500);
  assert.equal(fresh.status, 200, "it may change again within this second, and keep its date");
  assert.equal(answer({ range: "bytes=0-1" }, "HEAD").status, 200);
});

test("conditions go before ranges: 304 has no body, 412 says so", () => {
  const unchanged = answer({ "if-none-match": '"e"', range: "bytes=0-1" });
  assert.deepEqual([unchanged.status, unchanged.parts, unchanged.headers.ETag], [304, [], '"e"']);
  assert.equal(answer({ "if-match": '"other"' }).status, 412);
});
