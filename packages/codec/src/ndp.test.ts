import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, formatMac } from "./address.ts";
import { decodeRouterAdvertisement, decodeRouterSolicitation, encodeRouterAdvertisement, encodeRouterSolicitation } from "./ndp.ts";

const u16 = fc.nat(0xffff);
const u32 = fc.nat(0xffffffff);
const address = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => formatAddress(bytes));
const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map(formatMac);
const preference = fc.constantFrom("low", "medium", "high");

test("router advertisements survive their round trip", () => {
  const advertisement = fc.record({
    hopLimit: fc.nat(255),
    managed: fc.boolean(),
    other: fc.boolean(),
    preference,
    routerLifetime: u16,
    reachableTime: u32,
    retransTimer: u32,
    sourceMac: fc.option(mac),
    mtu: fc.option(u32),
    prefixes: fc.array(
      fc.record({ prefix: address, length: fc.nat(128), onLink: fc.boolean(), autonomous: fc.boolean(), valid: u32, preferred: u32 }),
      { maxLength: 3 },
    ),
    routes: fc.array(fc.record({ prefix: address, length: fc.integer({ min: 65, max: 128 }), preference, lifetime: u32 }), {
      maxLength: 2,
    }),
    rdnss: fc.option(fc.record({ addresses: fc.array(address, { minLength: 1, maxLength: 3 }), lifetime: u32 })),
    dnssl: fc.option(
      fc.record({ domains: fc.array(fc.stringMatching(/^[a-z]{1,9}(\.[a-z]{1,9}){0,2}$/), { minLength: 1, maxLength: 3 }), lifetime: u32 }),
    ),
    pref64: fc.constantFrom(
      null,
      { prefix: { address: "64:ff9b::", length: 96 }, lifetime: 1800 },
      { prefix: { address: "2001:db8::", length: 32 }, lifetime: 65528 },
    ),
  });
  fc.assert(
    fc.property(advertisement, (value) => {
      const decoded = decodeRouterAdvertisement(encodeRouterAdvertisement(value));
      assert.ok(decoded.ok);
      assert.deepEqual(JSON.parse(JSON.stringify(decoded.value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

test("route information is as short as its prefix allows (RFC 4191 §2.3)", () => {
  const empty = {
    hopLimit: 64,
    managed: false,
    other: true,
    preference: "medium",
    routerLifetime: 0,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: null,
    mtu: null,
    prefixes: [],
    rdnss: null,
    dnssl: null,
    pref64: null,
  } as const;
  const length = (prefix: string, bits: number) =>
    encodeRouterAdvertisement({ ...empty, routes: [{ prefix, length: bits, preference: "high", lifetime: 1 }] }).length - 16;
  assert.deepEqual([length("::", 0), length("2001:db8::", 48), length("2001:db8::", 65)], [8, 16, 24]);
});

test("solicitations: RFC 4861 §6.1.1 says which are discarded", () => {
  const withMac = encodeRouterSolicitation({ sourceMac: "52:54:00:0b:00:01" });
  const read = decodeRouterSolicitation(withMac, false);
  assert.ok(read.ok && read.value.sourceMac === "52:54:00:0b:00:01");
  const plain = decodeRouterSolicitation(encodeRouterSolicitation({ sourceMac: null }), true);
  assert.ok(plain.ok && plain.value.sourceMac === null);
  assert.ok(!decodeRouterSolicitation(withMac, true).ok, "from :: with a link-layer address");
  assert.ok(!decodeRouterSolicitation(withMac.subarray(0, 7), false).ok, "shorter than 8 bytes");
  assert.ok(!decodeRouterSolicitation(Uint8Array.of(133, 1, 0, 0, 0, 0, 0, 0), false).ok, "code 1");
  assert.ok(!decodeRouterSolicitation(Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 0), false).ok, "an option of length 0");
  assert.ok(
    !decodeRouterSolicitation(Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 0, 0), false).ok,
    "an option longer than the message",
  );
});

test("no bytes make the decoders throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.boolean(), fc.constantFrom(133, 134), (bytes, unspecified, type) => {
      if (bytes.length > 1) bytes.set([type, 0]);
      decodeRouterSolicitation(bytes, unspecified);
      decodeRouterAdvertisement(bytes);
    }),
    { numRuns: 20_000 },
  );
});
