/**
 * Full four-message exchanges, ours (durable: fsynced before each Reply) against kea-dhcp6 (memfile, not synced) and dnsmasq, each on
 * a veth between namespaces: servers on one core, load on the other. Of each as many are up as there are numbers of leases to hold;
 * all take turns of a second or two, so that what a turn shows is compared with what the others show beside it: a machine's speed
 * drifts by more than the differences looked for. So many clients get a lease, and go through exchanges again until the server is
 * warm; then they are measured (so many leases are held all the while): one at a time, as fast as can be for a second, and, once that
 * second is over, in a burst in which each comes once; then new clients, whose leases come to those. A lease ends at a whole second:
 * 1,000 clients come again many times within one, their lease is then on disk already, and ours writes nothing. One at a time and in
 * a burst each exchange is written; the burst meets the server as the second before it left it, what is in the caches too. Ours has
 * all services on; it and Kea log warnings alone. `--servers=netboot6,kea,bare` shows besides how far the sockets and the store come
 * with nothing between them (bare-dhcpv6.ts).
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

/** What a load reports: `dhcpv6-load.c`. */
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

interface Turn extends Load {
  readonly perSecond: number;
  /** CPU microseconds of the server for one exchange */
  readonly serverCpu: number;
}

/** What the load is told. */
interface Asked {
  readonly outstanding: number;
  readonly seconds: number;
  readonly first: number;
  readonly most?: number;
  readonly clients?: number;
}

/** A server that is up, with so many leases held, and what was measured of it. */
interface Side {
  readonly name: string;
  readonly held: number;
  readonly running: RunningServer;
  load(asked: Asked): Promise<Load>;
  readonly turns: Readonly<Record<Kind, Turn[]>>;
  memory: number;
  /** When its last turn ended; Unix seconds. */
  rests: number;
}

type Kind = "one" | "burst" | "again" | "anew";

const POOL = ["2001:db8:0:1:1::", "2001:db8:0:1:1:0:ffff:ffff"] as const;
const OUTSTANDING = 32;
/** By then what is compiled as it runs is compiled. */
const WARM_EXCHANGES = 50_000;
/** The first client that holds a lease, and the first that is new. */
const HOLDING = 1_000_000;
const NEW = 100_000_000;

/** Exchanges of a turn; with those that are under way as it ends they are fewer than the fewest clients. */
const ONE_AT_A_TIME = 300;
const BURST = 900;
const NEW_SECONDS = 2;
/** Clients that hold a lease, each once; turns are spread over all of them, so that one finds little that another left in caches. */
const once = (turns: number, outstanding: number, most: number) => ({
  turns,
  written: true,
  ask: (turn: number, held: number): Asked => {
    const first = HOLDING + Math.floor((turn / turns) * Math.max(0, held - most - outstanding));
    return { outstanding, seconds: 30, first, most };
  },
});
const KINDS: Readonly<Record<Kind, { turns: number; written: boolean; ask(turn: number, held: number): Asked }>> = {
  one: once(20, 1, ONE_AT_A_TIME),
  burst: once(10, OUTSTANDING, BURST),
  again: { turns: 10, written: false, ask: (_, held) => ({ outstanding: OUTSTANDING, seconds: 1, first: HOLDING, clients: held }) },
  anew: { turns: 3, written: false, ask: (turn) => ({ outstanding: OUTSTANDING, seconds: NEW_SECONDS, first: NEW + turn * 1_000_000 }) },
};

const OURS = `networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n    dhcp: { managed: true, pool: "${POOL[0]}-${POOL[1]}" }\nlog: { level: warn }\n`;
const SERVERS: Readonly<Record<string, (vlan: ProvisioningVlan) => Server>> = {
  netboot6: (vlan) => netboot6(vlan, OURS, null),
  kea: (vlan) => kea(vlan, POOL.join(" - ")),
  dnsmasq,
  bare,
};

export async function benchDhcpv6(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 3);
  const heldCounts = (args.find((arg) => arg.startsWith("--held="))?.slice(7) ?? "1000,10000,100000").split(",").map(Number);
  const names = (args.find((arg) => arg.startsWith("--servers="))?.slice(10) ?? "netboot6,kea,dnsmasq").split(",");
  console.log(`${OUTSTANDING} outstanding, ${rounds} rounds of ${KINDS.burst.turns} bursts; ${CORES}`);
  const sides: Side[] = [];
  for (let round = 0; round < rounds; round++) sides.push(...(await measure(names, heldCounts)));
  for (const held of heldCounts) print(joined(sides.filter((side) => side.held === held)));
  printGrowth(joined(sides), heldCounts);
}

/** One round: all servers are begun anew. */
async function measure(names: readonly string[], heldCounts: readonly number[]): Promise<Side[]> {
  const vlans: ProvisioningVlan[] = [];
  const sides: Side[] = [];
  try {
    for (const held of heldCounts)
      for (const name of names) {
        if (name === "dnsmasq" && held > 1000) continue; // it takes minutes to fill, and answers none then
        const vlan = new ProvisioningVlan();
        vlans.push(vlan);
        sides.push(await begin(vlan, name, held));
      }
    /** `then`: as often, right after each turn of that kind. */
    const takeTurns = async (kind: Kind, then?: Kind): Promise<void> => {
      for (let i = 0; i < KINDS[kind].turns; i++)
        for (const side of i % 2 === 0 ? sides : sides.toReversed()) {
          await takeTurn(side, kind, i);
          if (then) await takeTurn(side, then, i);
        }
    };
    await takeTurns("one");
    await takeTurns("again", "burst");
    for (const side of sides) side.memory = residentMegabytes(side.running.pids);
    await takeTurns("anew");
    return sides;
  } finally {
    for (const { running } of sides) await running.stop();
    for (const vlan of vlans) vlan.close();
  }
}

