import assert from "node:assert/strict";
import { test } from "node:test";
import type { Record } from "dns-packet";
import { type Asked, aaaa, answering, answerTo, FIRST, type Script, SECOND, silent, World } from "./test-world.ts";

const NAME = "mirror.example";

test("each query upstream has an id of its own, asks for recursion, AD and EDNS at 1232", () => {
  const world = new World({ [FIRST]: answering() });
  world.ask("MIRROR.example");
  world.ask("other.example", "A", { flags: 0x110, payload: 4096, dnssecOk: true });
  const [plain, signed] = world.asked;
  assert.notEqual(plain?.id, signed?.id);
  assert.equal(plain?.bytes.readUInt16BE(2), 0x120);
  assert.equal(signed?.bytes.readUInt16BE(2), 0x130, "CD is passed on");
  const opts = world.asked.map(({ packet }) => packet.additionals[0]);
  assert.deepEqual(
    opts.map((opt) => [opt?.type, opt?.udpPayloadSize, opt?.flag_do]),
    [
      ["OPT", 1232, false],
      ["OPT", 1232, true],
    ],
  );
});

test("an upstream that says nothing costs four of its round trips: the next is asked, and is first from then on", () => {
  for (const [roundTrip, wait] of [
    [10, 200],
    [100, 400],
    [700, 800],
  ] as const) {
    const world = new World({ [FIRST]: answering(1_000), [SECOND]: answering(roundTrip) });
    // The first question goes to both, to measure them.
    assert.equal(world.ask("measured.example").bytes, null);
    world.pass(1_000);
    world.scripts[SECOND] = silent;
    world.scripts[FIRST] = answering(10);
    const reply = world.ask(NAME);
    world.pass(wait + 10);
    assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
    assert.equal(reply.after, wait + 10);
    assert.deepEqual(
      world.asked.slice(2).map(({ upstream, at }) => [upstream, at - 1_000]),
      [
        [SECOND, 0],
        [FIRST, wait],
      ],
    );
    world.pass(1_000);
    world.ask("later.example");
    assert.equal(world.asked.at(-1)?.upstream, FIRST);
  }
});

test("one upstream alone is asked again after ever longer waits", () => {
  const world = new World({ [FIRST]: answering(10) });
  world.ask("measured.example");
  world.pass(1_000);
  world.scripts[FIRST] = silent;
  world.ask(NAME);
  world.pass(4_800);
  assert.deepEqual(
    world.asked.slice(1).map(({ at }) => at - 1_000),
    [0, 200, 600, 1_400, 2_200, 3_000],
  );
});

test("while every upstream is down a client waits two seconds for SERVFAIL, and 200 ms for a stale answer", () => {
  const world = new World({ [FIRST]: answering(10), [SECOND]: answering(10) }, { cacheOf: { serveStale: 3600 } });
  world.ask("kept.example");
  world.pass(400_000);
  world.scripts[FIRST] = silent;
  world.scripts[SECOND] = silent;
  for (let n = 0; n < 3; n++) {
    world.ask(`${n}.example`);
    world.pass(5_000);
  }
  assert.equal(world.of("dns.upstream").filter(({ state }) => state === "down").length, 2);
  const reply = world.ask(NAME);
  const kept = world.ask("kept.example");
  world.pass(2_000);
  assert.deepEqual([reply.packet.rcode, reply.after, kept.text, kept.after], ["SERVFAIL", 2_000, "NOERROR 2001:db8::80 (30)", 200]);
});

test("an upstream that refuses connections costs no wait", () => {
  const refused: Script = (_, __, fail) => fail("connection refused");
  const world = new World({ [FIRST]: answering(10), [SECOND]: answering(10) });
  world.ask("measured.example");
  world.pass(10);
  world.scripts[FIRST] = refused;
  const reply = world.ask(NAME);
  world.pass(20);
  assert.equal(reply.after, 10);
});

test("a lost query is asked again from another port with another id; an answer to the first is taken as well", () => {
  let count = 0;
  const world = new World({ [FIRST]: (asked, tell, fail) => ++count === 2 && answering(0)(asked, tell, fail) });
  const reply = world.ask(NAME);
  world.pass(800);
  assert.equal(reply.after, 800);
  assert.equal(new Set(world.asked.map(({ id }) => id)).size, 2);

  const slow = new World({ [FIRST]: answering(1200) });
  const late = slow.ask(NAME);
  slow.pass(1200);
  assert.equal(late.after, 1200);
  assert.equal(slow.asked.length, 2);
});

