/**
 * Boot files over HTTP, ours against nginx and apache2, alternately in each round, on a veth between namespaces: server on one
 * core, load on the other. Ours runs as shipped: all services, access list, events and the log of each request; theirs keep no log.
 * Beside a script that ours renders for each request, theirs give out a small file.
 */
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ProvisioningVlan } from "@netboot6/lab";
import { apache2, nginx } from "./peers.ts";
import {
  CORES,
  cpuSeconds,
  LOAD_CORE_LIMIT,
  median,
  netboot6,
  ON_LOADS_CORE,
  type RunningServer,
  residentMegabytes,
  type Server,
} from "./servers.ts";

interface Load {
  readonly answers: number;
  readonly bytes: number;
  readonly seconds: number;
  readonly failed: number;
  /** microseconds of one answer */
  readonly p50: number;
  readonly p99: number;
  /** share of the load's core */
  readonly cpu: number;
}

interface Rate {
  readonly rate: number;
  readonly cpu: number;
  readonly valid: boolean;
}

interface Figures {
  /** By 64 streams at once the 40 MB initrd, and an image that ours does not hold in memory: GB/s, and the server's CPU seconds for a GB. */
  readonly bulk: Rate;
  readonly streamed: Rate;
  /** Answers a second: files of 2 KB on 1 connection and on 64, and scripts on 64. */
  readonly one: Rate;
  readonly many: Rate;
  readonly script: Rate;
  readonly memory: number;
  readonly failed: number;
}

const INITRD_BYTES = 40_000_000;
const IMAGE_BYTES = 100_000_000;
/** Ours holds files of up to half of it. */
const CACHE = "100M";
const SMALL_BYTES = 2_000;
const STREAMS = 64;
/** DHCPv6 exchanges that begin each second beside the downloads. */
const DHCPV6_PACE = 300;

export async function benchHttp(args: readonly string[]): Promise<void> {
  const option = (name: string, otherwise: string): string =>
    args.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3) ?? otherwise;
  const rounds = Number(option("rounds", "5"));
  const seconds = Number(option("seconds", "4"));
  const chosen = option("servers", "netboot6,nginx,apache2").split(",");
  const vlan = new ProvisioningVlan({ offload: true });
  const client = vlan.client("load");
  client.up();
  client.namespace.ip("addr add 2001:db8:0:1::100/64 dev eth0");
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (const program of ["http-load", "dhcpv6-load"])
    execFileSync("gcc", ["-O2", "-o", join(vlan.dir, program), join(import.meta.dirname, `${program}.c`)]);
  const root = join(vlan.dir, "www");
  mkdirSync(root);
  writeFileSync(join(root, "initrd.gz"), randomBytes(INITRD_BYTES));
  writeFileSync(join(root, "image.iso"), randomBytes(IMAGE_BYTES));
  writeFileSync(join(root, "small.txt"), randomBytes(SMALL_BYTES / 2).toString("hex"));

  const run = async <Report>(program: string, ...numbers: (string | number)[]): Promise<Report> => {
    const argv = [...ON_LOADS_CORE, join(vlan.dir, program), ...numbers.map(String)];
    const { stdout, stderr } = await client.namespace.exec(argv, { timeout: seconds + 30 });
    if (stdout === "") throw new Error(`${program}: ${stderr}`);
    return JSON.parse(stdout) as Report;
  };
  const get = (path: string, connections: number, time: number): Promise<Load> => run("http-load", vlan.address, path, connections, time);

  const ours = netboot6(
    vlan,
    `networks:
  - interface: prov0
http: { root: ${root}, cache: ${CACHE} }
dns: false
profiles: { own: { kernel: small.txt, initrd: [initrd.gz], cmdline: "console=ttyS0" } }
`,
  );
  const servers: Server[] = [ours, nginx(vlan, root), apache2(vlan, root)].filter(({ name }) => chosen.includes(name));
  const figures = new Map<string, Figures[]>(servers.map(({ name }) => [name, []]));
  const beside: Beside[] = [];
  console.log(
    `files of ${INITRD_BYTES / 1e6} and ${IMAGE_BYTES / 1e6} MB by ${STREAMS} streams and of ${SMALL_BYTES} bytes, ${seconds} s a measurement, ${rounds} rounds; ${CORES}`,
  );
  for (let round = 0; round < rounds; round++)
    for (const server of round % 2 === 0 ? servers : servers.toReversed()) {
      const running = await server.start();
      try {
        figures.get(server.name)?.push(await measure(running, server === ours ? "/boot.ipxe" : "/small.txt", get, seconds));
        if (server === ours) {
          const [bulk, dhcpv6] = await Promise.all([
            get("/initrd.gz", STREAMS, seconds),
            run<Beside["dhcpv6"]>("dhcpv6-load", "eth0", 64, seconds - 0.5, 1 + round * 1e6, 0, "", DHCPV6_PACE),
          ]);
          beside.push({ rate: bulk.bytes / bulk.seconds / 1e9, dhcpv6, valid: bulk.cpu + dhcpv6.cpu < LOAD_CORE_LIMIT });
        }
      } finally {
        await running.stop();
      }
    }
  print(figures, beside);
  vlan.close();
}

