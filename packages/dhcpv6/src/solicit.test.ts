/** Solicit: RFC 9915 §18.3.1. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeTexts, findOption, MessageType, type Option, OptionCode, Status } from "@netboot6/codec";
import { clientId, given, iaNa, ias, RANGE, reply, send, serverId, statusOf, wants } from "./test-messages.ts";
import { SERVER_DUID, testServer } from "./test-server.ts";

test("§18.3.1: rapid commit only where the client asks and the network allows it", async () => {
  const rapid: Option = { code: OptionCode.rapidCommit, data: new Uint8Array() };
  const server = await testServer();
  const outcome = send(server, MessageType.solicit, [clientId(1), iaNa(1), rapid]);
  assert.equal(reply(outcome).type, MessageType.reply);
  assert.ok(findOption(reply(outcome).options, OptionCode.rapidCommit));
  assert.deepEqual(
    outcome.leases.map(({ address, state }) => [address, state]),
    [[given(outcome), "bound"]],
    "stored before it is answered",
  );
  const never = await testServer("networks:\n  - interface: prov0\n    dhcp: { rapidCommit: false }\n");
  const answer = reply(send(never, MessageType.solicit, [clientId(1), iaNa(1), rapid]));
  assert.equal(answer.type, MessageType.advertise);
  assert.equal(findOption(answer.options, OptionCode.rapidCommit), undefined);
});

test("§18.3.1: an Advertise carries the transaction-id, both identifiers and the preference, and stores nothing", async () => {
  const server = await testServer();
  const outcome = send(server, MessageType.solicit, [clientId(1), iaNa(1)]);
  const answer = reply(outcome);
  assert.deepEqual([answer.type, answer.transactionId, outcome.leases], [MessageType.advertise, 0x123456, []]);
  assert.deepEqual(findOption(answer.options, OptionCode.clientId), clientId(1).data);
  assert.deepEqual(Buffer.from(findOption(answer.options, OptionCode.serverId) ?? []), SERVER_DUID);
  assert.deepEqual(findOption(answer.options, OptionCode.preference), Uint8Array.of(255));
});

test("§18.3.1: what is offered is what is given, and nobody else is offered it meanwhile", async () => {
  const server = await testServer(RANGE);
  const offers = [1, 2, 3, 4].map((n) => given(send(server, MessageType.solicit, [clientId(n), iaNa(1)], { source: `fe80::${n}` })));
  assert.equal(new Set(offers).size, 4);
  for (const [i, offer] of offers.entries())
    assert.equal(
      given(send(server, MessageType.request, [clientId(i + 1), serverId, iaNa(1, offer)], { source: `fe80::${i + 1}` })),
      offer,
    );
});

test("§18.3.1: an address that it asks for is offered where it is free and in the pool", async () => {
  const server = await testServer(RANGE);
  assert.equal(given(send(server, MessageType.solicit, [clientId(1), iaNa(1, "2001:db8:0:1::1002")])), "2001:db8:0:1::1002");
  const other = given(send(server, MessageType.solicit, [clientId(2), iaNa(1, "2001:db8:0:1::1002")], { source: "fe80::2" }));
  assert.notEqual(other, "2001:db8:0:1::1002", "offered to another");
  assert.match(
    given(send(server, MessageType.solicit, [clientId(3), iaNa(1, "2001:db8:dead::1")], { source: "fe80::3" })),
    /^2001:db8:0:1::100/,
  );
});

test("§18.3.1: NoAddrsAvail inside the IA, and the other options beside it, where no address is leased", async () => {
  const server = await testServer("networks:\n  - interface: prov0\n    dhcp: { pool: none }\n");
  const answer = reply(send(server, MessageType.solicit, [clientId(1), iaNa(1), wants(OptionCode.dnsServers)]));
  assert.equal(ias(answer)[0]?.status, Status.noAddrsAvail);
  assert.equal(statusOf(answer.options), null, "not at the top");
  assert.ok(findOption(answer.options, OptionCode.dnsServers));
});

test("two IAs of one Solicit are offered two addresses, though it is a boot client's", async () => {
  for (const configuration of [RANGE, undefined]) {
    const server = await testServer(configuration);
    const classes: Option = { code: OptionCode.userClass, data: encodeTexts(["iPXE"]) };
    const [first, second] = ias(reply(send(server, MessageType.solicit, [clientId(1), iaNa(1), iaNa(2), classes])));
    assert.ok(first?.leased[0] && second?.leased[0]);
    assert.notEqual(first.leased[0][0], second.leased[0][0]);
  }
});
