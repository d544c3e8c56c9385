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
  const rebound = send(server, MessageType.rebind, [clientId(1), iaNa(1, address, "2001:db8:dead::1")]);
  assert.deepEqual(ias(reply(rebound))[0]?.leased, [
    [address, 4000],
    ["2001:db8:dead::1", 0],
  ]);
  assert.equal(ias(reply(send(server, MessageType.renew, [clientId(9), serverId, iaNa(1)])))[0]?.status, Status.noBinding);
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
  const [first, second] = ias(reply(request)).map(({ leased }) => leased[0]?.[0] ?? "");
  const answers = ias(
    reply(send(server, MessageType.renew, [clientId(1), serverId, iaNa(1, first ?? ""), iaNa(2, second ?? ""), iaNa(3)])),
  );
  assert.deepEqual(
    answers.map(({ iaid, t1, t2, leased, status }) => [iaid, t1, t2, leased[0]?.[0], status]),
    [
      [1, 1000, 2000, first, null],
      [2, 1000, 2000, second, null],
      [3, 0, 0, undefined, Status.noBinding],
    ],
  );
});
