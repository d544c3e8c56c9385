import assert from "node:assert/strict";
import { test } from "node:test";
import { decode } from "dns-packet";
import { Layer, LocalNames, reverseName } from "./local.ts";
import { readResolvConf } from "./resolv-conf.ts";
import { answering, FIRST, World } from "./test-world.ts";

const names = new LocalNames();
for (const [layer, name, ...addresses] of [
  [Layer.machines, "localhost", "2001:db8:0:1::66"],
  [Layer.machines, "node-01.rack.example", "2001:db8:0:1::11"],
  [Layer.machines, "claimed.rack.example", "2001:db8:0:1::11"],
  [Layer.machines, "server.rack.example", "2001:db8:0:1::1"],
  [Layer.machines, "mirror.rack.example", "2001:db8:0:1::99"],
  [Layer.records, "mirror.rack.example", "2001:db8:0:1::1", "fd00::1"],
  [Layer.records, "deep.below.home.arpa", "fd00::2"],
  [Layer.records, "lab.test", "fd00::3"],
] as const)
  names.set(layer, { name, addresses });

/** What a client gets, and whether upstream was asked. */
function ask(name: string, type: string): string {
  const world = new World({ [FIRST]: answering(0) }, { names });
  const reply = world.ask(name, type);
  if (world.asked.length > 0) return "forwarded";
  assert.ok(reply.bytes);
  const { rcode, answers, authorities, flag_aa: authoritative } = decode(reply.bytes as Buffer);
  assert.ok(authoritative);
  assert.equal(
    answers.length === 0,
    authorities.some((each) => each.type === "SOA"),
    "a denial, and nothing else, brings its SOA",
  );
  for (const each of answers) assert.equal(each.name, name);
  const answer = 12 + name.length + 2 + 4;
  if (answers.length > 0) assert.deepEqual([...reply.bytes.subarray(answer, answer + 2)], [0xc0, 12], "EDK2 reads no other owner");
  const data = answers.map((each) => (typeof each.data === "string" ? each.data : each.type));
  return [rcode, ...data].join(" ");
}

test("configured names: their addresses, and no others", () => {
  assert.equal(ask("mirror.rack.example", "AAAA"), "NOERROR 2001:db8:0:1::1 fd00::1");
  assert.equal(ask("node-01.rack.example", "AAAA"), "NOERROR 2001:db8:0:1::11");
  assert.equal(ask("node-01.rack.example", "A"), "NOERROR", "no IPv4 address is no missing name");
  assert.equal(ask("node-02.rack.example", "AAAA"), "forwarded");
  assert.equal(ask("rack.example", "MX"), "forwarded", "the domain may have an outside");
});

test("records win over machines, for names and for addresses; of an address's names the first told is its PTR's", () => {
  assert.equal(ask(reverseName("2001:db8:0:1::1"), "PTR"), "NOERROR mirror.rack.example");
  assert.equal(ask(reverseName("2001:db8:0:1::11"), "PTR"), "NOERROR node-01.rack.example");
  assert.equal(ask(reverseName("fd00::1"), "PTR"), "NOERROR mirror.rack.example");
  assert.equal(ask(reverseName("2001:db8:0:1::99"), "PTR"), "NXDOMAIN");
  assert.equal(ask(reverseName("2001:db8:0:1::1"), "AAAA"), "NOERROR");
  assert.equal(
    reverseName("4321:0:1:2:3:4:567:89ab"),
    "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa",
    "as in RFC 3596 §2.5",
  );
});

test("a name that goes gives way to the next claim, or is forgotten with all above it", () => {
  const changing = new LocalNames();
  const text = (name: string, type = "AAAA"): string => {
    const world = new World({ [FIRST]: answering(0) }, { names: changing });
    const reply = world.ask(name, type);
    return world.asked.length > 0 ? "forwarded" : [reply.packet.rcode, ...reply.packet.answers.map(({ data }) => data)].join(" ");
  };
  const [one, two] = [
    { name: "a.b.rack.example", addresses: ["2001:db8::1"] },
    { name: "c.rack.example", addresses: ["2001:db8::1"] },
  ];
  changing.replace(Layer.machines, [one, two]);
  assert.equal(text(reverseName("2001:db8::1"), "PTR"), "NOERROR a.b.rack.example", "first come, first served");
  changing.set(Layer.records, { ...two, addresses: ["2001:db8::1", "2001:db8::2"] });
  assert.equal(text(reverseName("2001:db8::1"), "PTR"), "NOERROR c.rack.example");
  changing.set(Layer.records, { ...two, addresses: [] });
  assert.equal(text("c.rack.example"), "NOERROR 2001:db8::1", "what the machine is called is in force again");
  assert.equal(text(reverseName("2001:db8::2"), "PTR"), "NXDOMAIN");
  const { version } = changing;
  changing.replace(Layer.machines, [two]);
  assert.equal(changing.version, version + 1);
  assert.equal(text("a.b.rack.example"), "forwarded");
  assert.equal(text(reverseName("2001:db8::1"), "PTR"), "NOERROR c.rack.example");
  changing.replace(Layer.machines, [two]);
  assert.equal(changing.version, version + 1, "no change, no work");
});

