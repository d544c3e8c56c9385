/** DNS64 (RFC 6147) against upstreams that follow a script. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import type { Record } from "dns-packet";
import { Dns64 } from "./dns64.ts";
import { reverseName } from "./local.ts";
import { type Asked, type AskOptions, aaaa, answerTo, FIRST, type Script, silent, World } from "./test-world.ts";
import { readRecord } from "./wire.ts";

const NAME = "mirror.example";
const a = (data: string, { name = NAME, ttl = 300 } = {}): Record => ({ name, type: "A", ttl, data });
const alias = (name: string, data: string, ttl = 300): Record => ({ name, type: "CNAME", ttl, data });
const soa = (minimum: number): Record => ({
  name: "example",
  type: "SOA",
  ttl: 900,
  data: { mname: "ns.example", rname: "root.example", serial: 1, refresh: 2, retry: 3, expire: 4, minimum },
});

/** An upstream with these records by type; a denial with a SOA of 60 s where it has none of a type. */
const having =
  (byType: { [type: string]: Record[] | undefined }): Script =>
  (asked, tell) => {
    const answers = byType[asked.packet.questions[0]?.type ?? ""] ?? [];
    tell(answerTo(asked, { answers, authorities: answers.some(({ type }) => type !== "CNAME") ? [] : [soa(60)] }));
  };
const world = (script: Script, prefix = "64:ff9b::/96"): World => {
  const parsed = parsePrefix(prefix);
  assert.ok(parsed);
  return new World({ [FIRST]: script }, { dns64: new Dns64(parsed) });
};
const askedTypes = ({ asked }: World): string[] => asked.map(({ packet }: Asked) => packet.questions[0]?.type ?? "");
function ask(of: World, name = NAME, type = "AAAA", options: AskOptions = {}) {
  const reply = of.ask(name, type, options);
  of.pass(0);
  return reply;
}

test("a name with A alone gets AAAA in the prefix, for the lesser of the two times, kept and counted down", () => {
  const one = world(having({ A: [a("192.0.43.8"), a("8.8.4.4", { ttl: 20 })] }));
  assert.equal(ask(one).text, "NOERROR 64:ff9b::c000:2b08 (60) 64:ff9b::808:404 (20)");
  one.pass(10_000);
  assert.equal(ask(one).text, "NOERROR 64:ff9b::c000:2b08 (50) 64:ff9b::808:404 (10)");
  assert.deepEqual(askedTypes(one), ["AAAA", "A"]);
  const { from, rcode } = one.of("dns.answered")[0] ?? {};
  assert.deepEqual([from, rcode], ["upstream", "NOERROR"]);
  assert.equal(ask(one, NAME, "A").text, "NOERROR 192.0.43.8 (300) 8.8.4.4 (20)", "A itself is as it was");
});

test("each owner is a pointer to where its name stands before: EDK2 reads no other", () => {
  const { bytes, text } = ask(world(having({ A: [alias(NAME, "b.example"), a("192.0.43.8", { name: "b.example" })] })));
  assert.equal(text, "NOERROR b.example (300) 64:ff9b::c000:2b08 (60)");
  assert.ok(bytes);
  let at = 12 + NAME.length + 2 + 4;
  for (let answer = 0; answer < 2; answer++) {
    assert.ok((bytes[at] as number) >= 0xc0);
    at = readRecord(bytes, at)?.end ?? Number.NaN;
  }
});

test("a name with AAAA is left as it is; what does not exist does not come to be", () => {
  const both = world(having({ AAAA: [aaaa(NAME)], A: [a("8.8.8.8")] }));
  assert.equal(ask(both).text, "NOERROR 2001:db8::80 (300)");
  const none = world((asked, tell) => tell(answerTo(asked, { rcodeNumber: 3, authorities: [soa(60)] })));
  assert.equal(ask(none).packet.rcode, "NXDOMAIN");
  assert.deepEqual([...askedTypes(both), ...askedTypes(none)], ["AAAA", "AAAA"]);
  const empty = world(having({}));
  const { packet } = ask(empty);
  assert.deepEqual([packet.rcode, packet.answers.length, packet.authorities[0]?.type], ["NOERROR", 0, "SOA"]);
});

test("every length of prefix puts the address where RFC 6052 §2.4 has it", () => {
  for (const [prefix, address] of [
    ["2001:db8::/32", "2001:db8:c000:221::"],
    ["2001:db8:100::/40", "2001:db8:1c0:2:21::"],
    ["2001:db8:122::/48", "2001:db8:122:c000:2:2100::"],
    ["2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"],
    ["2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100:0"],
    ["2001:db8:122:344::/96", "2001:db8:122:344::c000:221"],
  ] as const) {
    const one = world(
      having({ A: [a("192.0.2.33")], PTR: [{ name: "33.2.0.192.in-addr.arpa", type: "PTR", ttl: 90, data: NAME }] }),
      prefix,
    );
    assert.equal(ask(one).text, `NOERROR ${address} (60)`);
  }
});