test("all dead: SERVFAIL within 5 s with the reason, an event when one is down, and when it is up", () => {
  const world = new World({ [FIRST]: silent, [SECOND]: silent });
  const reply = world.ask(NAME, "AAAA", { payload: 1232 });
  world.pass(4_999);
  assert.equal(reply.packet.rcode, "SERVFAIL");
  assert.match(reply.bytes?.toString("latin1") ?? "", /no upstream answered within 4\.8 s/);
  const down = world.of("dns.upstream").map(({ upstream, state }) => `${upstream} ${state}`);
  assert.deepEqual(down.toSorted(), [`${FIRST} down`, `${SECOND} down`]);
  assert.equal(world.of("dns.answered").at(-1)?.from, "failed");
  assert.ok(
    world.asked.every(({ open }) => !open),
    "no port is left open",
  );
  world.pass(1_000);
  assert.equal(world.pending, 0, "and no timer");

  world.scripts[SECOND] = answering(10);
  world.pass(2_000);
  const again = world.ask(NAME);
  world.pass(10);
  assert.equal(again.text, "NOERROR 2001:db8::80 (300)", "one that is back is found by the next question");
  assert.deepEqual(world.of("dns.upstream").at(-1), { type: "dns.upstream", upstream: SECOND, state: "up", why: "it answers in 10 ms" });
});

test("all refuse: SERVFAIL at once", () => {
  const world = new World({ [FIRST]: (_, __, fail) => fail("connection refused: no resolver runs there") });
  const reply = world.ask(NAME, "AAAA", { payload: 1232 });
  world.pass(1);
  assert.equal(reply.packet.rcode, "SERVFAIL");
  assert.match(reply.bytes?.toString("latin1") ?? "", /connection refused/);
});

test("no upstream at all: SERVFAIL with the reason", () => {
  const world = new World({}, { without: "/etc/resolv.conf names no resolver" });
  const reply = world.ask(NAME, "AAAA", { payload: 1232 });
  assert.equal(reply.packet.rcode, "SERVFAIL");
  assert.match(reply.bytes?.toString("latin1") ?? "", /names no resolver/);
});

test("a false id, another question, a query or rubbish are no answer: they are counted, and the true one is awaited", () => {
  const forging: Script = (asked, tell, fail) => {
    const forged = answerTo(asked, { answers: [aaaa(NAME, "2001:db8:bad::1")] });
    const otherId = Buffer.from(forged);
    otherId.writeUInt16BE(asked.id ^ 1, 0);
    tell(otherId);
    tell(answerTo(asked, { questions: [{ name: "other.example", type: "AAAA" }], answers: [aaaa(NAME, "2001:db8:bad::1")] }));
    tell(answerTo(asked, { questions: [{ name: NAME, type: "A" }], answers: [aaaa(NAME, "2001:db8:bad::1")] }));
    tell(answerTo(asked, { questions: [], answers: [aaaa(NAME, "2001:db8:bad::1")] }));
    tell(asked.bytes);
    tell(forged.subarray(0, 11));
    answering(50)(asked, tell, fail);
  };
  const world = new World({ [FIRST]: forging });
  const reply = world.ask(NAME);
  world.pass(2_000);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  assert.equal(reply.after, 50);
  assert.deepEqual(
    world.of("wire.dropped").map(({ why, count }) => [why, count]),
    [["an answer that matches no query", 6]],
  );
});

test("who floods us with guesses is left behind by TCP", () => {
  const flooded: Script = (asked, tell, fail) => {
    if (asked.overTcp) return answering(5)(asked, tell, fail);
    for (let guess = 1; guess <= 10; guess++) tell(Buffer.concat([Buffer.of(0xff, guess), asked.bytes.subarray(2)]), guess);
  };
  const world = new World({ [FIRST]: flooded });
  const reply = world.ask(NAME);
  world.pass(15);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
});

/** Upper and lower case in turn. */
const mixed = (world: World): World => {
  let id = 0;
  world.random = () => (++id * 0x10000 + 0x5555) >>> 0;
  return world;
};
const nameOf = (asked: Asked): string => asked.packet.questions[0]?.name ?? "";
const lowered = (bytes: Buffer): Buffer => Buffer.from(bytes.toString("latin1").toLowerCase(), "latin1");
/** An answer with its question in lower case, whatever was asked. */
const flatAnswer = (asked: Asked, data: string): Buffer => {
  const bytes = answerTo(asked, { answers: [aaaa(NAME, data)] });
  const end = 12 + NAME.length + 2;
  return Buffer.concat([bytes.subarray(0, 12), lowered(bytes.subarray(12, end)), bytes.subarray(end)]);
};

