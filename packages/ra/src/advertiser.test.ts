import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import type { AdvertiseConfig, Network } from "@netboot6/config";
import { type AdvertisePlan, afterMulticast, buildAdvertisement, changedState, initialState, solicited } from "./advertiser.ts";

const settings: AdvertiseConfig = {
  interval: [5, 60],
  routerLifetime: "auto",
  preference: "medium",
  hopLimit: 64,
  mtu: null,
  onLink: true,
  autonomous: true,
  validLifetime: 86400,
  preferredLifetime: 14400,
  dns: null,
  search: null,
  dnsLifetime: null,
  routes: [],
  pref64: null,
};
const network = {
  name: "provisioning",
  prefix: prefixOf("2001:db8:0:1::", 64),
  address: "2001:db8:0:1::1",
  link: { name: "eth1", index: 2, mac: "02:1a:b0:00:00:01", mtu: 1500, linkLocal: "fe80::1" },
  dhcp: { managed: false },
} as unknown as Network;
const plan = (more: Partial<AdvertisePlan> = {}): AdvertisePlan => ({
  settings,
  network,
  forwarding: true,
  dnsOn: true,
  domain: "rack.example",
  ...more,
});

test("the default advertisement: A=1, O=1, M=0, the prefix, RDNSS, DNSSL, MTU, our MAC", () => {
  assert.deepEqual(buildAdvertisement(plan()), {
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
    rdnss: { addresses: ["2001:db8:0:1::1"], lifetime: 180 },
    dnssl: { domains: ["rack.example"], lifetime: 180 },
    pref64: null,
  });
});

test("the flags follow the DHCPv6 settings, the lifetime the host's forwarding", () => {
  assert.equal(buildAdvertisement(plan({ network: { ...network, dhcp: null } })).other, false);
  assert.equal(buildAdvertisement(plan({ network: { ...network, dhcp: { managed: true } } as Network })).managed, true);
  assert.equal(buildAdvertisement(plan({ forwarding: false })).routerLifetime, 0);
  assert.equal(buildAdvertisement(plan({ forwarding: false, settings: { ...settings, routerLifetime: 1800 } })).routerLifetime, 1800);
  assert.equal(buildAdvertisement(plan({ settings: { ...settings, interval: [200, 1800] } })).routerLifetime, 5400);
  assert.equal(
    buildAdvertisement(plan({ forwarding: false, settings: { ...settings, preference: "high" } })).preference,
    "medium",
    "RFC 4191 §2.2",
  );
});

test("the final advertisement withdraws router, DNS and routes", () => {
  const final = buildAdvertisement(
    plan({ settings: { ...settings, routes: [{ prefix: prefixOf("2001:db8:100::", 48), lifetime: 1800, preference: "high" }] } }),
    true,
  );
  assert.equal(final.routerLifetime, 0);
  assert.equal(final.rdnss?.lifetime, 0);
  assert.equal(final.dnssl?.lifetime, 0);
  assert.equal(final.routes[0]?.lifetime, 0);
});

test("the first three are at most 16 s apart, later ones within the interval", () => {
  for (const random of [() => 0, () => 0.5, () => 0.999999]) {
    let state = initialState(0);
    const gaps: number[] = [];
    for (let i = 0; i < 6; i++) {
      const now = state.next;
      state = afterMulticast(state, settings, now, random);
      gaps.push(state.next - now);
    }
    for (const gap of gaps.slice(0, 2)) assert.ok(gap <= 16_000, `${gap}`);
    for (const gap of gaps.slice(2)) assert.ok(gap >= 5_000 && gap < 60_000, `${gap}`);
  }
});

test("a solicitation with a source is answered by unicast at once, and leaves the multicast ones alone", () => {
  const state = afterMulticast(initialState(0), settings, 0, () => 0.5);
  const answer = solicited(state, "fe80::5054:ff:fe0b:1", 100, () => 0.5);
  assert.deepEqual(answer, { state, unicast: true });
});

test("solicitations from :: share one multicast, 3 s after the last one at the earliest", () => {
  let state = afterMulticast(initialState(0), settings, 0, () => 0.9);
  for (let i = 0; i < 200; i++) state = solicited(state, "::", 100 + i, () => 0.5).state;
  assert.equal(state.next, 3000);
  assert.equal(state.nextWhy, "solicited");
  state = afterMulticast(state, settings, state.next, () => 0.9);
  assert.equal(state.lastMulticast, 3000);
  const quiet = solicited({ ...state, next: 100_000 }, "::", 50_000, () => 0.5);
  assert.ok(quiet.state.next - 50_000 <= 500, "with none sent lately, within MAX_RA_DELAY_TIME");
});

test("a change is told at once, but not within 3 s of the last multicast advertisement", () => {
  const state = afterMulticast(initialState(0), settings, 10_000, () => 0.5);
  assert.equal(changedState(state, 11_000).next, 13_000);
  assert.equal(changedState(changedState(state, 11_000), 12_000).next, 13_000);
  assert.equal(changedState(state, 20_000).next, 20_000);
  assert.deepEqual([changedState(state, 11_000).sent, changedState(state, 11_000).nextWhy], [0, "changed"]);
});
