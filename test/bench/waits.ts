/**
 * How long real clients wait for an answer over HTTP: `npm run bench waits [CLIENT,... [WAY,...]]`. One boot of a virtual machine
 * for each client and each way of holding its answer up (see slow-server.ts); prints what it then does, by seconds since it asked.
 */
import { join } from "node:path";
import { createInterface } from "node:readline";
import { addAsset } from "@netboot6/boot";
import { Appliance, BOOT_ASSETS, type ConsoleLine, Machine, type MachineOptions, ProvisioningVlan } from "@netboot6/lab";

const MAC = "52:54:00:0b:00:01";
const SLOW = "2001:db8:0:1::2";
const URL = `http://[${SLOW}]`;

interface Client {
  readonly machine: Omit<MachineOptions, "name" | "mac">;
  /** What stands in its configuration beside the network. */
  readonly configuration: string;
}

const profile = (kernel: string, more = ""): string =>
  `profiles: { try: { kernel: "${kernel}", initrd: [debian-12/initrd.gz], cmdline: "console=ttyS0 ${more}", once: false } }`;
const grub = profile(`${URL}/debian-12/linux`).replace("once:", "bootProgram: shim-grub, once:");

const CLIENTS: Readonly<Record<string, Client>> = {
  firmware: {
    machine: { firmware: "uefi-http" },
    configuration: `boot: { rules: [{ arch: x64-uefi-http, url: "${URL}/ipxe/x86_64/ipxe.efi" }] }`,
  },
  ipxe: { machine: { firmware: "uefi-http" }, configuration: profile(`${URL}/debian-12/linux`) },
  // It asks by the firmware's HTTP.
  "grub-by-http": { machine: { firmware: "uefi-http", secureBoot: true }, configuration: grub },
  // It asks by its own.
  "grub-by-tftp": { machine: { firmware: "uefi-pxe", secureBoot: true }, configuration: grub },
  installer: {
    machine: { firmware: "uefi-http" },
    configuration: profile(
      "debian-12/linux",
      `auto=true priority=critical hostname=node domain=rack.example preseed/url=${URL}/answers.cfg netcfg/dhcp_timeout=1 DEBIAN_FRONTEND=text`,
    ),
  },
};

const BOOT_S = 150;
/** Silence is watched for so long, and what the client does after it has given up. */
const HELD_S = 180;
const AFTER_S = 80;
const WIDTH = 100;
/** What a kernel says is of no interest. */
const KERNEL = /^\[ *\d+\.\d+\]/;

export async function benchWaits(args: readonly string[]): Promise<void> {
  const [clients = Object.keys(CLIENTS), ways = ["head", "get", "byte", "503", "trickle"]] = args.map((arg) => arg.split(","));
  for (const name of ["ipxe", "debian-12", "shim-grub"] as const) await addAsset(name, BOOT_ASSETS);
  for (const name of clients)
    for (const way of ways) {
      const client = CLIENTS[name];
      if (!client) throw new TypeError(`no such client: ${name}; there are ${Object.keys(CLIENTS).join(", ")}`);
      await measure(name, client, way);
    }
}

async function measure(name: string, { machine: options, configuration }: Client, way: string): Promise<void> {
  const vlan = new ProvisioningVlan({ dad: true });
  const slow = vlan.client("slow");
  slow.up();
  slow.namespace.ip(`addr add ${SLOW}/64 dev ${slow.interface} nodad`);
  const argv = [process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "slow-server.ts")];
  const server = slow.namespace.spawn([...argv, SLOW, way, BOOT_ASSETS], { stdio: ["ignore", "pipe", "inherit"] });
  const appliance = new Appliance(vlan, {
    configuration: `networks:\n  - interface: prov0\nhttp: { root: ${BOOT_ASSETS} }\n${configuration}\n`,
  });
  await appliance.ready();

  console.log(`\n${name}, ${way}`);
  let first = 0;
  let over = false;
  const print = (who: string, text: string): void => {
    if (first > 0) console.log(`${((performance.now() - first) / 1000).toFixed(1).padStart(7)} ${who.padEnd(8)} ${text}`);
  };
  const said = new Set<string>();
  const onLine = ({ text }: ConsoleLine): void => {
    if (said.has(text) || KERNEL.test(text)) return;
    said.add(text);
    print("console", text.slice(0, WIDTH));
  };
  const machine = new Machine(vlan, { name, mac: MAC, restart: true, ...options, onLine });
  await new Promise<void>((resolve, reject) => {
    const boot = setTimeout(() => reject(new Error(`${name} asked for nothing within ${BOOT_S} s`)), BOOT_S * 1000);
    let watch: NodeJS.Timeout;
    if (!server.stdout) throw new Error("its output is piped");
    createInterface({ input: server.stdout }).on("line", (line) => {
      if (first === 0) {
        clearTimeout(boot);
        first = performance.now();
        watch = setTimeout(resolve, HELD_S * 1000);
      }
      print("server", line);
      // Once it has given up, what it does then.
      if (/broken off|closed/.test(line) && !over) {
        over = true;
        clearTimeout(watch);
        watch = setTimeout(resolve, AFTER_S * 1000);
      }
    });
  });
  print("", "end of watching");
  await machine.powerOff();
  await appliance.stop();
  vlan.close();
}
