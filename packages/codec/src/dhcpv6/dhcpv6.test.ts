import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress } from "../address.ts";
import { readClientFacts } from "./client.ts";
import { readDuid } from "./duid.ts";
import { decodeMessage, decodeOptions, encodeMessage, encodeOptions, isRelayMessage, type Message } from "./message.ts";
import * as o from "./options.ts";

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(bytes));
const option = fc.record({ code: u16, data: fc.uint8Array({ maxLength: 60 }) });
const options = fc.array(option, { maxLength: 6 });
const text = fc.string({ unit: "grapheme-ascii", maxLength: 20 });

function ok<T>(decoded: { ok: true; value: T } | { ok: false; why: string }): T {
  assert.ok(decoded.ok);
  return decoded.value;
}
/** Views into a larger buffer compare by content. */
const plain = <T>(value: T): unknown =>
  JSON.parse(JSON.stringify(value, (_, inner) => (inner instanceof Uint8Array ? Buffer.from(inner).toString("hex") : inner)));
const same = (a: unknown, b: unknown): void => assert.deepEqual(plain(a), plain(b));

test("messages survive their round trip, unknown options byte for byte", () => {
  const message: fc.Arbitrary<Message> = fc.oneof(
    fc.record({ type: fc.integer({ min: 1, max: 11 }), transactionId: fc.nat(0xffffff), options }),
    fc.record({
      type: fc.constantFrom(12 as const, 13 as const),
      hopCount: fc.nat(255),
      linkAddress: address,
      peerAddress: address,
      options,
    }),
  );
  fc.assert(fc.property(message, (value) => same(ok(decodeMessage(encodeMessage(value))), value)));
});

test("options with structure survive their round trip", () => {
  fc.assert(
    fc.property(u32, u32, u32, options, address, (iaid, t1, t2, inner, value) => {
      same(ok(o.decodeIa(o.encodeIa({ iaid, t1, t2, options: inner }))), { iaid, t1, t2, options: inner });
      same(ok(o.decodeIaAddress(o.encodeIaAddress({ address: value, preferred: t1, valid: t2, options: inner }))), {
        address: value,
        preferred: t1,
        valid: t2,
        options: inner,
      });
      const prefix = { prefix: value, length: iaid % 129, preferred: t1, valid: t2, options: inner };
      same(ok(o.decodeIaPrefix(o.encodeIaPrefix(prefix))), prefix);
    }),
  );
  fc.assert(
    fc.property(fc.array(u16), fc.array(address), fc.array(text), u32, (numbers, addresses, texts, enterprise) => {
      assert.deepEqual(ok(o.decodeU16List(o.encodeU16List(numbers))), numbers);
      assert.deepEqual(ok(o.decodeAddresses(o.encodeAddresses(addresses))), addresses);
      assert.deepEqual(o.decodeTexts(o.encodeTexts(texts))?.map(String), texts);
      assert.deepEqual(ok(o.decodeVendorClass(o.encodeVendorClass({ enterprise, classes: texts }))), { enterprise, classes: texts });
    }),
  );
  const label = fc.stringMatching(/^[a-z0-9-]{1,20}$/);
  fc.assert(
    fc.property(fc.array(fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join("."))), (names) =>
      assert.deepEqual(ok(o.decodeDomains(o.encodeDomains(names))), names),
    ),
  );
  assert.deepEqual(ok(o.decodeStatus(o.encodeStatus(2, "none free"))), { code: 2, text: "none free" });
});

test("a remote-id survives its round trip; a port's name is text where it is printable, else hex", () => {
  fc.assert(
    fc.property(u32, fc.uint8Array({ minLength: 1, maxLength: 40 }), (enterprise, remoteId) => {
      same(ok(o.decodeRemoteId(o.encodeRemoteId({ enterprise, remoteId }))), { enterprise, remoteId });
      const text = o.portText(remoteId);
      const bytes = text.startsWith("0x") ? Buffer.from(text.slice(2), "hex") : Buffer.from(text, "latin1");
      assert.deepEqual([...bytes], [...remoteId]);
    }),
  );
  assert.equal(o.decodeRemoteId(new Uint8Array(4)).ok, false);
  assert.deepEqual(
    ["Eth1/7", "0x41", "\x00\x0a"].map((text) => o.portText(Buffer.from(text))),
    ["Eth1/7", "0x30783431", "0x000a"],
  );
});