test("aliases are kept in front of what they lead to", () => {
  const chain = [alias(NAME, "cdn.example", 30), alias("cdn.example", "far.example")];
  const one = world(having({ AAAA: chain, A: [...chain, a("8.8.8.8", { name: "far.example" })] }));
  const { packet } = ask(one);
  assert.deepEqual(
    packet.answers.map(({ name, type, ttl, data }) => [name, type, ttl, data]),
    [
      [NAME, "CNAME", 30, "cdn.example"],
      ["cdn.example", "CNAME", 300, "far.example"],
      ["far.example", "AAAA", 30, "64:ff9b::808:808"],
    ],
  );
});

test("an alias whose pointer leads to itself is read to no end, and answered", () => {
  const circle: Script = (asked, tell) => {
    const question = answerTo(asked, { additionals: [] }).fill(1, 7, 8);
    const place = question.length + 12;
    tell(Buffer.concat([question, Buffer.of(0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 2, 0xc0, place)]));
  };
  assert.ok(ask(world(circle)).bytes);
});

test("IPv4-mapped addresses count as none: alone they are made anew, among others they are left out", () => {
  const mapped = aaaa(NAME, "::ffff:8.8.8.8");
  assert.equal(ask(world(having({ AAAA: [mapped], A: [a("8.8.8.8")] }))).text, "NOERROR 64:ff9b::808:808 (300)");
  assert.equal(ask(world(having({ AAAA: [mapped, aaaa(NAME)], A: [a("8.8.8.8")] }))).text, "NOERROR 2001:db8::80 (300)");
});

test("the well-known prefix carries no private address (RFC 6052 §3.1), one's own prefix does", () => {
  const addresses = [
    "10.0.0.1",
    "100.64.0.1",
    "172.31.0.1",
    "192.168.1.1",
    "169.254.0.1",
    "127.0.0.1",
    "198.51.100.1",
    "255.255.255.255",
  ].concat(["0.0.0.1", "192.0.0.1", "192.0.2.1", "198.19.0.1", "203.0.113.1", "224.0.0.1"]);
  const script = having({ A: addresses.map((each) => a(each)) });
  assert.equal(ask(world(script)).packet.answers.length, 0);
  assert.equal(ask(world(script, "2001:db8:64::/96")).packet.answers.length, addresses.length);
  const some = world(having({ A: [a("10.0.0.1"), a("172.32.0.1")] }));
  assert.equal(ask(some).text, "NOERROR 64:ff9b::ac20:1 (60)");
});

test("who validates by himself (CD with DO) gets what upstream has; others no AD with what was made", () => {
  const signed: Script = (asked, tell) => {
    const answers = asked.packet.questions[0]?.type === "A" ? [a("8.8.8.8")] : [];
    tell(answerTo(asked, { flags: 0x1a0, answers }));
  };
  const validating = world(signed);
  assert.equal(ask(validating, NAME, "AAAA", { flags: 0x110, payload: 1232, dnssecOk: true }).packet.answers.length, 0);
  const [dnssecOk, checkingDisabled] = [{ flags: 0x120, payload: 1232, dnssecOk: true }, { flags: 0x130 }];
  for (const options of [dnssecOk, checkingDisabled]) {
    const { packet } = ask(world(signed), NAME, "AAAA", options);
    assert.deepEqual([packet.answers[0]?.data, packet.flag_ad], ["64:ff9b::808:808", false]);
  }
});

test("an upstream that fails at AAAA is no hindrance; one that fails at both is told as it is", () => {
  const broken: Script = (asked, tell) =>
    tell(answerTo(asked, asked.packet.questions[0]?.type === "A" ? { answers: [a("8.8.8.8")] } : { rcodeNumber: 2 }));
  assert.equal(ask(world(broken)).text, "NOERROR 64:ff9b::808:808 (300)");
  assert.equal(ask(world((asked, tell) => tell(answerTo(asked, { rcodeNumber: 2 })))).packet.rcode, "SERVFAIL");
  const dead = world((asked, tell, fail) =>
    asked.packet.questions[0]?.type === "AAAA" ? having({})(asked, tell, fail) : silent(asked, tell, fail),
  );
  const reply = dead.ask(NAME);
  dead.pass(4_800);
  assert.deepEqual([reply.packet.rcode, reply.packet.answers.length], ["NOERROR", 0], "within the client's wait");
});