async function begin(vlan: ProvisioningVlan, name: string, held: number): Promise<Side> {
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
  const server = SERVERS[name];
  if (!server) throw new Error(`no server ${name}: ${Object.keys(SERVERS).join(", ")}`);
  const running = await server(vlan).start();
  await load({ outstanding: OUTSTANDING, seconds: 120, first: HOLDING, most: held });
  await load({ outstanding: OUTSTANDING, seconds: 30, first: HOLDING, clients: held, most: Math.max(held, WARM_EXCHANGES) });
  return { name, held, running, load, turns: { one: [], burst: [], again: [], anew: [] }, memory: 0, rests: unixSeconds() };
}

async function takeTurn(side: Side, kind: Kind, turn: number): Promise<void> {
  const { written, ask } = KINDS[kind];
  while (written && unixSeconds() === side.rests) await sleep(5);
  const before = cpuSeconds(side.running.pids);
  const load = await side.load(ask(turn, side.held));
  const exchanges = Math.max(1, load.exchanges);
  const serverCpu = ((cpuSeconds(side.running.pids) - before) * 1e6) / exchanges;
  side.turns[kind].push({ ...load, perSecond: load.exchanges / load.seconds, serverCpu });
  side.rests = unixSeconds();
}

const unixSeconds = (): number => Math.floor(Date.now() / 1000);

type Measured = Pick<Side, "name" | "held" | "turns"> & { readonly memory: readonly number[] };

/** The rounds of each server and number of leases. */
function joined(sides: readonly Side[]): Measured[] {
  return Object.values(Object.groupBy(sides, ({ name, held }) => `${name} ${held}`)).map((rounds = []) => {
    const [{ name, held }] = rounds as [Side];
    const all = (kind: Kind): Turn[] => rounds.flatMap(({ turns }) => turns[kind]);
    const turns = { one: all("one"), burst: all("burst"), again: all("again"), anew: all("anew") };
    return { name, held, turns, memory: rounds.map(({ memory }) => memory) };
  });
}

const medianOf = (turns: readonly Turn[], of: keyof Turn): number => median(turns.map((turn) => turn[of]));

/** Of what was measured side by side. */
const ratio = (a: readonly Turn[], b: readonly Turn[], of: keyof Turn): string =>
  median(a.map((turn, i) => turn[of] / (b[i] as Turn)[of])).toFixed(2);

function print(servers: readonly Measured[]): void {
  console.log(`\n${servers[0]?.held} leases held`);
  const columns = ["exchanges/s in bursts (from..to)", "for 1 s", "of new clients"].map((column) => `${column.padEnd(34)}CPU us`);
  console.log(`server    ${columns.join("  ")}  one at a time p50/p99 us  memory MB  resent`);
  for (const { name, turns, memory } of servers) {
    const rates = (kind: Kind): string => {
      const each = turns[kind].map(({ perSecond }) => perSecond);
      const range = `(${Math.min(...each).toFixed(0)}..${Math.max(...each).toFixed(0)})`;
      const valid = turns[kind].every(({ cpu }) => cpu < LOAD_CORE_LIMIT) ? "" : " load-bound";
      const rate = `${medianOf(turns[kind], "perSecond").toFixed(0).padStart(6)} ${range}${valid}`;
      return rate.padEnd(34) + medianOf(turns[kind], "serverCpu").toFixed(0).padStart(6);
    };
    const line = [
      name.padEnd(8),
      rates("burst"),
      rates("again"),
      rates("anew"),
      `${medianOf(turns.one, "p50")}/${medianOf(turns.one, "p99")}`.padStart(24),
      median(memory).toFixed(0).padStart(9),
      String([...turns.burst, ...turns.again, ...turns.anew].reduce((sum, { resent, refused }) => sum + resent + refused, 0)).padStart(6),
    ];
    console.log(line.join("  "));
  }
  const theirs = servers.find(({ name }) => name === "kea")?.turns;
  for (const { name, turns } of servers)
    if (theirs && (name === "netboot6" || name === "bare")) {
      const rate = (kind: Kind): string => ratio(turns[kind], theirs[kind], "perSecond");
      const latency = ratio(turns.one, theirs.one, "p50");
      console.log(
        `${name}/kea: ${rate("burst")} of its exchanges per second in bursts, ${rate("again")} for 1 s, ${rate("anew")} of those of new clients, ${latency} of its latency one at a time (medians of the turns' ratios)`,
      );
    }
}

/** Of the CPU time of an exchange, from the fewest leases held to the most. */
function printGrowth(servers: readonly Measured[], heldCounts: readonly number[]): void {
  const [fewest, most] = [Math.min(...heldCounts), Math.max(...heldCounts)];
  for (const { name, held, turns } of servers) {
    const few = servers.find((other) => other.name === name && other.held === fewest)?.turns;
    if (held !== most || !few || most === fewest) continue;
    const grows = (kind: Kind): string => ratio(turns[kind], few[kind], "serverCpu");
    console.log(
      `${name}: with ${most} held an exchange takes ${grows("burst")} of the CPU time that it takes with ${fewest} in bursts, a new client's ${grows("anew")}, for 1 s ${grows("again")}, where with ${fewest} ours writes few of them (medians of the turns' ratios)`,
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
