/**
 * Full four-message exchanges per second, ours (durable: fsynced before each Reply) against kea-dhcp6 (memfile, not synced)
 * and dnsmasq, alternately in each round, on a veth between namespaces: server on one core, load on the other. So many clients get a
 * lease, and go through exchanges again until the server is warm; then they are measured (so many leases are held all the while):
 * one at a time; as fast as can be, in bursts in which each comes once; for seconds; and then new clients, whose leases come to
 * those. For seconds, 1,000 clients come again many times within one second: their lease is then on disk already, and ours writes
 * nothing. One at a time and in a burst nobody does, so there each exchange is written. Ours has all services on; it and Kea log
 * warnings alone. `--servers=netboot6,kea,bare` shows besides how far the sockets and the store come with nothing between them
 * (bare-dhcpv6.ts).
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ProvisioningVlan, SERVER_INTERFACE } from "@netboot6/lab";
import { kea } from "./peers.ts";
import {
  CORES,
  cpuSeconds,
  freshDir,
  LOAD_CORE_LIMIT,
  median,
  netboot6,
  ON_LOADS_CORE,
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

interface Rate {
  readonly perSecond: number;
  /** CPU microseconds of the server for one exchange */
  readonly cpu: number;
  readonly resent: number;
  /** False where the load was the bottleneck. */
  readonly valid: boolean;
}

interface Figures {
  readonly one: Load;
  /** Of clients that hold a lease: in bursts, each once; and for seconds. */
  readonly burst: Rate;
  readonly again: Rate;
  readonly memory: number;
  /** Of clients that were never seen before. */
  readonly anew: Rate;
}

/** What the load is told: `dhcpv6-load.c`. */
interface Asked {
  readonly outstanding: number;
  readonly seconds: number;
  readonly first: number;
  readonly most?: number;
  readonly clients?: number;
}

const POOL = ["2001:db8:0:1:1::", "2001:db8:0:1:1:0:ffff:ffff"] as const;
const OUTSTANDING = 32;
const SECONDS = 5;
const BURSTS = 10;
/** Exchanges; with those that are under way as a burst ends they are fewer than the fewest clients. */
const BURST = 900;
/** After it a lease that is given again ends later, and is written. */
const SECOND_MS = 1100;
const ONE_AT_A_TIME = 5000;
/** By then what is compiled as it runs is compiled. */
const WARM_EXCHANGES = 50_000;
/** The first client that holds a lease, and the first that is new. */
const HOLDING = 1_000_000;
const NEW = 100_000_000;

const OURS = `networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n    dhcp: { managed: true, pool: "${POOL[0]}-${POOL[1]}" }\nlog: { level: warn }\n`;

export async function benchDhcpv6(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 3);
  const heldCounts = (args.find((arg) => arg.startsWith("--held="))?.slice(7) ?? "1000,10000,100000").split(",").map(Number);
  const names = (args.find((arg) => arg.startsWith("--servers="))?.slice(10) ?? "netboot6,kea,dnsmasq").split(",");
  const vlan = new ProvisioningVlan();
  const client = vlan.client("load");
  client.up();
  await sleep(500);
  const program = join(vlan.dir, "dhcpv6-load");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "dhcpv6-load.c")]);
  const load = async ({ outstanding, seconds, first, most = 0, clients = 0 }: Asked): Promise<Load> => {
    const argv = [...ON_LOADS_CORE, program, "eth0", ...[outstanding, seconds, first, most, "", 0, clients].map(String)];
    const { stdout, stderr } = await client.namespace.exec(argv, { timeout: seconds + 30 });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as Load;
  };
  const servers = [netboot6(vlan, OURS, null), kea(vlan, POOL.join(" - ")), dnsmasq(vlan), bare(vlan)].filter(({ name }) =>
    names.includes(name),
  );
  console.log(`${OUTSTANDING} outstanding, ${SECONDS} s a measurement, ${rounds} rounds; ${CORES}`);
  const figures = new Map(heldCounts.map((held) => [held, new Map<string, Figures[]>(servers.map(({ name }) => [name, []]))]));
  for (let round = 0; round < rounds; round++)
    for (const held of heldCounts)
      for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
        if (server.name === "dnsmasq" && held > 1000) continue; // it takes minutes to fill, and answers none then
        const running = await server.start();
        try {
          figures
            .get(held)
            ?.get(server.name)
            ?.push(await measure(running, held, load));
        } finally {
          await running.stop();
        }
      }
  for (const [held, ofServers] of figures) print(held, ofServers);
  for (const { name } of servers) printGrowth(name, heldCounts, (held) => figures.get(held)?.get(name) ?? []);
  vlan.close();
}

