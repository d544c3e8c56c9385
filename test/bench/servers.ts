/** Servers under measurement: all on the same core, and what /proc tells of them. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Namespace, NETBOOT6, type ProvisioningVlan } from "@netboot6/lab";

export interface Server {
  readonly name: string;
  start(): Promise<RunningServer>;
}

export interface RunningServer {
  /** The processes started; theirs are counted with them. */
  readonly pids: readonly number[];
  stop(): Promise<void>;
}

/** The share of its core from which on the load is the bottleneck: the measurement is void. */
export const LOAD_CORE_LIMIT = 0.8;

/**
 * A disk with one queue interrupts one core, and an fsync of a program on another takes half as long again; a server's disk has a
 * queue for each core. So the servers have the core on which an fsync takes less, and the load the other.
 */
const [SERVERS_CORE, LOADS_CORE] = coresByFsync();
const ON_SERVERS_CORE = ["taskset", "-c", SERVERS_CORE];
export const ON_LOADS_CORE = ["taskset", "-c", LOADS_CORE];
export const CORES = `server on core ${SERVERS_CORE}, load on core ${LOADS_CORE}`;

function coresByFsync(): readonly [server: string, load: string] {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-bench-"));
  const write = ["dd", "if=/dev/zero", `of=${join(dir, "file")}`, "bs=4k", "count=300", "oflag=dsync", "conv=notrunc"];
  const took = (core: string): number => {
    const began = performance.now();
    execFileSync("taskset", ["-c", core, ...write], { stdio: "ignore" });
    return performance.now() - began;
  };
  took("0"); // the file grows
  const times = Array.from({ length: 5 }, () => [took("0"), took("1")] as const);
  rmSync(dir, { recursive: true });
  return median(times.map(([first]) => first)) <= median(times.map(([, second]) => second)) ? ["0", "1"] : ["1", "0"];
}

/** Resolves once its log says `ready`, or where null, after a moment. */
export async function start(
  namespace: Namespace,
  argv: readonly string[],
  ready: RegExp | null,
  logFile: string,
  env?: NodeJS.ProcessEnv,
): Promise<RunningServer> {
  const log = openSync(logFile, "w");
  const child = namespace.spawn([...ON_SERVERS_CORE, ...argv], { stdio: ["ignore", log, "inherit"], env });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  for (let waited = 0; waited < 1500 || (ready && !ready.test(readFileSync(logFile, "latin1"))); waited += 100) {
    if (waited > 30_000 || child.exitCode !== null) throw new Error(`${argv[0]} did not start`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    pids: [child.pid as number],
    stop: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

/** An empty folder of a server's own. */
export function freshDir(vlan: ProvisioningVlan, name: string): string {
  const dir = join(vlan.dir, name);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir);
  return dir;
}

/** Ours as shipped: every service on, events, log and console. `ready`: what its log says then; null where it says nothing. */
export const netboot6 = (vlan: ProvisioningVlan, configuration: string, ready: RegExp | null = /"ready"/): Server => ({
  name: "netboot6",
  async start() {
    const dir = freshDir(vlan, "ours");
    mkdirSync(join(dir, "boot-assets"));
    const file = join(dir, "appliance.yaml");
    writeFileSync(file, configuration);
    return start(vlan.server, [NETBOOT6, "run", "--config", file], ready, join(dir, "log"));
  },
});

/** A server that is started on a configuration file in a folder of its own; `prepare` gives the file's text and the command. */
export const configured = (
  vlan: ProvisioningVlan,
  name: string,
  prepare: (dir: string, file: string) => { readonly text: string; readonly argv: readonly string[]; readonly env?: NodeJS.ProcessEnv },
): Server => ({
  name,
  async start() {
    const dir = freshDir(vlan, name);
    const file = join(dir, `${name}.conf`);
    const { text, argv, env } = prepare(dir, file);
    writeFileSync(file, text);
    return start(vlan.server, argv, null, join(dir, "log"), env);
  },
});

/** What the processes and those under them took of their core, all their threads. */
export const cpuSeconds = (pids: readonly number[]): number =>
  all(pids)
    .flatMap((pid) => readdirSync(`/proc/${pid}/task`).map((thread) => `/proc/${pid}/task/${thread}/schedstat`))
    .reduce((sum, file) => sum + Number(readFileSync(file, "latin1").split(" ")[0]) / 1e9, 0);

export const residentMegabytes = (pids: readonly number[]): number =>
  all(pids).reduce((sum, pid) => sum + Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1]) / 1024, 0);

/** With those under them. */
const all = (pids: readonly number[]): number[] =>
  pids.flatMap((pid) => {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").trim().split(" ").filter(Boolean);
    return [pid, ...all(children.map(Number))];
  });

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
}
