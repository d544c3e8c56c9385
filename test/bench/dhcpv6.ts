/**
 * Full four-message exchanges per second, ours (durable: fsynced before each Reply) against kea-dhcp6 (memfile, not synced)
 * and dnsmasq, alternately in each round, on a veth between namespaces: server on one core, load on the other. Ours has all
 * services on; it and Kea log warnings alone. `--servers=netboot6,kea,bare` shows besides how far the sockets and the store come
 * with nothing between them (bare-dhcpv6.ts).
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ProvisioningVlan, SERVER_INTERFACE } from "@netboot6/lab";
import { kea } from "./peers.ts";
import {
  cpuSeconds,
  freshDir,
  LOAD_CORE_LIMIT,
  median,
  netboot6,
  type RunningServer,
  residentMegabytes,
  type Server,
  start,
} from "./servers.ts";

interface Load {
  readonly exchanges: number;
  readonly seconds: number;
  readonly resent: number;
  readonly refused: number;
  /** microseconds of a whole exchange */
  readonly p50: number;
  readonly p99: number;
  /** share of the load's core */
  readonly cpu: number;
}

interface Figures {
  readonly perSecond: number;
  /** CPU microseconds of the server for one exchange */
  readonly cpu: number;
  readonly one: Load;
  readonly memory: number;
  readonly resent: number;
  /** False where the load was the bottleneck. */
  readonly valid: boolean;
}

const POOL = ["2001:db8:0:1:1::", "2001:db8:0:1:1:0:ffff:ffff"] as const;
const OUTSTANDING = 32;
const SECONDS = 5;

const OURS = `networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n    dhcp: { managed: true, pool: "${POOL[0]}-${POOL[1]}" }\nlog: { level: warn }\n`;

export async function benchDhcpv6(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 3);
  const heldCounts = (args.find((arg) => arg.startsWith("--held="))?.slice(7) ?? "1000,10000,100000").split(",").map(Number);
  const names = (args.find((arg) => arg.startsWith("--servers="))?.slice(10) ?? "netboot6,kea,dnsmasq").split(",");
  const vlan = new ProvisioningVlan();
  const client = vlan.client("load");
  client.up();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const program = join(vlan.dir, "dhcpv6-load");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "dhcpv6-load.c")]);
  const load = async (outstanding: number, seconds: number, first: number, most?: number): Promise<Load> => {
    const argv = [
      "taskset",
      "-c",
      "1",
      program,
      "eth0",
      String(outstanding),
      String(seconds),
      String(first),
      ...(most === undefined ? [] : [String(most)]),
    ];
    const { stdout, stderr } = await client.namespace.exec(argv, { timeout: seconds + 30 });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as Load;
  };
  const servers = [netboot6(vlan, OURS, null), kea(vlan, POOL.join(" - ")), dnsmasq(vlan), bare(vlan)].filter(({ name }) =>
    names.includes(name),
  );
  console.log(`${OUTSTANDING} outstanding, ${SECONDS} s a measurement, ${rounds} rounds; server on core 0, load on core 1`);
  for (const held of heldCounts) {
    const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
    for (let round = 0; round < rounds; round++)
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        if (server.name === "dnsmasq" && held > 1000) continue; // it takes minutes to fill, and answers none then
        const running = await server.start();
        try {
          figures.get(server.name)?.push(await measure(running, held, load));
        } finally {
          await running.stop();
        }
      }
    print(held, figures);
  }
  vlan.close();
}

async function measure(
  server: RunningServer,
  held: number,
  load: (outstanding: number, seconds: number, first: number, most?: number) => Promise<Load>,
): Promise<Figures> {
  await load(OUTSTANDING, 120, 1_000_000, held);
  const one = await load(1, 2, 50_000_000);
  const before = cpuSeconds(server.pids);
  const full = await load(OUTSTANDING, SECONDS, 100_000_000);
  const cpu = cpuSeconds(server.pids) - before;
  return {
    perSecond: full.exchanges / full.seconds,
    cpu: (cpu * 1e6) / Math.max(1, full.exchanges),
    one,
    memory: residentMegabytes(server.pids),
    resent: full.resent + full.refused,
    valid: full.cpu < LOAD_CORE_LIMIT,
  };
}

function print(held: number, figures: ReadonlyMap<string, readonly Figures[]>): void {
  console.log(`\n${held} leases held`);
  console.log("server      exchanges/s (each round)            CPU us   one at a time p50/p99 us   memory MB   resent");
  for (const [name, all] of figures) {
    if (all.length === 0) continue;
    const each = all.map(({ perSecond, valid }) => `${perSecond.toFixed(0)}${valid ? "" : " (void: load-bound)"}`).join(" ");
    const line = [
      name.padEnd(11),
      `${median(all.map((f) => f.perSecond))
        .toFixed(0)
        .padStart(6)} (${each})`.padEnd(36),
      median(all.map((f) => f.cpu))
        .toFixed(0)
        .padStart(6),
      `${median(all.map((f) => f.one.p50))}/${median(all.map((f) => f.one.p99))}`.padStart(20),
      median(all.map((f) => f.memory))
        .toFixed(0)
        .padStart(16),
      String(all.reduce((sum, f) => sum + f.resent, 0)).padStart(10),
    ];
    console.log(line.join(" "));
  }
  const theirs = figures.get("kea") ?? [];
  if (theirs.length === 0) return;
  for (const name of ["netboot6", "bare"]) {
    const all = figures.get(name) ?? [];
    if (all.length === 0) continue;
    const ratio = (of: (figures: Figures) => number): string =>
      median(all.map((each, i) => of(each) / of(theirs[i] as Figures))).toFixed(2);
    console.log(
      `${name}/kea: ${ratio((f) => f.perSecond)} of its exchanges per second, ${ratio((f) => f.one.p50)} of its latency one at a time (medians of the rounds' ratios)`,
    );
  }
}

function bare(vlan: ProvisioningVlan): Server {
  return {
    name: "bare",
    async start() {
      const dir = freshDir(vlan, "bare");
      const program = [process.execPath, "--disable-warning=ExperimentalWarning", join(import.meta.dirname, "bare-dhcpv6.ts")];
      const linkLocal = /inet6 (fe80::\S+)\//.exec(vlan.server.run(["ip", "-6", "addr", "show", "dev", SERVER_INTERFACE]))?.[1] as string;
      return start(vlan.server, [...program, linkLocal, SERVER_INTERFACE, dir], /ready/, join(dir, "log"));
    },
  };
}

function dnsmasq(vlan: ProvisioningVlan): Server {
  return {
    name: "dnsmasq",
    async start() {
      const dir = freshDir(vlan, "dnsmasq");
      const argv = [
        "dnsmasq",
        "-k",
        "-C",
        "/dev/null",
        "-p",
        "0",
        "--interface=prov0",
        "--bind-interfaces",
        "--user=root",
        `--pid-file=${join(dir, "pid")}`,
        `--dhcp-leasefile=${join(dir, "leases")}`,
      ];
      return start(
        vlan.server,
        [...argv, `--dhcp-range=${POOL[0]},${POOL[1]},64,1h`, "--dhcp-lease-max=1000000", "--dhcp-authoritative"],
        null,
        join(dir, "log"),
      );
    },
  };
}
