/** Relays: RFC 9915 §19, RFC 6221, RFC 6939, RFC 8357. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeMessage, encodeMessage, encodeRemoteId, findOption, isRelayMessage, MessageType, OptionCode } from "@netboot6/codec";
import { handle } from "./server.ts";
import { clientId, droppedWhy, forward, iaNa, relayed } from "./test-messages.ts";
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
