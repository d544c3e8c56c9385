import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineConfig } from "@netboot6/config";
import { type Machine, NOBODY } from "./machine.ts";
import { Machines } from "./machines.ts";
import { machineConfig } from "./test-config.ts";

const MAC = "52:54:00:0b:00:01";
const PEER = "fe80::5054:ff:fe0b:1";
const FIRMWARE = "0004443322116655887799aabbccddeeff00"; // SMBIOS order, as EDK2 sends it
const IPXE = "0004112233445566778899aabbccddeeff00"; // text order
const INSTALLER = "0001000132971d825254000b0001";
const UUID = "11223344-5566-7788-99aa-bbccddeeff00";

test("one machine through all stages of a boot, though each brings another DUID", () => {
  const machines = new Machines([]);
  for (const duid of [FIRMWARE, IPXE, INSTALLER]) assert.equal(machines.identify({ peer: PEER, duid }, 0)?.machine.id, "m-5254000b0001");
  assert.equal([...machines.all()].length, 1);
  assert.deepEqual(machines.byMac(MAC)?.duids, [FIRMWARE, IPXE, INSTALLER]);
  assert.deepEqual(machines.identify({ peer: PEER, duid: IPXE }, 0)?.learned, []);
});

test("the relay's word on the MAC goes before the peer's address, that before the DUID's MAC", () => {
  const machines = new Machines([]);
  const why = (relayMac: string | undefined, peer: string | undefined) =>
    machines.identify({ relayMac, peer, duid: "00030001525400aa0003" }, 0);
  assert.equal(why("52:54:00:aa:00:01", PEER)?.mac, "52:54:00:aa:00:01");
  assert.match(why("52:54:00:aa:00:01", PEER)?.why ?? "", /option 79/);
  assert.equal(why(undefined, PEER)?.mac, MAC);
  assert.equal(why(undefined, "fe80::c0ff:ee")?.mac, "52:54:00:aa:00:03");
  assert.equal(why(undefined, "2001:db8::5054:ff:fe0b:1")?.mac, "52:54:00:aa:00:03", "a relay's peer that is not link-local tells nothing");
});

const llt = (n: number): string => `00010001${(0x2a000000 + n).toString(16)}0200000000${n.toString(16).padStart(2, "0")}`;

test("a hundred DUID-LLTs from one link-local address are a hundred machines, and stay so after a restart", () => {
  const machines = new Machines([]);
  const ids = new Set<string | undefined>();
  for (let n = 0; n < 100; n++) ids.add(machines.identify({ peer: PEER, duid: llt(n) }, n)?.machine.id);
  assert.equal(ids.size, 100);
  const again = new Machines([], JSON.parse(JSON.stringify([...machines.all()])));
  for (let n = 99; n >= 0; n--) assert.ok(ids.has(again.identify({ peer: PEER, duid: llt(n) }, 2 * 3600_000)?.machine.id));
  assert.equal([...again.all()].length, 100);
});

test("a DUID-LLT may carry the MAC of the machine's other NIC, and another one after a new installation", () => {
  const machines = new Machines([]);
  // Solicit, Request and what is sent again come seconds after each other.
  for (const [duid, seconds] of [
    [FIRMWARE, 0],
    [llt(1), 1],
    [llt(1), 2],
    [llt(1), 4],
    [llt(1), 18_000],
    [llt(2), 86_400],
  ] as const) {
    const found = machines.identify({ peer: PEER, duid }, seconds * 1000);
    assert.deepEqual([found?.machine.id, found?.mac, found?.onLink], ["m-5254000b0001", MAC, true], `${duid} at ${seconds} s`);
  }
  assert.equal(machines.byMac(MAC)?.shared, false);
});

test("two MACs in the DUIDs from one link-local address within an hour are two machines", () => {
  const machines = new Machines([]);
  for (const [n, minutes, id] of [
    [1, 0, "m-5254000b0001"],
    [2, 59, "m-020000000002"],
    [1, 60, "m-5254000b0001"],
  ] as const)
    assert.equal(machines.identify({ peer: PEER, duid: llt(n) }, minutes * 60_000)?.machine.id, id);
});

