import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, type Record } from "dns-packet";
import { LocalNames } from "./local.ts";
import { aaaa, answering, answerTo, CLIENT, FIRST, query, type Script, silent, World } from "./test-world.ts";

const NAME = "mirror.example";
const soa = (ttl: number, minimum: number): Record => ({
  name: "example",
  type: "SOA",
  ttl,
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});
const rcodeOf = (bytes: Buffer | null): number => (bytes ? bytes.readUInt8(3) & 15 : -1);

/** Firmware's query for its boot server, as captured from OVMF and from iPXE. */
const FIRMWARE_QUERIES = ["2f8d0100000100000000000004626f6f74036c616200001c0001", "27680100000100000000000004626f6f74036c616200001c0001"];

test("what firmware asks is answered from upstream, then from what is kept", () => {
  const world = new World({ [FIRST]: answering(10) });
  for (const hex of FIRMWARE_QUERIES) {
    const reply = world.send(Buffer.from(hex, "hex"));
    world.pass(10);
    assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
    assert.deepEqual(reply.packet.additionals, [], "no OPT to who sent none");
  }
  assert.equal(world.asked.length, 1);
  assert.deepEqual(world.of("dns.answered"), [
    { type: "dns.answered", name: "boot.lab", qtype: "AAAA", rcode: "NOERROR", from: "upstream", seconds: 0.01, client: CLIENT },
    { type: "dns.answered", name: "boot.lab", qtype: "AAAA", rcode: "NOERROR", from: "cache", seconds: 0, client: CLIENT },
  ]);
});

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

test("the spelling of the question is the client's; case makes no other question, other bytes do", () => {
  const world = new World({ [FIRST]: answering(0) });
  world.ask(NAME);
  world.pass(0);
  assert.equal(world.ask("MiRRoR.example").packet.questions[0]?.name, "MiRRoR.example");
  assert.equal(world.asked.length, 1);
  // 0xC0 and 0xE0 are À and à in Latin 1, and bytes here.
  for (const byte of [0xc0, 0xe0]) world.send(Buffer.concat([query("x").subarray(0, 12), Buffer.of(1, byte, 0, 0, 28, 0, 1)]));
  assert.equal(world.asked.length, 3);
  assert.equal(world.asked[1]?.bytes[13], 0xc0);
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

    const without = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { rcodeNumber })) });
    without.ask(NAME);
    without.pass(0);
    without.ask(NAME);
    assert.equal(without.asked.length, 2);
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