test("a client's name survives its round trip, whole or partial; what are no labels is none", () => {
  const label = fc.uint8Array({ minLength: 1, maxLength: 63 }).map((bytes) => Buffer.from(bytes).toString("latin1"));
  const labels = fc.array(label, { maxLength: 5 });
  fc.assert(
    fc.property(fc.nat(255), labels, fc.boolean(), (flags, names, whole) =>
      assert.deepEqual(o.decodeClientFqdn(o.encodeClientFqdn({ flags, labels: names, whole })), { flags, labels: names, whole }),
    ),
  );
  for (const hex of ["", "00c00c", "000561", "00016100ff"]) assert.equal(o.decodeClientFqdn(Buffer.from(hex, "hex")).labels, null, hex);
});

test("100,000 mutated client messages never make a decoder throw, and what is decoded can be encoded", () => {
  const samples = join(import.meta.dirname, "../../../dhcpv6/samples");
  const originals = readdirSync(samples, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".hex"))
    .map((name) => Buffer.from(readFileSync(join(samples, name), "latin1").trim(), "hex"));
  assert.ok(originals.length > 60);
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) & 0x7fffffff; // a fixed sequence: a failure can be repeated
    return (seed >>> 8) % below;
  };
  let refused = 0;
  for (let i = 0; i < 100_000; i++) {
    const original = originals[random(originals.length)] as Buffer;
    let bytes = Uint8Array.from(original);
    for (let n = random(4); n >= 0; n--) bytes[random(bytes.length)] = random(256);
    if (random(4) === 0) bytes = bytes.subarray(0, random(bytes.length + 1));
    const message = decodeMessage(bytes);
    if (!message.ok) {
      refused++;
      continue;
    }
    assert.deepEqual(Buffer.from(encodeMessage(message.value)), Buffer.from(bytes));
    if (!isRelayMessage(message.value)) readClientFacts(message.value);
    for (const { data } of message.value.options) {
      decodeOptions(data);
      o.decodeIa(data);
      o.decodeDomains(data);
      o.decodeUserClasses(data);
      readDuid(Buffer.from(data).toString("hex"));
    }
  }
  assert.ok(refused > 1000 && refused < 90_000, `${refused} were refused`);
});

test("user classes: with lengths, and as one raw text where the lengths do not add up", () => {
  assert.deepEqual(o.decodeUserClasses(Buffer.from("000469505845", "hex")), ["iPXE"]);
  assert.deepEqual(o.decodeUserClasses(Buffer.from("iPXE")), ["iPXE"]);
});

test("DUIDs tell their MAC or UUID; EDK2's UUID in SMBIOS order is told in both", () => {
  assert.deepEqual(readDuid("0004443322116655887799aabbccddeeff00").uuids, [
    "44332211-6655-8877-99aa-bbccddeeff00",
    "11223344-5566-7788-99aa-bbccddeeff00",
  ]);
  assert.equal(readDuid("0001000131dd31dc5254000b0001").mac, "52:54:00:0b:00:01");
  assert.equal(readDuid("000300015254000b0001").mac, "52:54:00:0b:00:01");
  assert.deepEqual(readDuid("00020000ab1100"), { kind: "EN" });
  assert.deepEqual(readDuid(""), { kind: "unknown" });
});

test("a DUID-LLT or DUID-LL tells a MAC only where its hardware type is Ethernet's", () => {
  assert.deepEqual(readDuid("0001002031dd31dc5254000b0001"), { kind: "LLT" });
  assert.deepEqual(readDuid("000300205254000b0001"), { kind: "LL" });
});

test("malformed options are refused: their RFC's least lengths", () => {
  const facts = (hex: string) => readClientFacts({ type: 1, transactionId: 1, options: ok(decodeOptions(Buffer.from(hex, "hex"))) });
  for (const [hex, why] of [
    ["0003000b0000000000000000000000", /12 are the least/],
    ["0003001f0000000000000000000000000005000f000000000000000000000000000000", /24 are the least/],
    ["0019000b0000000000000000000000", /12 are the least/],
    [`00190028${"00".repeat(12)}001a0018${"00".repeat(24)}`, /25 are the least/],
    [`00190029${"00".repeat(12)}001a0019${"00".repeat(8)}81${"00".repeat(16)}`, /length of 129/],
    ["0001000100", /DUID of 1/],
    ["000600030017ff", /option request/],
    ["0008000100", /elapsed time/],
    ["003d000107", /client architecture/],
    ["001000020000", /vendor class/],
    ["0003000c000000000000000000000000".repeat(33), /33 IAs/],
  ] as const) {
    const read = facts(hex);
    assert.ok(!read.ok, hex);
    assert.match(read.why, why);
  }
  assert.equal(decodeMessage(new Uint8Array()).ok, false);
  assert.equal(decodeMessage(Uint8Array.of(12, 0, 0)).ok, false);
  assert.equal(encodeOptions([]).length, 0);
});
