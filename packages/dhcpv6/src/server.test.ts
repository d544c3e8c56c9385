/** The server's rules, message by message. Real clients' messages are in samples.test.ts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type ClientServerMessage,
  decodeIa,
  decodeIaAddress,
  decodeMessage,
  decodeStatus,
  encodeIa,
  encodeMessage,
  encodeTexts,
  encodeU16List,
  findOption,
  iaAddressOption,
  isRelayMessage,
  MessageType,
  type Option,
  OptionCode,
  type RelayMessage,
  Status,
} from "@netboot6/codec";
import { Leases } from "@netboot6/leases";
import { handle, type Incoming, type Outcome } from "./server.ts";
import { SERVER_DUID, type TestServer, testServer } from "./test-server.ts";

const clientId = (n: number): Option => ({
  code: OptionCode.clientId,
  data: Uint8Array.of(0, 3, 0, 1, 0x52, 0x54, 0, 0, n >> 8, n & 0xff),
});
const serverId: Option = { code: OptionCode.serverId, data: SERVER_DUID };
const iaNa = (iaid: number, ...addresses: string[]): Option => ({
  code: OptionCode.iaNa,
  data: encodeIa({
    iaid,
    t1: 0,
    t2: 0,
    options: addresses.map((address) => iaAddressOption({ address, preferred: 0, valid: 0, options: [] })),
  }),
});
const wants = (...codes: number[]): Option => ({ code: OptionCode.optionRequest, data: encodeU16List(codes) });

function send(server: TestServer, type: number, options: readonly Option[], more: Partial<Incoming> = {}): Outcome {
  const bytes = encodeMessage({ type, transactionId: 0x123456, options });
  return handle(
    server.state,
    { bytes, source: "fe80::1234", sourcePort: 546, interface: "prov0", destination: "ff02::1:2", ...more },
    server.now,
  );
}

function reply(outcome: Outcome): ClientServerMessage {
  assert.ok(outcome.send, `answered: ${JSON.stringify(outcome.events)}`);
  const message = decodeMessage(outcome.send.bytes);
  assert.ok(message.ok && !isRelayMessage(message.value));
  return message.value;
}

const droppedWhy = (outcome: Outcome): string => {
  assert.equal(outcome.send, null);
  const event = outcome.events.find(({ type }) => type === "dhcpv6.dropped");
  assert.ok(event?.type === "dhcpv6.dropped");
  return event.why;
};

/** Addresses and status of the answer's IAs. */
function ias(
  message: ClientServerMessage,
): { iaid: number; t1: number; t2: number; addresses: [string, number][]; status: number | null }[] {
  return message.options
    .filter(({ code }) => code === OptionCode.iaNa)
    .map(({ data }) => {
      const ia = decodeIa(data);
      assert.ok(ia.ok);
      const status = findOption(ia.value.options, OptionCode.statusCode);
      const code = status && decodeStatus(status);
      return {
        iaid: ia.value.iaid,
        t1: ia.value.t1,
        t2: ia.value.t2,
        addresses: ia.value.options.flatMap((option): [string, number][] => {
          const address = option.code === OptionCode.iaAddress ? decodeIaAddress(option.data) : null;
          return address?.ok ? [[address.value.address, address.value.valid]] : [];
        }),
        status: code?.ok ? code.value.code : null,
      };
    });
}

const given = (outcome: Outcome): string => ias(reply(outcome))[0]?.addresses[0]?.[0] ?? "none";
const RANGE = `networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n    dhcp: { pool: "2001:db8:0:1::1000-2001:db8:0:1::1003" }\n`;

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
  assert.match(droppedWhy(send(server, MessageType.informationRequest, [clientId(1), ia])), /must not ask for addresses/);
  assert.match(droppedWhy(send(server, MessageType.informationRequest, [clientId(1), other])), /another server/);
  for (const type of [MessageType.advertise, MessageType.reply, MessageType.reconfigure, 77])
    assert.match(droppedWhy(send(server, type, [clientId(1)])), /not for servers/);
});

test("§18.4: what a client sends to our own address is discarded", async () => {
  const server = await testServer();
  assert.match(
    droppedWhy(send(server, MessageType.solicit, [clientId(1), iaNa(1)], { destination: "2001:db8:0:1::1" })),
    /not to ff02::1:2/,
  );
});