/** DHCPv6 while 64 streams load the initrd; times of whole exchanges in microseconds. */
interface Beside {
  readonly rate: number;
  readonly dhcpv6: {
    readonly exchanges: number;
    readonly resent: number;
    readonly p50: number;
    readonly p99: number;
    readonly cpu: number;
  };
  readonly valid: boolean;
}

type Get = (path: string, connections: number, seconds: number) => Promise<Load>;

async function measure(server: RunningServer, script: string, get: Get, seconds: number): Promise<Figures> {
  // Files come into memory, and Node compiles what is used often.
  await get("/initrd.gz", 4, 1);
  await get("/small.txt", STREAMS, 2);
  let failed = 0;
  const timed = async (path: string, connections: number, amount: (load: Load) => number, cpuUnit: number): Promise<Rate> => {
    const before = cpuSeconds(server.pids);
    const load = await get(path, connections, seconds);
    failed += load.failed;
    const cpu = ((cpuSeconds(server.pids) - before) * cpuUnit) / amount(load);
    return { rate: amount(load) / load.seconds, cpu, valid: load.cpu < LOAD_CORE_LIMIT };
  };
  const bulk = (path: string): Promise<Rate> => timed(path, STREAMS, ({ bytes }) => bytes / 1e9, 1);
  const answers = (path: string, connections: number): Promise<Rate> => timed(path, connections, (load) => load.answers, 1e6);
  const held = {
    bulk: await bulk("/initrd.gz"),
    one: await answers("/small.txt", 1),
    many: await answers("/small.txt", STREAMS),
  };
  const streamed = await bulk("/image.iso");
  await get(script, STREAMS, 2);
  return {
    ...held,
    streamed,
    script: await answers(script, STREAMS),
    memory: residentMegabytes(server.pids),
    failed,
  };
}

interface Column {
  readonly title: string;
  readonly unit: string;
  readonly digits: number;
  of(figures: Figures): Rate;
  /** Of what CPU is told. */
  readonly cpu: string;
}

const COLUMNS: readonly Column[] = [
  { title: `${INITRD_BYTES / 1e6} MB, ${STREAMS} streams`, unit: "GB/s", digits: 2, cpu: "CPU s/GB", of: ({ bulk }) => bulk },
  {
    title: `${IMAGE_BYTES / 1e6} MB that a cache of ${CACHE} does not hold, ${STREAMS} streams`,
    unit: "GB/s",
    digits: 2,
    cpu: "CPU s/GB",
    of: ({ streamed }) => streamed,
  },
  { title: "2 KB, 1 connection", unit: "answers/s", digits: 0, cpu: "CPU us", of: ({ one }) => one },
  { title: `2 KB, ${STREAMS} connections`, unit: "answers/s", digits: 0, cpu: "CPU us", of: ({ many }) => many },
  {
    title: `/boot.ipxe rendered for each request, theirs a file of 2 KB, ${STREAMS} connections`,
    unit: "answers/s",
    digits: 0,
    cpu: "CPU us",
    of: ({ script }) => script,
  },
];

function print(figures: ReadonlyMap<string, readonly Figures[]>, beside: readonly Beside[]): void {
  const ours = figures.get("netboot6") ?? [];
  for (const { title, unit, digits, cpu, of } of COLUMNS) {
    console.log(`\n${title}\nserver      ${unit} (each round)`.padEnd(40 + title.length), `   ${cpu}`);
    for (const [name, all] of figures) {
      const each = all.map((f) => `${of(f).rate.toFixed(digits)}${of(f).valid ? "" : " (void: load-bound)"}`).join(" ");
      const middle = median(all.map((f) => of(f).rate)).toFixed(digits);
      console.log(`${name.padEnd(11)} ${middle} (${each})   ${median(all.map((f) => of(f).cpu)).toFixed(3)}`);
    }
    for (const [name, theirs] of figures) {
      if (name === "netboot6" || ours.length === 0) continue;
      const ratios = (value: (f: Figures) => number): string => {
        const all = ours.map((f, i) => value(f) / value(theirs[i] as Figures));
        return `${median(all).toFixed(2)} (${Math.min(...all).toFixed(2)} to ${Math.max(...all).toFixed(2)})`;
      };
      const bound = [...ours, ...theirs].every((f) => of(f).valid) ? "" : " (void: load-bound)";
      console.log(`netboot6/${name}: ${ratios((f) => of(f).rate)} of its ${unit}${bound}, ${ratios((f) => of(f).cpu)} of its CPU`);
    }
  }
  console.log("\nserver      memory MB   failed");
  for (const [name, all] of figures)
    console.log(
      `${name.padEnd(11)} ${median(all.map((f) => f.memory))
        .toFixed(0)
        .padStart(9)} ${String(all.reduce((sum, f) => sum + f.failed, 0)).padStart(8)}`,
    );
  for (const { rate, dhcpv6, valid } of beside)
    console.log(
      `netboot6: ${dhcpv6.exchanges} DHCPv6 exchanges at ${DHCPV6_PACE}/s beside ${STREAMS} streams of ${rate.toFixed(2)} GB/s: p50/p99 ${(dhcpv6.p50 / 1000).toFixed(1)}/${(dhcpv6.p99 / 1000).toFixed(1)} ms, ${dhcpv6.resent} resent${valid ? "" : " (void: load-bound)"}`,
    );
}
