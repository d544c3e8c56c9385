/**
 * Answers per second, ours against unbound and dnsmasq as forwarders, alternately in each round, on a veth between namespaces:
 * server on one core, load and upstream on the other. Ours runs with all services, access list, rate limit and events as shipped;
 * the rate limit alone is raised, as dnsperf asks from one address.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Namespace, NETBOOT6, ProvisioningVlan } from "@netboot6/lab";
import { cpuSeconds, LOAD_CORE_LIMIT, median, type RunningServer, residentMegabytes, type Server, start } from "./servers.ts";

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
const NAMES = 1_000;
const PACED = 10_000;

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
  const program = join(vlan.dir, "dns-upstream");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "dns-upstream.c")]);
  const upstreamProcess = upstream.spawn(["taskset", "-c", "1", program, UPSTREAM], { stdio: ["ignore", "ignore", "inherit"] });

  const servers = [netboot6(vlan), unbound(vlan), dnsmasq(vlan)].filter(({ name }) => chosen.includes(name));
  const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
  console.log(`${NAMES} names kept, ${seconds} s a measurement, ${rounds} rounds; server on core 0, load and upstream on core 1`);
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const running = await server.start();
      try {
        figures.get(server.name)?.push(await measure(running, new Dnsperf(load, vlan, upstreamProcess.pid as number), seconds));
      } finally {
        await running.stop();
      }
    }
  print(figures);
  vlan.close();
}

/** dnsperf 2.10 on core 1. */
class Dnsperf {
  readonly #load: Namespace;
  readonly #vlan: ProvisioningVlan;
  readonly #upstream: number;
  #names = 0;

  constructor(load: Namespace, vlan: ProvisioningVlan, upstream: number) {
    this.#load = load;
    this.#vlan = vlan;
    this.#upstream = upstream;
  }

  hits(server: RunningServer, seconds: number): Promise<Load> {
    return this.#measure(server, this.#file(0, NAMES), ["-l", `${seconds}`, "-q", "100"]);
  }

  /** Each name once. */
  misses(server: RunningServer, seconds: number): Promise<Load> {
    this.#names += NAMES;
    return this.#measure(server, this.#file(this.#names, 80_000 * seconds), ["-l", `${seconds}`, "-n", "1", "-q", "100"]);
  }

  /** Sorted microseconds of each answer, at a pace that every server keeps. */
  async latencies(seconds: number): Promise<number[]> {
    const { stdout } = await this.#run(this.#file(0, NAMES), ["-l", `${seconds}`, "-Q", `${PACED}`, "-v"]);
    const all = [...stdout.matchAll(/^> \S+ \S+ \S+ (\d+\.\d+)$/gm)].map(([, time]) => Math.round(Number(time) * 1e6));
    if (all.length === 0) throw new Error(`dnsperf tells no latencies:\n${stdout.slice(0, 400)}`);
    return all.sort((a, b) => a - b);
  }

  async #measure(server: RunningServer, file: string, args: readonly string[]): Promise<Load> {
    const [before, upstreamBefore] = [cpuSeconds(server.pid), cpuSeconds(this.#upstream)];
    const { stdout, cpu } = await this.#run(file, args);
    const spent = cpuSeconds(server.pid) - before;
    const figure = (what: RegExp): number => Number(what.exec(stdout)?.[1] ?? Number.NaN);
    const [answers, runTime] = [figure(/Queries completed:\s+(\d+)/), figure(/Run time \(s\):\s+([\d.]+)/)];
    return {
      perSecond: answers / runTime,
      lost: figure(/Queries lost:\s+(\d+)/),
      cpu: (spent * 1e6) / answers,
      valid: (cpu + cpuSeconds(this.#upstream) - upstreamBefore) / runTime < LOAD_CORE_LIMIT,
    };
  }

  async #run(file: string, args: readonly string[]): Promise<{ stdout: string; cpu: number }> {
    const dnsperf = ["dnsperf", "-s", this.#vlan.address, "-f", "inet6", "-d", file, "-c", "20", "-b", "4096", ...args];
    const timed = `TIMEFORMAT='%U %S'; time taskset -c 1 ${dnsperf.join(" ")} 2>/dev/null`;
    const { stdout, stderr, code } = await this.#load.exec(["bash", "-c", timed], { timeout: 60 });
    if (code !== 0) throw new Error(`dnsperf: ${stderr}${stdout}`);
    const [user = 0, system = 0] = stderr.trim().split(/\s+/).slice(-2).map(Number);
    return { stdout, cpu: user + system };
  }

  #file(first: number, count: number): string {
    const file = join(this.#vlan.dir, "names");
    writeFileSync(file, Array.from({ length: count }, (_, n) => `n${first + n}.bench.example AAAA\n`).join(""));
    return file;
  }
}

async function measure(server: RunningServer, dnsperf: Dnsperf, seconds: number): Promise<Figures> {
  await dnsperf.hits(server, 2);
  const hits = await dnsperf.hits(server, seconds);
  const latencies = await dnsperf.latencies(3);
  const at = (share: number): number => latencies[Math.floor(latencies.length * share)] as number;
  const misses = await dnsperf.misses(server, seconds);
  return { hits, misses, p50: at(0.5), p99: at(0.99), memory: residentMegabytes(server.pid) };
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
      console.log(`netboot6/${name}: ${ratio((l) => l.perSecond)} of its answers per second, ${ratio((l) => l.cpu)} of its CPU an answer`);
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

function netboot6(vlan: ProvisioningVlan): Server {
  return {
    name: "netboot6",
    async start() {
      const dir = freshDir(vlan, "ours");
      mkdirSync(join(dir, "boot-assets"));
      const file = join(dir, "appliance.yaml");
      writeFileSync(file, `networks:\n  - interface: prov0\ndns: { upstreams: ["${UPSTREAM}"], rateLimit: 10000000 }\n`);
      return start(vlan.server, [NETBOOT6, "run", "--config", file], /"ready"/, join(dir, "log"));
    },
  };
}

function unbound(vlan: ProvisioningVlan): Server {
  return {
    name: "unbound",
    async start() {
      const dir = freshDir(vlan, "unbound");
      const file = join(dir, "unbound.conf");
      writeFileSync(
        file,
        `server:
  interface: ${vlan.address}
  do-ip4: no
  verbosity: 0
  num-threads: 1
  outgoing-range: 4096
  num-queries-per-thread: 4096
  so-rcvbuf: 4m
  module-config: "iterator"
  access-control: 2001:db8:0:1::/64 allow
  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  pidfile: "${join(dir, "pid")}"
forward-zone:
  name: "."
  forward-addr: ${UPSTREAM}
remote-control:
  control-enable: no
`,
      );
      return start(vlan.server, ["unbound", "-d", "-c", file], null, join(dir, "log"));
    },
  };
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

function freshDir(vlan: ProvisioningVlan, name: string): string {
  const dir = join(vlan.dir, name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  return dir;
}