test("Solicit stores nothing; Request stores the lease it answers with, and its repetition is answered the same", async () => {
  const server = await testServer();
  const solicited = send(server, MessageType.solicit, [clientId(1), iaNa(7)]);
  assert.equal(reply(solicited).type, MessageType.advertise);
  assert.deepEqual(solicited.leases, []);
  const address = given(solicited);
  const requested = send(server, MessageType.request, [clientId(1), serverId, iaNa(7, address)]);
  assert.deepEqual(
    requested.leases.map((lease) => [lease.address, lease.iaid, lease.state]),
    [[address, 7, "bound"]],
  );
  assert.deepEqual(ias(reply(requested)), [{ iaid: 7, t1: 1000, t2: 2000, addresses: [[address, 4000]], status: null }]);
  const again = send(server, MessageType.request, [clientId(1), serverId, iaNa(7, address)]);
  assert.deepEqual(Buffer.from(again.send?.bytes ?? []), Buffer.from(requested.send?.bytes ?? []));
});

test("§18.3.1: rapid commit only where the client asks and the network allows it", async () => {
  const rapid: Option = { code: OptionCode.rapidCommit, data: new Uint8Array() };
  const server = await testServer();
  assert.equal(reply(send(server, MessageType.solicit, [clientId(1), iaNa(1), rapid])).type, MessageType.reply);
  const never = await testServer("networks:\n  - interface: prov0\n    dhcp: { rapidCommit: false }\n");
  const answer = reply(send(never, MessageType.solicit, [clientId(1), iaNa(1), rapid]));
  assert.equal(answer.type, MessageType.advertise);
  assert.equal(findOption(answer.options, OptionCode.rapidCommit), undefined);
});

test("two IAs of one message get two addresses; a full pool says NoAddrsAvail inside the IA", async () => {
  const server = await testServer(RANGE);
  const [first, second] = ias(reply(send(server, MessageType.request, [clientId(1), serverId, iaNa(1), iaNa(2)])));
  assert.notEqual(first?.addresses[0]?.[0], second?.addresses[0]?.[0]);
  const more = ias(reply(send(server, MessageType.request, [clientId(2), serverId, iaNa(1), iaNa(2), iaNa(3)], { source: "fe80::2" })));
  assert.deepEqual(
    more.map(({ status, addresses }) => [status, addresses.length]),
    [
      [null, 1],
      [null, 1],
      [Status.noAddrsAvail, 0],
    ],
  );
});

test("a released address stays with its machine, and goes to another only when no other is free", async () => {
  const server = await testServer(RANGE);
  const from = (n: number) => ({ source: `fe80::${n}` });
  const mine = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)], from(1)));
  const released = reply(send(server, MessageType.release, [clientId(1), serverId, iaNa(1, mine)], from(1)));
  assert.deepEqual(decodeStatus(findOption(released.options, OptionCode.statusCode) ?? new Uint8Array()), {
    ok: true,
    value: { code: Status.success, text: "" },
  });
  const others = [2, 3, 4].map((n) => given(send(server, MessageType.request, [clientId(n), serverId, iaNa(1)], from(n))));
  assert.ok(!others.includes(mine));
  assert.equal(new Set(others).size, 3);
  assert.equal(given(send(server, MessageType.solicit, [clientId(1), iaNa(1)], from(1))), mine);
  server.now += 60_000; // what was offered is free again
  assert.equal(given(send(server, MessageType.request, [clientId(5), serverId, iaNa(1)], from(5))), mine, "the last one");
});

test("a declined address rests", async () => {
  const server = await testServer(RANGE);
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  send(server, MessageType.decline, [clientId(1), serverId, iaNa(1, address)]);
  assert.equal(server.state.leases.byAddress(address)?.state, "declined");
  const next = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  assert.notEqual(next, address);
  assert.notEqual(next, "none");
});

test("§18.3.2: an address that cannot be on the link is answered with NotOnLink", async () => {
  const server = await testServer();
  assert.equal(
    ias(reply(send(server, MessageType.request, [clientId(1), serverId, iaNa(1, "2001:db8:dead::1")])))[0]?.status,
    Status.notOnLink,
  );
});

test("§18.3.3: Confirm is told whether its addresses are on the link, and without any there is silence", async () => {
  const server = await testServer();
  const status = (address: string): number | null => {
    const data = findOption(reply(send(server, MessageType.confirm, [clientId(1), iaNa(1, address)])).options, OptionCode.statusCode);
    const decoded = data && decodeStatus(data);
    return decoded?.ok ? decoded.value.code : null;
  };
  assert.equal(status("2001:db8:0:1::5"), Status.success);
  assert.equal(status("2001:db8:dead::5"), Status.notOnLink);
  assert.match(droppedWhy(send(server, MessageType.confirm, [clientId(1), iaNa(1)])), /without addresses/);
});

