/** What is discarded, with its reason: RFC 9915 §16, §18.4. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeMessage, findOption, MessageType, type Option, OptionCode } from "@netboot6/codec";
import { clientId, droppedWhy, forward, iaNa, iaPd, ias, received, relayed, reply, send, serverId } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("§16: what must not carry a server's name, or must carry ours, is dropped with its reason", async () => {
  const server = await testServer();
  const ia = iaNa(1);
  for (const type of [MessageType.solicit, MessageType.rebind, MessageType.confirm]) {
    assert.match(droppedWhy(send(server, type, [ia])), /no client identifier/);
    assert.match(droppedWhy(send(server, type, [clientId(1), serverId, ia])), /names a server/);
  }
  const other: Option = { code: OptionCode.serverId, data: Uint8Array.of(0, 3, 0, 1, 9, 9, 9, 9, 9, 9) };
  for (const type of [MessageType.request, MessageType.renew, MessageType.release, MessageType.decline]) {
    assert.match(droppedWhy(send(server, type, [serverId, ia])), /no client identifier/);
    assert.match(droppedWhy(send(server, type, [clientId(1), ia])), /names no server/);
    assert.match(droppedWhy(send(server, type, [clientId(1), other, ia])), /another server/);
  }
  for (const asked of [ia, iaPd(1)])
    assert.match(droppedWhy(send(server, MessageType.informationRequest, [clientId(1), asked])), /must not ask for addresses/);
  assert.match(droppedWhy(send(server, MessageType.informationRequest, [clientId(1), other])), /another server/);
  for (const type of [MessageType.advertise, MessageType.reply, MessageType.reconfigure, 77])
    assert.match(droppedWhy(send(server, type, [clientId(1)])), /not for servers/);
});

test("§16.13: a Relay-reply is for relays, on the outside and within", async () => {
  const server = await testServer();
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 1, options: [clientId(1), iaNa(1)] });
  const back = forward(solicit, { type: MessageType.relayReply });
  for (const bytes of [back, forward(back)]) assert.equal(droppedWhy(relayed(server, bytes)), "a Relay-reply is for relays");
});

test("what a relay brings is told with the relay, and with the network of its link, though it is dropped", async () => {
  const server = await testServer();
  const told = (inner: Uint8Array) => {
    const [event] = relayed(server, forward(inner)).events;
    assert.ok(event?.type === "dhcpv6.dropped");
    return [event.relay, event.network, event.why];
  };
  const renew = encodeMessage({ type: MessageType.renew, transactionId: 1, options: [clientId(1), iaNa(1)] });
  assert.deepEqual(told(renew), ["2001:db8:0:1::fe", "rack-2", "it names no server"]);
  assert.deepEqual(told(Uint8Array.of(1)).slice(0, 2), ["2001:db8:0:1::fe", undefined]);
});

test("§18.4: what a client sends to our own address is discarded", async () => {
  const server = await testServer();
  assert.match(
    droppedWhy(send(server, MessageType.solicit, [clientId(1), iaNa(1)], { destination: "2001:db8:0:1::1" })),
    /not to ff02::1:2/,
  );
});

test("§16: what is longer or shorter than it says is dropped, and so is a message with more IAs than any client has", async () => {
  const server = await testServer();
  for (const hex of ["", "01", "01000001000100", "010000010001000a0003", "0100000100010002ffff"])
    assert.match(droppedWhy(received(server, Buffer.from(hex, "hex"))), /./, hex);
  const many = Array.from({ length: 33 }, (_, n) => iaNa(n));
  assert.match(droppedWhy(send(server, MessageType.solicit, [clientId(1), ...many])), /33 IAs; 32 are taken/);
});

test("§18.3: IA_TA is not served any more; the rest of the message is answered", async () => {
  const server = await testServer();
  const temporary: Option = { code: OptionCode.iaTa, data: Uint8Array.of(0, 0, 0, 1) };
  const answer = reply(send(server, MessageType.solicit, [clientId(1), temporary, iaNa(1)]));
  assert.equal(findOption(answer.options, OptionCode.iaTa), undefined);
  assert.equal(ias(answer).length, 1);
});

test("an unknown option changes nothing", async () => {
  const server = await testServer();
  const unknown: Option = { code: 65000, data: Uint8Array.of(1, 2, 3) };
  const bytes = (...more: Option[]) => Buffer.from(send(server, MessageType.solicit, [clientId(1), iaNa(1), ...more]).send?.bytes ?? []);
  assert.deepEqual(bytes(unknown), bytes());
});

test("what is not served is told under the machine's name, by its MAC and its own address; nothing is learned of it", async () => {
  const server = await testServer();
  const solicit = encodeMessage({ type: MessageType.solicit, transactionId: 1, options: [clientId(1), iaNa(1)] });
  const elsewhere = relayed(server, forward(solicit, { linkAddress: "2001:db8:7::1", peerAddress: "fe80::5054:ff:fe00:1" }));
  assert.deepEqual(elsewhere.events, [
    {
      type: "dhcpv6.dropped",
      message: "Solicit",
      clientKind: "system",
      why: "the relay's link-address 2001:db8:7::1 belongs to no network",
      client: "fe80::5054:ff:fe00:1",
      mac: "52:54:00:00:00:01",
      machine: "m-525400000001",
      relay: "2001:db8:0:1::fe",
    },
  ]);
  assert.deepEqual([...server.state.machines.all()], []);
});

test("what comes in where no network is, or on one whose DHCPv6 is off, is dropped with that reason", async () => {
  const server = await testServer("networks: [{ interface: prov0, dhcp: false }]\n");
  const why = (on: string | null): string => droppedWhy(send(server, MessageType.solicit, [clientId(1), iaNa(1)], { interface: on }));
  assert.equal(why("prov0"), "DHCPv6 is off on network prov0");
  assert.equal(why("eth7"), "no network on eth7");
  assert.equal(why(null), "no network on that interface");
});
