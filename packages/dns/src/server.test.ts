import assert from "node:assert/strict";
import { test } from "node:test";
import type { Record } from "dns-packet";
import { Cache } from "./cache.ts";
import { Layer, LocalNames } from "./local.ts";
import { aaaa, answering, answerTo, CLIENT, FIRST, query, type Script, SECOND, silent, World } from "./test-world.ts";

const NAME = "mirror.example";
/** 255 bytes on the wire. */
const LONGEST = ["a".repeat(61), ..."bcd".split("").map((each) => each.repeat(63))].join(".");
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

test("the number of clients that wait is bounded: the others get SERVFAIL at once, and all end", () => {
  const world = new World({ [FIRST]: silent });
  const replies = Array.from({ length: 4_100 }, (_, n) => world.ask(`${n % 50}.example`));
  assert.equal(replies.filter(({ bytes }) => rcodeOf(bytes) === 2).length, 100);
  world.pass(4_800);
  assert.ok(replies.every(({ bytes }) => rcodeOf(bytes) === 2));
  world.pass(1_000);
  assert.equal(world.ask("more.example").bytes, null, "there is room again");
});

test("a client for whom there is no room to wait gets a stale answer where there is one", () => {
  const world = new World({ [FIRST]: answering(0) }, { cacheOf: { serveStale: 3600 } });
  world.ask(NAME);
  world.pass(301_000);
  world.scripts[FIRST] = silent;
  for (let n = 0; n < 4_000; n++) world.ask(`${n % 50}.example`);
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::80 (30)");
  assert.equal(world.ask("50.example").packet.rcode, "SERVFAIL");
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

test("an answer fits with its OPT or is truncated; who offers less than 512 gets 512 (RFC 6891 §6.2.3)", () => {
  for (let whole = 490; whole <= 520; whole++) {
    const question = NAME.length + 6;
    const data = ["x".repeat(200), "x".repeat(whole - 12 - question - (NAME.length + 12) - 202)];
    const answers: Record[] = [{ name: NAME, type: "TXT", ttl: 300, data }];
    const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers })) });
    const plain = world.ask(NAME, "TXT");
    world.pass(0);
    for (const payload of [512, 100]) {
      const { bytes, packet } = world.ask(NAME, "TXT", { payload });
      assert.ok(bytes && bytes.length <= 512, `${bytes?.length}`);
      assert.equal(packet.flag_tc, whole + 11 > 512, `${whole}`);
    }
    assert.equal(plain.packet.flag_tc, whole > 512, `${whole}`);
  }
});

test("the longest name fits, with its reason for TC left out", () => {
  const options = [{ code: 15, data: Buffer.alloc(240) }];
  const texts = Array.from({ length: 8 }, (): Record => ({ name: NAME, type: "TXT", ttl: 300, data: ["x".repeat(99)] }));
  const opt: Record = { name: ".", type: "OPT", udpPayloadSize: 1232, flags: 0, options };
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: texts, additionals: [opt] })) });
  const reply = world.ask(LONGEST, "TXT", { payload: 512 });
  world.pass(0);
  assert.equal(reply.packet.questions[0]?.name, LONGEST);
  assert.ok(reply.packet.flag_tc && reply.bytes && reply.bytes.length <= 512);
});

test("no datagram is larger than 1232, whatever the client offers", () => {
  const texts = Array.from({ length: 13 }, (): Record => ({ name: NAME, type: "TXT", ttl: 300, data: ["x".repeat(90)] }));
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { answers: texts })) });
  const reply = world.ask(NAME, "TXT", { payload: 4096 });
  world.pass(0);
  assert.equal(reply.packet.flag_tc, true);
});

