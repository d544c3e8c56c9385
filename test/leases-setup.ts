/** What the tests of leases share: the load generator as a client that remembers what it was given, and a trace of system calls. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Appliance, NETBOOT6, type ProvisioningVlan } from "@netboot6/lab";
import type { Lease } from "@netboot6/leases";

export const CONFIGURATION = `networks:
  - interface: prov0
    advertise: { autonomous: false }
    dhcp: { managed: true, pool: "2001:db8:0:1::1000-2001:db8:0:1::ffff:ffff" }
`;

/** The DUID-LLT of a client of the load generator. */
export const clientDuid = (client: number): string => `000100012a0000000200${client.toString(16).padStart(8, "0")}`;

export async function list(vlan: ProvisioningVlan): Promise<Lease[]> {
  const { stdout, stderr } = await vlan.server.exec([NETBOOT6, "leases", "--json", "--config", join(vlan.dir, "appliance.yaml")]);
  if (stdout === "") throw new Error(stderr);
  return JSON.parse(stdout) as Lease[];
}

/**
 * Each message of the machine was answered, each file fetched and each report made under one name and one address: `address`, but
 * for answers with the `others`.
 */
export function assertOneAddress({ lines }: Appliance, machine: string, address: string, others: readonly string[] = []): void {
  const answers = lines.filter(({ event }) => event === "dhcpv6.answered");
  const transfers = lines.filter(({ event }) => event === "http.finished" || event === "machine.rendered" || event === "machine.done");
  assert.ok(answers.length > 0 && transfers.length > 0);
  for (const line of [...answers, ...transfers]) assert.equal(line.machine, machine, line.msg);
  for (const { addresses, msg } of answers)
    for (const given of addresses as string[]) assert.ok(given === address || others.includes(given), msg);
  for (const { client, msg } of transfers) assert.equal(client, address, msg);
}

export interface Load {
  /** Runs to its end: after so many exchanges or seconds. */
  run(outstanding: number, seconds: number, firstClient: number, most?: number): Promise<{ readonly exchanges: number }>;
  start(outstanding: number, seconds: number, firstClient: number): { end(): Promise<void> };
  /** Waits until so many leases are acknowledged. */
  acknowledges(count: number): Promise<void>;
  /** Of the last run: client -> address. */
  acknowledged(): Map<number, string>;
}

let loads = 0;

export function makeLoad(vlan: ProvisioningVlan): Load {
  const client = vlan.client(`load${++loads}`);
  client.up();
  const program = join(vlan.dir, `dhcpv6-load-${loads}`);
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "bench/dhcpv6-load.c")]);
  const file = `${program}.acknowledged`;
  const argv = (outstanding: number, seconds: number, first: number, most = 0xffffffff): string[] => {
    rmSync(file, { force: true });
    return [program, "eth0", ...[outstanding, seconds, first, most].map(String), file];
  };
  const acknowledged = (): Map<number, string> => {
    const lines = existsSync(file) ? readFileSync(file, "latin1").split("\n") : [];
    return new Map(lines.filter((line) => line !== "").map((line) => [Number(line.split(" ")[0]), line.split(" ")[1] ?? ""]));
  };
  return {
    acknowledged,
    async run(outstanding, seconds, first, most) {
      const { stdout, stderr } = await client.namespace.exec(argv(outstanding, seconds, first, most), { timeout: seconds + 10 });
      if (stdout === "") throw new Error(stderr);
      return JSON.parse(stdout) as { exchanges: number };
    },
    start(outstanding, seconds, first) {
      const child = client.namespace.spawn(argv(outstanding, seconds, first), { stdio: "ignore" });
      const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      return {
        end() {
          child.kill("SIGTERM");
          return ended;
        },
      };
    },
    async acknowledges(count) {
      for (const end = Date.now() + 20_000; acknowledged().size < count; await new Promise((resolve) => setTimeout(resolve, 5)))
        if (Date.now() > end) throw new Error(`${acknowledged().size} leases were acknowledged`);
    },
  };
}

export interface Traced {
  readonly requests: number;
  readonly replies: number;
  /** Transaction ids of Replies to Requests without an fsync before. */
  readonly uncovered: readonly string[];
}

const CALLS = "fsync,fdatasync,recvmsg,recvmmsg,sendmsg,sendto,sendmmsg";

/** Attaches strace to a process and all its threads; resolves once it is. */
export async function startTraced(vlan: ProvisioningVlan, pid: number, more: readonly string[]): Promise<{ end(): Promise<Traced> }> {
  const file = join(vlan.dir, "trace");
  // Of each message its first four bytes: type and transaction id. Unabbreviated: of one call all messages, not only four.
  const argv = ["strace", "-f", "-ttt", "-xx", "-s", "4", "--no-abbrev", `--trace=${CALLS}`, ...more, "-o", file, "-p", String(pid)];
  const child = vlan.server.spawn(argv, { stdio: ["ignore", "ignore", "pipe"] });
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  await new Promise<void>((resolve, reject) => {
    let said = "";
    child.once("exit", () => reject(new Error(`strace ended: ${said}`)));
    child.stderr?.on("data", (data) => {
      said += data;
      if (/attached/.test(said)) resolve();
    });
  });
  return {
    async end() {
      child.kill("SIGINT");
      await ended;
      return readTrace(readFileSync(file, "latin1"));
    },
  };
}

/** The lines stand in the order in which calls begin, and end where another thread's came between. */
function readTrace(text: string): Traced {
  /** Those that no Reply was sent to yet: another client may have the transaction id later. */
  const arrived = new Map<string, number>();
  const begun = new Map<string, number>();
  const uncovered: string[] = [];
  let requests = 0;
  let replies = 0;
  /** When the latest begun of the fsyncs that have ended began. */
  let covered = -1;
  for (const [at, line] of text.split("\n").entries()) {
    const thread = line.slice(0, line.indexOf(" "));
    const messages = line.matchAll(/"\\x(\w\w)\\x(\w\w)\\x(\w\w)\\x(\w\w)"/g);
    /** Transaction ids of those of a type. */
    const xids = (wanted: string): string[] => [...messages].flatMap(([, type, ...xid]) => (type === wanted ? [xid.join("")] : []));
    if (/ f(data)?sync\(/.test(line)) {
      if (line.includes("<unfinished")) begun.set(thread, at);
      else if (/= 0( |$)/.test(line)) covered = at;
    } else if (/<\.\.\. f(data)?sync resumed/.test(line)) {
      if (/= 0( |$)/.test(line)) covered = Math.max(covered, begun.get(thread) ?? -1);
    } else if (/ recvm?msg(\(|\s+resumed)/.test(line)) {
      for (const xid of xids("03")) {
        requests++;
        if (!arrived.has(xid)) arrived.set(xid, at);
      }
    } else if (/ sendm?msg\(| sendto\(/.test(line))
      for (const xid of xids("07")) {
        replies++;
        const request = arrived.get(xid);
        arrived.delete(xid);
        if (request !== undefined && covered < request) uncovered.push(xid);
      }
  }
  return { requests, replies, uncovered };
}
