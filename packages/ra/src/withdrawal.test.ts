import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { NETWORK, situation, TestWorld } from "./test-world.ts";

const route = { prefix: prefixOf("2001:db8:100::", 48), lifetime: 1800, preference: "high" } as const;

test("routes, resolvers, search domains and NAT64 prefix that are removed are withdrawn with lifetime 0 until hosts forgot them", () => {
  const world = new TestWorld(situation({ routes: [route], dns: ["2001:db8::53"], pref64: prefixOf("64:ff9b::", 96) }));
  world.pass(100);
  world.advertiser.change(situation({ search: ["lab.example"] }));
  world.sent.length = 0;
  world.pass(3000);
  const first = world.sent[0]?.ra;
  assert.deepEqual(first?.routes, [{ prefix: "2001:db8:100::", length: 48, preference: "medium", lifetime: 0 }]);
  assert.deepEqual(first?.rdnss, [
    { addresses: ["2001:db8:0:1::1"], lifetime: 180 },
    { addresses: ["2001:db8::53"], lifetime: 0 },
  ]);
  assert.deepEqual(first?.dnssl, [
    { domains: ["lab.example"], lifetime: 180 },
    { domains: ["rack.example"], lifetime: 0 },
  ]);
  assert.deepEqual(first?.pref64, [{ prefix: { address: "64:ff9b::", length: 96 }, lifetime: 0 }]);
  for (const { at, ra } of world.sent) {
    assert.equal(ra.routes.length, at < 1_900_000 ? 1 : 0, `route at ${at}`);
    assert.equal(ra.rdnss.length, at < 280_000 ? 2 : 1, `resolver at ${at}`);
  }
});

test("a prefix that is removed is preferred no more and valid for what is left of 2 hours, as long as hosts may keep it (RFC 9096)", () => {
  const world = new TestWorld(situation({ validLifetime: 10_000 }));
  world.pass(100);
  const network = { ...NETWORK, prefix: prefixOf("2001:db8:0:2::", 64), address: "2001:db8:0:2::1" } as Network;
  world.advertiser.change(situation({ validLifetime: 10_000 }, { network }));
  world.sent.length = 0;
  world.pass(12_000);
  for (const { at, ra } of world.sent) {
    const old = ra.prefixes.filter(({ prefix }) => prefix === "2001:db8:0:1::");
    assert.equal(old.length, at < 10_100_000 ? 2 : 0, `on-link and autonomous, at ${at}`);
    for (const { preferred, valid } of old) {
      assert.equal(preferred, 0);
      assert.ok(Math.abs(valid - Math.max(0, 7300 - at / 1000)) <= 1, `${valid} at ${at}`);
    }
    assert.ok(ra.prefixes.some(({ prefix, preferred }) => prefix === "2001:db8:0:2::" && preferred > 0));
  }
  assert.ok(world.sent.length > 100);
});

test("a prefix that was to be valid for less than two hours is not made to live longer by its end", () => {
  const short = { validLifetime: 600, preferredLifetime: 300 };
  const world = new TestWorld(situation(short));
  world.pass(100);
  const network = { ...NETWORK, prefix: prefixOf("2001:db8:0:2::", 64), address: "2001:db8:0:2::1" } as Network;
  world.advertiser.change(situation(short, { network }));
  world.pass(0);
  assert.deepEqual(
    world.sent.at(-1)?.ra.prefixes.map(({ prefix, valid, preferred }) => [prefix, valid, preferred]),
    [
      ["2001:db8:0:2::", 600, 300],
      ["2001:db8:0:1::", 600, 0],
      ["2001:db8:0:1::", 600, 0],
    ],
  );
});

test("a prefix on which machines are to form addresses no more is withdrawn for that alone", () => {
  const world = new TestWorld();
  world.pass(1);
  world.advertiser.change(situation({ autonomous: false }));
  world.pass(10);
  assert.deepEqual(
    world.sent.at(-1)?.ra.prefixes.map(({ onLink, autonomous, preferred }) => [onLink, autonomous, preferred]),
    [
      [true, false, 14400],
      [false, true, 0],
    ],
  );
});

test("what comes back is withdrawn no more", () => {
  const world = new TestWorld(situation({ routes: [route] }));
  world.advertiser.change(situation());
  world.advertiser.change(situation({ routes: [route] }));
  world.pass(10);
  assert.deepEqual(
    world.sent.at(-1)?.ra.routes.map(({ lifetime }) => lifetime),
    [1800],
  );
});

