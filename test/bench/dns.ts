/**
 * Answers per second, ours against unbound and dnsmasq as forwarders, alternately in each round, on a veth between namespaces:
 * server on one core, load and upstream on the other. Ours runs as shipped: all services, access list, rate limit and events. The
 * load asks from 256 addresses, as a rack does: dnsperf would ask from one, and is itself slower than these servers.
 */
import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { type Namespace, ProvisioningVlan } from "@netboot6/lab";
import { unbound } from "./peers.ts";
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
  readonly perSecond: number;
  readonly lost: number;
  /** CPU microseconds of the server for one answer */
  readonly cpu: number;
  /** False where the load was the bottleneck. */
  readonly valid: boolean;
}

interface Figures {
  readonly hits: Load;
  readonly misses: Load;
  /** microseconds, at 10,000 queries a second */
  readonly p50: number;
  readonly p99: number;
  readonly memory: number;
}

const UPSTREAM = "2001:db8:0:1::53";
/** 256 addresses from here on. */
const SOURCE = "2001:db8:0:1:2::";
const NAMES = 1_000;
const OUTSTANDING = 200;
const PACED = 10_000;
const SLOTS = 10_000;

const FORWARDING = `  outgoing-range: 4096
  num-queries-per-thread: 4096
`;
const FORWARD = `forward-zone:
  name: "."
  forward-addr: ${UPSTREAM}
`;
const OURS = `networks:\n  - interface: prov0\ndns: { upstreams: ["${UPSTREAM}"] }\n`;

export async function benchDns(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: string): string =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
  const rounds = Number(option("rounds", "3"));
  const seconds = Number(option("seconds", "5"));
  const chosen = option("servers", "netboot6,unbound,dnsmasq").split(",");
  const vlan = new ProvisioningVlan();
  const [load, upstream] = (["load", "upstream"] as const).map((name, n) => {
    const { namespace } = vlan.client(name);
    namespace.ip(`link set eth0 up\naddr add ${n === 0 ? "2001:db8:0:1::100" : UPSTREAM}/64 dev eth0`);
    return namespace;
  }) as [Namespace, Namespace];
  await new Promise((resolve) => setTimeout(resolve, 500));
  load.ip(`route add local ${SOURCE}/80 dev lo`);
  vlan.server.ip(`route add ${SOURCE}/80 via 2001:db8:0:1::100`);
  for (const program of ["dns-upstream", "dns-load"])
    execFileSync("gcc", ["-O2", "-o", join(vlan.dir, program), join(import.meta.dirname, `${program}.c`)]);
  const answering = [...ON_LOADS_CORE, join(vlan.dir, "dns-upstream"), UPSTREAM];
  const { pid = 0 } = upstream.spawn(answering, { stdio: ["ignore", "ignore", "inherit"] });
  const questions = new Questions(vlan, load, pid);

  const servers = [netboot6(vlan, OURS), unbound(vlan, FORWARDING, FORWARD), dnsmasq(vlan)].filter(({ name }) => chosen.includes(name));
  const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
  console.log(`${NAMES} names kept, ${seconds} s a measurement, ${rounds} rounds; ${CORES} with the upstream`);
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const running = await server.start();
      try {
        figures.get(server.name)?.push(await measure(running, questions, seconds));
      } finally {
        await running.stop();
      }
    }
  print(figures);
  vlan.close();
}

interface Report {
  readonly answers: number;
  readonly seconds: number;
  readonly lost: number;
  readonly refused: number;
  readonly p50: number;
  readonly p99: number;
  readonly cpu: number;
}

/** dns-load and the upstream on the load's core. */
class Questions {
  readonly #vlan: ProvisioningVlan;
  readonly #load: Namespace;
  readonly #upstream: number;
  #names = NAMES;

  constructor(vlan: ProvisioningVlan, load: Namespace, upstream: number) {
    this.#vlan = vlan;
    this.#load = load;
    this.#upstream = upstream;
  }

  hits(server: RunningServer, seconds: number): Promise<Load> {
    return this.#measure(server, seconds, 0, NAMES);
  }

  /** Each name once. */
  misses(server: RunningServer, seconds: number): Promise<Load> {
    this.#names += 10_000_000;
    return this.#measure(server, seconds, this.#names, 10_000_000);
  }

  /** At a pace that every server keeps. */
  paced(seconds: number): Promise<Report> {
    return this.#run(SLOTS, seconds, 0, NAMES, PACED);
  }