test("special names are answered here (RFC 6761, 6762, 7686, 8375, 9462, 9665), and no others", () => {
  const cases: [name: string, type: string, answer: string][] = [
    ["localhost", "AAAA", "NOERROR ::1"], // whatever a client claims
    ["LOCALHOST", "A", "NOERROR 127.0.0.1"],
    ["localhost", "MX", "NOERROR"],
    ["a.b.localhost", "AAAA", "NOERROR ::1"],
    ["a.localhost", "TXT", "NOERROR"],
    ["invalid", "AAAA", "NOERROR"],
    ["a.invalid", "AAAA", "NXDOMAIN"],
    ["test", "AAAA", "NOERROR"],
    ["www.test", "AAAA", "NXDOMAIN"],
    ["lab.test", "AAAA", "NOERROR fd00::3"], // one that the configuration has
    ["printer.local", "AAAA", "NXDOMAIN"],
    ["abc.onion", "AAAA", "NXDOMAIN"],
    ["gw.home.arpa", "AAAA", "NXDOMAIN"],
    ["deep.below.home.arpa", "AAAA", "NOERROR fd00::2"],
    ["below.home.arpa", "AAAA", "NOERROR"],
    ["home.arpa", "SOA", "NOERROR SOA"],
    ["_dns.resolver.arpa", "SVCB", "NXDOMAIN"],
    ["default.service.arpa", "SOA", "NXDOMAIN"],
    ["notlocal", "AAAA", "forwarded"],
    ["www.example", "AAAA", "forwarded"], // RFC 6761 §6.5
    ["name.alt", "AAAA", "forwarded"], // RFC 9476 §3.2
    ["local.example", "AAAA", "forwarded"],
  ];
  for (const [name, type, answer] of cases) assert.equal(ask(name, type === "SVCB" ? "UNKNOWN_64" : type), answer, `${name} ${type}`);
});

test("the reverse zones of private addresses are not asked of the world (RFC 6303)", () => {
  const ours = [
    "1.0.0.10.in-addr.arpa",
    "1.1.16.172.in-addr.arpa",
    "1.1.31.172.in-addr.arpa",
    "9.9.168.192.in-addr.arpa",
    "1.1.64.100.in-addr.arpa",
    "1.1.127.100.in-addr.arpa",
    "1.0.0.0.in-addr.arpa",
    "2.0.0.127.in-addr.arpa",
    "1.1.254.169.in-addr.arpa",
    "1.2.0.192.in-addr.arpa",
    "1.100.51.198.in-addr.arpa",
    "1.113.0.203.in-addr.arpa",
  ].concat(["fe80::1", "fe90::1", "fea0::1", "febf::1", "fd12::1", "2001:db8::7"].map(reverseName));
  for (const name of ours) assert.equal(ask(name, "PTR"), "NXDOMAIN", name);
  for (const name of [reverseName("::"), "255.255.255.255.in-addr.arpa"]) assert.equal(ask(name, "PTR"), "NOERROR", name);
  assert.equal(ask(reverseName("::1"), "PTR"), "NOERROR localhost");
  assert.equal(ask("1.0.0.127.in-addr.arpa", "PTR"), "NOERROR localhost");
  assert.equal(ask("d.f.ip6.arpa", "NS"), "NOERROR localhost");
  const theirs = [
    "1.1.15.172.in-addr.arpa",
    "1.1.32.172.in-addr.arpa",
    "1.1.128.100.in-addr.arpa",
    reverseName("2620:fe::fe"),
    reverseName("fc00::1"),
  ];
  for (const name of theirs) assert.equal(ask(name, "PTR"), "forwarded", name);
});

test("resolv.conf: IPv6, IPv4 and link-local resolvers in its order, and none that is this forwarder", () => {
  const text = `# generated
domain rack.example
nameserver 2001:DB8:0:0::53
  nameserver\t192.0.2.53   # the old one
;nameserver 192.0.2.54
nameserver fe80::1%eth0
nameserver ::1
nameserver 2001:db8::53
nameserver nonsense
nameserver
options edns0`;
  assert.deepEqual(
    readResolvConf(text, (address) => address === "::1").map(({ address, port }) => `${address} ${port}`),
    ["2001:db8::53 53", "192.0.2.53 53", "fe80::1%eth0 53"],
  );
  assert.deepEqual(readResolvConf(""), []);
});
