/**
 * What the console costs the services while 2,000 machines boot at once: the same storm with five consoles open and with none,
 * alternately in each round. A console asks what the page asks: the stream of events, and all machines every two seconds. Server on one
 * core; machines and consoles on the other. At last, how quick the console is meanwhile: a browser loads the page, and a program asks for
 * all machines, again and again while they boot.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type Namespace, ProvisioningVlan } from "@netboot6/lab";
import type { Browser } from "playwright-core";
import { CONSOLE, launchBrowser } from "../browser.ts";
import { CORES, LOAD_CORE_LIMIT, median, netboot6, ON_LOADS_CORE, residentMegabytes } from "./servers.ts";
import { type Storm, StormLink } from "./storm-link.ts";

const MACHINES = 2_000;
const CONSOLES = 5;
const EARLIER = 50;
const FILE_BYTES = 100_000;
const LIMIT_SECONDS = 120;
/** So many storms in a row are looked at, twice; of a third boot within minutes, each machine would be stopped. */
const LOOKED_AT = 2;

interface Round {
  readonly storm: Storm;
  readonly memory: number;
  /** Events that one console was sent in a second. */
  readonly events: number;
}

/** Milliseconds each. */
interface Looks {
  /** `GET /machines`. */
  readonly machines: readonly number[];
  /** From the page's address to its tiles. */
  readonly pages: readonly number[];
}

export async function benchConsole(args: readonly string[]): Promise<void> {
  const rounds = Number(args.find((arg) => arg.startsWith("--rounds="))?.slice(9) ?? 3);
  const vlan = new ProvisioningVlan({ offload: true });
  const link = await StormLink.open(vlan, EARLIER + MACHINES);
  const root = join(vlan.dir, "www");
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  for (const file of ["ipxe/x86_64/ipxe.efi", "linux", "initrd.gz"]) writeFileSync(join(root, file), Buffer.alloc(FILE_BYTES, 1));
  const server = netboot6(
    vlan,
    `networks:
  - interface: prov0
http: { root: ${root} }
dns: { upstreams: ["${link.gateway}"], records: { boot.lab: ["${vlan.address}"] } }
profiles: { storm: { kernel: linux, initrd: [initrd.gz], cmdline: "console=ttyS0" } }
`,
  );

  const run = async (consoles: number, storms: number, looker: Looker | null): Promise<Round> => {
    const running = await server.start();
    const open: Console[] = [];
    try {
      await link.boot(0, EARLIER, LIMIT_SECONDS);
      for (let i = 0; i < consoles; i++) open.push(new Console(vlan.server, vlan.dir, i));
      await new Promise((resolve) => setTimeout(resolve, 4000));
      const before = open[0]?.events() ?? 0;
      const began = performance.now();
      looker?.begin();
      let storm = await link.boot(EARLIER, MACHINES, LIMIT_SECONDS);
      for (let i = 1; i < storms; i++) storm = await link.boot(EARLIER, MACHINES, LIMIT_SECONDS);
      await looker?.end();
      const events = ((open[0]?.events() ?? 0) - before) / ((performance.now() - began) / 1000);
      return { storm, memory: residentMegabytes(running.pids), events };
    } finally {
      for (const each of open) each.close();
      await running.stop();
    }
  };

  console.log(`${MACHINES} machines at once, ${rounds} rounds; ${CORES} with machines and consoles`);
  console.log("consoles   DHCPv6 p50/p99/most ms   resent failed   all booted s   events/s each   memory MB");
  const pairs: { with: Round; without: Round }[] = [];
  for (let round = 0; round < rounds; round++) {
    const measured = new Map<number, Round>();
    for (const consoles of round % 2 === 0 ? [0, CONSOLES] : [CONSOLES, 0]) {
      const one = await run(consoles, 1, null);
      measured.set(consoles, one);
      print(consoles, one);
    }
    pairs.push({ with: measured.get(CONSOLES) as Round, without: measured.get(0) as Round });
  }
  const ratios = pairs.map((pair) => pair.with.storm.dhcpv6.p99 / pair.without.storm.dhcpv6.p99);
  const each = ratios.map((ratio) => ratio.toFixed(2)).join(" ");
  console.log(`DHCPv6 p99 with ${CONSOLES} consoles open: ${median(ratios).toFixed(2)} of that without (each round ${each})`);

  const looker = await Looker.open(vlan);
  const looked = [await run(1, LOOKED_AT, looker), await run(1, LOOKED_AT, looker)];
  const { machines, pages } = await looker.close();
  const memory = Math.max(...looked.map((round) => round.memory));
  const events = median(looked.map((round) => round.events));
  console.log(`while ${2 * LOOKED_AT} such storms went on, ${events.toFixed(0)} events/s, ${memory.toFixed(0)} MB:`);
  console.log(`GET /machines: ${quantiles(machines)}; the page drawn: ${quantiles(pages)}`);
  vlan.close();
}

