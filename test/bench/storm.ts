/**
 * A power-on storm: racks of machines at once through the whole chain, ours against kea, radvd, unbound and nginx, alternately in
 * each round; servers on one core, machines on the other. On a link as fast as they go, and behind a port of 2 Gbit/s.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProvisioningVlan, SERVER_INTERFACE } from "@netboot6/lab";
import { cpuSeconds, LOAD_CORE_LIMIT, median, netboot6, residentMegabytes, type Server } from "./servers.ts";
import { type Stage, type Storm, StormLink } from "./storm-link.ts";
import { daemons } from "./storm-peers.ts";

interface Figures extends Storm {
  readonly serverCpu: number;
  readonly memory: number;
}

const PROGRAM_BYTES = 1_000_000;
const KERNEL_BYTES = 8_000_000;
const INITRD_BYTES = 40_000_000;
const PORT = "2gbit";
/** How long a packet waits in its buffer at most: 1.25 MB, of what a switch has for all its ports. */
const PORT_LATENCY = "5ms";
const LIMIT_SECONDS = 120;
/** Machines that booted before: the servers are up and in use; then a while longer than routers must keep between two advertisements. */
const EARLIER = 50;
const AFTER_MS = 4_000;
export async function benchStorm(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: string): string =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
  const rounds = Number(option("rounds", "3"));
  const chosen = option("servers", "netboot6,daemons").split(",");
  const most = Number(option("machines", "1000"));
  const behindPort = Number(option("behind-port", "100"));
  const latency = option("port-latency", PORT_LATENCY);
  const vlan = new ProvisioningVlan({ offload: true });
  const link = await StormLink.open(vlan, EARLIER + Math.max(most, behindPort));
  const root = join(vlan.dir, "www");
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  writeFileSync(join(root, "ipxe/x86_64/ipxe.efi"), randomBytes(PROGRAM_BYTES));
  writeFileSync(join(root, "linux"), randomBytes(KERNEL_BYTES));
  writeFileSync(join(root, "initrd.gz"), randomBytes(INITRD_BYTES));
  const base = `http://[${vlan.address}]`;
  writeFileSync(join(root, "static.ipxe"), `#!ipxe\nkernel ${base}/linux initrd=initrd.gz console=ttyS0\ninitrd ${base}/initrd.gz\nboot\n`);

  const ours = netboot6(
    vlan,
    `networks:
  - interface: prov0
http: { root: ${root} }
dns: { upstreams: ["${link.gateway}"], records: { boot.lab: ["${vlan.address}"] } }
profiles: { storm: { kernel: linux, initrd: [initrd.gz], cmdline: "console=ttyS0" } }
`,
  );
  const theirs = daemons(vlan, { root, program: "ipxe/x86_64/ipxe.efi", script: "static.ipxe" });
  const servers: Server[] = [ours, theirs].filter(({ name }) => chosen.includes(name));

  const storm = async (server: Server, machines: number): Promise<Figures> => {
    const running = await server.start();
    try {
      await link.boot(0, EARLIER, LIMIT_SECONDS);
      await new Promise((resolve) => setTimeout(resolve, AFTER_MS));
      const before = cpuSeconds(running.pids);
      const report = await link.boot(EARLIER, machines, LIMIT_SECONDS);
      return { ...report, serverCpu: cpuSeconds(running.pids) - before, memory: residentMegabytes(running.pids) };
    } finally {
      await running.stop();
    }
  };
  const shaped = (command: string): string => vlan.server.run(["sh", "-c", `tc qdisc ${command}`]);
  for (const { machines, port } of [
    { machines: most, port: false },
    { machines: behindPort, port: true },
  ]) {
    if (machines === 0) continue;
    if (port) shaped(`add dev ${SERVER_INTERFACE} root tbf rate ${PORT} burst 256kb latency ${latency}`);
    const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) figures.get(server.name)?.push(await storm(server, machines));
    print(machines, port, figures);
    if (port) shaped(`del dev ${SERVER_INTERFACE} root`);
  }
  vlan.close();
}

const initrd = ({ stages }: Storm): Stage => stages.initrd as Stage;

function print(machines: number, port: boolean, figures: ReadonlyMap<string, readonly Figures[]>): void {
  const title = `${machines} machines ${port ? `behind a port of ${PORT}` : "on an unshaped link"}`;
  console.log(`\n${title}, ${(PROGRAM_BYTES + KERNEL_BYTES + INITRD_BYTES) / 1e6} MB each; seconds from power-on to the initrd`);
  console.log("server      first  median    last   DHCPv6 p50/p99/most ms   resent failed   CPU s  memory MB");
  for (const [name, all] of figures)
    for (const storm of all) {
      const { dhcpv6, resent, failed, cpu, serverCpu, memory } = storm;
      const seconds = (["first", "median", "last"] as const).map((key) => initrd(storm)[key].toFixed(2).padStart(7)).join(" ");
      const latency = [dhcpv6.p50, dhcpv6.p99, dhcpv6.most].map((us) => (us / 1000).toFixed(1)).join("/");
      console.log(
        `${name.padEnd(10)}${seconds}   ${latency.padStart(22)} ${String(resent).padStart(8)} ${String(failed).padStart(6)} ${serverCpu.toFixed(2).padStart(7)} ${memory.toFixed(0).padStart(10)}${cpu < LOAD_CORE_LIMIT ? "" : " (void: load-bound)"}`,
      );
    }
  for (const [name, all] of figures) {
    const stage = (key: string): string => median(all.map(({ stages }) => stages[key]?.median ?? Number.NaN)).toFixed(2);
    console.log(
      `${name}: the median machine's ${["offer", "lease", "router", "head", "program", "router again", "url", "name", "script", "kernel", "initrd"].map((key) => `${key} ${stage(key)}`).join(", ")}`,
    );
  }
  const ours = figures.get("netboot6") ?? [];
  const theirs = figures.get("daemons") ?? [];
  if (ours.length === 0 || theirs.length === 0) return;
  const ratio = (of: (storm: Figures) => number): string => {
    const all = ours.map((storm, i) => of(storm) / of(theirs[i] as Figures));
    return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`;
  };
  console.log(
    `netboot6/daemons: last machine ${ratio((s) => initrd(s).last)}, median machine ${ratio((s) => initrd(s).median)}, DHCPv6 p99 ${ratio((s) => s.dhcpv6.p99)}, CPU ${ratio((s) => s.serverCpu)}`,
  );
  if (!port) return;
  // The median machine has its files when at the soonest those of all before it and its own are through the port.
  const share = (Math.floor(machines / 2) + 1) / machines;
  const soonest = median(ours.map((storm) => initrd(storm).last * share));
  const atMost = median(theirs.map((storm) => soonest / initrd(storm).median));
  console.log(
    `one machine after the other through a port that is never idle: the median machine at ${soonest.toFixed(2)} s, ${atMost.toFixed(2)} of the daemons'`,
  );
}
