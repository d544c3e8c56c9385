/** Renew and Rebind: RFC 9915 §18.3.4, §18.3.5. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageType, Status } from "@netboot6/codec";
import { clientId, given, iaNa, ias, RANGE, reply, send, serverId } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

test("§18.3.4, §18.3.5: Renew and Rebind extend; an address that is lost gets lifetimes of zero", async () => {
  const server = await testServer();
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  server.now += 1_000_000;
  const renewed = send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, address)]);
  assert.deepEqual(ias(reply(renewed))[0]?.leased, [[address, 4000]]);
  assert.equal(renewed.leases[0]?.validUntil, Math.floor(server.now / 1000) + 4000);
  const rebound = send(server, MessageType.rebind, [clientId(1), iaNa(1, address, "2001:db8:dead::1", "2001:db8:dead::2")]);
  assert.deepEqual(ias(reply(rebound))[0]?.leased, [
    [address, 4000],
    ["2001:db8:dead::1", 0],
    ["2001:db8:dead::2", 0],
  ]);
});

test("§18.3.4, §18.3.5: an IA that is not known is bound anew; where nothing is left it says NoAddrsAvail, and what it named is over", async () => {
  for (const type of [MessageType.renew, MessageType.rebind]) {
    const server = await testServer(RANGE);
    const ask = (client: number, ...named: string[]) => {
      const options = type === MessageType.renew ? [clientId(client), serverId] : [clientId(client)];
      return ias(reply(send(server, type, [...options, iaNa(1, ...named)], { source: `fe80::${client}` })))[0];
    };
    const given = [1, 2, 3, 4].map((client) => ask(client)?.leased[0]?.[0] ?? "");
    assert.equal(new Set(given).size, 4);
    assert.deepEqual([ask(5)?.status, ask(5)?.leased], [Status.noAddrsAvail, []]);
    const named = ask(5, given[0] ?? "");
    assert.deepEqual([named?.status, named?.leased], [Status.noAddrsAvail, [[given[0], 0]]]);
  }
});

test("§18.3.4: a binding that cannot be extended is told to be over, without a status", async () => {
  const server = await testServer(RANGE);
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  const off = await testServer("networks: [{ interface: prov0, dhcp: { pool: none } }]\n");
  server.state = { ...off.state, machines: server.state.machines, leases: server.state.leases };
  const [ia] = ias(reply(send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, address)])));
  assert.deepEqual(ia && [ia.t1, ia.t2, ia.leased, ia.status], [0, 0, [[address, 0]], null]);
});

test("§18.3.4, §18.3.5: an IA that is not known, with an address of the link, is bound anew: the leases may have been lost", async () => {
  for (const type of [MessageType.renew, MessageType.rebind]) {
    const server = await testServer(RANGE);
    const named = type === MessageType.renew ? [clientId(1), serverId] : [clientId(1)];
    const outcome = send(server, type, [...named, iaNa(1, "2001:db8:0:1::1002")]);
    assert.deepEqual(ias(reply(outcome))[0]?.leased, [["2001:db8:0:1::1002", 4000]]);
    assert.equal(outcome.leases[0]?.address, "2001:db8:0:1::1002");
  }
});

test("§18.3.4, §18.3.5: an address that another machine has gets lifetimes of zero, and another one is given", async () => {
  const server = await testServer(RANGE);
  const taken = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)], { source: "fe80::1" }));
  const [ia] = ias(reply(send(server, MessageType.rebind, [clientId(2), iaNa(1, taken)], { source: "fe80::2" })));
  assert.equal(ia?.leased.length, 2);
  assert.notEqual(ia?.leased[0]?.[0], taken);
  assert.deepEqual(ia?.leased[1], [taken, 0]);
});

test("§18.3.4: every IA of the message is answered by itself, with one T1 and T2", async () => {
  const server = await testServer();
  const request = send(server, MessageType.request, [clientId(1), serverId, iaNa(1), iaNa(2)]);
  const [first = "", second = ""] = ias(reply(request)).map(({ leased }) => leased[0]?.[0]);
  const answers = ias(reply(send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, first), iaNa(2, second), iaNa(3)])));
  const third = answers[2]?.leased[0]?.[0];
  assert.equal(new Set([first, second, third]).size, 3);
  assert.deepEqual(
    answers.map(({ iaid, t1, t2, leased, status }) => [iaid, t1, t2, leased[0]?.[0], status]),
    [
      [1, 1000, 2000, first, null],
      [2, 1000, 2000, second, null],
      [3, 1000, 2000, third, null],
    ],
  );
});

test("why an address is what it is, from whom it was taken over and what is not its own is told", async () => {
  const server = await testServer();
  const why = (outcome: ReturnType<typeof send>): string => {
    const answered = outcome.events.find(({ type }) => type === "dhcpv6.answered");
    return answered?.type === "dhcpv6.answered" ? answered.why.join("; ") : "";
  };
  const source = "fe80::5054:ff:fe00:1";
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)], { source }));
  const renew = (...named: string[]) => send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, ...named)], { source });
  assert.doesNotMatch(why(renew(address)), /is not its own/);
  assert.match(why(renew(address, "2001:db8:dead::1")), /; 2001:db8:dead::1 is not its own/);
  const other = send(server, MessageType.request, [clientId(2), serverId, iaNa(2)], { source });
  assert.match(why(other), /takes it over from DUID 00030001525400000001 IAID 00000001/);
  assert.doesNotMatch(why(send(server, MessageType.request, [clientId(2), serverId, iaNa(2)], { source })), /takes it over/);
});

test("§18.3.4: two IAs of one Renew that are not known are bound to two addresses", async () => {
  const server = await testServer(RANGE);
  const renewed = ias(reply(send(server, MessageType.renew, [clientId(1), serverId, iaNa(1), iaNa(2)])));
  assert.equal(new Set(renewed.map(({ leased }) => leased[0]?.[0])).size, 2);
});
