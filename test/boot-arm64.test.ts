/** ARM64 firmware with Secure Boot on. Runs where qemu-system-arm and qemu-efi-aarch64 are installed, which setup.sh leaves to you. */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { addAsset } from "@netboot6/boot";
import { BOOT_ASSETS, Machine } from "@netboot6/lab";
import { bootAssets, MAC, makeVlan, says, startAppliance, UUID } from "./setup.ts";

const skip = existsSync("/usr/share/AAVMF/AAVMF_VARS.ms.fd") && existsSync("/usr/bin/qemu-system-aarch64") ? false : "takes ARM64 firmware";

for (const by of ["pxe", "http"] as const)
  test(`ARM64, Secure Boot, ${by.toUpperCase()}: shim and GRUB load the kernel while router advertisements go by`, { skip }, (t) =>
    boot(t, by),
  );

async function boot(t: TestContext, by: "pxe" | "http"): Promise<void> {
  const root = await bootAssets();
  await addAsset("debian-12-arm64", BOOT_ASSETS);
  const vlan = makeVlan(t, { dad: true });
  // GRUB 2.06 dies of the first one that names a router.
  const configuration = `networks:
  - interface: prov0
    advertise: { interval: [3s, 4s], routerLifetime: 30m }
http: { root: ${root} }
profiles:
  debian-12:
    kernel: { x64: debian-12/linux, arm64: debian-12/arm64/linux }
    initrd: [{ x64: debian-12/initrd.gz, arm64: debian-12/arm64/initrd.gz }]
    bootProgram: shim-grub
log: { level: debug }
`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const machine = new Machine(vlan, { name: "arm64", firmware: `uefi-${by}`, cpu: "arm64", secureBoot: true, mac: MAC, uuid: UUID });
  const rendered = by === "pxe" ? says("tftp.finished", "/grub/grub.cfg: sent") : says("http.finished", "GET /grub/grub.cfg: 200");
  const asked = await appliance.waitFor(rendered, 120);
  await machine.waitFor(/Linux version .*arm64|Synchronous Exception/, 120);
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  assert.ok(machine.lines.some(({ text }) => text.includes("UEFI Secure Boot is enabled")));
  const since = appliance.lines.slice(appliance.lines.indexOf(asked));
  assert.ok(
    since.some(({ event, msg }) => event === "ra.sent" && msg.includes("periodic")),
    "one went by while it loaded",
  );
  assert.ok(since.some(({ msg }) => msg.includes("HTTP GET /debian-12/arm64/initrd.gz: 200")));
  await machine.powerOff();
}
