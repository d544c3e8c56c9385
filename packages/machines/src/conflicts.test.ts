/** Evidence that contradicts itself: the rules of docs/adr/0003-identity.md. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineConfig } from "@netboot6/config";
import type { Evidence, Identified } from "./index.ts";
import { Machines } from "./machines.ts";
import { machineConfig } from "./test-config.ts";

const MINUTES = 60_000;
const HOURS = 60 * MINUTES;
const BOARD_1 = "11223344-5566-7788-99aa-bbccddeeff01";
const BOARD_2 = "11223344-5566-7788-99aa-bbccddeeff02";
const peer = (card: number): string => `fe80::5054:ff:fe0b:${card}`;
const macOf = (card: number): string => `52:54:00:0b:00:0${card}`;
const idOf = (card: number): string => `m-5254000b000${card}`;
const uuidDuid = (uuid: string): string => `0004${uuid.replaceAll("-", "")}`;
const llt = (card: number): string => `000100012a0000005254000b000${card}`;
/** iPXE on a card in a board. */
const boots = (card: number, uuid: string, more: Evidence = {}): Evidence => ({
  peer: peer(card),
  duid: uuidDuid(uuid),
  uuidOrder: "text",
  ...more,
});
const slot = (interfaceId: string, remoteId: string | null = null) => ({
  relays: ["2001:db8:0:2::fe", "2001:db8::7"],
  interfaceId,
  remoteId,
});

const entry = (name: string, more: Partial<MachineConfig>): MachineConfig => machineConfig({ name, ...more });
const port = (interfaceId: string | null, more: Partial<NonNullable<MachineConfig["port"]>> = {}) => ({
  port: { relay: "2001:db8:0:2::fe", interfaceId, remoteId: null, ...more },
});

function identify(machines: Machines, evidence: Evidence, now = 0): Identified {
  const found = machines.identify(evidence, now);
  assert.ok(found);
  return found;
}
const idIn = (machines: Machines, evidence: Evidence, now = 0): string => identify(machines, evidence, now).machine.id;
const restarted = (machines: Machines, configured: MachineConfig[] = []): Machines =>
  new Machines(configured, JSON.parse(JSON.stringify([...machines.all()])));

test("mainboard changed: the card says who it is, and the new board's UUID takes the place of the old one's", () => {
  const machines = new Machines([]);
  identify(machines, boots(1, BOARD_1));
  assert.equal(idIn(machines, boots(1, BOARD_2), 1), idOf(1));
  assert.equal(machines.byId(idOf(1))?.uuid, BOARD_2);
  assert.equal(machines.byUuid(BOARD_1), undefined);
  // Firmware's two readings of a known UUID are no change.
  assert.deepEqual(
    identify(machines, { peer: peer(1), duid: "000444332211665588779" + "9aabbccddeeff02", uuidOrder: "smbios" }, 2).machine.uuid,
    BOARD_2,
  );
});

test("mainboard changed: the UUID of the configuration stays", () => {
  const machines = new Machines([entry("node", { macs: [macOf(1)], uuid: BOARD_1 })]);
  assert.equal(identify(machines, boots(1, BOARD_2)).machine.uuid, BOARD_1);
});

test("a system's UUID is no board's: it changes nothing that firmware told", () => {
  const machines = new Machines([]);
  identify(machines, boots(1, BOARD_1));
  assert.equal(identify(machines, { peer: peer(1), duid: uuidDuid(BOARD_2) }).machine.uuid, BOARD_1);
  assert.equal(idIn(machines, { peer: peer(2), duid: uuidDuid(BOARD_1) }, HOURS), idOf(2), "a cloned machine-id is no board");
});

test("card changed: the board says who it is, and the new card is learned, named in the configuration or not", () => {
  for (const [configured, id] of [
    [[], idOf(1)],
    [[entry("node", { macs: [macOf(1)] })], "node"],
  ] as const) {
    const machines = new Machines(configured);
    identify(machines, boots(1, BOARD_1));
    const found = identify(machines, boots(2, BOARD_1), HOURS);
    assert.equal(found.machine.id, id);
    assert.match(found.why, /UUID .*; MAC 52:54:00:0b:00:02 is a card that it did not have before/);
    assert.equal(idIn(machines, { peer: peer(2), duid: llt(2) }, HOURS + 1), id, "its installer too");
    assert.equal(idIn(restarted(machines, [...configured]), { peer: peer(2) }), id, "after a restart too");
  }
});

