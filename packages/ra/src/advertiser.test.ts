import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeRouterAdvertisement, encodeRouterSolicitation, prefixOf } from "@netboot6/codec";
import { SAME, SETTINGS, situation, TestWorld } from "./test-world.ts";

const RS = encodeRouterSolicitation({ sourceMac: null });
const from = (n: number) => `fe80::5054:ff:fe0b:${(n + 1).toString(16)}`;

test("a rack powered on is answered in order, each by unicast at once, and those from :: by one multicast, 3 s after the last", () => {
  const world = new TestWorld();
  world.pass(0.1);
  world.sent.length = 0;
  for (let n = 0; n < 200; n++) {
    world.advertiser.receive(RS, from(n));
    world.advertiser.receive(RS, "::");
  }
  assert.deepEqual(
    world.sent.map(({ to }) => to),
    Array.from({ length: 200 }, (_, n) => from(n)),
    "in order, none later",
  );
  world.pass(4);
  const multicasts = world.sent.slice(200);
  assert.deepEqual(
    multicasts.map(({ to, at }) => [to, at]),
    [["ff02::1", 3000]],
  );
  assert.equal(world.of("ra.solicited").length, 400);
});

test("no two multicast advertisements are nearer than 3 s, whatever is solicited and changed (RFC 4861 §6.2.6)", () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 48271) % 0x7fffffff;
    return seed / 0x7fffffff;
  };
  const world = new TestWorld(situation({ interval: [3, 4] }), random);
  for (let n = 0; n < 2000; n++) {
    world.pass(random());
    if (random() < 0.5) world.advertiser.receive(RS, "::");
    if (random() < 0.1) world.advertiser.change(situation({ interval: [3, 4], hopLimit: 1 + (n % 200) }));
    if (random() < 0.02) world.advertiser.linkIs(false);
    if (random() < 0.2) world.advertiser.linkIs(true);
  }
  const times = world.sent.map(({ at }) => at);
  assert.ok(times.length > 200);
  times.slice(1).forEach((at, n) => {
    assert.ok(at - (times[n] as number) > 2999.999, `${times[n]} ${at}`);
  });
});

test("who solicits is told with his MAC: the one he says, else that of his EUI-64 address; from :: nobody knows", () => {
  const world = new TestWorld();
  world.advertiser.receive(encodeRouterSolicitation({ sourceMac: "52:54:00:0b:00:01" }), "fe80::5054:ff:fe0b:2");
  world.advertiser.receive(RS, "fe80::5054:ff:fe0b:2");
  world.advertiser.receive(RS, "fe80::2");
  world.advertiser.receive(RS, "::");
  assert.deepEqual(
    world.of("ra.solicited").map(({ mac }) => mac),
    ["52:54:00:0b:00:01", "52:54:00:0b:00:02", undefined, undefined],
  );
});

for (const [what, bytes, source] of [
  ["shorter than 8 bytes", RS.subarray(0, 7), "fe80::2"],
  ["with a code", Uint8Array.of(133, 1, 0, 0, 0, 0, 0, 0), "fe80::2"],
  ["with an option of length 0", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 0), "fe80::2"],
  ["with an option longer than itself", Uint8Array.of(133, 0, 0, 0, 0, 0, 0, 0, 1, 9), "fe80::2"],
  ["from :: with a link-layer address", encodeRouterSolicitation({ sourceMac: "52:54:00:0b:00:01" }), "::"],
  ["from a source that a router would forward", RS, "2001:db8::2"],
] as const)
  test(`a solicitation ${what} is not answered, and counted (RFC 4861 §6.1.1)`, () => {
    const world = new TestWorld();
    world.pass(60);
    world.sent.length = 0;
    const { due } = world.advertiser;
    for (let n = 0; n < 1000; n++) world.advertiser.receive(bytes, source);
    assert.deepEqual([world.sent, world.advertiser.due, world.of("ra.solicited")], [[], due, []]);
    world.pass(1);
    assert.deepEqual(
      world.of("wire.dropped").map(({ count, service }) => [count, service]),
      [[1000, "ra"]],
      "in one event",
    );
  });

