/** Servers under measurement: each on core 0, one after the other, and what /proc tells of them. */
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** Resolves once its log says `ready`, or where null, after a moment. */
export async function start(
  namespace: Namespace,
  argv: readonly string[],
  ready: RegExp | null,
  logFile: string,
  env?: NodeJS.ProcessEnv,
): Promise<RunningServer> {
  const log = openSync(logFile, "w");
  const child = namespace.spawn(["taskset", "-c", "0", ...argv], { stdio: ["ignore", log, "inherit"], env });
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

/** User and system time of the processes and those under them, all their threads. */
export const cpuSeconds = (pids: readonly number[]): number =>
  all(pids).reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
      .replace(/^.*\) /, "")
      .split(" ");
    return sum + (Number(fields[11]) + Number(fields[12])) / 100;
  }, 0);

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