test("card changed: the card of another machine's entry stays that machine's", () => {
  const machines = new Machines([entry("one", { macs: [macOf(1)] }), entry("two", { macs: [macOf(2)] })]);
  identify(machines, boots(1, BOARD_1));
  assert.equal(idIn(machines, boots(2, BOARD_1), HOURS), "two");
});

test("boards with one UUID: a storm of them is as many machines, and their UUID is evidence no more, after a restart too", () => {
  const machines = new Machines([]);
  for (let card = 1; card <= 5; card++) assert.equal(idIn(machines, boots(card, BOARD_1), card), idOf(card));
  assert.equal(machines.byUuid(BOARD_1), undefined);
  assert.equal(idIn(restarted(machines), boots(6, BOARD_1), 24 * HOURS), idOf(6));
});

test("a learned card that moves to another board is not its old machine's any more, and that one keeps the other card", () => {
  const machines = new Machines([]);
  identify(machines, boots(1, BOARD_1));
  identify(machines, boots(2, BOARD_1), HOURS);
  const moved = identify(machines, boots(1, BOARD_2), 2 * HOURS).machine;
  assert.deepEqual([moved.uuid, moved.macs], [BOARD_2, [macOf(1)]]);
  assert.deepEqual(machines.byMac(macOf(2))?.macs, [macOf(2)]);
  assert.notEqual(machines.byMac(macOf(2))?.id, undefined);
});

test("cloned disks share a DUID: it tells neither of them, after a restart too", () => {
  const machines = new Machines([]);
  for (const card of [1, 2]) assert.equal(idIn(machines, { peer: peer(card), duid: "0002000000091234" }), idOf(card));
  for (const each of [machines, restarted(machines)])
    assert.equal(idIn(each, { peer: "fe80::c0ff:ee", duid: "0002000000091234" }), "m-0002000000091234");
});

test("a DUID-LLT carries the other NIC's MAC: a machine known by it alone, from an imported lease, is the one that now speaks", () => {
  const machines = new Machines([]);
  assert.equal(idIn(machines, { duid: llt(2) }), idOf(2));
  for (const each of [machines, restarted(machines)]) {
    const found = identify(each, { peer: peer(1), duid: llt(2) }, HOURS);
    assert.equal(found.machine.id, idOf(2));
    assert.deepEqual(found.machine.macs, [macOf(2), macOf(1)]);
    assert.equal(idIn(each, { peer: peer(3), duid: llt(2) }, 2 * HOURS), idOf(3), "a clone of it is another machine");
    assert.equal(idIn(each, boots(1, BOARD_1), 3 * HOURS), idOf(2), "its firmware too");
  }
});

test("a machine that was met without a MAC is the same when it shows one with its UUID", () => {
  const machines = new Machines([]);
  const first = idIn(machines, boots(1, BOARD_1, { peer: "fe80::1" }));
  assert.equal(idIn(machines, boots(1, BOARD_1), 1), first);
});

test("UUIDs that boards without one send are no evidence, in either byte order", () => {
  for (const uuid of [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "44454c4c-0000-1020-8020-80c04f202020",
    "00010203-0405-0607-0809-0a0b0c0d0e0f",
  ])
    for (const uuidOrder of ["text", "smbios"] as const) {
      const machines = new Machines([]);
      assert.equal(identify(machines, { peer: peer(1), duid: uuidDuid(uuid), uuidOrder }).machine.uuid, null, uuid);
      assert.equal(idIn(machines, { peer: peer(2), duid: uuidDuid(uuid), uuidOrder }, HOURS), idOf(2));
    }
  const machines = new Machines([]);
  assert.equal(identify(machines, boots(1, "11111111-1111-1111-1111-111111111112")).machine.uuid, "11111111-1111-1111-1111-111111111112");
});

test("slot: whatever stands in a configured slot is that machine, whichever of its relay's addresses and names the entry gives", () => {
  for (const config of [
    port("Eth1/7"),
    port("Eth1/7", { relay: "2001:db8::7" }),
    port(null, { remoteId: "rack-2" }),
    port("Eth1/7", { remoteId: "rack-2" }),
  ]) {
    const machines = new Machines([entry("node", config)]);
    const found = identify(machines, boots(1, BOARD_1, { port: slot("Eth1/7", "rack-2") }));
    assert.equal(found.machine.id, "node");
    assert.match(found.why, /configured port .* of relay 2001:db8:/);
  }
  const machines = new Machines([entry("node", port("Eth1/7", { remoteId: "rack-2" }))]);
  for (const other of [slot("Eth1/8", "rack-2"), slot("Eth1/7", "rack-3"), slot("Eth1/7")])
    assert.equal(idIn(machines, boots(1, BOARD_1, { port: other })), idOf(1));
  assert.equal(idIn(machines, boots(1, BOARD_1, { port: { ...slot("Eth1/7", "rack-2"), relays: ["2001:db8::9"] } })), idOf(1));
});

