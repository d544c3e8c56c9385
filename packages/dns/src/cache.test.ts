/** What is kept, for how long, and who shares it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, type Record } from "dns-packet";
import { Cache, type Kept } from "./cache.ts";
import { aaaa, answering, answerTo, FIRST, type Script, silent, World } from "./test-world.ts";

const NAME = "mirror.example";
const kept = (size: number): Kept => ({
  answer: { text: " ".repeat(size), rcode: 0, additional: 0, ttls: "", options: new Uint8Array(), lifetime: 300 },
  from: "cache",
  since: 0,
  until: 300_000,
  version: 0,
});
const soa = (ttl: number, minimum: number): Record => ({
  name: "example",
  type: "SOA",
  ttl,
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});
const rcodeOf = (bytes: Buffer | null): number => (bytes ? bytes.readUInt8(3) & 15 : -1);

test("a kept answer's TTL counts down; when it is over upstream is asked again", () => {
  const world = new World({ [FIRST]: answering(0) });
  world.ask(NAME);
  world.pass(100_400);
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::80 (200)");
  world.pass(199_599);
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::80 (1)");
  world.pass(1);
  const reply = world.ask(NAME);
  world.pass(0);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  assert.equal(world.asked.length, 2);
});

test("DO and CD ask for other answers than those kept without; flags and AD go to who asks for them", () => {
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { flags: 0x5a0, answers: [aaaa(NAME)] })) });
  const flagsOf = (options: Parameters<World["ask"]>[2]) => {
    const reply = world.ask(NAME, "AAAA", options);
    world.pass(0);
    return reply.bytes?.readUInt16BE(2);
  };
  assert.equal(flagsOf({}), 0x8180, "neither AD nor the upstream's AA");
  assert.equal(flagsOf({ flags: 0x120 }), 0x81a0);
  assert.equal(world.asked.length, 1);
  assert.equal(flagsOf({ flags: 0x110 }), 0x8190);
  assert.equal(world.asked.length, 2);
  assert.equal(flagsOf({ payload: 1232, dnssecOk: true }), 0x81a0);
  assert.equal(world.asked.length, 3);
  assert.equal(world.ask(NAME, "AAAA", { payload: 1232, dnssecOk: true }).packet.additionals[0]?.flag_do, true);
});

test("denials are kept for the lesser of the SOA's TTL and minimum, and without SOA not at all (RFC 2308)", () => {
  for (const [rcodeNumber, rcode] of [
    [3, "NXDOMAIN"],
    [0, "NOERROR"],
  ] as const) {
    const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber, authorities: [soa(900, 60)] })) });
    world.ask(NAME);
    world.pass(20_000);
    const kept = world.ask(NAME).packet;
    assert.equal(kept.rcode, rcode);
    assert.equal(kept.authorities[0]?.ttl, 40);
    world.pass(40_000);
    world.ask(NAME);
    assert.equal(world.asked.length, 2);

    const capped = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber, authorities: [soa(60, 900)] })) });
    capped.ask(NAME);
    capped.pass(20_000);
    assert.equal(capped.ask(NAME).packet.authorities[0]?.ttl, 40);

    const without = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber })) });
    without.ask(NAME);
    without.pass(0);
    without.ask(NAME);
    assert.equal(without.asked.length, 2);
  }
});

test("however long upstream would have it, an answer is kept for a day, a denial for three hours (RFC 2308 §5)", () => {
  const denying: Script = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 3, authorities: [soa(864_000, 864_000)] }));
  for (const [hours, script] of [
    [24, answering(0, "2001:db8::80", 864_000)],
    [3, denying],
  ] as const) {
    const world = new World({ [FIRST]: script });
    world.ask(NAME);
    world.pass(hours * 3_600_000 - 1);
    world.ask(NAME);
    assert.equal(world.asked.length, 1, `${hours} h`);
    world.pass(1);
    world.ask(NAME);
    assert.equal(world.asked.length, 2, `${hours} h`);
  }
});

test("an alias that leads to no address is a denial", () => {
  const alias: Record = { name: NAME, type: "CNAME", ttl: 300, data: "cdn.example" };
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: [alias], authorities: [soa(900, 60)] })) });
  world.ask(NAME);
  world.pass(59_000);
  assert.equal(world.ask(NAME).text, "NOERROR cdn.example (241)");
  world.pass(1_000);
  world.ask(NAME);
  assert.equal(world.asked.length, 2);
});

test("a chain of aliases is kept as long as its shortest link", () => {
  const chain = [{ name: NAME, type: "CNAME", ttl: 30, data: "cdn.example" }, aaaa("cdn.example")];
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: chain })) });
  world.ask(NAME);
  world.pass(29_000);
  assert.equal(world.ask(NAME).text, "NOERROR cdn.example (1) 2001:db8::80 (271)");
  world.pass(1_000);
  world.ask(NAME);
  assert.equal(world.asked.length, 2);
});

test("TTL 0, and one with its highest bit set, are not kept (RFC 2181 §8)", () => {
  for (const ttl of [0, 0x80000001]) {
    const world = new World({ [FIRST]: answering(0, "2001:db8::80", ttl) });
    for (const _ of "12") {
      const reply = world.ask(NAME);
      world.pass(0);
      assert.equal(reply.text, "NOERROR 2001:db8::80 (0)");
    }
    assert.equal(world.asked.length, 2);
  }
});

test("equal questions in flight are asked once, and each client is answered", () => {
  const world = new World({ [FIRST]: answering(50) });
  const replies = Array.from({ length: 30 }, () => world.ask(NAME));
  world.ask(NAME, "A");
  world.pass(50);
  assert.equal(world.asked.length, 2);
  for (const reply of replies) assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
});

test("a failure stands for a second: a client that hurries does not reach the upstreams", () => {
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 })) });
  world.ask(NAME);
  world.pass(999);
  assert.equal(rcodeOf(world.ask(NAME).bytes), 2);
  assert.equal(world.asked.length, 1);
  world.pass(1);
  world.ask(NAME);
  assert.equal(world.asked.length, 2);
});

test("expired answers go out when no upstream answers in time, and until one does (RFC 8767)", () => {
  const world = new World({ [FIRST]: answering(0) }, { cacheOf: { serveStale: 3600 } });
  world.ask(NAME);
  world.pass(301_000);
  world.scripts[FIRST] = silent;
  const first = world.ask(NAME, "AAAA", { payload: 1232 });
  world.pass(1_800);
  assert.equal(first.text, "NOERROR 2001:db8::80 (30)");
  assert.deepEqual(first.packet.additionals[0]?.options?.[0]?.data, Buffer.of(0, 3));
  assert.equal(world.of("dns.answered").at(-1)?.from, "stale");
  const joined = world.ask(NAME);
  assert.equal(joined.text, "NOERROR 2001:db8::80 (30)", "who asks while upstreams are still tried does not wait again");
  world.pass(5_000);
  world.scripts[FIRST] = answering(0, "2001:db8::81");
  const fresh = world.ask(NAME);
  world.pass(1);
  assert.equal(fresh.text, "NOERROR 2001:db8::81 (300)");

  world.scripts[FIRST] = silent;
  world.pass(3_901_000);
  const gone = world.ask(NAME);
  world.pass(4_800);
  assert.equal(decode(gone.bytes as Buffer).rcode, "SERVFAIL", "older than serveStale");
});

test("an expired answer goes out at once where upstreams fail, again and again; a fresh one in time leaves nothing waiting", () => {
  const world = new World({ [FIRST]: answering(0) }, { cacheOf: { serveStale: 3600 } });
  world.ask(NAME);
  world.pass(301_000);
  world.scripts[FIRST] = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 }));
  for (let n = 0; n < 3; n++) {
    const reply = world.ask(NAME);
    world.pass(0);
    assert.equal(reply.text, "NOERROR 2001:db8::80 (30)");
    world.pass(10_000);
  }
  world.scripts[FIRST] = answering(0);
  world.ask(NAME);
  world.pass(0);
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::80 (300)");
  assert.equal(world.pending, 1, "the second's counts alone");
});

test("neither TTL 0 nor a failure comes again as a stale answer", () => {
  const fleeting = new World({ [FIRST]: answering(0, "2001:db8::80", 0) }, { cacheOf: { serveStale: 3600 } });
  fleeting.ask(NAME);
  fleeting.pass(10);
  fleeting.scripts[FIRST] = silent;
  const late = fleeting.ask(NAME);
  fleeting.pass(4_800);
  assert.equal(late.packet.rcode, "SERVFAIL");

  const failed = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 })) }, { cacheOf: { serveStale: 3600 } });
  failed.ask(NAME);
  failed.pass(2_000);
  failed.scripts[FIRST] = answering(2_500);
  const slow = failed.ask(NAME);
  failed.pass(2_500);
  assert.equal(slow.text, "NOERROR 2001:db8::80 (300)", "who is answered in time is not answered with the failure before");
});

test("what is kept is bounded by number; what was asked for lately stays", () => {
  const cache = new Cache({ entries: 100, serveStale: 0 });
  cache.set("asked", kept(100));
  for (let n = 0; n < 1_000; n++) {
    cache.set(`${n}`, kept(100));
    assert.ok(cache.get("asked", 0));
  }
  assert.equal(cache.size, 100);
  assert.ok(cache.get("999", 0) && !cache.get("0", 0));
  const none = new Cache({ entries: 0, serveStale: 0 });
  none.set("a", kept(100));
  assert.equal(none.get("a", 0), undefined);
});

test("what is kept is bounded by memory: 1 kB an entry, and 100,000 usual ones fit", () => {
  const large = new Cache({ entries: 10_000, serveStale: 0 });
  for (let n = 0; n < 2_000; n++) large.set(`${n}`, kept(60_000));
  assert.ok(large.size <= 10_240_000 / 60_000 && large.size > 150, `${large.size} of 60 kB`);
  const usual = new Cache({ entries: 100_000, serveStale: 0 });
  for (let n = 0; n < 100_000; n++) usual.set(`${n}`.padEnd(30), kept(400));
  assert.equal(usual.size, 100_000);
});