test("an upstream that refuses AAAA, or does not answer it, is no hindrance: A is asked within the client's wait (RFC 6147 §5.1.2, §5.1.3)", () => {
  const four = having({ A: [a("8.8.8.8")] });
  const only =
    (onAaaa: Script): Script =>
    (asked, tell, fail) =>
      (asked.packet.questions[0]?.type === "A" ? four : onAaaa)(asked, tell, fail);
  for (const rcodeNumber of [1, 4, 5, 9]) {
    const refusing = world(only((asked, tell) => tell(answerTo(asked, { rcodeNumber, additionals: [] }))));
    assert.equal(ask(refusing).text, "NOERROR 64:ff9b::808:808 (300)", `${rcodeNumber}`);
  }
  assert.equal(ask(world(only((_, __, fail) => fail("no route")))).text, "NOERROR 64:ff9b::808:808 (300)");

  const late = world(only(silent));
  const reply = late.ask(NAME);
  late.pass(4_800);
  assert.equal(reply.text, "NOERROR 64:ff9b::808:808 (300)");
  assert.equal(reply.after, 2_000);
  late.pass(10_000);
  assert.equal(late.pending, 0);
});

test("AAAA that come late are the answer where A leads to none, and no A is asked for those that come in time", () => {
  const slow = (after: number): Script => {
    return (asked, tell) => {
      const answers = asked.packet.questions[0]?.type === "AAAA" ? [aaaa(NAME)] : [];
      tell(answerTo(asked, { answers, authorities: answers.length > 0 ? [] : [soa(60)] }), answers.length > 0 ? after : 0);
    };
  };
  const late = world(slow(3_000));
  const reply = late.ask(NAME);
  late.pass(4_800);
  assert.deepEqual([reply.text, reply.after], ["NOERROR 2001:db8::80 (300)", 3_000]);
  const inTime = world(slow(1_900));
  inTime.ask(NAME);
  inTime.pass(4_800);
  assert.ok(!askedTypes(inTime).includes("A"));
  const dead = world(silent);
  const failed = dead.ask(NAME);
  dead.pass(5_000);
  assert.equal(failed.packet.rcode, "SERVFAIL");
  assert.ok(failed.after < 5_000);
  dead.pass(10_000);
  assert.equal(dead.pending, 0);
});

test("A is asked once, though the denial of AAAA comes late, while it is on its way", () => {
  const late: Script = (asked, tell) => {
    const answers = asked.packet.questions[0]?.type === "A" ? [a("8.8.8.8")] : [];
    tell(answerTo(asked, { answers, authorities: answers.length > 0 ? [] : [soa(60)] }), answers.length > 0 ? 700 : 2_500);
  };
  const one = world(late);
  const reply = one.ask(NAME);
  one.pass(4_800);
  assert.deepEqual([reply.text, reply.after], ["NOERROR 64:ff9b::808:808 (60)", 2_700]);
  assert.equal(askedTypes(one).filter((type) => type === "A").length, 1);
});

test("PTR of an address in the prefix leads to the IPv4 address's own; private ones are not asked of the world", () => {
  const pointer: Record = { name: "8.8.8.8.in-addr.arpa", type: "PTR", ttl: 90, data: "dns.google" };
  const one = world(having({ PTR: [pointer] }));
  assert.equal(ask(one, reverseName("64:ff9b::808:808"), "PTR").text, "NOERROR 8.8.8.8.in-addr.arpa (600) dns.google (90)");
  assert.deepEqual(
    one.asked.map(({ packet }) => packet.questions[0]?.name),
    ["8.8.8.8.in-addr.arpa"],
  );
  const own = world(having({ PTR: [pointer] }), "2001:db8:122:344::/64");
  assert.equal(ask(own, reverseName("2001:db8:122:344:8:808:800:0"), "PTR").text, "NOERROR 8.8.8.8.in-addr.arpa (600) dns.google (90)");
  assert.equal(ask(one, reverseName("64:ff9b::a00:1"), "PTR").packet.rcode, "NXDOMAIN");
  ask(one, reverseName("2620:fe::fe"), "PTR");
  assert.equal(one.asked.length, 2, "others are asked as they are");
  assert.equal(one.asked[1]?.packet.questions[0]?.name, reverseName("2620:fe::fe"));
});

test("ipv4only.arpa tells the prefix, without upstream (RFC 7050, RFC 8880)", () => {
  const one = world(silent);
  assert.equal(ask(one, "ipv4only.arpa").text, "NOERROR 64:ff9b::c000:aa (60) 64:ff9b::c000:ab (60)");
  assert.equal(ask(one, "ipv4only.arpa", "A").text, "NOERROR 192.0.0.170 (60) 192.0.0.171 (60)");
  assert.equal(ask(one, "170.0.0.192.in-addr.arpa", "PTR").text, "NOERROR ipv4only.arpa (60)");
  assert.equal(ask(one, reverseName("64:ff9b::c000:aa"), "PTR").text, "NOERROR 170.0.0.192.in-addr.arpa (600) ipv4only.arpa (60)");
  assert.equal(ask(one, "x.ipv4only.arpa").packet.rcode, "NXDOMAIN");
  assert.equal(one.asked.length, 0);
  const without = new World({ [FIRST]: silent });
  without.ask("ipv4only.arpa");
  assert.equal(without.asked.length, 1, "without DNS64 it is a name like others");
});