  async #measure(server: RunningServer, seconds: number, first: number, count: number): Promise<Load> {
    const [before, upstreamBefore] = [cpuSeconds(server.pids), cpuSeconds([this.#upstream])];
    const { answers, lost, refused, cpu } = await this.#run(OUTSTANDING, seconds, first, count);
    return {
      perSecond: answers / seconds,
      lost: lost + refused,
      cpu: ((cpuSeconds(server.pids) - before) * 1e6) / answers,
      valid: cpu + (cpuSeconds([this.#upstream]) - upstreamBefore) / seconds < LOAD_CORE_LIMIT,
    };
  }

  async #run(outstanding: number, seconds: number, first: number, count: number, pace?: number): Promise<Report> {
    const numbers = [outstanding, seconds, first, count, ...(pace === undefined ? [] : [pace])].map(String);
    const program = join(this.#vlan.dir, "dns-load");
    const { stdout, stderr } = await this.#load.exec([...ON_LOADS_CORE, program, this.#vlan.address, SOURCE, ...numbers], {
      timeout: seconds + 10,
    });
    if (stdout === "") throw new Error(`dns-load: ${stderr}`);
    return JSON.parse(stdout) as Report;
  }
}

async function measure(server: RunningServer, questions: Questions, seconds: number): Promise<Figures> {
  // Node compiles what is used often.
  await questions.misses(server, 2);
  await questions.hits(server, 2);
  const hits = await questions.hits(server, seconds);
  const { p50, p99 } = await questions.paced(3);
  const misses = await questions.misses(server, seconds);
  return { hits, misses, p50, p99, memory: residentMegabytes(server.pids) };
}

function print(figures: ReadonlyMap<string, readonly Figures[]>): void {
  const ours = figures.get("netboot6") ?? [];
  for (const kind of ["hits", "misses"] as const) {
    console.log(`\n${kind === "hits" ? "kept answers" : "answers from upstream"}`);
    console.log("server      answers/s (each round)                        CPU us   lost");
    for (const [name, all] of figures) {
      const loads = all.map((f) => f[kind]);
      const each = loads.map(({ perSecond, valid }) => `${perSecond.toFixed(0)}${valid ? "" : " (void: load-bound)"}`).join(" ");
      const rate = median(loads.map(({ perSecond }) => perSecond)).toFixed(0);
      const cpu = median(loads.map((load) => load.cpu)).toFixed(1);
      const lost = loads.reduce((sum, load) => sum + load.lost, 0);
      console.log(`${name.padEnd(11)} ${`${rate.padStart(6)} (${each})`.padEnd(45)} ${cpu.padStart(6)} ${String(lost).padStart(6)}`);
    }
    for (const [name, theirs] of figures) {
      if (name === "netboot6" || ours.length === 0) continue;
      const ratio = (of: (load: Load) => number): string =>
        median(ours.map((f, i) => of(f[kind]) / of((theirs[i] as Figures)[kind]))).toFixed(2);
      const bound = [...ours, ...theirs].every((f) => f[kind].valid) ? "" : " (void: load-bound)";
      console.log(
        `netboot6/${name}: ${ratio((l) => l.perSecond)} of its answers per second${bound}, ${ratio((l) => l.cpu)} of its CPU an answer`,
      );
    }
  }
  console.log(`\nserver      p50/p99 us at ${PACED} queries/s   memory MB (after misses)`);
  for (const [name, all] of figures) {
    const latency = `${median(all.map((f) => f.p50))}/${median(all.map((f) => f.p99))}`;
    console.log(
      `${name.padEnd(11)} ${latency.padStart(30)} ${median(all.map((f) => f.memory))
        .toFixed(0)
        .padStart(11)}`,
    );
  }
}

function dnsmasq(vlan: ProvisioningVlan): Server {
  return {
    name: "dnsmasq",
    async start() {
      const dir = freshDir(vlan, "dnsmasq");
      const settings = ["--no-resolv", `--server=${UPSTREAM}`, "--cache-size=10000", "--dns-forward-max=10000", "--local-service"];
      const place = ["--interface=prov0", "--bind-interfaces", "--user=root", `--pid-file=${join(dir, "pid")}`, "--no-hosts"];
      return start(vlan.server, ["dnsmasq", "-k", "-C", "/dev/null", ...settings, ...place], null, join(dir, "log"));
    },
  };
}
