import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { formatAddress, formatMac } from "./address.ts";
import {
  decodeRouterAdvertisement,
  decodeRouterSolicitation,
  encodeRouterAdvertisement,
  encodeRouterSolicitation,
  type RouterAdvertisement,
} from "./ndp.ts";

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
    rdnss: fc.array(fc.record({ addresses: fc.array(address, { minLength: 1, maxLength: 3 }), lifetime: u32 }), { maxLength: 2 }),
    dnssl: fc.array(
      fc.record({ domains: fc.array(fc.stringMatching(/^[a-z]{1,9}(\.[a-z]{1,9}){0,2}$/), { minLength: 1, maxLength: 3 }), lifetime: u32 }),
      { maxLength: 2 },
    ),
    pref64: fc.subarray([
      { prefix: { address: "64:ff9b::", length: 96 }, lifetime: 1800 },
      { prefix: { address: "2001:db8::", length: 32 }, lifetime: 65528 },
    ]),
  });
  fc.assert(
    fc.property(advertisement, (value) => {
      const [bytes, ...more] = encodeRouterAdvertisement(value);
      assert.ok(bytes && more.length === 0);
      const decoded = decodeRouterAdvertisement(bytes);
      assert.ok(decoded.ok);
      assert.deepEqual(JSON.parse(JSON.stringify(decoded.value)), JSON.parse(JSON.stringify(value)));
    }),
  );
});

const empty: RouterAdvertisement = {
  hopLimit: 64,
  managed: false,
  other: true,
  preference: "medium",
  routerLifetime: 180,
  reachableTime: 0,
  retransTimer: 0,
  sourceMac: null,
  mtu: null,
  prefixes: [],
  routes: [],
  rdnss: [],
  dnssl: [],
  pref64: [],
};
const encodeOne = (ra: RouterAdvertisement): Uint8Array => {
  const [bytes, ...more] = encodeRouterAdvertisement(ra);
  assert.ok(bytes && more.length === 0);
  return bytes;
};

test("route information is as short as its prefix allows (RFC 4191 §2.3)", () => {
  const length = (prefix: string, bits: number) =>
    encodeOne({ ...empty, routes: [{ prefix, length: bits, preference: "high", lifetime: 1 }] }).length - 16;
  assert.deepEqual([length("::", 0), length("2001:db8::", 48), length("2001:db8::", 65)], [8, 16, 24]);
});

test("an advertisement that would not fit into 1280 bytes is several, each with the same header (RFC 4861 §6.2.3, RFC 6980)", () => {
  const full: RouterAdvertisement = {
    ...empty,
    sourceMac: "02:1a:b0:00:00:01",
    mtu: 1500,
    prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 }],
    routes: Array.from({ length: 100 }, (_, i) => ({
      prefix: `2001:db8:${(i + 1).toString(16)}::`,
      length: 48,
      preference: "medium" as const,
      lifetime: 1800,
    })),
    rdnss: [{ addresses: Array.from({ length: 200 }, (_, i) => `2001:db8::${(i + 1).toString(16)}`), lifetime: 180 }],
    dnssl: [{ domains: Array.from({ length: 40 }, (_, i) => `${"a".repeat(60)}.rack-${i}.example`), lifetime: 180 }],
  };
  const messages = encodeRouterAdvertisement(full);
  assert.ok(messages.length > 1);
  const read = messages.map((bytes) => {
    assert.ok(bytes.length <= 1240, `${bytes.length}`);
    assert.deepEqual(bytes.subarray(0, 16), messages[0]?.subarray(0, 16));
    const decoded = decodeRouterAdvertisement(bytes);
    assert.ok(decoded.ok);
    return decoded.value;
  });
  assert.deepEqual(
    read.flatMap(({ routes }) => routes),
    full.routes,
  );
  assert.deepEqual(
    read.flatMap(({ rdnss }) => rdnss.flatMap(({ addresses }) => addresses)),
    full.rdnss[0]?.addresses,
  );
  assert.deepEqual(
    read.flatMap(({ dnssl }) => dnssl.flatMap(({ domains }) => domains)),
    full.dnssl[0]?.domains,
  );
  assert.deepEqual([read[0]?.prefixes, read[0]?.mtu], [full.prefixes, 1500], "the first one has what clients that hear only one need");
});

test("options whose prefix length is none, or longer than the option, are passed over", () => {
  const bytes = encodeOne({ ...empty, routes: [{ prefix: "2001:db8::", length: 48, preference: "high", lifetime: 1 }] });
  for (const [length, routes] of [
    [64, 1],
    [65, 0],
    [129, 0],
  ] as const) {
    bytes[18] = length;
    const read = decodeRouterAdvertisement(bytes);
    assert.ok(read.ok);
    assert.equal(read.value.routes.length, routes, `/${length}`);
  }
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
