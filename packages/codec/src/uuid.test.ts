import assert from "node:assert/strict";
import { test } from "node:test";
import { sameUuid } from "./uuid.ts";

test("a UUID is the same in text order and in that of SMBIOS, which turns its first three fields around", () => {
  const uuid = "11223344-5566-7788-99aa-bbccddeeff00";
  assert.ok(sameUuid(uuid, uuid));
  assert.ok(sameUuid(uuid, "44332211-6655-8877-99aa-bbccddeeff00"));
  assert.ok(sameUuid("44332211-6655-8877-99aa-bbccddeeff00", uuid));
  for (const other of [
    "11223344-5566-7788-99aa-bbccddeeff01",
    "44332211-5566-7788-99aa-bbccddeeff00",
    "00ffeedd-ccbb-aa99-8877-665544332211",
  ])
    assert.ok(!sameUuid(uuid, other), other);
});