test("what is dropped for many reasons is told in few events, and each is counted", () => {
  const world = new TestWorld();
  for (let code = 1; code < 256; code++) world.advertiser.receive(Uint8Array.of(133, code, 0, 0, 0, 0, 0, 0), "fe80::2");
  world.pass(1);
  const counts = world.of("wire.dropped").map(({ count }) => count);
  assert.ok(counts.length < 40, `${counts.length}`);
  assert.equal(
    counts.reduce((sum, count) => sum + count, 0),
    255,
  );
});

test("who only listens sends nothing, answers no solicitation and has no farewell", () => {
  const world = new TestWorld(situation(null));
  world.advertiser.receive(RS, from(1));
  world.advertiser.receive(RS, "::");
  world.pass(1000);
  world.advertiser.linkIs(false);
  world.advertiser.linkIs(true);
  world.advertiser.end();
  assert.deepEqual(world.sent, []);
  assert.equal(world.of("ra.solicited").length, 2);
});

test("one that is to listen from now on says that it is no router any more, once; and begins anew when it advertises again", () => {
  const world = new TestWorld();
  world.pass(100);
  world.sent.length = 0;
  world.advertiser.change(situation(null));
  world.advertiser.change(situation(null));
  world.pass(500);
  assert.deepEqual(
    world.sent.map(({ ra }) => ra.routerLifetime),
    [0],
  );
  world.advertiser.change(situation());
  world.pass(0);
  assert.equal(world.sent.at(-1)?.ra.routerLifetime, 180);
  assert.deepEqual(
    world
      .of("ra.sent")
      .slice(-2)
      .map(({ why }) => why),
    ["final", "initial"],
  );
});

test("one that advertises again right after its farewell waits until 3 s are over", () => {
  const world = new TestWorld();
  world.pass(100);
  world.sent.length = 0;
  world.advertiser.change(situation(null));
  world.advertiser.change(situation());
  world.pass(4);
  assert.deepEqual(
    world.sent.map(({ at, ra }) => [at, ra.routerLifetime]),
    [
      [100_000, 0],
      [103_000, 180],
    ],
  );
});

test("a stop sends one final advertisement at once, and answers nothing after it", () => {
  const world = new TestWorld();
  world.pass(0.5);
  world.advertiser.end();
  world.advertiser.receive(RS, from(1));
  world.pass(100);
  assert.deepEqual(
    world.sent.map(({ ra, at }) => [ra.routerLifetime, at]),
    [
      [180, 0],
      [0, 500],
    ],
  );
});

test("on a link that is down there is no farewell", () => {
  const world = new TestWorld();
  world.advertiser.linkIs(false);
  world.advertiser.end();
  assert.deepEqual(world.sent, []);
});

test("a reload that changes nothing of it leaves its schedule alone; one that does is told at once, three times soon", () => {
  const world = new TestWorld();
  world.pass(1000);
  const { due } = world.advertiser;
  world.advertiser.change(situation());
  assert.equal(world.advertiser.due, due);
  world.sent.length = 0;
  world.advertiser.change(situation({ hopLimit: 33 }));
  world.pass(40);
  assert.deepEqual(
    world.sent.map(({ at, ra }) => [at, ra.hopLimit]),
    [
      [1_000_000, 33],
      [1_016_000, 33],
      [1_032_000, 33],
    ],
  );
  assert.deepEqual(world.of("ra.sent").at(-3)?.why, "changed");
});

test("another interval holds from now on, though nothing else of the advertisement changes", () => {
  const fixed = { routerLifetime: 9000, dnsLifetime: 9000 };
  const world = new TestWorld(situation({ ...fixed, interval: [1000, 1800] }));
  world.pass(100);
  const { length } = world.sent;
  world.advertiser.change(situation({ ...fixed, interval: [5, 60] }));
  world.pass(100);
  assert.ok(world.sent.length - length >= 4, `${world.sent.length - length}`);
});