test("cloned disks share a DUID: each machine is known by its own link-local address", () => {
  const machines = new Machines([]);
  const ids = [1, 2, 3].map((n) => machines.identify({ peer: `fe80::5054:ff:fe0b:${n}`, duid: llt(7) }, 0)?.machine.id);
  assert.deepEqual(ids, ["m-5254000b0001", "m-5254000b0002", "m-5254000b0003"]);
});

test("without a MAC a machine is known by its UUID in either byte order, or by its DUID", () => {
  const machines = new Machines([]);
  const first = machines.identify({ peer: "fe80::1", duid: FIRMWARE }, 0)?.machine.id;
  assert.equal(machines.identify({ peer: "fe80::2", duid: IPXE }, 0)?.machine.id, first);
  const other = machines.identify({ duid: "0002000000091234" }, 0)?.machine.id;
  assert.equal(other, "m-0002000000091234");
  assert.equal(machines.identify({ duid: "0002000000091234" }, 0)?.machine.id, other);
  assert.equal(machines.identify({}, 0), null);
});

test("EDK2 sends its UUID as SMBIOS keeps it, iPXE in text order: one UUID, in text order, and iPXE's word is the surer", () => {
  const uuid = (first: "smbios" | "text" | undefined): (string | null | undefined)[] => {
    const machines = new Machines([]);
    const seen = machines.identify({ peer: PEER, duid: FIRMWARE, uuidOrder: first }, 0)?.machine.uuid;
    return [seen, machines.identify({ peer: PEER, duid: IPXE, uuidOrder: "text" }, 0)?.machine.uuid];
  };
  assert.deepEqual(uuid("smbios"), [UUID, UUID]);
  assert.deepEqual(uuid(undefined), ["44332211-6655-8877-99aa-bbccddeeff00", UUID]);
});

test("a placeholder for a UUID is no identity", () => {
  const machines = new Machines([]);
  for (const uuid of ["00".repeat(16), "ff".repeat(16)]) {
    const found = machines.identify({ peer: PEER, duid: `0004${uuid}` }, 0);
    assert.equal(found?.machine.uuid, null);
  }
});

test("the configuration's DUID, MAC and UUID name the machine", () => {
  const byMac = new Machines([machineConfig({ macs: [MAC, "52:54:00:0b:00:02"] })]);
  assert.equal(byMac.identify({ peer: PEER, duid: FIRMWARE }, 0)?.machine.id, "node-01");
  assert.equal(byMac.identify({ relayMac: "52:54:00:0b:00:02" }, 0)?.machine.id, "node-01");
  const byUuid = new Machines([machineConfig({ uuid: UUID })]);
  assert.equal(byUuid.identify({ peer: PEER, duid: FIRMWARE }, 0)?.machine.id, "node-01");
  const byDuid = new Machines([machineConfig({ duid: INSTALLER }), machineConfig({ name: "node-02", macs: [MAC] })]);
  assert.equal(byDuid.identify({ peer: PEER, duid: INSTALLER }, 0)?.machine.id, "node-01");
});

test("the configuration's DUID goes before its MAC, that before its UUID, and that before a card that was seen elsewhere", () => {
  const of: Readonly<Record<string, MachineConfig>> = {
    system: machineConfig({ name: "system", duid: IPXE }),
    card: machineConfig({ name: "card", macs: [MAC] }),
    board: machineConfig({ name: "board", uuid: UUID }),
  };
  const names = (...entries: string[]): string | undefined => {
    const machines = new Machines(entries.map((name) => of[name] as MachineConfig));
    machines.identify({ peer: PEER }, 0); // the card was seen
    return machines.identify({ peer: PEER, duid: IPXE }, 1)?.machine.id;
  };
  assert.equal(names("board", "card", "system"), "system");
  assert.equal(names("board", "card"), "card");
  assert.equal(names("board"), "board");
  assert.equal(names(), "m-5254000b0001");
});

