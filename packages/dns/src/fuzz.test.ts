/** Whatever comes off the wire: no throw, at most one answer, nothing left behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import { decode, name as wireName } from "dns-packet";
import fc from "fast-check";
import { Dns64 } from "./dns64.ts";
import { Frames, frame } from "./frames.ts";
import { aaaa, answerTo, FIRST, mutate, query, randomness, type Script, World } from "./test-world.ts";
import { nameText } from "./text.ts";
import { readQuery } from "./wire.ts";

const DNS64 = new Dns64(prefixOf("64:ff9b::", 96));
const A_RECORD = { name: "b.example", type: "A", ttl: 9, data: "8.8.8.8" };
const RUNS = 2_000;
const PACKETS = 100_000;

const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
const question = fc
  .tuple(fc.array(label, { maxLength: 6 }), fc.nat(65535))
  .map(([labels, type]) =>
    Buffer.concat([...labels.flatMap((each) => [Buffer.of(each.length), each]), Buffer.of(0, type >> 8, type & 255, 0, 1)]),
  );

test("100,000 mutated queries: an answer with the query's id, no larger than the client takes, or none; nothing is left behind", () => {
  const samples = [
    query("mirror.example", "AAAA", { payload: 1232, dnssecOk: true }),
    query("mirror.example", "AAAA"),
    query("a.localhost"),
    query("x.10.in-addr.arpa", "PTR"),
    query("8.0.8.0.8.0.8.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.b.9.f.f.4.6.0.0.ip6.arpa", "PTR"),
    Buffer.alloc(40),
  ];
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked)) }, { dns64: DNS64 });
  const random = randomness();
  for (let n = 0; n < PACKETS; n++) {
    const bytes = mutate(samples[n % samples.length] as Buffer, random);
    const overTcp = random(2) === 0;
    const reply = world.send(bytes, { overTcp });
    world.pass(0);
    // The script answers in dns-packet's spelling: where that is another, nobody answers.
    if (reply.expected && !reply.bytes) world.pass(10_000);
    const what = `packet ${n}: ${bytes.toString("hex")}`;
    assert.equal(reply.bytes !== null, reply.expected, what);
    if (reply.bytes) {
      assert.equal(reply.bytes.readUInt16BE(0), bytes.readUInt16BE(0), what);
      assert.ok(reply.bytes.length <= (overTcp ? 65535 : 1232), what);
    }
    assert.ok(
      world.asked.every(({ open }) => !open),
      what,
    );
    world.asked.length = 0;
    world.events.length = 0;
  }
  world.pass(10_000);
  assert.equal(world.pending, 0);
});

test("any name and type: the question goes upstream and the answer comes back byte for byte", () => {
  fc.assert(
    fc.property(question, (wire) => {
      const sent = Buffer.concat([Buffer.of(1, 2, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0), wire]);
      const world = new World({
        [FIRST]: (asked, tell) =>
          tell(
            Buffer.concat([
              asked.bytes.subarray(0, 2),
              Buffer.of(0x81, 0x83, 0, 1, 0, 0, 0, 0, 0, 0),
              asked.bytes.subarray(12, 12 + wire.length),
            ]),
          ),
      });
      const reply = world.send(sent);
      world.pass(0);
      assert.ok(reply.bytes);
      assert.deepEqual(reply.bytes.subarray(12, 12 + wire.length), wire);
    }),
    { numRuns: RUNS },
  );
});

test("100,000 mutated answers of an upstream: the client gets an answer to its question, and nothing is left open", () => {
  const random = randomness();
  let n = 0;
  const mutating: Script = (asked, tell) => {
    const answers = [{ name: "mirror.example", type: "CNAME", ttl: 9, data: "b.example" }, n % 2 ? aaaa("b.example") : A_RECORD];
    const whole = answerTo(asked, { answers, additionals: [...(asked.packet.additionals ?? []), aaaa("ns.example")] });
    const bytes = mutate(whole, random);
    if (bytes.length >= 2) bytes.writeUInt16BE(asked.id, 0);
    tell(bytes);
  };
  const world = new World({ [FIRST]: mutating }, { dns64: DNS64, cacheOf: { entries: 0 } });
  for (; n < PACKETS; n++) {
    const reply = world.ask("mirror.example", n % 3 ? "AAAA" : "TXT", { payload: 1232, dnssecOk: n % 5 === 0 });
    world.pass(0);
    if (!reply.bytes) world.pass(10_000);
    assert.ok(reply.bytes, `answer ${n}`);
    assert.equal(reply.bytes.readUInt16BE(0), reply.query.readUInt16BE(0));
    assert.deepEqual(reply.bytes.subarray(12, 32), reply.query.subarray(12, 32));
    assert.ok(
      world.asked.every(({ open }) => !open),
      `answer ${n}`,
    );
    world.asked.length = 0;
    world.events.length = 0;
  }
  world.pass(10_000);
  assert.equal(world.pending, 0);
});

test("what is kept of a mutated answer can be told again, later", () => {
  const random = randomness();
  for (let n = 0; n < RUNS; n++) {
    const world = new World({
      [FIRST]: (asked, tell) => {
        const bytes = mutate(answerTo(asked, { answers: [aaaa("mirror.example")] }), random);
        if (bytes.length >= 2) bytes.writeUInt16BE(asked.id, 0);
        tell(bytes);
      },
    });
    world.ask("mirror.example");
    world.pass(10_000);
    const again = world.ask("mirror.example", "AAAA", { payload: 1232 });
    world.pass(10_000);
    assert.ok(again.bytes, `answer ${n}`);
  }
});

test("names of host form read as dns-packet reads them", () => {
  const name = fc.array(fc.stringMatching(/^[a-z0-9-]{1,12}$/), { minLength: 1, maxLength: 8 }).map((labels) => labels.join("."));
  fc.assert(
    fc.property(name, (text) => {
      assert.equal(nameText(wireName.encode(text).toString("latin1")), text);
      const read = readQuery(query(text.toUpperCase()));
      assert.equal(typeof read === "number" ? read : nameText(read.name), text);
      assert.equal(decode(query(text)).questions[0]?.name, text);
    }),
  );
});

test("messages come out of a stream whole, however it is cut", () => {
  const messages = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 });
  fc.assert(
    fc.property(messages, fc.array(fc.integer({ min: 1, max: 30 })), (sent, cuts) => {
      const stream = Buffer.concat(sent.map((each) => frame(Buffer.from(each))));
      const frames = new Frames();
      const got: Buffer[] = [];
      let at = 0;
      for (const cut of [...cuts, stream.length]) {
        if (at < stream.length) got.push(...frames.take(stream.subarray(at, at + cut)));
        at += cut;
      }
      assert.deepEqual(
        got.map((each) => each.toString("hex")),
        sent.map((each) => Buffer.from(each).toString("hex")),
      );
    }),
    { numRuns: RUNS },
  );
});