test("the number of clients that wait is bounded: the others get SERVFAIL at once, and all end", () => {
  const world = new World({ [FIRST]: silent });
  const replies = Array.from({ length: 4_100 }, (_, n) => world.ask(`${n % 50}.example`));
  assert.equal(replies.filter(({ bytes }) => rcodeOf(bytes) === 2).length, 100);
  world.pass(4_800);
  assert.ok(replies.every(({ bytes }) => rcodeOf(bytes) === 2));
  world.pass(1_000);
  assert.equal(world.ask("more.example").bytes, null, "there is room again");
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

test("what is not an upstream's error comes through byte for byte: unknown types, odd labels", () => {
  const question = Buffer.from([3, 0x00, 0x2e, 0xff, 0, 0xff, 0x01, 0, 1]);
  const record = Buffer.from([0xc0, 12, 0xff, 0x01, 0, 1, 0, 0, 1, 0, 0, 4, 0xc0, 12, 0, 0xff]);
  const world = new World({
    [FIRST]: (asked, tell) =>
      tell(Buffer.concat([asked.bytes.subarray(0, 2), Buffer.of(0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0), question, record])),
  });
  const sent = Buffer.concat([Buffer.of(7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), question]);
  const reply = world.send(sent);
  world.pass(0);
  assert.equal(reply.bytes?.subarray(2).toString("hex"), `81800001000100000000${question.toString("hex")}${record.toString("hex")}`);
  assert.deepEqual([world.of("dns.answered")[0]?.name, world.of("dns.answered")[0]?.qtype], ["\\000\\.\\255", "TYPE65281"]);
});

test("an answer too large for the client's datagram: TC without records; additional ones alone are left out in silence", () => {
  const texts = Array.from({ length: 8 }, (_, n): Record => ({ name: NAME, type: "TXT", ttl: 300, data: ["x".repeat(99 + n)] }));
  const script: Script = (asked, tell) => tell(answerTo(asked, { answers: texts }));
  const world = new World({ [FIRST]: script });
  const first = world.ask(NAME, "TXT");
  world.pass(0);
  assert.deepEqual([first.packet.flag_tc, first.packet.answers.length, first.packet.questions.length], [true, 0, 1]);
  const withOpt = world.ask(NAME, "TXT", { payload: 512 });
  assert.deepEqual([withOpt.packet.flag_tc, withOpt.packet.additionals.length], [true, 1]);
  assert.equal(world.ask(NAME, "TXT", { payload: 1232 }).packet.answers.length, 8);
  assert.equal(world.ask(NAME, "TXT", { overTcp: true }).packet.answers.length, 8);

  const glue = new World({
    [FIRST]: (asked, tell) =>
      tell(answerTo(asked, { answers: [aaaa(NAME)], additionals: texts.map((each) => ({ ...each, name: "g.example" })) })),
  });
  const small = glue.ask(NAME);
  glue.pass(0);
  assert.deepEqual([small.packet.flag_tc, small.packet.answers.length, small.packet.additionals.length], [false, 1, 0]);
  assert.equal(glue.ask(NAME, "AAAA", { overTcp: true }).packet.additionals.length, 8);
});

test("no datagram is larger than 1232, whatever the client offers", () => {
  const texts = Array.from({ length: 13 }, (): Record => ({ name: NAME, type: "TXT", ttl: 300, data: ["x".repeat(90)] }));
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: texts })) });
  const reply = world.ask(NAME, "TXT", { payload: 4096 });
  world.pass(0);
  assert.equal(reply.packet.flag_tc, true);
});

test("who is not allowed gets REFUSED with his question, costs upstream nothing, and is told of once a second", () => {
  const world = new World({ [FIRST]: answering() }, { names: new LocalNames([{ name: NAME, addresses: ["2001:db8::1"] }]) });
  for (let n = 0; n < 50; n++) {
    const { packet } = world.ask(NAME, "AAAA", { client: "2001:db8:bad::1", payload: 1232 });
    assert.deepEqual([packet.rcode, packet.questions[0]?.name, packet.answers.length], ["REFUSED", NAME, 0]);
  }
  world.pass(1_000);
  assert.equal(world.asked.length, 0);
  assert.deepEqual(
    world.of("dns.answered").map(({ from, client }) => [from, client]),
    [["refused", "2001:db8:bad::1"]],
  );
  assert.deepEqual(
    world.of("wire.dropped").map(({ count }) => count),
    [50],
  );
});

