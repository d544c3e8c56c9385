import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import * as a from "./address.ts";

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });

test("every address survives text and number, in the form ipaddr.js writes", () => {
  fc.assert(
    fc.property(fc.oneof(bytes16, fc.array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })), (raw) => {
      const bytes = Uint8Array.from(raw);
      const text = a.formatAddress(bytes);
      assert.deepEqual(a.parseAddress(text), bytes);
      assert.equal(a.bigIntToAddress(a.addressToBigInt(text)), text);
      if (!text.includes(".")) assert.equal(text, new ipaddr.IPv6([...bytes]).toRFC5952String());
    }),
  );
});

test("text that ipaddr.js takes for IPv6 is taken, other text refused", () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(..."0123456789abcdefF:::.g%"), maxLength: 20 }), (text) => {
      const theirs = !text.includes("%") && ipaddr.IPv6.isValid(text) && !/(^|[.:])0\d+\./.test(text);
      if (!theirs) return;
      assert.deepEqual([...(a.parseAddress(text) ?? [])], ipaddr.parse(text).toByteArray(), text);
    }),
  );
  for (const bad of [
    "",
    ":",
    ":::",
    "1",
    "1:2:3:4:5:6:7:8:9",
    "1::2::3",
    "1:2:3:4:5:6:7:",
    "12345::",
    "fe80::1%eth0",
    "::1.2.3",
    "::1.2.3.256",
    "1.2.3.4",
    "::g",
    "1:2:3:4:5:6:7::8",
  ])
    assert.equal(a.parseAddress(bad), null, bad);
});

test("prefixes: bits beyond the length are refused, membership is by bits", () => {
  const prefix = a.parsePrefix("2001:db8:0:1::/64");
  assert.ok(prefix);
  assert.equal(a.formatPrefix(prefix), "2001:db8:0:1::/64");
  assert.ok(a.prefixContains(prefix, "2001:db8:0:1:ffff::1"));
  assert.ok(!a.prefixContains(prefix, "2001:db8:0:2::1"));
  for (const bad of ["2001:db8::1/64", "2001:db8::/129", "2001:db8::/064", "2001:db8::", "/64"])
    assert.equal(a.parsePrefix(bad), null, bad);
});

test("EUI-64 addresses carry their MAC both ways", () => {
  const prefix = a.prefixOf("2001:db8:0:1::", 64);
  assert.equal(a.eui64Address(prefix, "52:54:00:0b:00:01"), "2001:db8:0:1:5054:ff:fe0b:1");
  assert.equal(a.macOfEui64("fe80::5054:ff:fe0b:1"), "52:54:00:0b:00:01");
  assert.equal(a.macOfEui64("2001:db8::1"), null);
  for (const text of ["52:54:00:0B:00:01", "52-54-00-0b-00-01", "5254.000b.0001", "5254000b0001"])
    assert.equal(a.parseMac(text), "52:54:00:0b:00:01");
  for (const bad of ["52:54:00:0b:00", "52:54-00:0b:00:01", "g2:54:00:0b:00:01", ""]) assert.equal(a.parseMac(bad), null);
});