function print(consoles: number, { storm, memory, events }: Round): void {
  const { dhcpv6, resent, failed, cpu, stages } = storm;
  const latency = [dhcpv6.p50, dhcpv6.p99, dhcpv6.most].map((us) => (us / 1000).toFixed(1)).join("/");
  const columns = [String(consoles).padStart(8), latency.padStart(24), String(resent).padStart(8), String(failed).padStart(6)];
  const more = [
    (stages.initrd?.last ?? Number.NaN).toFixed(2).padStart(14),
    events.toFixed(0).padStart(15),
    memory.toFixed(0).padStart(11),
  ];
  console.log(`${[...columns, ...more].join(" ")}${cpu < LOAD_CORE_LIMIT ? "" : " (void: load-bound)"}`);
}

/** One console that is open, as the appliance sees it. */
class Console {
  readonly #events: string;
  readonly #processes: readonly ChildProcess[];

  constructor(host: Namespace, dir: string, number: number) {
    this.#events = join(dir, `events-${number}`);
    const api = `${CONSOLE}/api/v1`;
    const asks = ["machines", "networks", "status", "config", "stages"].map((path) => `-o /dev/null ${api}/${path}`).join(" ");
    this.#processes = [`exec curl -sN ${api}/events >${this.#events}`, `while sleep 2; do curl -s ${asks}; done`].map((script) =>
      host.spawn([...ON_LOADS_CORE, "sh", "-c", script], { stdio: "ignore" }),
    );
  }

  /** What it was sent so far. */
  events(): number {
    return readFileSync(this.#events, "latin1").split("\ndata: ").length - 1;
  }

  close(): void {
    for (const process of this.#processes) process.kill();
  }
}

const quantiles = (took: readonly number[]): string => {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN).toFixed(0);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (of ${took.length})`;
};

/** Looks at the console again and again: all machines ten times a second, and the page as often as it can be loaded. */
class Looker {
  readonly #vlan: ProvisioningVlan;
  readonly #browser: Browser;
  readonly #times: string;
  readonly #pages: number[] = [];
  #asking: ChildProcess | null = null;
  #loading: Promise<void> = Promise.resolve();

  private constructor(vlan: ProvisioningVlan, browser: Browser) {
    this.#vlan = vlan;
    this.#browser = browser;
    this.#times = join(vlan.dir, "looks");
  }

  static async open(vlan: ProvisioningVlan): Promise<Looker> {
    return new Looker(vlan, await launchBrowser(vlan, ON_LOADS_CORE));
  }

  begin(): void {
    const ask = `curl -s -o /dev/null -w '%{time_total}\\n' ${CONSOLE}/api/v1/machines`;
    this.#asking = this.#vlan.server.spawn([...ON_LOADS_CORE, "sh", "-c", `while sleep 0.1; do ${ask}; done >>${this.#times}`], {
      stdio: "ignore",
    });
    this.#loading = this.#load();
  }

  async #load(): Promise<void> {
    const page = await this.#browser.newPage();
    while (this.#asking) {
      const began = performance.now();
      await page.goto(`${CONSOLE}/`);
      // As many as there are for certain: the others join while they boot.
      await page
        .locator(".tile")
        .nth(EARLIER - 1)
        .waitFor();
      this.#pages.push(performance.now() - began);
    }
  }

  async end(): Promise<void> {
    this.#asking?.kill();
    this.#asking = null;
    await this.#loading;
  }

  async close(): Promise<Looks> {
    await this.#browser.close();
    const machines = readFileSync(this.#times, "latin1")
      .trim()
      .split("\n")
      .map((seconds) => Number(seconds) * 1000);
    return { machines, pages: this.#pages };
  }
}
