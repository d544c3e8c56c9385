/** The slot that a relayed client stands in: options 18 and 37, as switches send them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, encodeRemoteId, MessageType, type Option, OptionCode, type RelayMessage } from "@netboot6/codec";
import { clientId, forward, iaNa, received, relayed } from "./test-messages.ts";
import { type TestServer, testServer } from "./test-server.ts";

const interfaceId = (name: string | Uint8Array): Option => ({ code: OptionCode.interfaceId, data: Buffer.from(name) });
const remoteId = (name: string): Option => ({
  code: OptionCode.remoteId,
  data: encodeRemoteId({ enterprise: 9, remoteId: Buffer.from(name) }),
});
const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 7, options: [clientId(1), iaNa(1)] });

/** Through these relays, the innermost first: the ports that its machine was seen at. */
function portsAfter(server: TestServer, ...relays: Partial<RelayMessage>[]) {
  const bytes = relays.reduce<Uint8Array>((inner, relay, hopCount) => forward(inner, { hopCount, ...relay }), solicit);
  const { events } = relayed(server, bytes);
  const answered = events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(answered?.type === "dhcpv6.answered", JSON.stringify(events));
  return server.state.machines.byId(answered.machine ?? "")?.ports;
}

test("a switch that routes names its port and the link-address", async () => {
  assert.deepEqual(portsAfter(await testServer(), { options: [interfaceId("Eth1/7"), remoteId("rack-2")] }), [
    { relay: "2001:db8:0:2::fe", interfaceId: "Eth1/7", remoteId: "rack-2" },
  ]);
  assert.deepEqual(portsAfter(await testServer(), { options: [interfaceId(Uint8Array.of(0, 4, 10))] }), [
    { relay: "2001:db8:0:2::fe", interfaceId: "0x00040a", remoteId: null },
  ]);
});

test("RFC 6221: a lightweight relay's port goes before the router's behind it, whose link-address names the relay", async () => {
  const ports = portsAfter(
    await testServer(),
    { linkAddress: "::", options: [interfaceId("ge-0/0/7")] },
    { linkAddress: "2001:db8:0:2::fe", options: [interfaceId("Vlan2")] },
  );
  assert.deepEqual(ports, [{ relay: "2001:db8:0:2::fe", interfaceId: "ge-0/0/7", remoteId: null }]);
});

test("where the nearest relay names no port, the next one's is it; where none does, there is none", async () => {
  const next = portsAfter(await testServer(), {}, { linkAddress: "2001:db8:0:1::fe", options: [interfaceId("Eth1/49")] });
  assert.deepEqual(next, [{ relay: "2001:db8:0:1::fe", interfaceId: "Eth1/49", remoteId: null }]);
  assert.deepEqual(portsAfter(await testServer(), {}), []);
});

test("a name that is empty, longer than any switch's, or malformed is none", async () => {
  const malformed: Option = { code: OptionCode.remoteId, data: Uint8Array.of(0, 0, 0, 9) };
  assert.deepEqual(portsAfter(await testServer(), { options: [interfaceId(""), malformed] }), []);
  assert.deepEqual(portsAfter(await testServer(), { options: [interfaceId("x".repeat(129))] }), []);
});

test("a configured slot names the machine by the relay's link-address or by the address it speaks from", async () => {
  for (const relay of ["2001:db8:0:2::fe", "2001:db8:0:1::fe"]) {
    const configuration = `networks: [{ interface: prov0 }, { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64" }]
machines: [{ name: node-07, port: { relay: "${relay}", interfaceId: "Eth1/7" } }]\n`;
    const server = await testServer(configuration);
    portsAfter(server, { options: [interfaceId("Eth1/7")] });
    assert.equal(server.state.machines.byMac("52:54:00:0b:00:01")?.id, "node-07");
  }
});

test("a client on the link stands in no slot that anybody tells", async () => {
  const server = await testServer();
  const { events } = received(server, solicit);
  const answered = events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(answered?.type === "dhcpv6.answered" && !("relay" in answered));
  assert.deepEqual(server.state.machines.byId(answered.machine ?? "")?.ports, []);
});
