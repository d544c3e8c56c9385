/** What this host and its surroundings have against a configuration: found by looking, before anything starts. */
import { Resolver } from "node:dns/promises";
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { basename, resolve } from "node:path";
import { connect } from "node:tls";
import { type Address, formatAddress } from "@netboot6/codec";
import {
  type Appliance,
  type Finding,
  type Link,
  listenings,
  type Network,
  type Path,
  type Upstream,
  upstreamText,
  warning,
} from "@netboot6/config";
import { type Found, findRouters, forwards } from "@netboot6/ra";

const ANSWER_MS = 2_000;

/** Links where machines may have no router, or one that leads nowhere, and what that costs them. */
export async function checkRouting(appliance: Appliance, networks: readonly Network[]): Promise<Finding[]> {
  const onLink = networks.flatMap(({ name, advertise, link }): OnLink[] => {
    const path = ["networks", appliance.networks.findIndex((each) => each.name === name)];
    return link ? [{ link, advertise, path, forwarding: forwards(link.name) }] : [];
  });
  // Where we are a router ourselves nothing is sent to find others.
  const asked = onLink.filter((each) => lifetimeOf(each) === 0);
  const found = await findRouters(asked.map(({ link }) => link));
  return onLink.flatMap((each) => judgeRouting(each, found[asked.indexOf(each)] ?? true));
}

export interface OnLink extends Pick<Network, "advertise"> {
  readonly link: Link;
  readonly path: Path;
  /** Whether the host forwards IPv6 from this interface. */
  readonly forwarding: boolean;
}

/** The router lifetime that we advertise: seconds, or what is above 0. */
function lifetimeOf({ advertise, forwarding }: OnLink): number {
  if (advertise === null || advertise === "observe") return 0;
  return advertise.routerLifetime === "auto" ? Number(forwarding) : advertise.routerLifetime;
}

/** `found`: whether there is a router beside us. */
export function judgeRouting(on: OnLink, found: Found): Finding[] {
  const { link, advertise, path, forwarding } = on;
  const settings = advertise === "observe" ? null : advertise;
  if (lifetimeOf(on) > 0)
    return forwarding
      ? []
      : [
          warning(
            "router-that-does-not-forward",
            [...path, "advertise", "routerLifetime"],
            "machines will take this host for their router, and it does not forward IPv6: nothing beyond the link answers them",
            "sysctl -w net.ipv6.conf.all.forwarding=1, if it has a way out.",
          ),
        ];
  if (found === true) return [];
  const where = settings?.routerLifetime === "auto" ? path : [...path, "advertise", ...(settings ? ["routerLifetime"] : [])];
  if (found !== false)
    return [
      warning(
        "router-unknown",
        where,
        `this host is no router on ${link.name}, and could not look for another one: ${found.why}`,
        "Run check as root. Without a router every UEFI HTTP boot waits about 10 s.",
      ),
    ];
  return [
    warning(
      "no-router",
      where,
      `no router answers on ${link.name}, and this host is none: machines reach nothing beyond the link, and every UEFI HTTP boot waits about 10 s`,
      settings?.routerLifetime === "auto"
        ? "If this host is to be it: sysctl -w net.ipv6.conf.all.forwarding=1. If there is to be none, routerLifetime: 30m spares the 10 s."
        : "Turn that router on, or its advertisements; or delete this line, and this host is the router where it forwards IPv6.",
    ),
  ];
}

/** Ports that another program has. A netboot6 that runs already is none. */
export function checkPortsInUse(appliance: Appliance): Finding[] {
  const sockets = { tcp: openSockets("tcp6"), udp: openSockets("udp6") };
  const holders = new Map<string, string | null>();
  return listenings(appliance).flatMap(({ name, protocol, port, addresses, path }): Finding[] => {
    const other = sockets[protocol].find(
      (socket) => socket.port === port && (socket.address === "::" || addresses.includes("::") || addresses.includes(socket.address)),
    );
    if (!other) return [];
    if (!holders.has(other.inode)) holders.set(other.inode, holderOf(other.inode));
    const holder = holders.get(other.inode);
    if (holder === null) return [];
    const what = `${protocol.toUpperCase()} port ${port} of [${other.address}] is in use by ${holder}, and ${name} needs it`;
    return [warning("port-in-use", path, what, `Stop it, or turn ${name} off.`)];
  });
}