test("0x20: the name goes out in mixed case, and comes to the client in his own", () => {
  const world = mixed(new World({ [FIRST]: answering(0) }));
  const reply = world.ask("Mirror.example", "AAAA");
  world.pass(0);
  assert.equal(nameOf(world.asked[0] as Asked), "MiRrOr.ExAmPlE");
  assert.deepEqual([reply.packet.questions[0]?.name, reply.packet.answers[0]?.name], ["Mirror.example", NAME]);
  assert.equal(world.ask(NAME).text, "NOERROR 2001:db8::80 (300)");
});

test("0x20: letters are of the name alone: an answer of type 97 is none to HTTPS, 65", () => {
  const world = mixed(
    new World({
      [FIRST]: (asked, tell, fail) => {
        tell(answerTo(asked, { questions: [{ name: nameOf(asked), type: "UNKNOWN_97" }] }));
        answering(10)(asked, tell, fail);
      },
    }),
  );
  world.ask(NAME, "UNKNOWN_65");
  world.pass(1_000);
  assert.equal(world.asked.length, 1, "it is not asked again by TCP");
  assert.deepEqual(
    world.of("wire.dropped").map(({ why }) => why),
    ["an answer that matches no query"],
  );
});

test("0x20: an answer in another spelling is not believed, TCP tells the true one", () => {
  const spoofed: Script = (asked, tell) =>
    asked.overTcp ? tell(answerTo(asked, { answers: [aaaa(NAME)] }), 5) : tell(flatAnswer(asked, "2001:db8:bad::1"), 1);
  const world = mixed(new World({ [FIRST]: spoofed }));
  const reply = world.ask(NAME);
  world.pass(6);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  world.ask("second.example");
  assert.match(nameOf(world.asked.at(-1) as Asked), /[A-Z]/, "it has shown that it repeats the spelling");
  world.pass(1_000);
  assert.deepEqual(
    world.of("wire.dropped").map(({ why }) => why),
    ["an answer in another spelling"],
  );
});

test("0x20: an upstream that spells names its own way, by TCP too, is asked in lower case for an hour", () => {
  const flat: Script = (asked, tell) => tell(flatAnswer(asked, "2001:db8::80"), 1);
  const world = mixed(new World({ [FIRST]: flat }));
  const reply = world.ask(NAME);
  world.pass(2);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  world.pass(400_000);
  const second = world.ask(NAME);
  world.pass(1);
  assert.equal(second.text, "NOERROR 2001:db8::80 (300)");
  assert.deepEqual(
    world.asked.map((asked) => [asked.overTcp, nameOf(asked)]),
    [
      [false, "MiRrOr.ExAmPlE"],
      [true, "MiRrOr.ExAmPlE"],
      [false, NAME],
    ],
  );
  world.pass(3_600_000);
  world.ask(NAME);
  assert.equal(nameOf(world.asked.at(-1) as Asked), "MiRrOr.ExAmPlE");
});

test("0x20: one that spells its own way and has no TCP is asked in lower case as well", () => {
  const flat: Script = (asked, tell, fail) => (asked.overTcp ? fail("connection refused") : tell(flatAnswer(asked, "2001:db8::80"), 1));
  const world = mixed(new World({ [FIRST]: flat }));
  const reply = world.ask(NAME);
  world.pass(3);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  assert.equal(world.asked.length, 3);
});

test("0x20: one that spells its own way, and whose TCP says nothing, is asked in lower case as well", () => {
  const flat: Script = (asked, tell) => {
    if (!asked.overTcp) tell(flatAnswer(asked, "2001:db8::80"), 1);
  };
  const world = mixed(new World({ [FIRST]: flat }));
  const reply = world.ask(NAME);
  world.pass(4_800);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  const next = world.ask("next.example");
  world.pass(1);
  assert.equal(next.after, 1, "and from then on at once");
  world.pass(10_000);
  assert.equal(world.pending, 0);
});

test("an upstream by TLS is asked in lower case and believed in any: nobody can guess there; it has twice the time", () => {
  const upstreams = [{ address: FIRST, port: 853, tlsName: "dns.example" }];
  const upper: Script = (asked, tell) => {
    const bytes = answerTo(asked, { answers: [aaaa(NAME)] });
    tell(Buffer.concat([bytes.subarray(0, 13), Buffer.from("MIRROR"), bytes.subarray(19)]), 10);
  };
  const world = mixed(new World({ [FIRST]: upper }, { upstreams }));
  const reply = world.ask(NAME);
  world.pass(10);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  assert.deepEqual([nameOf(world.asked[0] as Asked), world.asked.length], [NAME, 1]);
  world.scripts[FIRST] = silent;
  world.ask("silent.example");
  world.pass(1_000);
  assert.deepEqual(
    world.asked.slice(1).map(({ at }) => at - 10),
    [0, 400],
  );
});

