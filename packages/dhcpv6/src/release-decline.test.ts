/** Release and Decline: RFC 9915 §18.3.7, §18.3.8. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { decodeStatus, findOption, MessageType, OptionCode, Status } from "@netboot6/codec";
import { clientId, given, iaNa, ias, RANGE, reply, send, serverId, statusOf, wants } from "./test-messages.ts";
import { testServer } from "./test-server.ts";

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

test("§18.3.7, §18.3.8: what is not its own is answered with NoBinding inside the IA, Success at the top, and stays bound", async () => {
  const server = await testServer(RANGE);
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)], { source: "fe80::1" }));
  for (const type of [MessageType.release, MessageType.decline])
    for (const [client, iaid] of [
      [2, 1],
      [1, 2],
    ] as const) {
      const outcome = send(server, type, [clientId(client), serverId, iaNa(iaid, address)], { source: "fe80::1" });
      assert.deepEqual(ias(reply(outcome))[0], { iaid, t1: 0, t2: 0, leased: [], status: Status.noBinding });
      assert.equal(statusOf(reply(outcome).options), Status.success);
      assert.deepEqual(outcome.leases, []);
      assert.equal(server.state.leases.byAddress(address)?.state, "bound");
    }
});

test("§18.3.7, §18.3.8: only an IA without a binding is in the answer, as when the message comes again; no other options are", async () => {
  for (const type of [MessageType.release, MessageType.decline]) {
    const server = await testServer(RANGE);
    const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
    const giveBack = () => reply(send(server, type, [clientId(1), serverId, iaNa(1, address), wants(OptionCode.dnsServers)]));
    const { options } = giveBack();
    assert.deepEqual(
      options.map(({ code }) => code),
      [OptionCode.clientId, OptionCode.serverId, OptionCode.statusCode],
    );
    assert.equal(statusOf(options), Status.success);
    assert.equal(ias(giveBack())[0]?.status, Status.noBinding);
  }
});

test("a Release or Decline that comes again is answered no sooner than the first is on disk", async () => {
  for (const type of [MessageType.release, MessageType.decline]) {
    const server = await testServer(RANGE);
    const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
    const [first, again] = [1, 2].map(() => send(server, type, [clientId(1), serverId, iaNa(1, address)]).leases);
    assert.deepEqual([first?.length, again], [1, first]);
  }
});

test("§18.3.8: a declined address is given again after a day, not before", async () => {
  const server = await testServer(RANGE);
  const address = given(send(server, MessageType.request, [clientId(1), serverId, iaNa(1)]));
  send(server, MessageType.decline, [clientId(1), serverId, iaNa(1, address)]);
  // Four others at a pool of four: the last is given the declined one, or none.
  const last = () =>
    [2, 3, 4, 5].map((n) => given(send(server, MessageType.request, [clientId(n), serverId, iaNa(1)], { source: `fe80::${n}` }))).at(-1);
  server.now += 23 * 3600_000;
  assert.equal(last(), "none");
  server.now += 2 * 3600_000;
  assert.equal(last(), address);
});
