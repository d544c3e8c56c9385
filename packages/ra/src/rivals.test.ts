import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import { NETWORK, SAME, situation, TestWorld } from "./test-world.ts";

/** What is told of a router that says this, beside a router that does not forward. */
function told(ra: Parameters<TestWorld["hear"]>[0], first = situation({}, { forwarding: false }), router?: string) {
  const world = new TestWorld(first);
  world.hear(ra, router);
  world.pass(2);
  return world.of("ra.heard");
}

test("a router that says the same as we do is told once, as no contradiction", () => {
  const [event, ...more] = told({});
  assert.deepEqual([event?.router, event?.state, event?.differences, more], ["fe80::9", "advertises", [], []]);
});

test("M=0 O=0 is told with what iPXE will not do, and the mend; by who only listens as well", () => {
  for (const first of [situation(), situation(null)]) {
    const [event] = told({ other: false }, first);
    assert.match(
      event?.why ?? "",
      /M=0 O=0: iPXE that hears it first will not ask for a boot file\. Set its O flag, or stop its advertisements/,
    );
    assert.deepEqual([event?.managed, event?.other], [false, false]);
    assert.deepEqual(
      told({}, first).map(({ managed, other }) => [managed, other]),
      [[false, true]],
    );
  }
});

for (const [field, ra, says] of [
  ["M flag", { managed: true }, /M=1 O=1, we say M=0 O=1.*hear first/],
  ["hop limit", { hopLimit: 255 }, /hop limit 255, we say 64/],
  ["reachable time", { reachableTime: 3_600_000 }, /reachable time 3600000 ms, we leave machines their 30000 ms: all machines/],
  ["retransmission timer", { retransTimer: 20 }, /retransmission timer 20 ms, we leave machines their 1000 ms: all machines/],
  ["MTU", { mtu: 1400 }, /MTU 1400, we say 1500/],
  ["MTU above the interface's", { mtu: 9000 }, /MTU 9000, our interface has 1500: larger packets .* are lost/],
  [
    "flags of the prefix",
    { prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: false, valid: 86400, preferred: 14400 }] },
    /L=1 A=0 for 2001:db8:0:1::\/64, we say L=1 A=1/,
  ],
  [
    "on-link flag of the prefix",
    { prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: false, autonomous: true, valid: 86400, preferred: 14400 }] },
    /L=0 A=1 for 2001:db8:0:1::\/64, we say L=1 A=1/,
  ],
  [
    "lifetimes of the prefix",
    { prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 600, preferred: 300 }] },
    /valid 600 s, preferred 300 s, we say 86400 s, preferred 14400 s/,
  ],
  [
    "another prefix",
    { prefixes: [{ prefix: "2001:db8:9::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 }] },
    /it advertises 2001:db8:9::\/64, which we do not: .* refused unless http\.allow/,
  ],
  ["resolver", { rdnss: [{ addresses: ["2001:db8::666"], lifetime: 600 }] }, /resolver 2001:db8::666, which we do not/],
  ["search domain", { dnssl: [{ domains: ["other.example"], lifetime: 600 }] }, /search domain other\.example/],
] as const)
  test(`a difference in the ${field} is told alone`, () => {
    const [event] = told(ra);
    assert.equal(event?.differences.length, 1);
    assert.match(event?.differences[0] ?? "", says);
    assert.equal(event?.why, event?.differences[0]);
  });

test("what is unspecified agrees with any value (RFC 4861 §6.2.7), and the timers that machines have by themselves are no difference", () => {
  assert.deepEqual(told({ reachableTime: 30_000, retransTimer: 1000, hopLimit: 0, mtu: null })[0]?.differences, []);
});

test("a second default router is told with both preferences", () => {
  assert.match(told({ routerLifetime: 1800, preference: "high" }, situation())[0]?.why ?? "", /preference high\) as we are \(medium\)/);
});

test("a default router beside us who are none is no contradiction", () => {
  assert.deepEqual(told({ routerLifetime: 1800 })[0]?.differences, []);
});

