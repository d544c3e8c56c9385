/** RFC 4704: the names that clients claim. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeClientFqdn, encodeClientFqdn, FqdnFlag, findOption, MessageType, type Option, OptionCode } from "@netboot6/codec";
import { clientId, given, iaNa, iaPd, reply, send, serverId, wants, whys } from "./test-messages.ts";
import { type TestServer, testServer } from "./test-server.ts";

const { s: S, o: O, n: N } = FqdnFlag;
const fqdn = (flags: number, name: string): Option => ({
  code: OptionCode.clientFqdn,
  data: encodeClientFqdn({ flags, labels: name.split(".").filter(Boolean), whole: name.endsWith(".") }),
});

function ask(server: TestServer, flags: number, name: string, n = 1, type: number = MessageType.request) {
  const options = [
    clientId(n),
    ...(type === MessageType.solicit ? [] : [serverId]),
    iaNa(1),
    wants(OptionCode.clientFqdn),
    fqdn(flags, name),
  ];
  const outcome = send(server, type, options, { source: `fe80::${n}` });
  const data = findOption(reply(outcome).options, OptionCode.clientFqdn);
  const { flags: answered, labels, whole } = decodeClientFqdn(data ?? new Uint8Array());
  return {
    flags: answered,
    name: `${labels?.join(".")}${whole ? "." : ""}`,
    why: whys(outcome),
    hostname: outcome.leases[0]?.hostname,
    given: given(outcome),
  };
}

test("§6: a claimed name is kept with the lease and told as a whole; S is set, O where the client wanted to do it itself", async () => {
  for (const [flags, answered] of [
    [S, S],
    [0, S | O],
  ] as const)
    for (const name of ["Web-1", "web-1.", "web-1.rack.example", "WEB-1.rack.example."]) {
      const { why, given: _, ...told } = ask(await testServer(), flags, name);
      assert.deepEqual(told, { flags: answered, name: "web-1.rack.example.", hostname: "web-1.rack.example" }, name);
      assert.match(why, /it is called web-1\.rack\.example, as it claims/);
    }
  assert.equal(ask(await testServer(), S, "a.b").hostname, "a.b.rack.example", "a part of a name stands under the domain");
  const solicited = ask(await testServer(), S, "web-1", 1, MessageType.solicit);
  assert.deepEqual([solicited.flags, solicited.name, solicited.hostname], [S, "web-1.rack.example.", undefined]);
});

test("§5: a name that is claimed in a Renew or Rebind counts, and the one that was claimed before is nobody's then", async () => {
  for (const type of [MessageType.renew, MessageType.rebind]) {
    const server = await testServer();
    const address = ask(server, S, "web-1").given;
    const options = type === MessageType.renew ? [clientId(1), serverId] : [clientId(1)];
    const extended = send(server, type, [...options, iaNa(1, address), fqdn(S, "web-2")], { source: "fe80::1" });
    assert.equal(extended.leases[0]?.hostname, "web-2.rack.example");
    assert.equal(ask(server, S, "web-1", 2).hostname, "web-1.rack.example");
  }
});

test("§4.1: where the client wants no name known, none is: N, its own name back", async () => {
  const { flags, name, hostname, why } = ask(await testServer(), N, "web-1");
  assert.deepEqual([flags, name, hostname], [N, "web-1", undefined]);
  assert.match(why, /wants its name not to be known/);
});

test("§6: answered only to a client that sent the option and asks for it; the name is kept all the same", async () => {
  const server = await testServer();
  const silent = send(server, MessageType.request, [clientId(1), serverId, iaNa(1), fqdn(S, "web-1")]);
  assert.equal(findOption(reply(silent).options, OptionCode.clientFqdn), undefined);
  assert.equal(silent.leases[0]?.hostname, "web-1.rack.example");
  const unasked = send(server, MessageType.request, [clientId(2), serverId, iaNa(1), wants(OptionCode.clientFqdn)]);
  assert.equal(findOption(reply(unasked).options, OptionCode.clientFqdn), undefined);
  const stateless = send(server, MessageType.informationRequest, [clientId(3), wants(OptionCode.clientFqdn), fqdn(S, "web-3")]);
  assert.equal(findOption(reply(stateless).options, OptionCode.clientFqdn), undefined);
});

test("names that are no host's under the domain are ignored, with the reason; the machine's own name is told", async () => {
  for (const [name, why] of [
    ["web_1", /no host's under rack\.example/],
    ["-web", /no host's/],
    ["web-", /no host's/],
    ["web\u00e9", /no host's/],
    ["web-1.elsewhere.example.", /web-1\.elsewhere\.example, which is no host's under rack\.example/],
    [Array(5).fill("a".repeat(60)).join("."), /no host's/],
    ["", /claims no name of its own/],
  ] as const) {
    const told = ask(await testServer(), S, name);
    assert.deepEqual([told.flags, told.name, told.hostname], [S, "m-525400000001.rack.example.", undefined], name);
    assert.match(told.why, why);
  }
  const malformed = { code: OptionCode.clientFqdn, data: Uint8Array.of(S, 0xc0, 0) };
  assert.match(whys(send(await testServer(), MessageType.request, [clientId(1), serverId, iaNa(1), malformed])), /malformed/);
});

test("without a domain no name is served: N, and O where the client wanted it", async () => {
  const server = await testServer("networks:\n  - interface: prov0\n");
  const { flags, name, hostname, why } = ask(server, S, "web-1");
  assert.deepEqual([flags, name, hostname], [N | O, "web-1", undefined]);
  assert.match(why, /a domain: none is configured/);
});

test("records and machines go before claims; the configured name of the machine itself too", async () => {
  const server = await testServer(`domain: rack.example
networks: [{ interface: prov0 }]
machines: [{ name: node-01, mac: "52:54:00:00:00:01" }, { name: node-02, mac: "52:54:00:00:00:02" }]
dns: { records: { mirror.rack.example: ["2001:db8::1"] } }\n`);
  assert.match(ask(server, S, "mirror", 3).why, /one of dns\.records/);
  assert.match(ask(server, S, "node-02", 3).why, /which another machine is called/);
  assert.match(ask(server, S, "m-525400000003", 4).why, /which another machine is called/);
  const own = ask(server, S, "web-1", 1);
  assert.deepEqual([own.name, own.hostname], ["node-01.rack.example.", undefined]);
  assert.match(own.why, /and the configuration names its machine/);
});

test("the first who claims a name has it, until its lease ends", async () => {
  const server = await testServer();
  assert.equal(ask(server, S, "web-1", 1).hostname, "web-1.rack.example");
  assert.match(ask(server, S, "web-1", 2).why, /which another machine has claimed before \(m-525400000001\)/);
  server.now += 1_000_000;
  const renewed = send(
    server,
    MessageType.renew,
    [clientId(1), serverId, iaNa(1, server.state.leases.ofMachine("m-525400000001")[0]?.address ?? "")],
    {
      source: "fe80::1",
    },
  );
  assert.equal(renewed.leases[0]?.hostname, "web-1.rack.example", "a Renew that does not name it keeps it");
  server.now += 3_999_000;
  assert.equal(ask(server, S, "web-1", 2).hostname, undefined);
  server.now += 2_000;
  assert.equal(ask(server, S, "web-1", 3).hostname, "web-1.rack.example", "its time is over");
});

test("a name is an address's, no prefix's", async () => {
  const server = await testServer(
    `domain: rack.example\nnetworks: [{ interface: prov0, dhcp: { delegate: { prefix: "2001:db8:fff::/48", length: 60 } } }]\n`,
  );
  const { leases } = send(server, MessageType.request, [clientId(1), serverId, iaNa(1), iaPd(1), fqdn(S, "web-1")]);
  assert.deepEqual(
    leases.map(({ hostname }) => hostname),
    ["web-1.rack.example", undefined],
  );
});