test("two NICs of one machine are one machine with two interfaces, of which it is told which asked and who told it", () => {
  const second = "52:54:00:0b:00:02";
  const machines = new Machines([machineConfig({ macs: [MAC, second] })]);
  for (const [evidence, mac, onLink] of [
    [{ peer: PEER, duid: IPXE }, MAC, true],
    [{ peer: "fe80::5054:ff:fe0b:2", duid: IPXE }, second, true],
    [{ relayMac: second, peer: PEER, duid: INSTALLER }, second, true],
    [{ peer: "fe80::c0ff:ee", duid: INSTALLER }, MAC, false],
    [{ duid: "000300015254000b0002" }, second, false],
    [{ peer: "fe80::c0ff:ee", duid: IPXE }, null, false],
  ] as const) {
    const found = machines.identify(evidence, 0);
    assert.deepEqual([found?.machine.id, found?.mac, found?.onLink], ["node-01", mac, onLink], JSON.stringify(evidence));
  }
  assert.deepEqual(machines.byId("node-01")?.macs, [MAC, second]);
});

test("what was learned is there again after a restart", () => {
  const before = new Machines([]);
  before.identify({ peer: PEER, duid: FIRMWARE }, 5);
  before.setBoot("m-5254000b0001", "installing", 6);
  const after = new Machines([], JSON.parse(JSON.stringify([...before.all()])));
  assert.deepEqual([...after.all()], [...before.all()]);
  const token = after.byMac(MAC)?.boot.token ?? "";
  assert.match(token, /^[0-9a-f]{32}$/);
  assert.equal(after.byToken(token)?.id, "m-5254000b0001");
});

test("the token in {{ done }} is one installation's: a report that comes again is understood, until the next begins", () => {
  const machines = new Machines([]);
  machines.identify({ peer: PEER }, 0);
  const token = machines.setBoot("m-5254000b0001", "installing", 1)?.boot.token ?? "";
  assert.equal(machines.setBoot("m-5254000b0001", "installing", 2)?.boot.token, token, "asked again while it installs, it is the same");
  machines.setBoot("m-5254000b0001", "installed", 3);
  assert.equal(machines.byToken(token)?.boot.stage, "installed");
  const second = machines.setBoot("m-5254000b0001", "installing", 4)?.boot.token ?? "";
  assert.notEqual(second, token);
  assert.equal(machines.byToken(token), undefined);
  machines.setBoot("m-5254000b0001", "new", 5);
  assert.equal(machines.byToken(second), undefined, "an operator has it install again: what it reports late of the last time is over");
});

test("a machine that is given a name keeps what was learned of it, and its installation", () => {
  const machines = new Machines([]);
  machines.identify({ peer: PEER, duid: FIRMWARE }, 0);
  const token = machines.setBoot("m-5254000b0001", "installing", 1)?.boot.token ?? "";
  const entry = { name: "node-01", macs: ["52:54:00:0b:00:01"], duid: null, uuid: null } as unknown as MachineConfig;
  assert.deepEqual(
    machines.configure([entry]).map(({ from, machine }) => [from, machine.id]),
    [["m-5254000b0001", "node-01"]],
  );
  assert.equal(machines.byId("m-5254000b0001"), undefined);
  assert.equal(machines.byToken(token)?.id, "node-01");
  assert.equal(machines.setBoot("node-01", "installed", 2)?.boot.stage, "installed");
  assert.deepEqual(machines.configure([{ ...entry, name: "node-02" }]).length, 1);
  const known = machines.identify({ peer: PEER, duid: FIRMWARE }, 3)?.machine;
  assert.deepEqual([known?.id, known?.boot.stage, known?.firstSeen], ["node-02", "installed", 0]);
});