test("slot against card, board and system: what the configuration says of the thing itself goes before the slot", () => {
  const machines = new Machines([
    entry("slot", port("Eth1/7")),
    entry("card", { macs: [macOf(1)] }),
    entry("board", { uuid: BOARD_2 }),
    entry("system", { duid: llt(3) }),
  ]);
  const here = { port: slot("Eth1/7") };
  assert.equal(idIn(machines, boots(1, BOARD_1, here)), "card");
  assert.equal(idIn(machines, boots(2, BOARD_2, here)), "board");
  assert.equal(idIn(machines, { peer: peer(3), duid: llt(3), ...here }), "system");
  assert.equal(idIn(machines, boots(4, BOARD_1, here)), "slot");
});

test("slot against what was learned: the slot goes first, and a machine of the slot alone is not found elsewhere", () => {
  const configured = [entry("node", port("Eth1/7"))];
  const machines = new Machines(configured);
  identify(machines, boots(1, BOARD_1, { port: slot("Eth1/8") }));
  assert.equal(idIn(machines, boots(1, BOARD_1, { port: slot("Eth1/7") }), HOURS), "node", "moved in");
  assert.deepEqual(machines.byId(idOf(1))?.macs, [], "a card is in one machine");
  assert.equal(idIn(machines, { peer: peer(1) }, HOURS), "node", "where no relay tells the slot, the card does");
  const left = restarted(machines, configured);
  assert.notEqual(idIn(left, boots(1, BOARD_1, { port: slot("Eth1/9") }), HOURS), "node", "moved out");
  assert.deepEqual(left.byId("node")?.macs, []);
  assert.equal(idIn(machines, boots(2, BOARD_2, { port: slot("Eth1/7") }), 2 * HOURS), "node", "another machine in the slot");
  for (const each of [machines, restarted(machines, configured)]) {
    assert.notEqual(idIn(each, boots(1, BOARD_1, { port: slot("Eth1/9") }), 3 * HOURS), "node", "moved out");
    assert.deepEqual(each.byId("node")?.macs, [macOf(2)]);
  }
});

test("slots are learned, bounded, kept over a restart, and tell nobody", () => {
  const machines = new Machines([]);
  for (let n = 1; n <= 6; n++) identify(machines, boots(1, BOARD_1, { port: slot(`Eth1/${n}`) }), n);
  const { ports } = identify(restarted(machines), { peer: peer(1) }).machine;
  assert.deepEqual(
    ports,
    [3, 4, 5, 6].map((n) => ({ relay: "2001:db8:0:2::fe", interfaceId: `Eth1/${n}`, remoteId: null })),
  );
  assert.deepEqual(identify(machines, { peer: peer(1), port: slot("Eth1/6") }).learned, []);
  assert.equal(idIn(machines, { peer: "fe80::c0ff:ee", duid: "0002000000091234", port: slot("Eth1/6") }), "m-0002000000091234");
});

test("slot: an entry for the slot where a machine was seen names that machine, with its installation", () => {
  const machines = new Machines([]);
  identify(machines, boots(1, BOARD_1, { port: slot("Eth1/7") }));
  machines.setBoot(idOf(1), "installed", 1);
  assert.deepEqual(
    machines.configure([entry("node", port("Eth1/7"))]).map(({ from, machine }) => [from, machine.id, machine.boot.stage]),
    [[idOf(1), "node", "installed"]],
  );
});

test("what an older version stored is read: machines without slots, all of them met", () => {
  const machines = new Machines([]);
  identify(machines, { peer: peer(1), duid: llt(2) });
  const stored = JSON.parse(JSON.stringify([...machines.all()]));
  for (const machine of stored) {
    machine.ports = undefined;
    machine.met = undefined;
  }
  const again = new Machines([], stored);
  assert.equal(idIn(again, { peer: peer(3), duid: llt(2) }), idOf(3));
  assert.deepEqual(again.byId(idOf(1))?.ports, []);
});
