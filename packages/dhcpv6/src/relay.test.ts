/** Relays: RFC 9915 §19, RFC 6221, RFC 6939, RFC 8357. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodeMessage, encodeRemoteId, findOption, isRelayMessage, MessageType, OptionCode } from "@netboot6/codec";
import { handle } from "./server.ts";
import { clientId, droppedWhy, forward, iaNa, iaPd, received, relayed } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("§19: a relayed answer goes back the same way, interface-id echoed, through two relays", async () => {
  const server = await testServer();
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  const inner = forward(solicit, { options: [{ code: OptionCode.interfaceId, data: Buffer.from("Eth1/7") }] });
  const outcome = relayed(server, forward(inner, { hopCount: 1, linkAddress: "2001:db8:0:1::fe", peerAddress: "2001:db8:0:2::fe" }));
  assert.deepEqual([outcome.send?.to, outcome.send?.port], ["2001:db8:0:1::fe", 547]);
  const outer = decodeMessage(outcome.send?.bytes ?? new Uint8Array());
  assert.ok(outer.ok && isRelayMessage(outer.value));
  assert.deepEqual(
    [outer.value.type, outer.value.hopCount, outer.value.linkAddress, outer.value.peerAddress],
    [13, 1, "2001:db8:0:1::fe", "2001:db8:0:2::fe"],
  );
  const middle = decodeMessage(findOption(outer.value.options, OptionCode.relayMessage) ?? new Uint8Array());
  assert.ok(middle.ok && isRelayMessage(middle.value));
  assert.equal(Buffer.from(findOption(middle.value.options, OptionCode.interfaceId) ?? []).toString(), "Eth1/7");
  const answered = outcome.events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(answered?.type === "dhcpv6.answered" && answered.network === "rack-2" && answered.mac === "52:54:00:0b:00:01");
  assert.deepEqual(answered.addresses, ["2001:db8:0:2:5054:ff:fe0b:1"]);
});

test("relays: who is not on the list, unknown links, too many hops and empty envelopes are dropped with their reason", async () => {
  const server = await testServer();
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  assert.match(
    droppedWhy(relayed(server, forward(solicit), "2001:db8:0:1::bad")),
    /relay 2001:db8:0:1::bad is not among the relays of network rack-2/,
  );
  assert.match(
    droppedWhy(relayed(server, forward(solicit, { linkAddress: "2001:db8:7::1" }))),
    /link-address 2001:db8:7::1 belongs to no network/,
  );
  assert.match(droppedWhy(relayed(server, forward(solicit, { hopCount: 8 }))), /more than 8 relays/);
  let nested: Uint8Array = solicit;
  for (let i = 0; i < 10; i++) nested = forward(nested);
  assert.match(droppedWhy(relayed(server, nested)), /more than 8 relays/);
  assert.match(
    droppedWhy(relayed(server, encodeMessage({ type: 12, hopCount: 0, linkAddress: "::", peerAddress: "::", options: [] }))),
    /without a message/,
  );
});

test("RFC 6939: the relay's word on the MAC goes before the peer's address; RFC 8357: answers go to the relay's port", async () => {
  const server = await testServer();
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  const options = [
    { code: OptionCode.clientLinkLayerAddress, data: Uint8Array.of(0, 1, 0x52, 0x54, 0, 0xaa, 0, 2) },
    { code: OptionCode.relayPort, data: Uint8Array.of(0, 0) },
  ];
  const outcome = relayed(server, forward(solicit, { options }), "2001:db8:0:1::fe", 12345);
  assert.equal(outcome.send?.port, 12345);
  const answered = outcome.events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(answered?.type === "dhcpv6.answered" && answered.mac === "52:54:00:aa:00:02");
});

test("a relay that is not on the network's list is dropped under that network's name", async () => {
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  const { events } = relayed(await testServer(), forward(solicit), "2001:db8:0:1::bad");
  const [event] = events;
  assert.ok(event?.type === "dhcpv6.dropped");
  assert.deepEqual([event.network, event.relay], ["rack-2", "2001:db8:0:1::bad"]);
});

test("§19.3: of the relay's options only interface-id and relay port go back: neither remote-id nor the client's address do", async () => {
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  const options = [
    { code: OptionCode.remoteId, data: encodeRemoteId({ enterprise: 9, remoteId: Buffer.from("rack-2") }) },
    { code: OptionCode.clientLinkLayerAddress, data: Uint8Array.of(0, 1, 0x52, 0x54, 0, 0xaa, 0, 2) },
    { code: OptionCode.interfaceId, data: Uint8Array.of(0, 7) },
  ];
  const answer = decodeMessage(relayed(await testServer(), forward(solicit, { options })).send?.bytes ?? new Uint8Array());
  assert.ok(answer.ok);
  assert.deepEqual(
    answer.value.options.map(({ code }) => code),
    [OptionCode.interfaceId, OptionCode.relayMessage],
  );
});

test("RFC 6221: a lightweight relay has no link-address: the next one outwards tells the link, or the interface it came in on", async () => {
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });
  const network = (outcome: ReturnType<typeof relayed>) => {
    const event = outcome.events.find(({ type }) => type === "dhcpv6.answered");
    return event?.type === "dhcpv6.answered" ? event.network : droppedWhy(outcome);
  };
  const server = await testServer();
  const inner = forward(solicit, { linkAddress: "::" });
  assert.equal(network(relayed(server, forward(inner, { hopCount: 1 }))), "rack-2");
  assert.match(network(relayed(server, inner)) ?? "", /no relay on the way told the client's link/);
  const onLink = { bytes: inner, source: "fe80::5", sourcePort: 547, interface: "prov0", destination: "ff02::1:2" };
  assert.equal(network(handle(server.state, onLink, server.now)), "prov0");
});

const SOLICIT = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });

function networkOf(outcome: ReturnType<typeof relayed>): string {
  const event = outcome.events.find(({ type }) => type === "dhcpv6.answered");
  return event?.type === "dhcpv6.answered" ? (event.network ?? "none") : droppedWhy(outcome);
}

test("§19.3: each relay on the way back has its own interface-id and relay port", async () => {
  const named = (id: string, port: number) => [
    { code: OptionCode.interfaceId, data: Buffer.from(id) },
    { code: OptionCode.relayPort, data: Uint8Array.of(0, port) },
  ];
  const inner = forward(SOLICIT, { options: named("inner", 1) });
  const outcome = relayed(await testServer(), forward(inner, { hopCount: 1, options: named("outer", 2) }));
  let bytes = outcome.send?.bytes ?? new Uint8Array();
  for (const [id, port] of [
    ["outer", 2],
    ["inner", 1],
  ]) {
    const message = decodeMessage(bytes);
    assert.ok(message.ok && isRelayMessage(message.value));
    const { options } = message.value;
    assert.equal(Buffer.from(findOption(options, OptionCode.interfaceId) ?? []).toString(), id);
    assert.deepEqual([...(findOption(options, OptionCode.relayPort) ?? [])], [0, port]);
    bytes = findOption(options, OptionCode.relayMessage) ?? new Uint8Array();
  }
});

test("RFC 8357 §5: answers go to port 547, unless the outermost relay says that it sent from another", async () => {
  const server = await testServer();
  const says = { options: [{ code: OptionCode.relayPort, data: Uint8Array.of(0, 0) }] };
  const port = (bytes: Uint8Array) => relayed(server, bytes, "2001:db8:0:1::fe", 12345).send?.port;
  assert.equal(port(forward(SOLICIT)), 547);
  assert.equal(port(forward(forward(SOLICIT, says), { hopCount: 1 })), 547, "the innermost one's is not where we answer to");
  assert.equal(port(forward(forward(SOLICIT), { hopCount: 1, ...says })), 12345);
});

test("RFC 6939: the relay nearest to the client tells its MAC, of Ethernet alone", async () => {
  const server = await testServer();
  const mac = (type: number, last: number) => ({
    options: [{ code: OptionCode.clientLinkLayerAddress, data: Uint8Array.of(0, type, 0x52, 0x54, 0, 0xaa, 0, last) }],
  });
  const told = (bytes: Uint8Array) => {
    const event = relayed(server, bytes).events.find(({ type }) => type === "dhcpv6.answered");
    return event?.type === "dhcpv6.answered" ? event.mac : undefined;
  };
  assert.equal(told(forward(forward(SOLICIT, mac(1, 2)), { hopCount: 1, ...mac(1, 9) })), "52:54:00:aa:00:02");
  assert.equal(told(forward(forward(SOLICIT), { hopCount: 1, ...mac(1, 9) })), "52:54:00:0b:00:01", "the peer's address");
  assert.equal(told(forward(SOLICIT, mac(6, 3))), "52:54:00:0b:00:01");
});

test("§19.1.1: a link-local link-address tells no link", async () => {
  const server = await testServer();
  const inner = forward(SOLICIT, { linkAddress: "fe80::5" });
  assert.equal(networkOf(relayed(server, forward(inner, { hopCount: 1 }))), "rack-2");
});

test("the allow-list holds prefixes, and is asked whoever told the link", async () => {
  const server = await testServer(`networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", relays: ["2001:db8:ffff::/64"] }
`);
  for (const bytes of [forward(SOLICIT), forward(forward(SOLICIT, { linkAddress: "::" }), { hopCount: 1 })]) {
    assert.equal(networkOf(relayed(server, bytes, "2001:db8:ffff::77")), "rack-2");
    assert.match(networkOf(relayed(server, bytes, "2001:db8:fffe::77")), /not among the relays of network rack-2/);
  }
});

test("on a link of ours a relay is a switch on that very link: nobody from elsewhere relays for it", async () => {
  const server = await testServer();
  const onLink = forward(SOLICIT, { linkAddress: "2001:db8:0:1::fe" });
  assert.match(networkOf(relayed(server, onLink, "2001:db8:bad::66")), /relay 2001:db8:bad::66 is not on the link of network prov0/);
  assert.equal(networkOf(relayed(server, onLink, "2001:db8:0:1::fe")), "prov0");
  const from = (source: string, on: string) => {
    const incoming = { bytes: onLink, source, sourcePort: 547, interface: on, destination: "ff02::1:2" };
    return networkOf(handle(server.state, incoming, server.now));
  };
  assert.equal(from("fe80::5", "prov0"), "prov0");
  assert.match(from("fe80::5", "other0"), /not on the link/);
  const noAddress = { bytes: forward(SOLICIT, { linkAddress: "::" }), sourcePort: 547, interface: "prov0", destination: "ff02::1:2" };
  assert.match(networkOf(handle(server.state, { ...noAddress, source: "2001:db8:bad::66" }, server.now)), /not on the link/);
});

test("linkAddresses: a link-address that a network names is that network's, whatever prefix it is in; of others that one takes none", async () => {
  const server = await testServer(`networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", linkAddresses: ["2001:db8:0:1::fe"] }
`);
  assert.equal(networkOf(relayed(server, forward(SOLICIT, { linkAddress: "2001:db8:0:1::fe" }))), "rack-2");
  assert.equal(networkOf(relayed(server, forward(SOLICIT, { linkAddress: "2001:db8:0:1::fd" }))), "prov0");
  assert.match(networkOf(relayed(server, forward(SOLICIT))), /belongs to no network/);
});

test("a reservation is given behind a relay too, on the network that it is of and on no other", async () => {
  const server = await testServer(`networks:
  - { interface: prov0, dhcp: { delegate: { prefix: "2001:db8:f1::/56", length: 64 } } }
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", relays: ["2001:db8:0:1::fe"], dhcp: { delegate: { prefix: "2001:db8:f2::/56", length: 64 } } }
machines:
  - { name: node-01, mac: "52:54:00:0b:00:01", address: "2001:db8:0:2::aa", prefix: "2001:db8:f2:7::/64" }
`);
  const both = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1), iaPd(1)] });
  const given = (outcome: ReturnType<typeof relayed>) => {
    const event = outcome.events.find(({ type }) => type === "dhcpv6.answered");
    return event?.type === "dhcpv6.answered" ? event.addresses : [];
  };
  assert.deepEqual(given(relayed(server, forward(both))), ["2001:db8:0:2::aa", "2001:db8:f2:7::/64"]);
  const here = given(received(server, both, { source: "fe80::5054:ff:fe0b:1" }));
  assert.equal(here[0], "2001:db8:0:1:5054:ff:fe0b:1");
  assert.match(here[1] ?? "", /^2001:db8:f1:/);
});