test("another NAT64 prefix than ours is told; one where we have none is the router's own affair", () => {
  const pref64 = [{ prefix: { address: "2001:db8:64::", length: 96 }, lifetime: 600 }];
  const ours = situation({ pref64: prefixOf("64:ff9b::", 96) }, { forwarding: false });
  assert.match(told({ pref64 }, ours)[0]?.why ?? "", /NAT64 prefix 2001:db8:64::\/96, which we do not/);
  assert.deepEqual(told({ pref64 })[0]?.differences, []);
});

test("what one side leaves open is no contradiction: flags where we answer no DHCPv6, hop limit and MTU that we leave to machines", () => {
  const silent = situation({}, { forwarding: false, network: { ...NETWORK, dhcp: null } });
  assert.deepEqual(told({ other: false }, silent)[0]?.differences, []);
  assert.deepEqual(told({ hopLimit: 255, mtu: 1400 }, situation({ hopLimit: 0, mtu: 0 }, { forwarding: false }))[0]?.differences, []);
});

test("a router that says M=0 where we say M=1 is told", () => {
  const network = { ...NETWORK, dhcp: { managed: true } } as typeof NETWORK;
  assert.match(told({}, situation({}, { forwarding: false, network }))[0]?.why ?? "", /M=0 O=1, we say M=1 O=1: machines follow whom/);
});

test("an MTU above the interface's is told by who only listens as well", () => {
  assert.match(told({ mtu: 9000 }, situation(null))[0]?.why ?? "", /MTU 9000, our interface has 1500/);
});

test("our prefix, on which machines form addresses by another router's word alone, is told once, with its flags", () => {
  const [event] = told({}, situation({ autonomous: false }, { forwarding: false }));
  assert.deepEqual([event?.differences.length, event?.why.startsWith("it says L=1 A=1 for 2001:db8:0:1::/64, we say L=1 A=0")], [1, true]);
});

test("a router that sends machines to DHCPv6 where we do not answer it is told", () => {
  const network = { ...NETWORK, dhcp: null };
  const [event] = told({}, situation({}, { forwarding: false, network }));
  assert.match(event?.why ?? "", /M=0 O=1, we say M=0 O=0: machines ask for DHCPv6, and we do not answer it/);
});

test("all that contradicts us is told in one event", () => {
  const [event, ...more] = told({ other: false, hopLimit: 255, mtu: 1280, rdnss: [] });
  assert.deepEqual([event?.differences.length, more.length], [3, 0]);
  assert.match(event?.why ?? "", /^it says M=0 O=0/, "the gravest first");
});

test("a change is told once, though it is advertised for an hour and its lifetimes run down", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  const prefix = { prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true };
  for (let n = 0; n < 360; n++) {
    world.hear({ managed: n >= 180, prefixes: [{ ...prefix, valid: 80_000 - n * 10, preferred: 14_000 - n * 10 }] });
    world.pass(10);
  }
  assert.deepEqual(
    world.of("ra.heard").map(({ managed }) => managed),
    [false, true],
  );
});

for (const [what, before, after] of [
  ["preference", { routerLifetime: 1800, preference: "high" }, { routerLifetime: 1800, preference: "low" }],
  ["O flag", { managed: true, other: false }, { managed: true, other: true }],
  ["hop limit", { hopLimit: 128 }, { hopLimit: 255 }],
  ["MTU", { mtu: 1400 }, { mtu: 1300 }],
  ["reachable time", { reachableTime: 20_000 }, { reachableTime: 40_000 }],
  ["retransmission timer", { retransTimer: 20 }, { retransTimer: 40 }],
  ["prefix, which is to be preferred no more", {}, { prefixes: SAME.prefixes.map((each) => ({ ...each, preferred: 0 })) }],
] as const)
  test(`another value of a router's ${what} is told, by who only listens as well`, () => {
    const world = new TestWorld(situation(null));
    for (const ra of [before, after]) {
      world.hear(ra);
      world.pass(2);
    }
    assert.equal(world.of("ra.heard").length, 2);
  });

test("what expires between two advertisements of a router is no change", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  for (let n = 0; n < 10; n++) {
    world.hear({ rdnss: [{ addresses: ["2001:db8:0:1::1"], lifetime: 180 }] });
    world.pass(600);
  }
  assert.equal(world.of("ra.heard").length, 1);
});

