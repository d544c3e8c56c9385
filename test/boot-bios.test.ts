/** A BIOS machine with iPXE boots by Information-request alone: the network says M=0, O=1. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { bootableDisk, DISK_BOOTED, Machine, NETBOOT6 } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, reportDone, says, standIn, startAppliance, UUID } from "./setup.ts";

test("BIOS: iPXE asks by Information-request and loads script, kernel and initrd; once installed its disk, until an operator says so", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks:\n  - interface: prov0\nhttp: { root: ${root} }\nconsole: { token: operator }\n${INSTALLER}`,
  });
  const options = { name: "bios", firmware: "bios-ipxe", mac: MAC, uuid: UUID, ipxe: join(root, "ipxe/x86_64/ipxe.lkrn") } as const;
  const machine = new Machine(vlan, options);
  const answered = await appliance.waitFor(says("dhcpv6.answered", "Information-request (ipxe)"), 90);
  assert.equal(answered.bootfileUrl, "http://[2001:db8:0:1::1]/boot.ipxe");
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 90);
  await machine.waitFor(/Linux version/, 60);
  assert.ok(!appliance.lines.some((line) => line.event === "dhcpv6.answered" && line.msg.includes("Solicit")), "no address was asked for");
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  await machine.powerOff();

  const ask = standIn(vlan);
  await reportDone(ask);
  // The script that iPXE asks for elsewhere, given along: no 15 s of waiting for DHCPv4.
  const ipxeScript = join(vlan.dir, "autoexec.ipxe");
  const autoexec = await ask("/ipxe/x86_64/autoexec.ipxe");
  const byTftp = await vlan.server.exec(["curl", "-sS", `tftp://[${vlan.address}]/ipxe/x86_64/autoexec.ipxe`]);
  assert.equal(byTftp.stdout, autoexec, byTftp.stderr);
  writeFileSync(ipxeScript, autoexec);
  const installed = { ...options, name: "installed", ipxeScript, disk: bootableDisk(vlan.dir, join(root, "grub/x86_64")) };
  const again = new Machine(vlan, installed);
  await again.waitFor(new RegExp(DISK_BOOTED), 90);
  t.diagnostic(`disk booted ${again.seconds.toFixed(1)} s after power-on`);
  assert.ok(again.lines.some(({ text }) => text.includes("Configuring [ipv6]")));
  assert.ok(!again.lines.some(({ text }) => text.includes("Configuring (net0")), "it asked for no IPv4 address");
  await again.powerOff();

  assert.doesNotMatch(await ask("/boot.ipxe"), /^kernel/m);
  const { stdout, stderr } = await vlan.server.exec([NETBOOT6, "machine", MAC, "boot-again", "-c", appliance.file]);
  assert.match(stdout, /boots debian-12/, stderr);
  assert.match(await ask("/boot.ipxe"), /^kernel/m);
});
