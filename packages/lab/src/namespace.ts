import { type ChildProcess, execFile, execFileSync, type SpawnOptions, spawn } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";

export interface ExecResult {
  /** null where a signal ended it, as at the time limit. */
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  /** Seconds, 30 by default; then the command is killed. */
  readonly timeout?: number;
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** A running packet capture. */
export interface Capture {
  readonly file: string;
  /** Ends the capture and waits until the file is whole. */
  stop(): Promise<void>;
}

/** `settings` are sysctl names below `net/`, with slashes. */
export type Sysctls = Readonly<Record<string, string | number>>;

/** A network namespace without IPv4, not even on its loopback. */
export class Namespace {
  readonly name: string;
  readonly #children = new Set<ChildProcess>();

  constructor(name: string, settings: Sysctls = {}) {
    this.name = name;
    ip(["netns", "add", name]);
    this.sysctl(settings);
    // bbr, where a host has it as its default, stalls over veth. A namespace takes only what its host allows: cubic or at least reno.
    this.run(["sh", "-c", "cd /proc/sys/net/ipv4; echo cubic 2>&- >tcp_congestion_control || echo reno >tcp_congestion_control"]);
    this.ip("link set lo up\naddr del 127.0.0.1/8 dev lo");
  }

  /** Runs `ip` commands, one a line, in this namespace. */
  ip(commands: string): void {
    ip(["-n", this.name, "-batch", "-"], commands);
  }

  sysctl(settings: Sysctls): void {
    const script = Object.entries(settings).map(([key, value]) => `echo ${value} >/proc/sys/net/${key}`);
    if (script.length > 0) this.run(["sh", "-ec", script.join("\n")]);
  }

  /** Runs a short command to its end; throws where it fails. */
  run(argv: readonly string[]): string {
    return ip(["netns", "exec", this.name, ...argv]);
  }

  /** Runs a command to its end, whatever that is. */
  exec(argv: readonly string[], { timeout = 30, input, cwd, env }: ExecOptions = {}): Promise<ExecResult> {
    return new Promise((resolve) => {
      const options = { timeout: timeout * 1000, killSignal: "SIGKILL", maxBuffer: 64 << 20, cwd, env } as const;
      const child = execFile("ip", this.#argv(argv), options, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === "number" ? error.code : null) : 0;
        resolve({ code, stdout, stderr: error?.killed ? `${stderr}${argv[0]}: killed after ${timeout} s\n` : stderr });
      });
      this.#track(child);
      child.stdin?.on("error", () => {}); // it need not read its input
      child.stdin?.end(input);
    });
  }

  /** Starts a command; it ends with the VLAN at the latest. */
  spawn(argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return this.#track(spawn("ip", this.#argv(argv), options));
  }

  /** Starts a capture of whole packets; resolves once it sees them. */
  async capture(networkInterface: string, file: string, filter = ""): Promise<Capture> {
    // -Z root: tcpdump's own user may not write where we do.
    const argv = ["tcpdump", "-i", networkInterface, "-w", file, "-U", "--immediate-mode", "-Z", "root", ...(filter ? [filter] : [])];
    const child = this.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    let said = "";
    await new Promise<void>((resolve, reject) => {
      child.once("exit", () => reject(new Error(`tcpdump ended: ${said.trim()}`)));
      child.stderr?.on("data", (data) => {
        said += data;
        if (said.includes("listening on")) resolve();
      });
    });
    return {
      file,
      stop: () => {
        child.kill("SIGINT");
        return ended;
      },
    };
  }

  /** What was started here and has not ended; it may not have entered the namespace yet. */
  get children(): readonly ChildProcess[] {
    return [...this.#children];
  }

  #argv(argv: readonly string[]): string[] {
    // pdeathsig: even when this process is killed outright, what it started does not outlive it.
    return ["netns", "exec", this.name, "setpriv", "--pdeathsig", "KILL", ...argv];
  }

  #track(child: ChildProcess): ChildProcess {
    this.#children.add(child);
    child.once("exit", () => this.#children.delete(child));
    child.once("error", () => this.#children.delete(child));
    return child;
  }
}

/** Runs iproute2's `ip`; the error names the command and what it said. */
export function ip(args: readonly string[], input = ""): string {
  try {
    return execFileSync("ip", args, { input, encoding: "utf8", stdio: "pipe", timeout: 30_000 });
  } catch (cause) {
    const { stderr = "", message } = cause as Error & { stderr?: string };
    throw new Error(`ip ${args.join(" ")} ${input.trim()}: ${stderr.trim() || message}`, { cause });
  }
}

const NETNS_DIR = "/run/netns";

/** The names of all network namespaces of this host that begin with `prefix`. */
export function namespaceNames(prefix: string): string[] {
  try {
    return readdirSync(NETNS_DIR).filter((name) => name.startsWith(prefix));
  } catch {
    return []; // the directory comes with the first namespace
  }
}

/** The processes in these namespaces. Zombies are in none any more. */
function pidsIn(names: readonly string[]): number[] {
  const inodes = new Set(names.flatMap((name) => inode(join(NETNS_DIR, name))));
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  return pids.filter((pid) => inode(`/proc/${pid}/ns/net`).some((ino) => inodes.has(ino))).map(Number);
}

function inode(path: string): number[] {
  try {
    return [statSync(path).ino];
  } catch {
    return [];
  }
}

const TERM_LIMIT_MS = 5_000;
const KILL_LIMIT_MS = 2_000;

/**
 * Ends every process in these namespaces, and `children` still on their way into them, and deletes them. Synchronous, so that
 * it works while this process exits.
 */
export function deleteNamespaces(names: readonly string[], children: readonly ChildProcess[] = []): void {
  for (const [signal, limit] of [
    ["SIGTERM", TERM_LIMIT_MS],
    ["SIGKILL", KILL_LIMIT_MS],
  ] as const) {
    const inside = pidsIn(names);
    for (const child of children) if (!inside.includes(child.pid ?? 0)) child.kill(signal);
    for (const pid of inside) {
      try {
        process.kill(pid, signal);
      } catch {} // gone meanwhile
    }
    const end = performance.now() + limit;
    while (pidsIn(names).length > 0 && performance.now() < end) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  for (const name of names) {
    try {
      ip(["netns", "del", name]);
    } catch (cause) {
      if (namespaceNames(name).includes(name)) throw cause; // else another process swept it
    }
  }
}