test("an answer by TCP that says it is truncated is not asked for for ever", () => {
  const world = new World({ [FIRST]: (asked, tell) => tell(answerTo(asked, { flags: 0x380 })) });
  const reply = world.ask(NAME);
  world.pass(10);
  assert.ok(reply.bytes);
  assert.equal(world.asked.length, 2);
});

test("a truncated answer is asked for again by TCP", () => {
  const truncating: Script = (asked, tell, fail) =>
    asked.overTcp ? answering(20)(asked, tell, fail) : tell(answerTo(asked, { flags: 0x380 }), 10);
  const world = new World({ [FIRST]: truncating });
  const reply = world.ask(NAME);
  world.pass(30);
  assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
  assert.deepEqual(
    world.asked.map(({ overTcp, open }) => [overTcp, open]),
    [
      [false, false],
      [true, false],
    ],
  );
});

test("an upstream that knows no EDNS is asked without", () => {
  for (const rcode of [1, 4]) {
    const old: Script = (asked, tell, fail) => {
      const hasOpt = asked.packet.additionals.length > 0;
      // As servers of old answer: a header alone.
      if (hasOpt) tell(Buffer.concat([asked.bytes.subarray(0, 2), Buffer.of(0x80, rcode, 0, 0, 0, 0, 0, 0, 0, 0)]));
      else answering(0)(asked, tell, fail);
    };
    const world = new World({ [FIRST]: old });
    const reply = world.ask(NAME, "AAAA", { payload: 1232 });
    world.pass(1);
    assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
    const hasOpt = (asked: Asked | undefined): boolean => asked?.packet.additionals.length === 1;
    world.ask("second.example");
    assert.deepEqual(world.asked.map(hasOpt), [true, false, false], "and is remembered");
    world.pass(15 * 60_000 + 1);
    world.ask("third.example");
    assert.ok(hasOpt(world.asked.at(-1)), "for a quarter of an hour");
  }
});

test("a question that an upstream cannot read, with EDNS or without, does not cost others their EDNS", () => {
  const picky: Script = (asked, tell, fail) =>
    nameOf(asked) === "odd.example" ? tell(answerTo(asked, { rcodeNumber: 1 })) : answering(0)(asked, tell, fail);
  const world = new World({ [FIRST]: picky });
  const odd = world.ask("odd.example");
  world.pass(1);
  assert.equal(odd.packet.rcode, "SERVFAIL");
  for (const name of [NAME, "next.example"]) {
    world.ask(name, "AAAA", { payload: 1232, dnssecOk: true });
    assert.equal(world.asked.at(-1)?.packet.additionals[0]?.flag_do, true, name);
    world.pass(1);
  }
});

test("SERVFAIL or REFUSED of one upstream: the next is asked at once", () => {
  for (const rcodeNumber of [2, 5]) {
    const world = new World({ [FIRST]: answering(5), [SECOND]: answering(10) });
    world.ask("measured.example");
    world.pass(10);
    world.scripts[FIRST] = (asked, tell) => tell(answerTo(asked, { rcodeNumber }), 1);
    const reply = world.ask(NAME);
    world.pass(11);
    assert.equal(reply.text, "NOERROR 2001:db8::80 (300)");
    assert.equal(reply.after, 11);
  }
});

test("an upstream that has no answer to a question is not asked it again, one that refuses again and again is down", () => {
  const world = new World({ [FIRST]: answering(5), [SECOND]: answering(10) });
  world.ask("measured.example");
  world.pass(10);
  world.scripts[FIRST] = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 5 }), 1);
  world.scripts[SECOND] = silent;
  world.ask(NAME);
  world.pass(4_800);
  assert.deepEqual(
    world.asked.slice(2).map(({ upstream }) => upstream),
    [FIRST, SECOND, SECOND, SECOND, SECOND, SECOND],
  );
  world.scripts[SECOND] = answering(3_000);
  for (const name of ["a.example", "b.example"]) {
    world.ask(name);
    world.pass(10_000);
  }
  const first = world.of("dns.upstream").find(({ upstream }) => upstream === FIRST);
  assert.deepEqual([first?.state, first?.why], ["down", "it says REFUSED"]);
});

