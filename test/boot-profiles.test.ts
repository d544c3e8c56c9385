/** The profiles that install nothing, and GRUB without shim, on a real UEFI machine (QEMU, OVMF). */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bootableDisk, DISK_BOOTED, Machine, NETBOOT6 } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, says, startAppliance, UUID } from "./setup.ts";

test("a machine waits until an operator says what it is: a script of one's own, then its disk, then by GRUB alone", async (t) => {
  const assets = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const root = join(vlan.dir, "boot-assets");
  mkdirSync(join(root, "scripts"), { recursive: true });
  for (const each of ["ipxe", "grub", "debian-12"]) cpSync(join(assets, each), join(root, each), { recursive: true });
  writeFileSync(
    join(root, "scripts/mine.ipxe"),
    "#!ipxe\necho I am {{ machine.name }}\nkernel {{ http }}/debian-12/linux console=ttyS0\nboot\n",
  );
  const configuration = `networks:
  - interface: prov0
console: { token: operator }
${INSTALLER}    bootProgram: grub
  patient: { poll: 2s }
  mine: { script: scripts/mine.ipxe }
  local: { disk: true }
defaultProfile: patient
machines:
  - { name: node-01, mac: "${MAC}" }
log: { level: debug }
`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const choose = async (profile: string): Promise<void> => {
    const { code, stderr } = await vlan.server.exec([NETBOOT6, "machine", "node-01", "profile", profile, "-c", appliance.file]);
    assert.equal(code, 0, stderr);
  };
  const options = { firmware: "uefi-http", mac: MAC, uuid: UUID, disk: bootableDisk(vlan.dir, join(assets, "grub/x86_64")) } as const;

  const machine = new Machine(vlan, { ...options, name: "waits" });
  const rendered = says("machine.rendered", "for profile patient");
  await appliance.waitFor(rendered, 90);
  await appliance.waitFor(rendered, 30, appliance.lines.findIndex(rendered) + 1);
  await choose("mine");
  await machine.waitFor(/I am node-01/, 30);
  await machine.waitFor(/Linux version/, 60);
  await machine.powerOff();

  await choose("local");
  const local = new Machine(vlan, { ...options, name: "local" });
  await local.waitFor(new RegExp(DISK_BOOTED), 90);
  await local.powerOff();

  await choose("debian-12");
  const grub = new Machine(vlan, { ...options, name: "grub" });
  await appliance.waitFor(says("http.finished", "GET /grub/x86_64/grubx64.efi: 200"), 90);
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 90);
  await grub.waitFor(/Linux version/, 60);
  await grub.powerOff();
  assert.ok(!appliance.lines.some(({ msg }) => msg.includes("shimx64.efi")));
});