interface OpenSocket {
  readonly address: Address;
  readonly port: number;
  readonly inode: string;
}

/** Those that wait for whoever comes: /proc/net/tcp6, /proc/net/udp6 (proc_net_tcp(5)). */
function openSockets(table: "tcp6" | "udp6"): OpenSocket[] {
  const file = `/proc/self/net/${table}`;
  if (!existsSync(file)) return [];
  const waits = table === "tcp6" ? "0A" : "07";
  return readFileSync(file, "latin1")
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const [, local = "", , state, , , , , , inode = ""] = line.trim().split(/\s+/);
      const [hex = "", port = ""] = local.split(":");
      if (state !== waits || hex.length !== 32) return [];
      // Four words in the host's order; little-endian everywhere that Node runs.
      return [{ address: formatAddress(Buffer.from(hex, "hex").swap32()), port: Number.parseInt(port, 16), inode }];
    });
}

/** The program that has the socket; null where it is a netboot6. */
function holderOf(inode: string): string | null {
  for (const pid of readdirSync("/proc")) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const fds = readdirSync(`/proc/${pid}/fd`);
      if (!fds.some((fd) => linkOf(`/proc/${pid}/fd/${fd}`) === `socket:[${inode}]`)) continue;
      const ours = readFileSync(`/proc/${pid}/cmdline`, "latin1")
        .split("\0")
        .some((word) => resolve(word) === process.argv[1]);
      const program = basename(linkOf(`/proc/${pid}/exe`)) || readFileSync(`/proc/${pid}/comm`, "latin1").trim();
      return ours ? null : `${program} (pid ${pid})`;
    } catch {
      // gone meanwhile, or another user's
    }
  }
  return "another user's program";
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
}

/** Upstream resolvers of the configuration that do not answer a question now. */
export async function checkUpstreams({ dns }: Appliance): Promise<Finding[]> {
  const upstreams = dns?.upstreams ?? [];
  const whys = await Promise.all(upstreams.map((upstream) => (upstream.tlsName === null ? askPlain(upstream) : greet(upstream))));
  return whys.flatMap((why, index) =>
    why === null
      ? []
      : [
          warning(
            "upstream-silent",
            ["dns", "upstreams", index],
            `${upstreamText(upstreams[index] as Upstream)}: ${why}`,
            "Look at the way there, or name another.",
          ),
        ],
  );
}

/** Why it gave no answer; null where it did, whatever that was. */
async function askPlain({ address, port }: Upstream): Promise<string | null> {
  const resolver = new Resolver({ timeout: ANSWER_MS, tries: 1 });
  resolver.setServers([`${address.includes(":") ? `[${address}]` : address}:${port}`]);
  try {
    await resolver.resolveNs(".");
    return null;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ETIMEOUT") return `no answer within ${ANSWER_MS / 1000} s`;
    if (code === "ECONNREFUSED") return "no resolver runs there";
    return code === "EREFUSED" ? "it refuses to answer this host" : null;
  }
}

function greet({ address, port, tlsName }: Upstream): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const socket = connect({ host: address, port, servername: tlsName === address ? "" : (tlsName ?? ""), timeout: ANSWER_MS });
  socket.once("secureConnect", () => resolve(null));
  socket.once("timeout", () => resolve(`no answer within ${ANSWER_MS / 1000} s`));
  socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code === "ECONNREFUSED" ? "no resolver runs there" : error.message));
  return promise.finally(() => socket.destroy());
}