test("malformed queries: FORMERR, NOTIMP, BADVERS or nothing", () => {
  const world = new World({ [FIRST]: answering() });
  const good = query(NAME, "AAAA", { payload: 1232 });
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const cases: [what: string, bytes: Buffer, rcode: number][] = [
    ["no question", changed((bytes) => bytes.writeUInt16BE(0, 4)).subarray(0, 12), 1],
    ["two questions", changed((bytes) => bytes.writeUInt16BE(2, 4)), 1],
    ["an answer in the query", changed((bytes) => bytes.writeUInt16BE(1, 6)), 1],
    ["a pointer for a name", changed((bytes) => bytes.writeUInt16BE(0xc00c, 12)), 1],
    ["cut in the question", good.subarray(0, 20), 1],
    ["cut in OPT", good.subarray(0, -3), 1],
    ["bytes behind it", Buffer.concat([good, Buffer.of(0)]), 1],
    ["two OPT", changed((bytes) => bytes.writeUInt16BE(2, 10)), 1],
    ["STATUS", changed((bytes) => bytes.writeUInt8(0x11, 2)), 4],
    ["UPDATE", changed((bytes) => bytes.writeUInt8(0x29, 2)), 4],
  ];
  for (const [what, bytes, rcode] of cases) {
    const reply = world.send(bytes).bytes;
    assert.equal(rcodeOf(reply), rcode, what);
    assert.ok(reply && reply.length <= bytes.length && reply.readUInt16BE(0) === good.readUInt16BE(0) && reply.readUInt8(2) >= 0x80, what);
  }
  assert.equal(world.ask(NAME, "AAAA", { payload: 1232, version: 1 }).packet.rcode, "NOERROR");
  const versions = world.ask(NAME, "AAAA", { payload: 1232, version: 1 }).packet.additionals[0];
  assert.deepEqual([versions?.extendedRcode, versions?.ednsVersion], [1, 0]);
  for (const bytes of [good.subarray(0, 11), Buffer.alloc(0), changed((each) => each.writeUInt8(0x81, 2))])
    assert.deepEqual([world.send(bytes).bytes, world.send(bytes).expected], [null, false]);
  assert.equal(world.asked.length, 0);
  world.pass(1_000);
  const counts = Object.fromEntries(world.of("wire.dropped").map(({ why, count }) => [why, count]));
  assert.deepEqual(counts, {
    "a malformed query": 8,
    "an operation other than QUERY": 2,
    "shorter than a DNS header": 4,
    "an answer to no query": 2,
  });
});

test("what is not forwarded: ANY gets one small record, transfers, other classes and queries without RD are refused", () => {
  const world = new World({ [FIRST]: answering(0) });
  const any = world.ask(NAME, "ANY").packet;
  assert.deepEqual([any.rcode, any.answers[0]?.type], ["NOERROR", "HINFO"]);
  assert.equal(world.ask(NAME, "AXFR").packet.rcode, "REFUSED");
  assert.equal(world.ask(NAME, "AAAA", { flags: 0 }).packet.rcode, "REFUSED");
  const chaos = query("version.bind", "TXT");
  chaos.writeUInt16BE(3, chaos.length - 2);
  assert.equal(world.send(chaos).packet.rcode, "REFUSED");
  assert.equal(world.asked.length, 0);
  world.ask(NAME);
  world.pass(0);
  assert.equal(world.ask(NAME, "AAAA", { flags: 0 }).text, "NOERROR 2001:db8::80 (300)", "what is kept needs no recursion");
});

test("the upstream's OPT stays with us, wherever it stands; its extended errors are passed on", () => {
  const stale = { code: 15, data: Buffer.from([0, 3]) };
  const cookie = { code: 10, data: Buffer.alloc(8) };
  const opt: Record = { name: ".", type: "OPT", udpPayloadSize: 4096, flags: 0, options: [cookie, stale] };
  const world = new World({
    [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: [aaaa(NAME)], additionals: [aaaa("ns.example"), opt, aaaa("b.example")] })),
  });
  const plain = world.ask(NAME);
  world.pass(0);
  assert.deepEqual(
    plain.packet.additionals.map(({ name }) => name),
    ["ns.example"],
  );
  const edns = world.ask(NAME, "AAAA", { payload: 1400 });
  assert.equal(edns.packet.additionals.length, 2);
  assert.deepEqual(
    [edns.packet.additionals[1]?.udpPayloadSize, edns.packet.additionals[1]?.options?.map(({ code }) => code)],
    [1232, [15]],
  );
});

test("a new policy holds from the next query on; what waits is answered still", () => {
  const world = new World({ [FIRST]: answering(100) });
  const waiting = world.ask(NAME);
  world.server.follow({ ...world.server.policy, allowed: () => false });
  assert.equal(world.ask(NAME).packet.rcode, "REFUSED");
  world.pass(100);
  assert.equal(waiting.text, "NOERROR 2001:db8::80 (300)");
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
