/** What is read of a client's message. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ClientFacts, readClientFacts } from "./client.ts";
import { OptionCode } from "./constants.ts";
import type { Option } from "./message.ts";
import { encodeTexts, encodeVendorClass } from "./options.ts";

const read = (...options: Option[]) => readClientFacts({ type: 1, transactionId: 1, options });
function factsOf(...options: Option[]): ClientFacts {
  const facts = read(...options);
  assert.ok(facts.ok);
  return facts.value;
}
const vendorClass = (enterprise: number, ...classes: string[]): Option => ({
  code: OptionCode.vendorClass,
  data: encodeVendorClass({ enterprise, classes }),
});

test("RFC 9915 §21.16: the vendor classes of every enterprise count", () => {
  assert.deepEqual(factsOf(vendorClass(343, "HTTPClient"), vendorClass(311, "MSFT 5.0", "x")).vendorClass, {
    classes: ["HTTPClient", "MSFT 5.0", "x"],
  });
  assert.equal(factsOf().vendorClass, null);
});

test("a vendor class without lengths is one raw text", () => {
  const data = Buffer.concat([Uint8Array.of(0, 0, 1, 0x57), Buffer.from("PXEClient:Arch:00007")]);
  assert.deepEqual(factsOf({ code: OptionCode.vendorClass, data }).vendorClass?.classes, ["PXEClient:Arch:00007"]);
});

test("user classes are read with lengths, and as one raw text without", () => {
  const sent = (data: Uint8Array) => factsOf({ code: OptionCode.userClass, data }).userClasses;
  assert.deepEqual(sent(encodeTexts(["iPXE", "rack-7"])), ["iPXE", "rack-7"]);
  assert.deepEqual(sent(Buffer.from("iPXE")), ["iPXE"]);
});

test("RFC 9915 §11.1: a DUID is a type and 1 to 128 octets", () => {
  for (const code of [OptionCode.clientId, OptionCode.serverId])
    for (const [length, ok] of [
      [2, false],
      [3, true],
      [130, true],
      [131, false],
    ] as const)
      assert.equal(read({ code, data: new Uint8Array(length) }).ok, ok, `option ${code} of ${length} bytes`);
});