test("strangers without end are not all kept; who is configured, installed or has a lease is", () => {
  const leased = "m-aa0000000001";
  const machines = new Machines([]);
  for (const mac of ["aa:00:00:00:00:01", "aa:00:00:00:00:02"]) machines.identify({ relayMac: mac }, 0);
  machines.setBoot("m-aa0000000002", "installing", 0);
  let forgotten = 0;
  for (let n = 0; n < 12_000; n++) {
    machines.identify({ duid: `0004${n.toString(16).padStart(32, "0")}` }, 0);
    forgotten += machines.forgetStrangers((id) => id === leased).length;
  }
  assert.equal(forgotten, 2000);
  assert.equal([...machines.all()].length, 10_002);
  assert.ok(machines.byId(leased) && machines.byId("m-aa0000000002"));
  for (let n = 0; n < 100; n++) machines.identify({ relayMac: "aa:00:00:00:00:01", duid: `0002${n.toString(16).padStart(8, "0")}` }, 0);
  assert.equal(machines.byId(leased)?.duids.length, 16);
  assert.notEqual(machines.identify({ duid: "000200000001" }, 0)?.machine.id, leased, "a DUID that was pushed out points to nobody");
});

test("what a message tells anew is told in words, once", () => {
  const machines = new Machines([]);
  const port = { relays: ["2001:db8:0:2::fe"], interfaceId: "Eth1/7", remoteId: null };
  const learned = (more: object = {}) => machines.identify({ peer: PEER, duid: IPXE, uuidOrder: "text", port, ...more }, 0)?.learned;
  assert.deepEqual(learned(), [`MAC ${MAC}`, `UUID ${UUID}`, `DUID ${IPXE}`, "port Eth1/7 of relay 2001:db8:0:2::fe"]);
  assert.deepEqual(learned(), []);
  assert.deepEqual(learned({ port: { ...port, remoteId: "rack-2" } }), ["port Eth1/7, remote-id rack-2 of relay 2001:db8:0:2::fe"]);
  assert.deepEqual(learned({ port: { ...port, relays: ["2001:db8:0:3::fe"] } }), ["port Eth1/7 of relay 2001:db8:0:3::fe"]);
});

test("of a machine that is known by its DUID alone the reason says so, and whether its MAC is from there", () => {
  const machines = new Machines([]);
  const told = (duid: string) => machines.identify({ peer: "2001:db8::5", duid }, 0);
  const lone = told("00020000ab11");
  assert.deepEqual([lone?.mac, lone?.why], [null, "DUID 00020000ab11"]);
  assert.match(told("00030001525400aa0003")?.why ?? "", /^MAC 52:54:00:aa:00:03 from its DUID$/);
});

test("firmware that sends its UUID in text order, or shows another, after iPXE told it: the board's stays, a new board's is taken", () => {
  const machines = new Machines([]);
  const uuid = (duid: string, uuidOrder?: "smbios" | "text") => machines.identify({ peer: PEER, duid, uuidOrder }, 0)?.machine.uuid;
  assert.equal(uuid(IPXE, "text"), UUID);
  assert.equal(uuid(IPXE, "smbios"), UUID);
  assert.equal(uuid("0003000152540000aa01", "smbios"), UUID, "one that shows none");
  assert.equal(uuid("0004aaaaaaaa22334455667788990a0b0c0d", undefined), UUID, "a system's");
  assert.equal(uuid("0004443322116655887799aabbccddeeff01", "smbios"), "11223344-5566-7788-99aa-bbccddeeff01");
});

test("of two stored machines that name one MAC each is found by its id, and neither twice", () => {
  const stored = (id: string): Machine => ({ ...NOBODY, id, macs: ["52:54:00:00:00:01"] });
  for (const ids of [
    ["m-525400000001", "other"],
    ["other", "m-525400000001"],
  ]) {
    const machines = new Machines([], ids.map(stored));
    assert.deepEqual(
      ids.map((id) => machines.byId(id)?.id),
      ids,
    );
    assert.deepEqual(
      [...machines.all()].map(({ id }) => id),
      ids,
    );
    machines.forget("other");
    machines.setProfile("m-525400000001", "rescue");
    assert.deepEqual([machines.byId("other"), machines.byId("m-525400000001")?.profile], [undefined, "rescue"]);
  }
});