test("one that is to advertise no more withdraws all it said, its prefix as RFC 9096 has it; one that stops leaves the prefix as it is", () => {
  const all = situation({ routes: [route], dns: ["2001:db8::53"], search: ["lab.example"], pref64: prefixOf("64:ff9b::", 96) });
  for (const remove of [(world: TestWorld) => world.advertiser.change(situation(null)), (world: TestWorld) => world.advertiser.end(true)]) {
    const world = new TestWorld(all);
    world.pass(100);
    remove(world);
    const { ra } = world.sent.at(-1) ?? {};
    assert.deepEqual([ra?.routerLifetime, ra?.preference], [0, "medium"]);
    const prefix = { prefix: "2001:db8:0:1::", length: 64, valid: 7200, preferred: 0 };
    assert.deepEqual(ra?.prefixes, [
      { ...prefix, onLink: true, autonomous: false },
      { ...prefix, onLink: false, autonomous: true },
    ]);
    assert.deepEqual(ra?.routes, [{ prefix: "2001:db8:100::", length: 48, preference: "medium", lifetime: 0 }]);
    assert.deepEqual(ra?.rdnss, [{ addresses: ["2001:db8::53"], lifetime: 0 }]);
    assert.deepEqual(ra?.dnssl, [{ domains: ["lab.example"], lifetime: 0 }]);
    assert.deepEqual(ra?.pref64, [{ prefix: { address: "64:ff9b::", length: 96 }, lifetime: 0 }]);
    const { length } = world.sent;
    world.pass(1000);
    assert.equal(world.sent.length, length);
  }
  const world = new TestWorld(all);
  world.advertiser.end();
  const { ra } = world.sent.at(-1) ?? {};
  assert.deepEqual(ra?.prefixes, [
    { prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 },
  ]);
  assert.deepEqual([ra?.routerLifetime, ra?.rdnss[0]?.lifetime], [0, 0]);
});

test("a network that is taken away withdraws what it was withdrawing as well", () => {
  const world = new TestWorld();
  world.pass(100);
  const network = { ...NETWORK, prefix: prefixOf("2001:db8:0:2::", 64), address: "2001:db8:0:2::1" } as Network;
  world.advertiser.change(situation({}, { network }));
  world.pass(100);
  world.advertiser.end(true);
  assert.deepEqual(
    world.sent.at(-1)?.ra.prefixes.map(({ prefix, valid, preferred }) => [prefix, valid, preferred]),
    [
      ["2001:db8:0:1::", 7100, 0],
      ["2001:db8:0:1::", 7100, 0],
      ["2001:db8:0:2::", 7200, 0],
      ["2001:db8:0:2::", 7200, 0],
    ],
  );
});

test("what another router states is not withdrawn, or no more once it does; our own routes are", () => {
  const theirs = {
    prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 }],
    routes: [{ prefix: "2001:db8:100::", length: 48, preference: "high" as const, lifetime: 1800 }],
    rdnss: [{ addresses: ["2001:db8:0:1::1"], lifetime: 1800 }],
    dnssl: [],
  };
  const handover = new TestWorld(situation({ routes: [route] }));
  handover.hear(theirs);
  handover.pass(10);
  handover.advertiser.change(situation(null));
  const { ra } = handover.sent.at(-1) ?? {};
  assert.deepEqual([ra?.routerLifetime, ra?.prefixes, ra?.rdnss, ra?.routes.length, ra?.dnssl.length], [0, [], [], 1, 1]);

  const moved = new TestWorld();
  const network = { ...NETWORK, prefix: prefixOf("2001:db8:0:2::", 64), address: "2001:db8:0:2::1" } as Network;
  moved.advertiser.change(situation({}, { network }));
  moved.pass(100);
  const old = () => moved.sent.at(-1)?.ra.prefixes.filter(({ prefix }) => prefix === "2001:db8:0:1::").length;
  assert.equal(old(), 2);
  moved.hear({ ...theirs, prefixes: theirs.prefixes.map((each) => ({ ...each, preferred: 0 })) });
  moved.pass(100);
  assert.equal(old(), 1, "there are to be no addresses there, say both; that it is on the link, the other one says still");
  moved.hear(theirs);
  moved.pass(100);
  assert.equal(old(), 0);
});

test("the final advertisement withdraws what was being withdrawn as well", () => {
  const world = new TestWorld(situation({ routes: [route] }));
  world.advertiser.change(situation());
  world.advertiser.end();
  const last = world.sent.at(-1)?.ra;
  assert.equal(last?.routerLifetime, 0);
  assert.deepEqual(
    last?.routes.map(({ lifetime }) => lifetime),
    [0],
  );
});
