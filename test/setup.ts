/** What the tests of whole boots share: a VLAN, the appliance on it, and boot files out of Debian packages. */
import type { ChildProcess } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { addAsset } from "@netboot6/boot";
import { Appliance, type ApplianceOptions, BOOT_ASSETS, type Namespace, ProvisioningVlan, type VlanOptions } from "@netboot6/lab";

export const MAC = "52:54:00:0b:00:01";
export const UUID = "11223344-5566-7788-99aa-bbccddeeff00";
/** What MAC's machine forms itself on the VLAN. */
export const SLAAC_ADDRESS = "2001:db8:0:1:5054:ff:fe0b:1";

export const INSTALLER = `
profiles:
  debian-12:
    kernel: debian-12/linux
    initrd: [debian-12/initrd.gz]
    cmdline: "auto=true priority=critical hostname={{ machine.name }} domain={{ domain }} preseed/url={{ http }}/preseed/try.cfg netcfg/dhcp_timeout=1 console=ttyS0 DEBIAN_FRONTEND=text"
`;

export const bootAssets = async (): Promise<string> => {
  for (const name of ["ipxe", "debian-12", "shim-grub"] as const) await addAsset(name, BOOT_ASSETS);
  return BOOT_ASSETS;
};

/** A VLAN that ends with the test. */
export function makeVlan(t: TestContext, options: VlanOptions = {}): ProvisioningVlan {
  const vlan = new ProvisioningVlan(options);
  t.after(() => vlan.close());
  return vlan;
}

/** The appliance, ready; it is stopped with the test, and must then end with exit code 0. */
export async function startAppliance(t: TestContext, vlan: ProvisioningVlan, options: ApplianceOptions): Promise<Appliance> {
  const appliance = new Appliance(vlan, options);
  t.after(() => appliance.stop());
  await appliance.ready();
  return appliance;
}

/** radvd on that host: what it says on the interface. It ends with the VLAN. */
export function startRadvd(vlan: ProvisioningVlan, on: Namespace, name: string, settings: string): ChildProcess {
  const file = join(vlan.dir, "radvd.conf");
  writeFileSync(file, `interface ${name} { AdvSendAdvert on; ${settings} };\n`);
  return on.spawn(["radvd", "-n", "-C", file, "-p", join(vlan.dir, "radvd.pid"), "-m", "stderr"], { stdio: "ignore" });
}

/** Log lines of one event about one machine. */
export const says =
  (event: string, contains: string | RegExp = "") =>
  (line: { event?: string; msg: string }) =>
    line.event === event && (typeof contains === "string" ? line.msg.includes(contains) : contains.test(line.msg));

/** A host with MAC and the address that it forms, to ask as that machine would. It is there while it asks, and no longer. */
export function standIn(vlan: ProvisioningVlan): (path: string) => Promise<string> {
  const client = vlan.client("stand-in", { mac: MAC });
  return async (path) => {
    const url = `http://[${vlan.address}]${path}`;
    const curl = ["curl", "-sSf", "--retry", "10", "--retry-all-errors", "--retry-delay", "1", url];
    client.up();
    client.namespace.ip(`addr replace ${SLAAC_ADDRESS}/64 dev ${client.interface} nodad`);
    const { stdout, stderr, code } = await client.namespace.exec(curl);
    client.namespace.ip(`link set ${client.interface} down`);
    if (code !== 0) throw new Error(`${url}: ${stderr}`);
    return stdout;
  };
}

/** As the installer on the machine would: reads its answers file, and fetches the URL in it that reports it as done. */
export async function reportDone(ask: (path: string) => Promise<string>): Promise<void> {
  const done = /http:\S+(\/done\/\S+)/.exec(await ask("/preseed/try.cfg"))?.[1];
  if (done === undefined) throw new Error("no URL in the answers");
  await ask(done);
}
