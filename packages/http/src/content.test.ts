import assert from "node:assert/strict";
import { test } from "node:test";
import { contentType, parseRange } from "./content.ts";

test("EDK2 compares the whole type: application/efi, nothing after it", () => {
  assert.equal(contentType("ipxe/x86_64/ipxe.efi"), "application/efi");
  assert.equal(contentType("A.EFI"), "application/efi");
  assert.equal(contentType("linux"), "application/octet-stream");
  assert.match(contentType("boot.ipxe"), /^text\/plain/);
});

test("byte ranges (RFC 9110 §14): one range, a suffix, beyond the end; nonsense and several are ignored", () => {
  assert.deepEqual(parseRange("bytes=0-0", 10), { start: 0, end: 0 });
  assert.deepEqual(parseRange("bytes=2-", 10), { start: 2, end: 9 });
  assert.deepEqual(parseRange("bytes=2-99", 10), { start: 2, end: 9 });
  assert.deepEqual(parseRange("bytes=-3", 10), { start: 7, end: 9 });
  assert.deepEqual(parseRange("bytes=-99", 10), { start: 0, end: 9 });
  for (const beyond of ["bytes=10-", "bytes=99-100", "bytes=-0"]) assert.equal(parseRange(beyond, 10), "unsatisfiable", beyond);
  for (const ignored of [undefined, "", "bytes=", "bytes=-", "bytes=5-2", "lines=1-2", "bytes=0-1,3-4", "bytes=a-b"])
    assert.equal(parseRange(ignored, 10), null, String(ignored));
});