async function measure(server: RunningServer, held: number, load: (asked: Asked) => Promise<Load>): Promise<Figures> {
  const rate = async (asked: Omit<Asked, "outstanding" | "seconds">): Promise<Rate> => {
    const before = cpuSeconds(server.pids);
    const full = await load({ outstanding: OUTSTANDING, seconds: SECONDS, ...asked });
    return {
      perSecond: full.exchanges / full.seconds,
      cpu: ((cpuSeconds(server.pids) - before) * 1e6) / Math.max(1, full.exchanges),
      resent: full.resent + full.refused,
      valid: full.cpu < LOAD_CORE_LIMIT,
    };
  };
  const holding = { first: HOLDING, clients: held };
  await load({ outstanding: OUTSTANDING, seconds: 120, first: HOLDING, most: held });
  await load({ outstanding: OUTSTANDING, seconds: 60, ...holding, most: Math.max(held, WARM_EXCHANGES) });
  await sleep(SECOND_MS);
  const one = await load({ outstanding: 1, seconds: 30, ...holding, most: Math.min(held, ONE_AT_A_TIME) });
  const bursts: Rate[] = [];
  for (let i = 0; i < BURSTS; i++) {
    await sleep(SECOND_MS);
    bursts.push(await rate({ first: HOLDING + ((i * BURST) % Math.max(1, held - BURST - OUTSTANDING)), most: BURST }));
  }
  const again = await rate(holding);
  const memory = residentMegabytes(server.pids);
  return { one, burst: together(bursts), again, memory, anew: await rate({ first: NEW }) };
}

const together = (rates: readonly Rate[]): Rate => ({
  perSecond: median(rates.map(({ perSecond }) => perSecond)),
  cpu: median(rates.map(({ cpu }) => cpu)),
  resent: rates.reduce((sum, { resent }) => sum + resent, 0),
  valid: rates.every(({ valid }) => valid),
});

function print(held: number, figures: ReadonlyMap<string, readonly Figures[]>): void {
  console.log(`\n${held} leases held`);
  const columns = ["exchanges/s in bursts (each round)", `for ${SECONDS} s (each round)`, "of new clients (each round)"]
    .map((column) => `${column.padEnd(36)}CPU us  `)
    .join(" ");
  console.log(`server      ${columns}one at a time p50/p99 us   memory MB   resent`);
  for (const [name, all] of figures) {
    if (all.length === 0) continue;
    const rates = (of: (figures: Figures) => Rate): string => {
      const each = all.map((figures) => `${of(figures).perSecond.toFixed(0)}${of(figures).valid ? "" : " (void: load-bound)"}`).join(" ");
      const perSecond = median(all.map((figures) => of(figures).perSecond)).toFixed(0);
      const cpu = median(all.map((figures) => of(figures).cpu)).toFixed(0);
      return `${`${perSecond.padStart(6)} (${each})`.padEnd(36)}${cpu.padStart(6)}  `;
    };
    const line = [
      name.padEnd(11),
      rates(({ burst }) => burst),
      rates(({ again }) => again),
      rates(({ anew }) => anew),
      `${median(all.map(({ one }) => one.p50))}/${median(all.map(({ one }) => one.p99))}`.padStart(24),
      median(all.map(({ memory }) => memory))
        .toFixed(0)
        .padStart(11),
      String(all.reduce((sum, { burst, again, anew }) => sum + burst.resent + again.resent + anew.resent, 0)).padStart(8),
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
      `${name}/kea: ${ratio(({ burst }) => burst.perSecond)} of its exchanges per second in bursts, ${ratio(({ again }) => again.perSecond)} for ${SECONDS} s, ${ratio(({ anew }) => anew.perSecond)} of those of new clients, ${ratio(({ one }) => one.p50)} of its latency one at a time (medians of the rounds' ratios)`,
    );
  }
}

/** Of the CPU time of an exchange, from the fewest leases held to the most. */
function printGrowth(name: string, heldCounts: readonly number[], of: (held: number) => readonly Figures[]): void {
  const [fewest, most] = [Math.min(...heldCounts), Math.max(...heldCounts)];
  const [few, many] = [of(fewest), of(most)];
  if (fewest === most || many.length === 0) return;
  const grows = (rate: (figures: Figures) => Rate): string =>
    median(many.map((each, i) => rate(each).cpu / rate(few[i] as Figures).cpu)).toFixed(2);
  console.log(
    `${name}: with ${most} held an exchange takes ${grows(({ burst }) => burst)} of the CPU time that it takes with ${fewest} in bursts, ${grows(({ again }) => again)} for ${SECONDS} s, a new client's ${grows(({ anew }) => anew)} (medians of the rounds' ratios)`,
  );
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