test("§18.3.4, §18.3.5: Renew and Rebind extend; an address that is lost gets lifetimes of zero", async () => {
  const server = await testServer();
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  server.now += 1_000_000;
  const renewed = send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, address)]);
  assert.deepEqual(ias(reply(renewed))[0]?.addresses, [[address, 4000]]);
  assert.equal(renewed.leases[0]?.validUntil, Math.floor(server.now / 1000) + 4000);
  const rebound = send(server, MessageType.rebind, [clientId(1), iaNa(1, address, "2001:db8:dead::1")]);
  assert.deepEqual(ias(reply(rebound))[0]?.addresses, [
    [address, 4000],
    ["2001:db8:dead::1", 0],
  ]);
  assert.equal(ias(reply(send(server, MessageType.renew, [clientId(9), serverId, iaNa(1)])))[0]?.status, Status.noBinding);
});

test("only what is asked for is given: DNS, search list, SOL_MAX_RT, refresh time", async () => {
  const server = await testServer();
  const codes = (type: number, ...asked: number[]) =>
    reply(send(server, type, [clientId(1), wants(...asked)])).options.map(({ code }) => code);
  assert.deepEqual(codes(MessageType.informationRequest), [1, 2]);
  assert.deepEqual(codes(MessageType.informationRequest, 23, 24, 82, 32), [1, 2, 23, 24, 82, 32]);
});

test("a machine keeps its reserved address whatever DUID it comes with, and nobody else gets it", async () => {
  const server = await testServer(`${RANGE}machines:\n  - { name: node-01, mac: "52:54:00:00:00:01", address: "2001:db8:0:1::1001" }\n`);
  assert.equal(given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)])), "2001:db8:0:1::1001");
  const uuid: Option = { code: OptionCode.clientId, data: Uint8Array.of(0, 4, ...Array(16).fill(7)) };
  const boots: Option = { code: OptionCode.clientArchitecture, data: encodeU16List([16]) };
  assert.equal(
    given(send(server, MessageType.request, [uuid, serverId, iaNa(0x999), boots], { source: "fe80::5054:ff:fe00:1" })),
    "2001:db8:0:1::1001",
  );
  for (let n = 2; n < 6; n++)
    assert.notEqual(given(send(server, MessageType.solicit, [clientId(n), iaNa(1)], { source: `fe80::${n}` })), "2001:db8:0:1::1001");
});

test("the same machine hashes to the same address after the leases were lost", async () => {
  const server = await testServer("networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n");
  const before = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  server.state = { ...server.state, leases: new Leases() };
  assert.equal(given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)])), before);
});

const forward = (inner: Uint8Array, more: Partial<RelayMessage> = {}): Uint8Array =>
  encodeMessage({
    type: MessageType.relayForward,
    hopCount: 0,
    linkAddress: "2001:db8:0:2::fe",
    peerAddress: "fe80::5054:ff:fe0b:1",
    ...more,
    options: [...(more.options ?? []), { code: OptionCode.relayMessage, data: inner }],
  });

const relayed = (server: TestServer, bytes: Uint8Array, source = "2001:db8:0:1::fe", sourcePort = 547): Outcome =>
  handle(server.state, { bytes, source, sourcePort, interface: null, destination: "2001:db8:0:1::1" }, server.now);

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

test("user class iPXE goes before the architecture, and a raw one is known too", async () => {
  const server = await testServer();
  const ask = (...userClass: Option[]) => {
    const answer = reply(
      send(server, MessageType.informationRequest, [
        clientId(1),
        wants(59),
        { code: OptionCode.clientArchitecture, data: encodeU16List([7]) },
        ...userClass,
      ]),
    );
    return Buffer.from(findOption(answer.options, OptionCode.bootfileUrl) ?? []).toString();
  };
  assert.equal(ask(), "tftp://[2001:db8:0:1::1]/ipxe/x86_64/ipxe.efi");
  assert.equal(ask({ code: OptionCode.userClass, data: encodeTexts(["iPXE"]) }), "http://[2001:db8:0:1::1]/boot.ipxe");
  assert.equal(ask({ code: OptionCode.userClass, data: Buffer.from("iPXE") }), "http://[2001:db8:0:1::1]/boot.ipxe");
});
