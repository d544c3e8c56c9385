/**
 * What the console costs the services, and how quick it is, while 2,000 machines boot at once: the same storm with five consoles open
 * and with none, alternately in each round. A console asks what the page asks: the stream of events, and all machines every two
 * seconds. Server on one core; machines and consoles on the other.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { type Namespace, ProvisioningVlan } from "@netboot6/lab";
import { CONSOLE, launchBrowser } from "../browser.ts";
import { LOAD_CORE_LIMIT, median, netboot6, residentMegabytes } from "./servers.ts";
import { type Storm, StormLink } from "./storm-link.ts";

const MACHINES = 2_000;
const CONSOLES = 5;
const EARLIER = 50;
const FILE_BYTES = 100_000;
const LIMIT_SECONDS = 120;

interface Round {
  readonly storm: Storm;
  readonly memory: number;
  /** Events that one console was sent in a second. */
  readonly events: number;
}

interface Looks {
  /** Milliseconds of `GET /machines`. */
  readonly machines: number;
  /** Milliseconds from the page's address to its 2,000 tiles. */
  readonly page: number;
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

  const run = async (consoles: number, after: () => Promise<void>): Promise<Round> => {
    const running = await server.start();
    const open: Console[] = [];
    try {
      await link.boot(0, EARLIER, LIMIT_SECONDS);
      for (let i = 0; i < consoles; i++) open.push(new Console(vlan.server, vlan.dir, i));
      await new Promise((resolve) => setTimeout(resolve, 4000));
      const before = open[0]?.events() ?? 0;
      const began = performance.now();
      const storm = await link.boot(EARLIER, MACHINES, LIMIT_SECONDS);
      const events = ((open[0]?.events() ?? 0) - before) / ((performance.now() - began) / 1000);
      const memory = residentMegabytes(running.pids);
      for (const each of open) each.close();
      await after();
      return { storm, memory, events };
    } finally {
      for (const each of open) each.close();
      await running.stop();
    }
  };

  console.log(`${MACHINES} machines at once, ${rounds} rounds; server on core 0, machines and consoles on core 1`);
  console.log("consoles   DHCPv6 p50/p99/most ms   resent failed   all booted s   events/s each   memory MB");
  const pairs: { with: Round; without: Round }[] = [];
  let looks: Looks | null = null;
  for (let round = 0; round < rounds; round++) {
    const measured = new Map<number, Round>();
    for (const consoles of round % 2 === 0 ? [0, CONSOLES] : [CONSOLES, 0]) {
      const last = round === rounds - 1 && measured.size === 1;
      const one = await run(consoles, async () => {
        if (last) looks = await lookAt(vlan);
      });
      measured.set(consoles, one);
      print(consoles, one);
    }
    pairs.push({ with: measured.get(CONSOLES) as Round, without: measured.get(0) as Round });
  }
  const ratios = pairs.map((pair) => pair.with.storm.dhcpv6.p99 / pair.without.storm.dhcpv6.p99);
  const each = ratios.map((ratio) => ratio.toFixed(2)).join(" ");
  console.log(`DHCPv6 p99 with ${CONSOLES} consoles open: ${median(ratios).toFixed(2)} of that without (each round ${each})`);
  const seen = looks as Looks | null;
  if (seen)
    console.log(
      `after it: GET /machines in ${seen.machines.toFixed(0)} ms, the page drawn with all its tiles in ${seen.page.toFixed(0)} ms`,
    );
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
      host.spawn(["taskset", "-c", "1", "sh", "-c", script], { stdio: "ignore" }),
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

async function lookAt(vlan: ProvisioningVlan): Promise<Looks> {
  const took = Number(vlan.server.run(["curl", "-s", "-o", "/dev/null", "-w", "%{time_total}", `${CONSOLE}/api/v1/machines`])) * 1000;
  const browser = await launchBrowser(vlan);
  try {
    const page = await browser.newPage();
    const began = performance.now();
    await page.goto(`${CONSOLE}/`);
    await page
      .locator(".tile")
      .nth(MACHINES - 1)
      .waitFor();
    return { machines: took, page: performance.now() - began };
  } finally {
    await browser.close();
  }
}
