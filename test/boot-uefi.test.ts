/** Real UEFI firmware (QEMU, OVMF) boots over IPv6 alone. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { MachineTimeline } from "@netboot6/events";
import { bootableDisk, DISK_BOOTED, Machine } from "@netboot6/lab";
import { assertOneAddress, list } from "./leases-setup.ts";
import { bootAssets, INSTALLER, MAC, makeVlan, SLAAC_ADDRESS, says, startAppliance, UUID } from "./setup.ts";

test("UEFI HTTP boot: firmware, iPXE, the Debian installer and its answers file, and the report back", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const configuration = `domain: rack.example\nnetworks:\n  - interface: prov0\nhttp: { root: ${root} }\n${INSTALLER}machines:\n  - { name: node-01, mac: "${MAC}" }\nlog: { level: debug }\n`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const capture = await vlan.switch.capture("br0", `${vlan.dir}/net.pcap`, "ip");
  const machine = new Machine(vlan, { name: "node-01", firmware: "uefi-http", mac: MAC, uuid: UUID });
  const done = await appliance.waitFor(says("machine.done"), 240);
  const seconds = machine.seconds;
  assert.equal(done.machine, "node-01");

  const timeline = await appliance.get<MachineTimeline>("/machines/node-01/timeline");
  assert.equal(timeline.boots.length, 1);
  const stages = timeline.boots[0]?.stages ?? [];
  assert.deepEqual(
    stages.map(({ name }) => name),
    ["firmware", "program", "ipxe", "script", "kernel", "initrd", "installer", "answers", "done"],
  );
  assert.deepEqual(
    stages.filter(({ failed }) => failed !== null),
    [],
  );
  // Without its script beside it iPXE would wait for DHCPv4 first: 15 s, and 2 s for a key.
  assert.ok(appliance.lines.some(says("http.finished", "GET /ipxe/x86_64/autoexec.ipxe: 200")));
  const [program, script] = ["program", "script"].map((name) => stages.find((stage) => stage.name === name));
  const waited = (script?.startedAt ?? Number.NaN) - (program?.endedAt ?? Number.NaN);
  assert.ok(waited < 10_000, `iPXE asked for its script ${waited} ms after it was in`);
  const starts = stages.map(({ startedAt }) => startedAt);
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
    "in this order",
  );
  // One machine, one address, from firmware to installer, though each brought another DUID.
  const machines = await appliance.get<{ id: string; duids: string[]; boot: { stage: string } }[]>("/machines");
  assert.equal(machines.length, 1);
  assert.ok((machines[0]?.duids.length ?? 0) >= 3, "firmware's, iPXE's and the installer's");
  assert.equal(machines[0]?.boot.stage, "installed");
  assertOneAddress(appliance, "node-01", SLAAC_ADDRESS);
  // Firmware released it before it started iPXE, and all that came after formed it: the name that the installer asks for stays.
  assert.deepEqual(
    (await list(vlan)).map(({ address, machine, state }) => [address, machine, state]),
    [[SLAAC_ADDRESS, "node-01", "released"]],
  );
  const dig = await vlan.server.exec(["dig", "+short", "@2001:db8:0:1::1", "-x", SLAAC_ADDRESS]);
  assert.equal(dig.stdout, "node-01.rack.example.\n");
  await machine.powerOff();
  await capture.stop();

  const disk = bootableDisk(vlan.dir, join(root, "grub/x86_64"));
  const installed = new Machine(vlan, { name: "installed", firmware: "uefi-http", mac: MAC, uuid: UUID, disk });
  await installed.waitFor(new RegExp(DISK_BOOTED), 90);
  t.diagnostic(`disk booted ${installed.seconds.toFixed(1)} s after power-on`);
  await installed.powerOff();
  t.diagnostic(
    `reported back ${seconds.toFixed(1)} s after power-on; script ${((script?.startedAt ?? 0) - (timeline.boots[0]?.startedAt ?? 0)) / 1000} s after the first Solicit`,
  );
  assert.equal(await appliance.stop(), 0);
});

test("UEFI PXE boot: firmware loads iPXE by TFTP, iPXE its script, kernel and initrd by HTTP", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks:\n  - interface: prov0\nhttp: { root: ${root} }\n${INSTALLER}`,
  });
  const machine = new Machine(vlan, { name: "pxe", firmware: "uefi-pxe", mac: MAC, uuid: UUID });
  const program = await appliance.waitFor(says("tftp.finished", ": sent"), 90);
  assert.equal(program.path, "/ipxe/x86_64/ipxe.efi");
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 60);
  await machine.waitFor(/Linux version|EFI stub|Loading driver|Starting system/, 60);
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  await machine.powerOff();
});
