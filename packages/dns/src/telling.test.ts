/** Who asks how often, and what is told of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Clients } from "./clients.ts";
import { Layer, LocalNames } from "./local.ts";
import { type Asked, answering, answerTo, CLIENT, FIRST, silent, World } from "./test-world.ts";

const NAME = "mirror.example";

test("a machine's first answers are events of their own, the others of a second are counted: each is told once", () => {
  const names = new LocalNames();
  names.set(Layer.records, { name: "boot.rack.example", addresses: ["2001:db8:0:1::1"] });
  const world = new World({ [FIRST]: answering(0) }, { names });
  for (let n = 0; n < 50; n++) {
    world.ask(NAME);
    world.pass(0);
    world.ask("boot.rack.example");
  }
  world.pass(1_000);
  assert.equal(world.of("dns.answered").length, 20);
  const singles = (from: string) => world.of("dns.answered").filter((event) => event.from === from).length;
  const counted = (from: string) => world.of("dns.counted").filter((event) => event.from === from && event.client === CLIENT);
  assert.equal(singles("upstream"), 1);
  for (const [from, all] of [
    ["cache", 49],
    ["local", 50],
  ] as const) {
    assert.deepEqual(
      counted(from).map(({ rcode, count }) => [rcode, count]),
      [["NOERROR", all - singles(from)]],
      from,
    );
  }
  world.ask(NAME);
  assert.equal(world.of("dns.answered").length, 21, "a new second, a new budget");
});

test("a name that has nothing of the type asked for is told as that", () => {
  const empty = (asked: Asked): boolean => asked.packet.questions[0]?.type === "UNKNOWN_65";
  const world = new World({ [FIRST]: (asked, tell, fail) => (empty(asked) ? tell(answerTo(asked)) : answering(0)(asked, tell, fail)) });
  for (const type of ["UNKNOWN_65", "AAAA"]) world.ask(NAME, type);
  world.pass(0);
  assert.deepEqual(
    world.of("dns.answered").map((event) => [event.qtype, event.empty]),
    [
      ["HTTPS", true],
      ["AAAA", undefined],
    ],
  );
});

test("failures stay events of their own; a flood of them from many is counted as well", () => {
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 })) });
  for (let n = 0; n < 60; n++) world.ask(`${n}.example`);
  world.pass(0);
  assert.equal(world.of("dns.answered").filter(({ from }) => from === "failed").length, 60);
  for (let n = 100; n < 1_300; n++) {
    world.ask(`${n}.example`);
    world.pass(0);
  }
  world.pass(1_000);
  assert.equal(world.of("dns.answered").length, 1_000);
  assert.equal(
    world.of("dns.counted").reduce((sum, { count }) => sum + count, 0),
    260,
  );
});

test("many clients in one second: no more than a thousand events of their own, and none is lost in the counts", () => {
  const world = new World({ [FIRST]: answering(0) }, { allowed: () => true });
  for (let n = 0; n < 5_000; n++) {
    world.ask(NAME, "AAAA", { client: `2001:db8::${n.toString(16)}` });
    world.pass(0);
  }
  world.pass(1_000);
  const counts = world.of("dns.counted").reduce((sum, { count }) => sum + count, 0);
  assert.equal(world.of("dns.answered").length, 1_000);
  assert.equal(counts, 4_000);
  assert.ok(world.of("dns.counted").length <= 1_010, `${world.of("dns.counted").length} counts`);
});

test("who asks faster than dns.rateLimit gets nothing, before his query is read, and others get their answers", () => {
  const world = new World({ [FIRST]: answering(0) }, { allowed: () => true, rateLimit: 100 });
  const ask = (client: string) => {
    const reply = world.ask(NAME, "AAAA", { client });
    world.pass(0);
    return reply;
  };
  const replies = Array.from({ length: 150 }, () => ask("2001:db8::1"));
  assert.equal(replies.filter(({ bytes }) => bytes).length, 100, "one second's worth at once");
  assert.ok(replies.slice(100).every(({ expected }) => !expected));
  assert.ok(ask("2001:db8::2").bytes);
  assert.deepEqual([world.send(Buffer.of(1), { client: "2001:db8::1" }).expected], [false]);
  world.pass(100);
  assert.equal(Array.from({ length: 20 }, () => ask("2001:db8::1")).filter(({ bytes }) => bytes).length, 10, "refilled with time");
  world.pass(1_000);
  const dropped = world.of("wire.dropped");
  assert.deepEqual(
    dropped.map(({ why, client }) => [why, client]),
    [["faster than dns.rateLimit", "2001:db8::1"]],
  );
  assert.equal(dropped[0]?.count, 61, "rubbish counts as a query");
  world.pass(60_000);
  assert.equal(Array.from({ length: 150 }, () => ask("2001:db8::1")).filter(({ bytes }) => bytes).length, 100, "no more is saved up");
});

test("many clients that ask too fast: a hundred are told by name in a second, the others in one count", () => {
  const world = new World({ [FIRST]: silent }, { allowed: () => true, rateLimit: 1 });
  for (let n = 0; n < 1_000; n++) for (const _ of "12") world.ask(NAME, "AAAA", { client: `2001:db8::${n.toString(16)}` });
  world.pass(1_000);
  const dropped = world.of("wire.dropped");
  assert.deepEqual([dropped.length, dropped.at(-1)?.client, dropped.at(-1)?.count], [101, undefined, 900]);
});

test("who is refused is limited as well", () => {
  const world = new World({ [FIRST]: answering(0) }, { rateLimit: 10 });
  const replies = Array.from({ length: 30 }, () => world.ask(NAME, "AAAA", { client: "2001:db8:bad::1" }));
  assert.equal(replies.filter(({ bytes }) => bytes).length, 10);
});

test("the table of clients is bounded; one that goes on asking stays in it", () => {
  let judged = 0;
  const clients = new Clients(() => ++judged > 0, 10);
  const faithful = clients.of("fe80::1%eth1", 0);
  assert.equal(faithful.address, "fe80::1");
  for (let n = 0; n < 100_000; n++) {
    clients.of(`2001:db8::${n.toString(16)}`, 0);
    if (n % 100 === 0) assert.equal(clients.of("fe80::1%eth1", 0), faithful);
  }
  assert.equal(judged, 100_001);
  assert.ok(clients.size <= 40_000);
});
