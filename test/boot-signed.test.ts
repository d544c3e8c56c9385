/** Firmware with Secure Boot on boots what is signed: shim, GRUB, the kernel; and the disk once it is installed. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import type { MachineTimeline } from "@netboot6/events";
import { bootableDisk, DISK_BOOTED, Machine } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, reportDone, says, standIn, startAppliance, UUID } from "./setup.ts";

test("Secure Boot: by HTTP and by PXE shim, GRUB, its rendered configuration and the signed kernel; once installed, by PXE and after a restart, the disk", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const configuration = `networks:\n  - interface: prov0\nhttp: { root: ${root} }\n${INSTALLER}    bootProgram: shim-grub\nmachines:\n  - { name: node-01, mac: "${MAC}" }\nlog: { level: debug }\n`;
  const options = { mac: MAC, uuid: UUID, secureBoot: true, disk: bootableDisk(vlan.dir, join(root, "grub/x86_64")) };

  const appliance = await startAppliance(t, vlan, { configuration });
  const machine = new Machine(vlan, { name: "node-01", firmware: "uefi-http", ...options });
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 120);
  await machine.waitFor(/UEFI Secure Boot is enabled/, 60);
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  const asked = appliance.lines.flatMap(({ event, msg }) =>
    event === "http.finished" ? (/^HTTP (\S+ \S+: \d+)/.exec(msg)?.[1] ?? []) : [],
  );
  for (const optional of ["GET /grub/x86_64/revocations_sku.efi: 404", "HEAD /grub/x86_64-efi/command.lst: 404"])
    assert.ok(asked.includes(optional), asked.join("\n"));
  assert.ok(!appliance.lines.some(({ level, msg }) => level === "warn" && msg.includes("404")), "what need not be there is no warning");
  const timeline = await appliance.get<MachineTimeline>("/machines/node-01/timeline");
  assert.deepEqual(
    timeline.boots.map(({ stages }) => stages.map(({ name, failed }) => (failed === null ? name : `${name} failed`))),
    [["firmware", "program", "script", "kernel", "initrd"]],
  );
  await machine.powerOff();

  const from = appliance.lines.length;
  const byPxe = new Machine(vlan, { name: "node-01-pxe", firmware: "uefi-pxe", ...options });
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 120, from);
  await byPxe.waitFor(/UEFI Secure Boot is enabled/, 60);
  t.diagnostic(`by PXE, kernel started ${byPxe.seconds.toFixed(1)} s after power-on`);
  const loaded = appliance.lines
    .slice(from)
    .flatMap(({ event, msg }) => (event === "tftp.finished" ? (/^TFTP (\S+): sent/.exec(msg)?.[1] ?? []) : []));
  assert.deepEqual([...new Set(loaded)], ["/grub/x86_64/shimx64.efi", "/grub/x86_64/grubx64.efi", "/grub/grub.cfg"]);
  await byPxe.powerOff();
  await reportDone(standIn(vlan));
  await appliance.stop();

  const restarted = await startAppliance(t, vlan, { configuration, name: "restarted" });
  const again = new Machine(vlan, { name: "node-01-again", firmware: "uefi-pxe", ...options });
  await again.waitFor(new RegExp(DISK_BOOTED), 120);
  t.diagnostic(`disk booted ${again.seconds.toFixed(1)} s after power-on`);
  const sent = restarted.lines.flatMap(({ event, msg }) => (event === "tftp.finished" ? (/^TFTP (\S+: \w+)/.exec(msg)?.[1] ?? []) : []));
  for (const file of ["/grub/x86_64revocations_sku.efi: refused", "/grub/x86_64/grubx64.efi: sent", "/grub/grub.cfg: sent"])
    assert.ok(sent.includes(file), sent.join("\n"));
  assert.ok(!restarted.lines.some(({ msg }) => msg.includes("/debian-12/linux")), "the installer is not asked for again");
  await again.powerOff();
});
