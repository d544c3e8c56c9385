/** Who gets which address; the server's own tests are in dhcpv6. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { type Lease, type LeaseRequest, Leases } from "./index.ts";

const prefix = parsePrefix("2001:db8:0:1::/64");
const network = (first: string, last: string): Network =>
  ({
    name: "prov",
    prefix,
    address: "2001:db8:0:1::1",
    advertise: null,
    relayed: false,
    dhcp: { pool: { kind: "range", first: `2001:db8:0:1::${first}`, last: `2001:db8:0:1::${last}` } },
  }) as unknown as Network;

const SMALL = network("1000", "1003");
const ask = (machine: string, more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  kind: "address",
  network: SMALL,
  machine,
  mac: null,
  duid: machine,
  iaid: 1,
  bootClient: false,
  reserved: null,
  hints: [],
  hostname: null,
  taken: new Set(),
  now: 1000,
  ...more,
});

function take(leases: Leases, request: LeaseRequest): string {
  const { address, why } = leases.choose(request);
  assert.ok(address, why);
  leases.bind(address, request, 100);
  return address;
}

test("a full pool of many addresses is seen to be full without a look at all of it, and a crowded one is found a place in", () => {
  const large = network("1000", "ffff");
  const leases = new Leases();
  for (let n = 0x1000; n <= 0xffff; n++) leases.offer(`2001:db8:0:1::${n.toString(16)}`, "flood", 1000);
  const started = performance.now();
  for (let n = 0; n < 20; n++) assert.equal(leases.choose(ask(`m${n}`, { network: large })).address, null);
  assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
  leases.offer("2001:db8:0:1::7777", "flood", 0);
  const found = Array.from({ length: 61 }, () => leases.choose(ask("late", { network: large })).address);
  assert.ok(found.includes("2001:db8:0:1::7777"));
});

test("an address that is reserved is its machine's: another gives it up when it renews, and one that had it once does not keep it", () => {
  const leases = new Leases();
  const had = take(leases, ask("other"));
  leases.reserve(new Map([[had, "node"]]));
  const mine = { reserved: had };
  assert.notEqual(leases.choose(ask("node", mine)).address, had, "while another has it");
  const next = take(leases, ask("other", { now: 1010 }));
  assert.notEqual(next, had);
  assert.equal(take(leases, ask("node", { ...mine, now: 1011 })), had, "given up, though its time was not over");
  leases.reserve(new Map([[next, "late"]]));
  assert.equal(take(leases, ask("late", { reserved: next, now: 5000 })), next, "expired");
});

test("a binding that moved stays where it went after a restart", () => {
  const leases = new Leases();
  const had = take(leases, ask("node"));
  for (const reserved of ["2001:db8:0:1::aaa", "2001:db8:0:1::1fff"].filter((each) => each !== had)) {
    leases.reserve(new Map([[reserved, "node"]]));
    assert.equal(take(leases, ask("node", { reserved, now: 1010 })), reserved);
    const stored = [...leases.all()].toSorted((a, b) => (a.address < b.address ? -1 : 1));
    for (const order of [stored, stored.toReversed()]) assert.equal(new Leases(order).choose(ask("node", { now: 1020 })).address, reserved);
  }
});

test("the first address of a prefix, which is every router's, is nobody's", () => {
  const leases = new Leases();
  const given = Array.from({ length: 4 }, (_, n) => leases.choose(ask(`m${n}`, { network: network("", "1") })).address);
  assert.deepEqual(new Set(given), new Set([null]));
});

test("a machine that was given a name keeps its address", () => {
  const leases = new Leases();
  const had = take(leases, ask("m-525400000001"));
  assert.deepEqual(
    leases.rename("m-525400000001", "node").map(({ address, machine }) => [address, machine]),
    [[had, "node"]],
  );
  assert.equal(leases.choose(ask("node", { duid: "m-525400000001", now: 1010 })).address, had);
  assert.deepEqual(leases.ofMachine("m-525400000001"), []);
});

const delegating = (length: number): Network =>
  ({ ...SMALL, dhcp: { ...SMALL.dhcp, delegate: { prefix: parsePrefix("2001:db8:fff::/56"), length } } }) as unknown as Network;
const askPrefix = (machine: string, length: number, more: Partial<LeaseRequest> = {}): LeaseRequest =>
  ask(machine, { kind: "prefix", network: delegating(length), ...more });

test("every prefix of a small delegation is given, each once, whatever the identities hash to", () => {
  const leases = new Leases();
  const given = Array.from({ length: 16 }, (_, n) => take(leases, askPrefix(`m${n}`, 60)));
  assert.deepEqual(
    given.toSorted(),
    Array.from({ length: 16 }, (_, n) => `2001:db8:fff${n === 0 ? "" : `:${n.toString(16)}0`}::/60`).toSorted(),
  );
  assert.equal(leases.choose(askPrefix("late", 60)).address, null);
});

test("a prefix that lies across another machine's of the length before a change of the configuration is nobody's until that ends", () => {
  const leases = new Leases();
  const had = take(leases, askPrefix("m1", 57));
  const others = Array.from({ length: 16 }, (_, n) => leases.choose(askPrefix(`m${n + 2}`, 60, { iaid: n })).address ?? "");
  const low = (prefix: string): boolean => Number.parseInt(prefix.split(":")[3] || "0", 16) < 0x80;
  assert.ok(
    others.every((prefix) => low(prefix) !== low(had)),
    `${had}: ${others}`,
  );
  assert.ok(leases.choose(askPrefix("m1", 60)).address, "its own");
  const later = Array.from({ length: 16 }, (_, n) => leases.choose(askPrefix(`m${n + 2}`, 60, { now: 1100 })).address ?? "");
  assert.ok(later.some((prefix) => low(prefix) === low(had)));
});

test("a prefix that it had is not its own while another's of another length lies across it", () => {
  const leases = new Leases();
  take(leases, askPrefix("m1", 60));
  for (const other of ["m2", "m3"]) take(leases, askPrefix(other, 57, { now: 2000 }));
  assert.equal(leases.choose(askPrefix("m1", 60, { now: 2010 })).address, null);
});

test("what an older version stored is read: addresses alone", () => {
  const stored = {
    address: "2001:db8:0:1::1000",
    network: "prov",
    machine: "m",
    duid: "01",
    iaid: 1,
    state: "bound",
    validUntil: 2000,
    since: 1,
  };
  const leases = new Leases([JSON.parse(JSON.stringify(stored))]);
  assert.equal(leases.byBinding(ask("m", { kind: "address", duid: "01" }))?.address, stored.address);
  assert.equal(leases.byBinding(ask("m", { kind: "prefix", duid: "01" })), undefined);
});

test("what could not be stored is as it was: a new binding is gone, a moved one is back, and a newer one that was stored stays", () => {
  const leases = new Leases();
  const bind = (reserved: string | null, now: number): readonly Lease[] => {
    const request = ask("node", { reserved, now });
    const { address } = leases.choose(request);
    assert.ok(address);
    return leases.bind(address, request, 100);
  };
  const all = () => [...leases.all()].map(({ address, state, validUntil }) => `${address} ${state} ${validUntil}`).toSorted();

  const first = bind(null, 1000);
  leases.takeBack(first);
  assert.deepEqual(all(), []);
  assert.deepEqual(leases.ofMachine("node"), []);

  const held = bind(null, 1000);
  leases.stored(held);
  const before = all();
  leases.takeBack(bind("2001:db8:0:1::aaa", 1010));
  assert.deepEqual(all(), before);
  assert.equal(leases.byBinding(ask("node"))?.address, held[0]?.address);

  const [renewed, again] = [bind(null, 1020), bind(null, 1030)];
  leases.takeBack(renewed);
  leases.stored(again);
  assert.equal(leases.byAddress(held[0]?.address ?? "")?.validUntil, 1130);
  const [lost, lostToo] = [bind(null, 1040), bind(null, 1050)];
  leases.takeBack(lost);
  leases.takeBack(lostToo);
  assert.equal(leases.byAddress(held[0]?.address ?? "")?.validUntil, 1130, "what is on disk holds");
});

test("a repetition that is not stored leaves what is still on its way to the disk: nobody else is given the address", () => {
  const leases = new Leases();
  const request = ask("node");
  const { address } = leases.choose(request);
  assert.ok(address);
  const first = leases.bind(address, request, 100);
  const again = leases.bind(address, { ...request, now: 1001 }, 100);
  leases.takeBack(again);
  assert.equal(leases.byAddress(address)?.validUntil, 1100);
  leases.stored(first);
  assert.equal(leases.byAddress(address)?.validUntil, 1100);
  assert.notEqual(leases.choose(ask("other", { hints: [address] })).address, address);
  leases.takeBack(leases.bind(address, { ...request, now: 1002 }, 100));
  assert.equal(leases.byAddress(address)?.validUntil, 1100, "what is on disk holds");
});
