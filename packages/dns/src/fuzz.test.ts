/** Whatever comes off the wire: no throw, at most one answer, nothing left behind. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, name as wireName } from "dns-packet";
import fc from "fast-check";
import { Frames, frame } from "./frames.ts";
import { aaaa, answerTo, FIRST, query, World } from "./test-world.ts";
import { nameText } from "./text.ts";
import { readQuery } from "./wire.ts";

const RUNS = 2_000;
const byte = fc.nat(255);
const changes = fc.array(fc.tuple(fc.nat(2_000), byte), { maxLength: 6 });

const change = (bytes: Buffer, at: readonly (readonly [number, number])[], cut: number): Buffer => {
  const out = Buffer.from(bytes);
  for (const [place, value] of at) out[place % out.length] = value;
  return out.subarray(0, cut % 8 === 0 ? cut % (out.length + 1) : out.length);
};

const label = fc.uint8Array({ minLength: 1, maxLength: 20 });
const question = fc
  .tuple(fc.array(label, { maxLength: 6 }), fc.nat(65535))
  .map(([labels, type]) =>
    Buffer.concat([...labels.flatMap((each) => [Buffer.of(each.length), each]), Buffer.of(0, type >> 8, type & 255, 0, 1)]),
  );

test("mutated and random queries: an answer with the query's id, no larger than the client takes, or none", () => {
  const samples = [
    query("mirror.example", "AAAA", { payload: 1232, dnssecOk: true }),
    query("a.localhost"),
    query("x.10.in-addr.arpa", "PTR"),
  ];
  const mutated = fc.tuple(fc.constantFrom(...samples), changes, fc.nat(1_000)).map(([bytes, at, cut]) => change(bytes, at, cut));
  const random = fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.oneof(mutated, random), fc.boolean(), (bytes, overTcp) => {
      const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked)) });
      const reply = world.send(bytes, { overTcp });
      world.pass(10_000);
      assert.equal(reply.bytes !== null, reply.expected);
      if (reply.bytes) {
        assert.equal(reply.bytes.readUInt16BE(0), bytes.readUInt16BE(0));
        assert.ok(reply.bytes.length <= (overTcp ? 65535 : 1232));
      }
      assert.equal(world.pending, 0);
      assert.ok(world.asked.every(({ open }) => !open));
    }),
    { numRuns: RUNS },
  );
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

test("mutated answers of an upstream: the client gets an answer to its question, and nothing is left open", () => {
  fc.assert(
    fc.property(changes, fc.nat(1_000), fc.boolean(), (at, cut, dnssecOk) => {
      const world = new World({
        [FIRST]: (asked, tell) => {
          const answers = [{ name: "mirror.example", type: "CNAME", ttl: 9, data: "b.example" }, aaaa("b.example")];
          const bytes = change(
            answerTo(asked, { answers, additionals: [...(asked.packet.additionals ?? []), aaaa("ns.example")] }),
            at,
            cut,
          );
          if (bytes.length >= 2) bytes.writeUInt16BE(asked.id, 0);
          tell(bytes);
        },
      });
      const reply = world.ask("mirror.example", "AAAA", { payload: 1232, dnssecOk });
      world.pass(10_000);
      assert.ok(reply.bytes, "it is answered");
      assert.equal(reply.bytes.readUInt16BE(0), reply.query.readUInt16BE(0));
      assert.deepEqual(reply.bytes.subarray(12, 32), reply.query.subarray(12, 32));
      assert.equal(world.pending, 0);
      assert.ok(world.asked.every(({ open }) => !open));
      // And what is kept of it can be told again, later.
      const again = world.ask("mirror.example");
      world.pass(10_000);
      assert.ok(again.bytes);
    }),
    { numRuns: RUNS },
  );
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
