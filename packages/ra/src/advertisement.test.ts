import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import type { AdvertiseConfig, Network } from "@netboot6/config";
import { buildAdvertisement, finalAdvertisement } from "./advertisement.ts";
import { NETWORK, SETTINGS, situation } from "./test-world.ts";

const build = (settings: Partial<AdvertiseConfig> = {}, more: Parameters<typeof situation>[1] = {}) =>
  buildAdvertisement({ ...situation({}, more), settings: { ...SETTINGS, ...settings } });

test("the default advertisement: A=1, O=1, M=0, the prefix, RDNSS, DNSSL, MTU, our MAC", () => {
  assert.deepEqual(build(), {
    hopLimit: 64,
    managed: false,
    other: true,
    preference: "medium",
    routerLifetime: 180,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: "02:1a:b0:00:00:01",
    mtu: 1500,
    prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 }],
    routes: [],
    rdnss: [{ addresses: ["2001:db8:0:1::1"], lifetime: 180 }],
    dnssl: [{ domains: ["rack.example"], lifetime: 180 }],
    pref64: [],
  });
});

test("the flags follow the DHCPv6 settings", () => {
  assert.equal(build({}, { network: { ...NETWORK, dhcp: null } }).other, false);
  assert.equal(build({}, { network: { ...NETWORK, dhcp: { managed: true } } as Network }).managed, true);
});

test("routerLifetime auto: 3 times the max interval where the host forwards, else 0; never above 65535 s (RFC 8319)", () => {
  assert.equal(build({}, { forwarding: false }).routerLifetime, 0);
  assert.equal(build({ interval: [200, 1800] }).routerLifetime, 5400);
  assert.equal(build({ interval: [200, 10_000] }).routerLifetime, 30_000);
  assert.equal(build({ interval: [200, 65_535] }).routerLifetime, 65_535);
  assert.equal(build({ routerLifetime: 1800 }, { forwarding: false }).routerLifetime, 1800);
});

test("who is no router says preference medium (RFC 4191 §2.2)", () => {
  assert.equal(build({ preference: "high" }).preference, "high");
  assert.equal(build({ preference: "high" }, { forwarding: false }).preference, "medium");
});

test("dns, search and mtu that are configured stand in place of the derived ones; what there is none of is left out", () => {
  const own = build({ dns: ["2001:db8::53"], search: ["lab.example"], mtu: 1400, dnsLifetime: 77 });
  assert.deepEqual(own.rdnss, [{ addresses: ["2001:db8::53"], lifetime: 77 }]);
  assert.deepEqual(own.dnssl, [{ domains: ["lab.example"], lifetime: 77 }]);
  assert.equal(own.mtu, 1400);
  const none = build({ mtu: 0 }, { dnsOn: false, domain: "" });
  assert.deepEqual([none.rdnss, none.dnssl, none.mtu], [[], [], null]);
});

test("hop limit, prefix and routes are advertised as they are configured", () => {
  const route = { prefix: prefixOf("2001:db8:100::", 48), lifetime: 1800, preference: "low" } as const;
  const ra = build({ hopLimit: 7, onLink: false, autonomous: false, validLifetime: 7200, preferredLifetime: 3600, routes: [route] });
  assert.equal(ra.hopLimit, 7);
  assert.deepEqual(ra.prefixes, [{ prefix: "2001:db8:0:1::", length: 64, onLink: false, autonomous: false, valid: 7200, preferred: 3600 }]);
  assert.deepEqual(ra.routes, [{ prefix: "2001:db8:100::", length: 48, preference: "low", lifetime: 1800 }]);
});

test("the NAT64 prefix lives 3 times the max interval, 65528 s at most (RFC 8781 §4.1)", () => {
  const pref64 = prefixOf("64:ff9b::", 96);
  const option = { prefix: { address: "64:ff9b::", length: 96 } };
  assert.deepEqual(build({ pref64 }).pref64, [{ ...option, lifetime: 180 }]);
  assert.deepEqual(build({ pref64, interval: [200, 60_000] }).pref64, [{ ...option, lifetime: 65528 }]);
});

test("the final advertisement withdraws router, DNS, routes and NAT64, and leaves the prefix", () => {
  const ra = build({
    preference: "high",
    routes: [{ prefix: prefixOf("2001:db8:100::", 48), lifetime: 1800, preference: "high" }],
    pref64: prefixOf("64:ff9b::", 96),
  });
  const final = finalAdvertisement(ra);
  assert.deepEqual([final.routerLifetime, final.preference], [0, "medium"]);
  for (const options of [final.routes, final.rdnss, final.dnssl, final.pref64])
    assert.deepEqual(
      options.map(({ lifetime }) => lifetime),
      [0],
    );
  assert.deepEqual(final.prefixes, ra.prefixes);
});
