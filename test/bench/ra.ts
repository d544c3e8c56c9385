/**
 * Router solicitation to advertisement, ours and radvd alternately in each round, on a veth between namespaces: server on one
 * core, load on the other. Then a burst of 200 solicitations, and the memory.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ProvisioningVlan } from "@netboot6/lab";
import { radvd } from "./peers.ts";
import { CORES, median, netboot6, ON_LOADS_CORE, type RunningServer, residentMegabytes } from "./servers.ts";

/** Microseconds. */
interface Latency {
  readonly median: number;
  readonly p99: number;
  readonly max: number;
  readonly lost: number;
}

interface Burst {
  readonly answered: number;
  readonly inOrder: boolean;
  /** until the last one was answered */
  readonly milliseconds: number;
  readonly multicasts: readonly number[];
}

interface Figures {
  readonly latency: Latency;
  readonly burst: Burst;
  readonly memory: number;
}

const SOLICITATIONS = 200;
const BURST = 200;

const OURS = "networks:\n  - interface: prov0\n";

export async function benchRa(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 6);
  const vlan = new ProvisioningVlan();
  const client = vlan.client("load");
  client.up();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const program = join(vlan.dir, "ra-load");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "ra-load.c")]);
  const load = async <T>(...argv: readonly string[]): Promise<T> => {
    const { stdout, stderr } = await client.namespace.exec([...ON_LOADS_CORE, program, "eth0", ...argv], { timeout: 60 });
    if (stdout === "") throw new Error(stderr);
    return JSON.parse(stdout) as T;
  };
  const measure = async (server: RunningServer): Promise<Figures> => {
    await load<Latency>("latency", "20");
    const latency = await load<Latency>("latency", String(SOLICITATIONS));
    const burst = await load<Burst>("burst", String(BURST), "0", "2");
    return { latency, burst, memory: residentMegabytes(server.pids) };
  };
  const servers = [netboot6(vlan, OURS), radvd(vlan, "  AdvLinkMTU 1500;\n  DNSSL rack.example { };\n")];
  const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
  console.log(`${SOLICITATIONS} solicitations 20 ms apart, a burst of ${BURST}, ${rounds} rounds; ${CORES}`);
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const running = await server.start();
      try {
        figures.get(server.name)?.push(await measure(running));
      } finally {
        await running.stop();
      }
    }
  print(figures);
  vlan.close();
}

function print(figures: ReadonlyMap<string, readonly Figures[]>): void {
  console.log("server     RS to RA us: median (each round)               p99    max  lost   burst answered   ms  in order   memory MB");
  for (const [name, all] of figures) {
    const of = (value: (figure: Figures) => number): number => median(all.map(value));
    const each = all.map(({ latency }) => latency.median).join(" ");
    console.log(
      [
        name.padEnd(10),
        `${of(({ latency }) => latency.median)} (${each})`.padEnd(48),
        String(of(({ latency }) => latency.p99)).padStart(6),
        String(Math.max(...all.map(({ latency }) => latency.max))).padStart(6),
        String(all.reduce((sum, { latency }) => sum + latency.lost, 0)).padStart(5),
        all
          .map(({ burst }) => burst.answered)
          .join(" ")
          .padStart(16),
        of(({ burst }) => burst.milliseconds)
          .toFixed(1)
          .padStart(6),
        String(all.every(({ burst }) => burst.inOrder)).padStart(8),
        of(({ memory }) => memory)
          .toFixed(0)
          .padStart(9),
      ].join(" "),
    );
  }
  const [ours = [], theirs = []] = figures.values();
  const ratios = ours.map(({ latency }, i) => latency.median / (theirs[i]?.latency.median ?? Number.NaN));
  console.log(`netboot6/radvd: ${median(ratios).toFixed(2)} of its median latency (median of the rounds' ratios)`);
}