test("who is not allowed gets REFUSED with his question, costs upstream nothing, and is told of once a second", () => {
  const names = new LocalNames();
  names.set(Layer.records, { name: NAME, addresses: ["2001:db8::1"] });
  const world = new World({ [FIRST]: answering() }, { names });
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
    world.of("dns.counted").map(({ from, count }) => [from, count]),
    [["refused", 49]],
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
    ["a label of 64 bytes", Buffer.concat([good.subarray(0, 12), Buffer.alloc(65, 64), Buffer.of(0, 0, 28, 0, 1)]).fill(0, 10, 12), 1],
    ["cut in the question", good.subarray(0, 20), 1],
    ["cut in OPT", good.subarray(0, -3), 1],
    ["bytes behind it", Buffer.concat([good, Buffer.of(0)]), 1],
    ["fewer records than it says", changed((bytes) => bytes.writeUInt16BE(2, 10)), 1],
    ["two OPT", Buffer.concat([changed((bytes) => bytes.writeUInt16BE(2, 10)), good.subarray(-11)]), 1],
    ["OPT of a name", Buffer.concat([good.subarray(0, -11), Buffer.of(1, 0x61), good.subarray(-11)]), 1],
    ["a name of 256 bytes", query(LONGEST.replace("a", "aa")), 1],
    ["STATUS", changed((bytes) => bytes.writeUInt8(0x11, 2)), 4],
    ["UPDATE", changed((bytes) => bytes.writeUInt8(0x29, 2)), 4],
  ];
  for (const [what, bytes, rcode] of cases) {
    const reply = world.send(bytes).bytes;
    assert.equal(rcodeOf(reply), rcode, what);
    assert.equal(reply?.readUInt16BE(2), 0x8180 | (bytes.readUInt16BE(2) & 0x7800) | rcode, "the operation and RD are as they were asked");
    assert.ok(reply && reply.length <= bytes.length && reply.readUInt16BE(0) === bytes.readUInt16BE(0) && reply.readUInt8(2) >= 0x80, what);
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
    "a malformed query": 12,
    "an operation other than QUERY": 2,
    "shorter than a DNS header": 4,
    "an answer to no query": 2,
  });
});

test("what is not forwarded: ANY gets one small record, transfers, other classes and queries without RD are refused", () => {
  const world = new World({ [FIRST]: answering(0) });
  const any = world.ask(NAME, "ANY").packet;
  assert.deepEqual([any.rcode, any.answers[0]?.type], ["NOERROR", "HINFO"]);
  for (const type of ["AXFR", "IXFR", "TKEY", "UNKNOWN_128", "OPT"]) assert.equal(world.ask(NAME, type).packet.rcode, "REFUSED", type);
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

test("a local name that goes is not told any more, though no upstream answers; denials of local names drive out nothing", () => {
  const names = new LocalNames();
  names.set(Layer.machines, { name: NAME, addresses: ["2001:db8::1"] });
  const world = new World({ [FIRST]: answering(0) }, { names, cacheOf: { entries: 100, serveStale: 3600 } });
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::1 (60)");
  world.ask("kept.example");
  world.pass(0);
  for (let n = 0; n < 1_000; n++) world.ask(`${n}.invalid`);
  assert.equal(world.ask("kept.example").text, "NOERROR 2001:db8::80 (300)");
  assert.equal(world.asked.length, 1);
  world.scripts[FIRST] = silent;
  names.set(Layer.machines, { name: NAME, addresses: [] });
  const gone = world.ask(NAME);
  world.pass(4_800);
  assert.equal(gone.packet.rcode, "SERVFAIL");
});

test("a kept name that becomes local is answered as that, one that becomes nothing else stays kept", () => {
  const names = new LocalNames();
  const world = new World({ [FIRST]: answering(0) }, { names });
  for (const name of [NAME, "other.example"]) world.ask(name);
  world.pass(0);
  names.set(Layer.machines, { name: NAME, addresses: ["2001:db8::1"] });
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::1 (60)");
  assert.equal(world.ask("other.example").text, "NOERROR 2001:db8::80 (300)");
  assert.equal(world.asked.length, 2);
  names.set(Layer.machines, { name: NAME, addresses: [] });
  const gone = world.ask(NAME);
  world.pass(0);
  assert.equal(gone.text, "NOERROR 2001:db8::80 (300)");
});

test("what upstreams of before answer late is not kept beside what those of now say", () => {
  const world = new World({ [FIRST]: answering(100), [SECOND]: answering(0, "2001:db8::81") });
  const upstreams = world.server.policy.upstreams;
  world.server.follow({ ...world.server.policy, upstreams: upstreams.slice(0, 1) });
  const waiting = world.ask(NAME);
  const cache = new Cache({ entries: 100, serveStale: 0 });
  world.server.follow({ ...world.server.policy, upstreams: upstreams.slice(1), cache });
  world.pass(100);
  assert.equal(waiting.text, "NOERROR 2001:db8::80 (300)");
  const next = world.ask(NAME);
  world.pass(0);
  assert.equal(next.text, "NOERROR 2001:db8::81 (300)");
});