test("while the link is down nothing is sent; when it is up it begins anew; both are told once", () => {
  const world = new TestWorld();
  world.pass(1000);
  world.advertiser.linkIs(false);
  world.advertiser.linkIs(false);
  world.sent.length = 0;
  world.pass(1000);
  assert.deepEqual(world.sent, []);
  world.advertiser.linkIs(true);
  world.pass(20);
  world.advertiser.linkIs(true);
  world.pass(13);
  assert.deepEqual(
    world.sent.map(({ at }) => at),
    [2_000_000, 2_016_000, 2_032_000],
  );
  assert.deepEqual(
    world.of("ra.link").map(({ up }) => up),
    [false, true],
  );
});

test("another MTU of the interface is advertised at once, and so is forwarding that was turned on or off", () => {
  const world = new TestWorld();
  world.pass(1000);
  const link = { ...situation().link, mtu: 1400 };
  world.advertiser.change(situation({}, { link, network: { ...situation().network, link } }));
  world.pass(0);
  assert.equal(world.sent.at(-1)?.ra.mtu, 1400);
  world.pass(100);
  world.advertiser.change(situation({}, { forwarding: false }));
  world.pass(0);
  assert.deepEqual([world.sent.at(-1)?.ra.routerLifetime, world.sent.at(-1)?.at], [0, 1_100_000]);
});

test("an advertisement that is too large goes out as several, to all and to who asks, and is one event", () => {
  const prefix = situation().network.prefix;
  const routes = Array.from({ length: 100 }, () => ({ prefix, lifetime: 1800, preference: "medium" as const }));
  const world = new TestWorld(situation({ routes }));
  world.advertiser.receive(RS, from(1));
  assert.ok(world.sent.length > 1);
  assert.equal(
    world.sent.reduce((sum, { ra }) => sum + ra.routes.length, 0),
    100,
  );
  assert.deepEqual(
    world.of("ra.sent").map(({ to }) => to),
    [from(1)],
  );
});

test("a link on which no router is heard for a minute while we are none is told once, with what it costs", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  world.pass(59);
  assert.deepEqual(world.of("ra.warned"), []);
  world.pass(600);
  assert.deepEqual(
    world.of("ra.warned").map(({ rule }) => rule),
    ["no-router"],
  );
  assert.match(world.of("ra.warned")[0]?.why ?? "", /beyond the link.* UEFI HTTP boot waits about 10 s.*sysctl/);
  world.hear({ routerLifetime: 30 });
  world.pass(30 + 59);
  assert.equal(world.of("ra.warned").length, 1);
  world.pass(3);
  assert.equal(world.of("ra.mended").length, 1);
  assert.equal(world.of("ra.warned").length, 2, "again, a minute after that router was gone");
});

test("a link that is down is not warned of; a warning stands over it until a router is there", () => {
  const world = new TestWorld(situation({}, { forwarding: false }));
  world.advertiser.linkIs(false);
  world.pass(600);
  assert.deepEqual(world.of("ra.warned"), []);
  world.advertiser.linkIs(true);
  world.pass(59);
  assert.deepEqual(world.of("ra.warned"), [], "a minute from when it is up");
  world.pass(3);
  world.advertiser.linkIs(false);
  world.pass(10);
  world.advertiser.linkIs(true);
  world.pass(100);
  assert.deepEqual([world.of("ra.warned").length, world.of("ra.mended").length], [1, 0]);
  world.advertiser.linkIs(false);
  world.pass(10);
  world.advertiser.linkIs(true);
  world.hear({ routerLifetime: 1800 });
  world.pass(2);
  assert.deepEqual(
    world.of("ra.mended").map(({ rule }) => rule),
    ["no-router"],
  );
});