test("what a router said once holds for its lifetime, though it is not said again; what it withdraws is gone at once", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  const resolver = (lifetime: number): void => world.hear({ rdnss: [{ addresses: ["2001:db8::666"], lifetime }] });
  const told = () => world.of("ra.heard").map(({ differences }) => differences.length);
  resolver(7_200);
  for (let n = 0; n < 11; n++) {
    world.pass(600);
    world.hear({ rdnss: [] });
  }
  assert.deepEqual(told(), [1]);
  world.pass(602);
  assert.deepEqual(told(), [1, 0]);
  resolver(7_200);
  world.pass(2);
  resolver(0);
  world.pass(2);
  assert.deepEqual(told(), [1, 0, 1, 0]);
});

test("what a router says in several advertisements is one thing", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  for (let n = 0; n < 10; n++) {
    world.hear({ rdnss: [], dnssl: [] });
    world.pass(n);
    world.hear({ prefixes: [], mtu: null });
    world.pass(5);
  }
  assert.equal(world.of("ra.heard").length, 1);
  assert.deepEqual(world.of("ra.heard")[0]?.differences, []);
});

test("a router that withdraws is told, and so is one that falls silent; then it may come back", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  world.hear({ routerLifetime: 1800 });
  world.pass(10);
  world.hear({ routerLifetime: 0 });
  world.pass(1799);
  const states = () => world.of("ra.heard").map(({ state, lifetime }) => [state, lifetime]);
  assert.deepEqual(states(), [
    ["advertises", 1800],
    ["withdrawn", 0],
  ]);
  world.pass(10);
  assert.deepEqual(states().at(-1), ["silent", 0]);
  world.hear({ routerLifetime: 1800 });
  world.pass(1799);
  assert.deepEqual(states().at(-1), ["advertises", 1800]);
  world.pass(10);
  assert.deepEqual(states().at(-1), ["silent", 0], "when its router lifetime is over");
});

test("a flood of made-up routers and options is bounded, and counted", () => {
  const world = new TestWorld();
  for (let n = 0; n < 1000; n++) world.hear({}, `fe80::${n.toString(16)}:9`);
  for (let n = 0; n < 1000; n++)
    world.hear(
      { prefixes: [{ prefix: `2001:db8:${n.toString(16)}::`, length: 64, onLink: true, autonomous: true, valid: 9, preferred: 9 }] },
      "fe80::1:9",
    );
  world.pass(2);
  assert.ok(world.of("ra.heard").length <= 2 * 64);
  const dropped = world.of("wire.dropped");
  assert.deepEqual(
    dropped.map(({ count }) => count),
    [1000 - 64],
  );
  const differences = world.of("ra.heard").find(({ router }) => router === "fe80::1:9")?.differences ?? [];
  assert.ok(differences.length > 9 && differences.length <= 256, `${differences.length}`);
});

test("another program on this host that advertises beside us is told, to be stopped; where we only listen it is a router like others", () => {
  const [event, ...more] = told({ routerLifetime: 1800 }, situation(), "fe80::1");
  assert.match(event?.why ?? "", /another program on this host, radvd for one, with our address.*Stop it, or set advertise: observe/);
  assert.deepEqual([event?.router, event?.differences.length, more], ["fe80::1", 2, []]);
  const listening = new TestWorld(situation(null));
  listening.hear({ routerLifetime: 1800 }, "fe80::1");
  listening.pass(100);
  assert.deepEqual([listening.of("ra.heard")[0]?.differences, listening.of("ra.warned")], [[], []]);
});

test("an advertisement of our own that comes back, or one of no link-local source, is no rival's", () => {
  const world = new TestWorld();
  world.pass(1);
  world.hear(world.sent[0]?.ra ?? {}, "fe80::1");
  world.hear({}, "2001:db8::9");
  world.pass(2);
  assert.deepEqual(world.of("ra.heard"), []);
  world.hear(world.sent[0]?.ra ?? {}, "fe80::9");
  world.pass(2);
  assert.equal(world.of("ra.heard").length, 1, "the same from another address is");
  assert.match(world.of("wire.dropped")[0]?.why ?? "", /not link-local/);
});
