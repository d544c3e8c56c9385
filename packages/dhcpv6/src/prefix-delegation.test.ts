/** IA_PD: RFC 9915 §18.3, length hints of RFC 8168. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { MessageType, OptionCode, Status } from "@netboot6/codec";
import { Leases } from "@netboot6/leases";
import { clientId, given, iaNa, iaPd, ias, pds, reply, send, serverId, whys } from "./test-messages.ts";
import { type TestServer, testServer } from "./test-server.ts";

const DELEGATE = `networks:\n  - interface: prov0\n    dhcp: { delegate: { prefix: "2001:db8:fff::/48", length: 60 } }\n`;
/** Two prefixes in all. */
const TWO = DELEGATE.replace("length: 60", "length: 49");

const request = (server: TestServer, n: number, ...ias: ReturnType<typeof iaPd>[]) =>
  send(server, MessageType.request, [clientId(n), serverId, ...ias], { source: `fe80::${n}` });
const prefixOf = (outcome: ReturnType<typeof send>): string => pds(outcome)[0]?.leased[0]?.[0] ?? "none";

test("Solicit offers a prefix and stores nothing; Request stores the prefix it answers with", async () => {
  const server = await testServer(DELEGATE);
  const solicited = send(server, MessageType.solicit, [clientId(1), iaPd(7)]);
  assert.deepEqual(solicited.leases, []);
  const prefix = prefixOf(solicited);
  assert.match(prefix, /^2001:db8:fff:.*\/60$/);
  const requested = send(server, MessageType.request, [clientId(1), serverId, iaPd(7, prefix)]);
  assert.deepEqual(
    requested.leases.map(({ address, iaid, state }) => [address, iaid, state]),
    [[prefix, 7, "bound"]],
  );
  assert.deepEqual(pds(requested), [{ iaid: 7, t1: 1000, t2: 2000, leased: [[prefix, 4000]], status: null }]);
  const answered = requested.events.find(({ type }) => type === "dhcpv6.answered");
  assert.deepEqual(answered?.type === "dhcpv6.answered" && answered.addresses, [prefix]);
});

test("a machine keeps its prefix: through another DUID, after a Release, and after the leases were lost", async () => {
  const server = await testServer(DELEGATE);
  const source = { source: "fe80::5054:ff:fe0b:1" };
  const duid = (n: number) => ({ code: OptionCode.clientId, data: Uint8Array.of(0, 2, 0, 0, 0xab, 0x11, n) });
  const ask = (n: number) => prefixOf(send(server, MessageType.request, [duid(n), serverId, iaPd(n)], source));
  const prefix = ask(1);
  server.now += 1000;
  assert.equal(ask(2), prefix);
  send(server, MessageType.release, [duid(2), serverId, iaPd(2, prefix)], source);
  assert.equal(server.state.leases.byAddress(prefix)?.state, "released");
  assert.equal(ask(3), prefix);
  server.state = { ...server.state, leases: new Leases() };
  assert.equal(ask(4), prefix);
});

test("several IA_PDs in one message get several prefixes, beside the addresses, with one T1 and T2", async () => {
  const server = await testServer(DELEGATE);
  const outcome = send(server, MessageType.request, [clientId(1), serverId, iaNa(1), iaPd(1), iaPd(2)]);
  const [first, second] = pds(outcome);
  assert.notEqual(first?.leased[0]?.[0], second?.leased[0]?.[0]);
  const times = [...ias(reply(outcome)), ...pds(outcome)].map(({ t1, t2 }) => [t1, t2]);
  assert.deepEqual(times, Array(3).fill([1000, 2000]));
  // IA_NA and IA_PD number their associations apart: both IAs 1 are there.
  const [network] = server.state.networks;
  assert.ok(network);
  const binding = { network, machine: "m-525400000001", duid: "00030001525400000001", iaid: 1, interfaceMac: null, hints: [] };
  assert.equal(server.state.leases.byBinding({ kind: "prefix", ...binding })?.address, first?.leased[0]?.[0]);
  assert.equal(server.state.leases.byBinding({ kind: "address", ...binding })?.address, given(outcome));
});

test("a hint is honoured where it is free and inside; bits beyond its length are not looked at", async () => {
  const server = await testServer(DELEGATE);
  assert.equal(prefixOf(request(server, 1, iaPd(1, "2001:db8:fff:ab0::/60"))), "2001:db8:fff:ab0::/60");
  assert.equal(prefixOf(request(server, 2, iaPd(1, "2001:db8:fff:abc::1/60"))).startsWith("2001:db8:fff:ab0:"), false, "taken");
  assert.equal(prefixOf(request(server, 3, iaPd(1, "2001:db8:fff:cdf::1/60"))), "2001:db8:fff:cd0::/60");
  assert.match(prefixOf(request(server, 4, iaPd(1, "2001:db8:eee::/60"))), /^2001:db8:fff:/);
});