test("a link with a router, ours or another's, is not warned of", () => {
  const ours = new TestWorld();
  const other = new TestWorld(situation(null));
  const none = new TestWorld(situation(null));
  for (let n = 0; n < 20; n++) {
    other.hear({ routerLifetime: 1800 });
    other.pass(600);
    none.hear({ routerLifetime: 0 });
    none.pass(600);
    ours.pass(600);
  }
  assert.deepEqual([...ours.of("ra.warned"), ...other.of("ra.warned")], []);
  assert.equal(none.of("ra.warned").length, 1, "one that advertises and is no default router is none");
});

test("a router lifetime while the host does not forward is told at once, and again when it stops to forward", () => {
  const world = new TestWorld(situation({ routerLifetime: 1800 }, { forwarding: false }));
  world.pass(100);
  assert.deepEqual(
    world.of("ra.warned").map(({ rule }) => rule),
    ["not-forwarding"],
  );
  world.advertiser.change(situation({ routerLifetime: 1800 }));
  world.pass(10);
  assert.deepEqual(
    world.of("ra.mended").map(({ rule }) => rule),
    ["not-forwarding"],
  );
  world.advertiser.change(situation({ routerLifetime: 1800 }, { forwarding: false }));
  world.pass(10);
  assert.equal(world.of("ra.warned").length, 2);
});

test("100,000 mutated packets: no throw, one answer at most, nothing left behind", () => {
  let state = 0x2545f491;
  const random = (below: number): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
  const samples = [
    RS,
    encodeRouterSolicitation({ sourceMac: "52:54:00:0b:00:01" }),
    ...encodeRouterAdvertisement({ ...SAME, routes: [{ prefix: "2001:db8::", length: 48, preference: "low", lifetime: 9 }] }),
    ...encodeRouterAdvertisement({ ...SAME, pref64: [{ prefix: { address: "64:ff9b::", length: 96 }, lifetime: 8 }] }),
  ];
  const sources = ["::", "fe80::2", "fe80::3", "2001:db8::2", "fe80::1"];
  const world = new TestWorld(situation({ ...SETTINGS, routerLifetime: 0 }));
  let answered = 0;
  for (let n = 0; n < 100_000; n++) {
    let bytes = Buffer.from(samples[n % samples.length] as Uint8Array);
    for (let changes = random(5); changes > 0; changes--)
      bytes[random(bytes.length)] = random(2) ? random(256) : ([0, 1, 3, 133, 134, 255][random(6)] as number);
    if (random(8) === 0) bytes = bytes.subarray(0, random(bytes.length + 1));
    if (random(16) === 0) bytes = Buffer.concat([bytes, Buffer.from(Array.from({ length: random(40) }, () => random(256)))]);
    world.sent.length = 0;
    world.advertiser.receive(bytes, sources[random(sources.length)] as string);
    assert.ok(world.sent.length <= 1, bytes.toString("hex"));
    answered += world.sent.length;
    if (n % 1000 === 0) {
      world.pass(1);
      assert.ok(world.events.length < 3500, `${world.events.length} events of 1000 packets`);
      world.events.length = 0;
    }
  }
  assert.ok(answered > 5_000, `${answered}`);
});

test("where one message of an answer cannot be sent, the others go out, and the answer is not told as sent", () => {
  const routes = Array.from({ length: 100 }, (_, n) => ({
    prefix: prefixOf(`2001:db8:${n + 1}::`, 48),
    lifetime: 60,
    preference: "high" as const,
  }));
  const world = new TestWorld(situation({ routes }));
  world.pass(0.1);
  const whole = world.sent.length;
  assert.ok(whole > 1);
  world.sent.length = 0;
  world.events.length = 0;
  world.kept = 1;
  world.advertiser.receive(RS, from(0));
  assert.equal(world.sent.length, whole - 1);
  assert.equal(world.of("ra.sent").length, 0);
});
