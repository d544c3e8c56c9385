/** A UEFI machine in another subnet, behind a real relay agent (ISC dhcrelay) and another router (radvd). */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Machine } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, says, startAppliance, startRadvd, UUID } from "./setup.ts";

test("behind a relay: the machine gets its address, boot program, script and kernel from one hop away", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t);
  const link = vlan.relay();
  const configuration = `networks:
  - interface: prov0
  - name: rack-2
    relayed: true
    prefix: ${link.prefix}/64
    relays: ["${link.near}"]
http: { root: ${root} }
${INSTALLER}`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const settings = `AdvOtherConfigFlag on; MinRtrAdvInterval 3; MaxRtrAdvInterval 6; prefix ${link.prefix}/64 {};`;
  startRadvd(vlan, link.router, "eth1", settings);
  link.router.spawn(["dhcrelay", "-6", "-d", "--no-pid", "-l", "eth1", "-u", `${vlan.address}%eth0`], { stdio: "ignore" });

  const machine = new Machine(vlan, { name: "relayed", firmware: "uefi-http", mac: MAC, uuid: UUID, bridge: link.bridge });
  const answered = await appliance.waitFor(says("dhcpv6.answered", "Request (firmware-http)"), 90);
  assert.equal(answered.network, "rack-2");
  assert.equal(answered.relay, link.near);
  assert.deepEqual(answered.addresses, ["2001:db8:0:2:5054:ff:fe0b:1"]);
  await appliance.waitFor(says("http.finished", "GET /ipxe/x86_64/ipxe.efi: 200"), 60);
  await appliance.waitFor(says("http.finished", "GET /debian-12/initrd.gz: 200"), 90);
  await machine.waitFor(/Linux version|EFI stub/, 60);
  t.diagnostic(`kernel started ${machine.seconds.toFixed(1)} s after power-on`);
  await machine.powerOff();
});
