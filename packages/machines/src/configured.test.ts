import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import type { MachineConfig } from "@netboot6/config";
import { Configured, newId, portName } from "./configured.ts";
import type { Port, PortEvidence } from "./machine.ts";
import { machineConfig } from "./test-config.ts";

const RELAY = "2001:db8:0:2::fe";
const MAC = "52:54:00:00:00:01";
const slot = (interfaceId: string | null, remoteId: string | null): Port => ({ relay: RELAY, interfaceId, remoteId });
const seen = (interfaceId: string | null, remoteId: string | null, relay = RELAY): PortEvidence => ({
  relays: ["2001:db8::9", relay],
  interfaceId,
  remoteId,
});

test("a slot is named by its interface, its remote-id or both, with any address of its relay", () => {
  const find = (port: Port, at: PortEvidence): string | undefined =>
    new Configured([machineConfig({ port })]).find(undefined, null, [], at)?.id;
  assert.equal(find(slot("Eth1/7", null), seen("Eth1/7", "rack-2")), "node-01");
  assert.equal(find(slot(null, "rack-2"), seen("Eth1/7", "rack-2")), "node-01");
  assert.equal(find(slot("Eth1/7", "rack-2"), seen("Eth1/7", "rack-2")), "node-01");
  assert.equal(find(slot("Eth1/7", "rack-2"), seen("Eth1/7", "rack-3")), undefined);
  assert.equal(find(slot("Eth1/7", null), seen("Eth1/8", "rack-2")), undefined);
  assert.equal(find(slot("Eth1/7", null), seen("Eth1/7", null, "2001:db8:0:3::fe")), undefined);
});

test("a machine of the slot alone stands elsewhere where relay, interface or remote-id differ; one of another name too never does", () => {
  const elsewhere = (more: Partial<MachineConfig>, at: PortEvidence | undefined): boolean =>
    new Configured([machineConfig(more), machineConfig({ name: "other", port: slot("Eth1/1", null) })]).standsElsewhere("node-01", at);
  const port = slot("Eth1/7", "rack-2");
  assert.equal(elsewhere({ port }, seen("Eth1/7", "rack-2")), false);
  assert.equal(elsewhere({ port }, seen("Eth1/8", "rack-2")), true);
  assert.equal(elsewhere({ port }, seen("Eth1/7", "rack-3")), true);
  assert.equal(elsewhere({ port }, seen("Eth1/7", "rack-2", "2001:db8:0:3::fe")), true);
  assert.equal(elsewhere({ port: slot("Eth1/7", null) }, seen("Eth1/7", "rack-3")), false);
  assert.equal(elsewhere({ port: slot(null, "rack-2") }, seen("Eth1/8", "rack-2")), false);
  assert.equal(elsewhere({ port }, undefined), false, "nobody tells where it stands");
  const another = seen("Eth1/8", "rack-2");
  for (const more of [{ macs: [MAC] }, { uuid: "11223344-5566-7788-99aa-bbccddeeff00" }, { duid: "0003" }])
    assert.equal(elsewhere({ port, ...more }, another), false, JSON.stringify(more));
  assert.equal(elsewhere({}, another), false);
});

test("what is reserved is an address, a prefix, both or neither", () => {
  const prefix = parsePrefix("2001:db8:fff:10::/60");
  const machines = [
    machineConfig({ name: "a", address: "2001:db8:0:1::aa" }),
    machineConfig({ name: "p", prefix }),
    machineConfig({ name: "both", address: "2001:db8:0:1::bb", prefix: parsePrefix("2001:db8:fff:20::/60") }),
    machineConfig({ name: "neither" }),
  ];
  assert.deepEqual(
    [...new Configured(machines).reservations()],
    [
      ["2001:db8:0:1::aa", "a"],
      ["2001:db8:fff:10::/60", "p"],
      ["2001:db8:0:1::bb", "both"],
      ["2001:db8:fff:20::/60", "both"],
    ],
  );
});

test("slots and machines without a name are called by what they are known by", () => {
  assert.equal(portName(slot("Eth1/7", null)), `port Eth1/7 of relay ${RELAY}`);
  assert.equal(portName(slot(null, "rack-2")), `port remote-id rack-2 of relay ${RELAY}`);
  assert.equal(portName(slot("Eth1/7", "rack-2")), `port Eth1/7, remote-id rack-2 of relay ${RELAY}`);
  assert.deepEqual([newId(MAC, "u", "d"), newId(null, "u", "d"), newId(null, undefined, "d")], ["m-525400000001", "m-u", "m-d"]);
});
