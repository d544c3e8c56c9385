/** The appliance as a process of its own in the server's namespace, as an operator runs it. */
import type { ChildProcess } from "node:child_process";
import { createWriteStream, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { BootEvent } from "@netboot6/events";
import type { Namespace } from "./namespace.ts";
import type { ProvisioningVlan } from "./vlan.ts";

export const NETBOOT6 = fileURLToPath(new URL("../../supervisor/bin/netboot6", import.meta.url));
export const BOOT_ASSETS = fileURLToPath(new URL("../../../boot-assets", import.meta.url));

/** One line of its log. */
export interface LogLine {
  readonly level: string;
  readonly msg: string;
  readonly event?: string;
  readonly machine?: string;
  readonly [field: string]: unknown;
}

export interface ApplianceOptions {
  /** appliance.yaml; paths in it start at the VLAN's directory. */
  readonly configuration: string;
  /** Where it runs; the VLAN's server by default. */
  readonly namespace?: Namespace;
  /** Put before the command, as `setpriv ...`. */
  readonly before?: readonly string[];
  /** Name of its files in the VLAN's directory; `appliance` by default. */
  readonly name?: string;
}

const READY_TIMEOUT_S = 40;
const STOP_TIMEOUT_MS = 6_000;
const API = "http://[::1]:8067/api/v1";

export class Appliance {
  readonly file: string;
  /** All log lines so far. */
  readonly lines: LogLine[] = [];
  /** What it wrote to stderr. */
  errors = "";
  /** Its exit code; null where a signal ended it. */
  readonly exit: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #namespace: Namespace;
  readonly #hearers = new Set<() => void>();
  #ended = false;

  constructor(vlan: ProvisioningVlan, options: ApplianceOptions) {
    const name = options.name ?? "appliance";
    this.file = join(vlan.dir, `${name}.yaml`);
    writeFileSync(this.file, options.configuration);
    this.#namespace = options.namespace ?? vlan.server;
    this.#process = this.#namespace.spawn([...(options.before ?? []), NETBOOT6, "run", "--config", this.file], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    const log = createWriteStream(join(vlan.dir, `${name}.log`));
    if (!this.#process.stdout || !this.#process.stderr) throw new Error("its output is piped");
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      log.write(`${line}\n`);
      try {
        this.lines.push(JSON.parse(line) as LogLine);
      } catch {
        this.errors += `${line}\n`;
      }
      this.#wake();
    });
    this.#process.stderr.on("data", (data) => {
      this.errors += data;
    });
    this.exit = new Promise((resolve) => {
      this.#process.once("close", (code) => {
        this.#ended = true;
        log.end();
        this.#wake();
        resolve(code);
      });
    });
  }

  get pid(): number {
    return this.#process.pid as number;
  }

  /** Waits until each enabled service answers. */
  async ready(): Promise<void> {
    await this.waitFor((line) => line.event === "appliance.ready", READY_TIMEOUT_S);
  }

  /** The first log line, of all since `from`, that fits; throws where there is none within `timeout` seconds. */
  async waitFor(fits: (line: LogLine) => boolean, timeout: number, from = 0): Promise<LogLine> {
    let seen = from;
    let overdue = false;
    const timer = setTimeout(() => {
      overdue = true;
      this.#wake();
    }, timeout * 1000);
    try {
      for (;;) {
        while (seen < this.lines.length) {
          const line = this.lines[seen++] as LogLine;
          if (fits(line)) return line;
        }
        if (overdue || this.#ended) {
          const last = this.lines.slice(-12).map((line) => `${line.machine ?? ""} ${line.msg}`);
          throw new Error(
            `the appliance ${this.#ended ? "ended" : `did not say so within ${timeout} s`}:\n${last.join("\n")}\n${this.errors}`,
          );
        }
        await new Promise<void>((resolve) => this.#hearers.add(resolve));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Reads the API as a program on its host does. */
  async get<T>(path: string): Promise<T> {
    const { stdout, stderr, code } = await this.#namespace.exec(["curl", "-sS", "--fail-with-body", "--max-time", "10", `${API}${path}`]);
    if (code !== 0) throw new Error(`GET ${path}: ${stdout}${stderr}`);
    return JSON.parse(stdout) as T;
  }

  /** Follows the API's stream of events; resolves once it flows. */
  async follow(read: (event: BootEvent) => void): Promise<void> {
    const curl = this.#namespace.spawn(["curl", "-sSN", `${API}/events`], { stdio: ["ignore", "pipe", "ignore"] });
    if (!curl.stdout) throw new Error("its output is piped");
    const lines = createInterface({ input: curl.stdout });
    await new Promise<void>((resolve, reject) => {
      curl.once("exit", () => reject(new Error("the stream of events ended")));
      lines.on("line", (line) => {
        if (line.startsWith(":")) resolve();
        else if (line.startsWith("data: ")) read(JSON.parse(line.slice(6)) as BootEvent);
      });
    });
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** SIGTERM; its exit code. */
  async stop(): Promise<number | null> {
    if (this.#ended) return this.exit;
    this.signal("SIGTERM");
    const timer = setTimeout(() => this.signal("SIGKILL"), STOP_TIMEOUT_MS);
    const code = await this.exit;
    clearTimeout(timer);
    return code;
  }

  #wake(): void {
    for (const hearer of this.#hearers) hearer();
    this.#hearers.clear();
  }
}