test("SERVFAIL of all: the client gets it with the upstream's own reason (RFC 8914)", () => {
  const bogus = { code: 15, data: Buffer.from("\0\x06bogus signature", "latin1") };
  const world = new World({
    [FIRST]: (asked, tell) =>
      tell(
        answerTo(asked, { rcodeNumber: 2, additionals: [{ name: ".", type: "OPT", udpPayloadSize: 1232, flags: 0, options: [bogus] }] }),
      ),
  });
  const reply = world.ask(NAME, "AAAA", { payload: 1232 });
  world.pass(1);
  assert.equal(reply.packet.rcode, "SERVFAIL");
  assert.match(reply.bytes?.toString("latin1") ?? "", /bogus signature/);
});

test("an upstream that was down and says SERVFAIL is up: it is alive", () => {
  const world = new World({ [FIRST]: silent });
  for (let n = 0; n < 3; n++) {
    world.ask(`${n}.example`);
    world.pass(5_000);
  }
  world.scripts[FIRST] = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 }));
  world.ask(NAME);
  world.pass(1);
  assert.deepEqual(
    world.of("dns.upstream").map(({ state }) => state),
    ["down", "up"],
  );
});

test("SERVFAIL while the other is down: the client does not wait for that one", () => {
  const world = new World({ [FIRST]: silent, [SECOND]: answering(10) });
  for (let n = 0; n < 4; n++) {
    world.ask(`${n}.example`);
    world.pass(61_000);
  }
  assert.deepEqual(
    world.of("dns.upstream").map(({ upstream, state }) => [upstream, state]),
    [[FIRST, "down"]],
  );
  world.scripts[SECOND] = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 }), 10);
  const reply = world.ask(NAME);
  world.pass(10);
  assert.equal(reply.packet.rcode, "SERVFAIL");
});

test("a late SERVFAIL does not hurry the attempt that has taken its place", () => {
  const world = new World({ [FIRST]: answering(5), [SECOND]: answering(10) });
  world.ask("measured.example");
  world.pass(10);
  world.scripts[FIRST] = (asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 }), 900);
  world.scripts[SECOND] = silent;
  world.ask(NAME);
  world.pass(999);
  // At 200 ms the second upstream, at 400 the first again, at 900 its SERVFAIL to the first query.
  assert.deepEqual(
    world.asked.slice(2).map(({ upstream, at }) => [upstream, at - 10]),
    [
      [FIRST, 0],
      [SECOND, 200],
      [FIRST, 400],
      [SECOND, 800],
    ],
  );
});

test("a malformed answer is no answer: cut, a pointer forward, a name without end, OPT twice or among the answers", () => {
  const opt: Record = { name: ".", type: "OPT", udpPayloadSize: 1232, flags: 0, options: [] };
  const withOwner = (asked: Asked, owner: Buffer): Buffer =>
    Buffer.concat([answerTo(asked, { additionals: [] }).fill(1, 7, 8), owner, Buffer.of(0, 28, 0, 1, 0, 0, 0, 9, 0, 16), Buffer.alloc(16)]);
  const malformed: ((asked: Asked) => Buffer)[] = [
    (asked) => answerTo(asked, { answers: [aaaa(NAME)] }).subarray(0, -20),
    (asked) => withOwner(asked, Buffer.of(0xc0, 40)),
    (asked) => answerTo(asked, { answers: [opt], additionals: [] }),
    (asked) => answerTo(asked, { answers: [aaaa(NAME)], additionals: [opt, opt] }),
    (asked) => withOwner(asked, Buffer.concat([...Array.from({ length: 5 }, () => Buffer.alloc(64, 63)), Buffer.of(0)])),
  ];
  for (const make of malformed) {
    const world = new World({ [FIRST]: (asked, tell) => tell(make(asked)) });
    const reply = world.ask(NAME);
    world.pass(1);
    assert.equal(reply.packet.rcode, "SERVFAIL");
  }
  const world = new World({ [FIRST]: (asked, tell) => tell(withOwner(asked, Buffer.of(0xc0, 12))) });
  const reply = world.ask(NAME);
  world.pass(1);
  assert.equal(reply.text, "NOERROR :: (9)", "as it is when well formed");
});

test("the slower upstream is measured now and then beside the first choice, and takes its place when it is the faster", () => {
  const world = new World({ [FIRST]: answering(50), [SECOND]: answering(100) });
  world.ask("0.example");
  world.pass(200);
  world.ask("1.example");
  assert.equal(world.asked.length, 3, "one question, one upstream");
  assert.equal(world.asked[2]?.upstream, FIRST);
  world.scripts[SECOND] = answering(5);
  for (let minute = 2; minute < 6; minute++) {
    world.pass(61_000);
    world.ask(`${minute}.example`);
    world.pass(200);
  }
  world.ask("last.example");
  assert.equal(world.asked.at(-1)?.upstream, SECOND);
});