test("RFC 8168: another length than the configured one is answered with the configured one, and the reason says so", async () => {
  const server = await testServer(DELEGATE);
  for (const [n, hint] of ["::/56", "::/64", "2001:db8:fff:100::/56"].entries()) {
    const outcome = request(server, n + 1, iaPd(1, hint));
    assert.match(prefixOf(outcome), /\/60$/);
    assert.match(whys(outcome), /asked for a \/(56|64), and that is not delegated here/);
  }
  assert.doesNotMatch(whys(request(server, 9, iaPd(1, "::/60"))), /not delegated/);
});

test("§18.3.1, §18.3.2: NoPrefixAvail inside the IA where none is left, and where none is delegated", async () => {
  const two = await testServer(TWO);
  assert.deepEqual(
    new Set([1, 2].map((n) => prefixOf(request(two, n, iaPd(1))))),
    new Set(["2001:db8:fff::/49", "2001:db8:fff:8000::/49"]),
  );
  for (const outcome of [request(two, 3, iaPd(1)), send(two, MessageType.solicit, [clientId(4), iaPd(1)])])
    assert.deepEqual([pds(outcome)[0]?.status, pds(outcome)[0]?.leased], [Status.noPrefixAvail, []]);
  const none = await testServer();
  assert.equal(pds(send(none, MessageType.solicit, [clientId(1), iaPd(1)]))[0]?.status, Status.noPrefixAvail);
});

test("§18.3.4, §18.3.5: Renew and Rebind extend; a prefix of others gets lifetimes of zero, an unknown IA a prefix, or NoPrefixAvail", async () => {
  const server = await testServer(DELEGATE);
  const prefix = prefixOf(request(server, 1, iaPd(1)));
  server.now += 1_000_000;
  const renewed = send(server, MessageType.renew, [clientId(1), serverId, iaPd(1, prefix)]);
  assert.deepEqual(pds(renewed)[0]?.leased, [[prefix, 4000]]);
  assert.equal(renewed.leases[0]?.validUntil, Math.floor(server.now / 1000) + 4000);
  const rebound = send(server, MessageType.rebind, [clientId(1), iaPd(1, prefix, "2001:db8:dead::/60")]);
  assert.deepEqual(pds(rebound)[0]?.leased, [
    [prefix, 4000],
    ["2001:db8:dead::/60", 0],
  ]);
  assert.deepEqual(pds(send(server, MessageType.renew, [clientId(9), serverId, iaPd(1)]))[0]?.leased[0]?.[1], 4000);
  const off = await testServer();
  for (const type of [MessageType.renew, MessageType.rebind]) {
    const options = type === MessageType.renew ? [clientId(1), serverId] : [clientId(1)];
    for (const named of [[], [prefix]]) {
      const [ia] = pds(send(off, type, [...options, iaPd(1, ...named)]));
      assert.deepEqual([ia?.status, ia?.leased], [Status.noPrefixAvail, named.map((gone) => [gone, 0])]);
    }
  }
});

test("§18.3.7, §18.3.8: Release of an unknown prefix says NoBinding; a prefix cannot be declined", async () => {
  const server = await testServer(DELEGATE);
  const prefix = prefixOf(request(server, 1, iaPd(1)));
  assert.equal(pds(send(server, MessageType.release, [clientId(2), serverId, iaPd(1, prefix)]))[0]?.status, Status.noBinding);
  assert.equal(pds(send(server, MessageType.release, [clientId(1), serverId, iaPd(2, prefix)]))[0]?.status, Status.noBinding);
  assert.deepEqual(pds(send(server, MessageType.decline, [clientId(1), serverId, iaPd(1, prefix)])), []);
  assert.equal(server.state.leases.byAddress(prefix)?.state, "bound");
});

test("a reserved prefix is its machine's, inside or outside of what is delegated, and nobody else gets it", async () => {
  const machines = (prefix: string) => `machines:\n  - { name: node-01, mac: "52:54:00:00:00:01", prefix: "${prefix}" }\n`;
  const inside = await testServer(TWO + machines("2001:db8:fff:8000::/49"));
  assert.equal(prefixOf(request(inside, 2, iaPd(1, "2001:db8:fff:8000::/49"))), "2001:db8:fff::/49");
  assert.equal(pds(request(inside, 3, iaPd(1)))[0]?.status, Status.noPrefixAvail);
  assert.equal(prefixOf(request(inside, 1, iaPd(1))), "2001:db8:fff:8000::/49");
  for (const configuration of [DELEGATE, "networks:\n  - interface: prov0\n"]) {
    const outside = await testServer(configuration + machines("2001:db8:f00:100::/56"));
    assert.equal(prefixOf(request(outside, 1, iaPd(1, "::/60"))), "2001:db8:f00:100::/56");
    assert.equal(ias(reply(request(outside, 2, iaPd(1))), OptionCode.iaPd)[0]?.leased[0]?.[0] === "2001:db8:f00:100::/56", false);
  }
});
