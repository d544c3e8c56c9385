/** The worked example of docs/story: the one file that replaces five daemons boots a real UEFI machine, as they did. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { type Appliance, Machine, type ProvisioningVlan } from "@netboot6/lab";
import { bootAssets, MAC, makeVlan, says, startAppliance, UUID } from "./setup.ts";

const STORY = fileURLToPath(new URL("../docs/story", import.meta.url));
const ADDRESS = "2001:db8::1";
const STRANGER = "2001:db9::9";

/** docs/story as it is, but for the interface's name; its relative paths are the VLAN's directory here. */
async function startStory(t: TestContext): Promise<{ vlan: ProvisioningVlan; appliance: Appliance }> {
  const brought = await bootAssets();
  const vlan = makeVlan(t, { prefix: "2001:db8::", dad: true });
  const root = join(vlan.dir, "boot-assets");
  cpSync(join(STORY, "boot-assets"), root, { recursive: true });
  cpSync(join(brought, "ipxe"), join(root, "ipxe"), { recursive: true });
  // Trusty's installer cannot be had any more: Debian 12's stands at its path.
  mkdirSync(join(root, "ubuntu-installer/amd64"), { recursive: true });
  for (const file of ["linux", "initrd.gz"]) cpSync(join(brought, "debian-12", file), join(root, "ubuntu-installer/amd64", file));
  const configuration = readFileSync(join(STORY, "appliance.yaml"), "utf8").replace("interface: eth1", "interface: prov0");
  return { vlan, appliance: await startAppliance(t, vlan, { configuration }) };
}

test("the story: clients see its flags, resolver and files; an address outside 2001:db8::/32 is refused", async (t) => {
  const { vlan } = await startStory(t);
  const client = vlan.client("client");
  client.up();
  client.namespace.ip(`addr add 2001:db8::c/64 dev eth0 nodad\naddr add ${STRANGER}/64 dev eth0 nodad`);
  vlan.server.ip("route add 2001:db9::/64 dev prov0");
  const run = async (...argv: string[]): Promise<string> => (await client.namespace.exec(argv)).stdout;
  await run("sh", "-c", "for i in $(seq 50); do ip -6 addr show eth0 tentative | grep -q fe80 || break; sleep 0.1; done");

  const advertised = await run("rdisc6", "-1", "-r", "5", "-w", "2000", "eth0");
  for (const expected of [
    /Stateful address conf\.\s*:\s*No/,
    /Stateful other conf\.\s*:\s*Yes/,
    /Prefix\s*:\s*2001:db8::\/64/,
    /On-link\s*:\s*Yes/,
    /Autonomous address conf\.\s*:\s*Yes/,
    /Recursive DNS server\s*:\s*2001:db8::1/,
  ])
    assert.match(advertised, expected);

  const curl = (...args: string[]) => run("curl", "-sS", "--max-time", "10", ...args);
  const base = `http://[${ADDRESS}]`;
  const page = await curl(`${base}/`);
  for (const entry of ["ipxe/", "preseed/", "ubuntu-installer/", "ubuntu.cfg"]) assert.ok(page.includes(`>${entry}</a>`), page);
  assert.match(await curl(`${base}/ubuntu-installer/amd64/`), />linux<\/a>/);
  assert.match(await curl(`${base}/ubuntu.cfg`), /^#!ipxe[\s\S]*preseed\/url=http:\/\/\[2001:db8::1\]\/preseed\/ubuntu1404\.cfg/);
  assert.match(await curl("-i", "--interface", STRANGER, `${base}/ubuntu.cfg`), /^HTTP\/1\.1 403/);

  const dig = (...args: string[]) => run("dig", `@${ADDRESS}`, "+time=6", "+tries=1", "missing.rack.example", "AAAA", ...args);
  assert.match(await dig("-b", STRANGER), /status: REFUSED/);
  assert.doesNotMatch(await dig("-b", "2001:db8::c"), /status: REFUSED|no servers could be reached/);
});

test("the story: UEFI PXE, iPXE by TFTP, ubuntu.cfg, the installer and preseed/ubuntu1404.cfg, over IPv6", async (t) => {
  const { vlan, appliance } = await startStory(t);
  const machine = new Machine(vlan, { name: "story", firmware: "uefi-pxe", mac: MAC, uuid: UUID });
  const times: string[] = [];
  const wait = async (what: string, event: string, contains: string, seconds: number) => {
    const line = await appliance.waitFor(says(event, contains), seconds);
    times.push(`${what} ${machine.seconds.toFixed(1)} s`);
    return line;
  };
  const firmware = await wait("firmware's answer", "dhcpv6.answered", "Solicit (firmware-pxe)", 90);
  assert.equal(firmware.bootfileUrl, `tftp://[${ADDRESS}]/ipxe/x86_64/ipxe.efi`);
  const program = await wait("iPXE", "tftp.finished", ": sent", 60);
  assert.equal(program.path, "/ipxe/x86_64/ipxe.efi");
  const ipxe = await wait("iPXE's answer", "dhcpv6.answered", "(ipxe)", 60);
  assert.equal(ipxe.bootfileUrl, `http://[${ADDRESS}]/ubuntu.cfg`);
  await wait("ubuntu.cfg", "http.finished", "GET /ubuntu.cfg: 200", 60);
  await wait("kernel", "http.finished", "GET /ubuntu-installer/amd64/linux: 200", 60);
  await wait("initrd", "http.finished", "GET /ubuntu-installer/amd64/initrd.gz: 200", 60);
  await machine.waitFor(/Linux version/, 60);
  const answers = await wait("preseed", "http.finished", "GET /preseed/ubuntu1404.cfg: 200", 240);
  assert.equal(answers.userAgent, "debian-installer");
  assert.match(String(answers.client), /^2001:db8:/);
  t.diagnostic(`after power-on: ${times.join(", ")}`);
  await machine.powerOff();
});
