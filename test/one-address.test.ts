/**
 * Where the advertisements tell machines to ask for addresses (M=1), real firmware, iPXE, an installer and the system after it ask in
 * turn, each under another DUID and IAID, and have one address and one name. What they have where they form their own (M=0) is shown
 * in boot-uefi.test.ts.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type LogLine, Machine } from "@netboot6/lab";
import { ClientHost } from "./clients-setup.ts";
import { assertOneAddress, list } from "./leases-setup.ts";
import { bootAssets, INSTALLER, MAC, makeVlan, SLAAC_ADDRESS, says, startAppliance, UUID } from "./setup.ts";

const FIRMWARE_DUID = "0004443322116655887799aabbccddeeff00";
const IPXE_DUID = "0004112233445566778899aabbccddeeff00";
const IPXE_IAID = "f7871f80";

test("with M=1 firmware, iPXE, installer and system take one address over from each other, under one name", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t, { dad: true });
  const configuration = `domain: rack.example\nnetworks:\n  - { interface: prov0, dhcp: { managed: true } }\nhttp: { root: ${root} }\n${INSTALLER}machines:\n  - { name: node-01, mac: "${MAC}" }\nlog: { level: debug }\n`;
  const appliance = await startAppliance(t, vlan, { configuration });
  const machine = new Machine(vlan, { name: "node-01", firmware: "uefi-http", mac: MAC, uuid: UUID });
  await appliance.waitFor(says("machine.done"), 240);
  await machine.powerOff();

  const answers = appliance.lines.filter(({ event }) => event === "dhcpv6.answered") as (LogLine & Record<"addresses" | "why", string[]>)[];
  const kinds = answers.map(
    ({ clientKind, duid, message }) =>
      `${duid === FIRMWARE_DUID ? "firmware" : duid === IPXE_DUID ? "ipxe" : "installer"} ${clientKind} ${message}`,
  );
  for (const expected of ["firmware firmware-http Request", "ipxe ipxe Request", "installer system Request", "installer system Release"])
    assert.ok(kinds.includes(expected), `${expected} among ${kinds}`);

  // EDK2's IP stack asks besides its HTTP boot, under the same DUID with an IAID of its own (Ip6ConfigImpl.c): two identity
  // associations of one client have two addresses (RFC 9915 §12.2), and it gives the second back.
  const besides = answers.filter(
    ({ duid, clientKind, answer }) => duid === FIRMWARE_DUID && clientKind === "system" && answer === "Advertise",
  );
  const others = [...new Set(besides.flatMap(({ addresses }) => addresses))];
  assert.equal(others.length, 1, "asked for once");
  assert.notEqual(others[0], SLAAC_ADDRESS);
  assertOneAddress(appliance, "node-01", SLAAC_ADDRESS, others);
  const installer = answers.find(({ duid, message }) => duid !== FIRMWARE_DUID && duid !== IPXE_DUID && message === "Request");
  const takesOver = `${SLAAC_ADDRESS}: the address it forms itself from its MAC (SLAAC); takes it over from DUID ${IPXE_DUID} IAID ${IPXE_IAID}`;
  assert.ok(installer?.why.includes(takesOver), `${installer?.why}`);

  // Firmware and the Debian installer release what they have and go on with it: none is bound, and the name stays.
  const left = (await list(vlan)).map(({ address, machine: id, state }) => [address, id, state].join(" ")).toSorted();
  assert.deepEqual(left, [SLAAC_ADDRESS, ...others].map((address) => `${address} node-01 released`).toSorted());
  const dig = async (...question: string[]) => (await vlan.server.exec(["dig", "+short", "@2001:db8:0:1::1", ...question])).stdout.trim();
  assert.equal(await dig("node-01.rack.example", "AAAA"), SLAAC_ADDRESS);
  assert.equal(await dig("-x", SLAAC_ADDRESS), "node-01.rack.example.");

  const system = new ClientHost(vlan.client("system", { mac: MAC }));
  await system.up();
  const client = system.start("dhclient -6 -d -v -lf /run/d.leases -pf /run/d.pid eth0");
  await client.says(/Bound to lease/, 15);
  const bound = (await list(vlan)).filter(({ state }) => state === "bound");
  assert.deepEqual(
    bound.map((lease) => [lease.address, lease.machine]),
    [[SLAAC_ADDRESS, "node-01"]],
  );
  // The firmware released its own.
  assert.deepEqual(bound[0]?.superseded, [{ duid: IPXE_DUID, iaid: Number.parseInt(IPXE_IAID, 16) }]);
  assert.equal(await dig("node-01.rack.example", "AAAA"), SLAAC_ADDRESS);
});
