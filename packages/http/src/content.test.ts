import assert from "node:assert/strict";
import { test } from "node:test";
import { contentType, parseRanges, precondition } from "./content.ts";

test("EDK2 compares the whole type: application/efi, nothing after it", () => {
  assert.equal(contentType("ipxe/x86_64/ipxe.efi"), "application/efi");
  assert.equal(contentType("A.EFI"), "application/efi");
  assert.equal(contentType("linux"), "application/octet-stream");
  assert.match(contentType("boot.ipxe"), /^text\/plain/);
});

test("byte ranges (RFC 9110 §14): one, several, a suffix, beyond the end; nonsense and more than the file has are ignored", () => {
  assert.deepEqual(parseRanges("bytes=0-0", 10), [{ start: 0, end: 0 }]);
  assert.deepEqual(parseRanges("bytes=2-", 10), [{ start: 2, end: 9 }]);
  assert.deepEqual(parseRanges("bytes=2-99", 10), [{ start: 2, end: 9 }]);
  assert.deepEqual(parseRanges("bytes=-3", 10), [{ start: 7, end: 9 }]);
  assert.deepEqual(parseRanges("bytes=-99", 10), [{ start: 0, end: 9 }]);
  assert.deepEqual(parseRanges("Bytes=0-0", 10), [{ start: 0, end: 0 }], "a unit's name has no case");
  assert.equal(parseRanges("bytes=0-4,5-9", 10)?.length, 2, "as many bytes as there are");
  assert.deepEqual(parseRanges("bytes=0-1, 3-4,99-", 10), [
    { start: 0, end: 1 },
    { start: 3, end: 4 },
  ]);
  assert.deepEqual(parseRanges("bytes=, 0-1, ,", 10), [{ start: 0, end: 1 }], "empty elements are skipped");
  assert.equal(parseRanges("bytes=0-9,0-9", 10), null, "more bytes than there are");
  const many = (count: number) => parseRanges(`bytes=${Array(count).fill("0-0").join()}`, 1000);
  assert.deepEqual([many(16)?.length, many(17)], [16, null], "too many");
  for (const beyond of ["bytes=10-", "bytes=99-100", "bytes=-0"]) assert.equal(parseRanges(beyond, 10), "unsatisfiable", beyond);
  for (const ignored of [undefined, "", "bytes=", "bytes=,", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=a-b"])
    assert.equal(parseRanges(ignored, 10), null, String(ignored));
});

test("conditions hold in the order of RFC 9110 §13.2.2; a date that cannot be read is none", () => {
  const modified = Date.UTC(2026, 10, 23, 12, 0, 0, 700);
  const at = (seconds: number): string => new Date(modified + seconds * 1000).toUTCString();
  const says = (conditions: Parameters<typeof precondition>[0]) => precondition(conditions, '"a"', modified);
  assert.equal(says({}), null);
  assert.equal(says({ "if-match": '"b", "a"' }), null);
  assert.equal(says({ "if-match": "*" }), null);
  assert.equal(says({ "if-match": '"b"', "if-none-match": '"a"' }), 412);
  assert.equal(says({ "if-match": 'W/"a"' }), 412, "compared strongly");
  assert.equal(says({ "if-unmodified-since": at(-1) }), 412);
  assert.equal(says({ "if-unmodified-since": at(0) }), null, "the same second");
  assert.equal(says({ "if-match": '"a"', "if-unmodified-since": at(-1) }), null, "the tag goes before the date");
  assert.equal(says({ "if-none-match": 'W/"a"' }), 304, "compared weakly");
  assert.equal(says({ "if-none-match": "*" }), 304);
  assert.equal(says({ "if-none-match": '"b"', "if-modified-since": at(0) }), null, "the tag goes before the date");
  assert.equal(says({ "if-modified-since": at(0) }), 304);
  assert.equal(says({ "if-modified-since": at(-1) }), null);
  assert.equal(says({ "if-modified-since": "yesterday", "if-unmodified-since": "tomorrow" }), null);
  for (const date of [
    "Tue, 24 Nov 2026 12:00:00 GMT",
    "Tuesday, 24-Nov-26 12:00:00 GMT",
    "Tue Nov 24 12:00:00 2026",
    "Wed Dec  2 12:00:00 2026",
  ])
    assert.equal(says({ "if-modified-since": date }), 304, date);
  for (const none of ["2030", "2026-11-24T12:00:00Z", "Tue, 24 Nov 2026 12:00:00", "24 Nov 2026", "Tue, 24 Foo 2026 12:00:00 GMT"])
    assert.equal(says({ "if-modified-since": none }), null, none);
});

test("a date without a zone is in GMT, wherever the host is", (t) => {
  const { TZ } = process.env;
  t.after(() => {
    if (TZ === undefined) delete process.env.TZ;
    else process.env.TZ = TZ;
  });
  for (const zone of ["Asia/Tokyo", "America/New_York"]) {
    process.env.TZ = zone;
    const modified = Date.UTC(2026, 10, 23, 12);
    const since = (text: string) => precondition({ "if-modified-since": text }, '"a"', modified);
    assert.deepEqual([since("Mon Nov 23 12:00:00 2026"), since("Mon Nov 23 11:59:59 2026")], [304, null], zone);
  }
});
