import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { deleteNamespaces, Namespace, namespaceNames, type Sysctls } from "./namespace.ts";

export interface VlanOptions {
  /** The VLAN's /64, ending in `::`. The server has `::1` in it. */
  readonly prefix?: string;
  /** Whether the server's host routes, on by default. */
  readonly forwarding?: boolean;
  /** Leaves duplicate address detection on; without it addresses can be used at once. */
  readonly dad?: boolean;
  readonly mtu?: number;
  /** Leaves checksums and segmentation to the receiver, as network cards do: for measuring throughput. */
  readonly offload?: boolean;
  /** Where logs and captures go; it is kept. Without it they go with the VLAN. */
  readonly dir?: string;
}

export interface ClientOptions {
  /** `br0` by default. */
  readonly bridge?: string;
  readonly mac?: string;
}

/** A host on the VLAN: `eth0` is on the bridge and down until the test wants it. */
export interface Client {
  readonly namespace: Namespace;
  readonly interface: string;
  readonly mac: string;
  /** Sets the link up; its link-local address can be used once DAD is done, where that is on. */
  up(): void;
}

/** A second link with a router between: `eth0` of the router is on the VLAN, `eth1` on the link. */
export interface RelayedLink {
  readonly router: Namespace;
  readonly bridge: string;
  readonly prefix: string;
  /** The router's addresses on the VLAN and on the second link. */
  readonly near: string;
  readonly far: string;
}

export const SERVER_INTERFACE = "prov0";
export const SERVER_MAC = "02:1a:b0:00:00:01";

const NO_DAD: Sysctls = { "ipv6/conf/all/accept_dad": 0, "ipv6/conf/default/accept_dad": 0, "ipv6/conf/default/dad_transmits": 0 };
const FORWARDING: Sysctls = { "ipv6/conf/all/forwarding": 1 };
const PREFIX = "nb6-";

let count = 0;
const open = new Set<ProvisioningVlan>();

/**
 * A provisioning VLAN out of network namespaces: a server's host, a switch with the machines' taps, and client hosts and relayed
 * links as asked for. IPv6 alone. All of it ends with `close()`, at the latest with this process.
 */
export class ProvisioningVlan {
  readonly name = `${PREFIX}${process.pid}-${++count}`;
  readonly dir: string;
  /** e.g. `2001:db8:0:1::` */
  readonly prefix: string;
  /** The server's address. */
  readonly address: string;
  readonly server: Namespace;
  readonly switch: Namespace;
  readonly #namespaces: Namespace[] = [];
  readonly #options: VlanOptions;
  #ports = 0;
  #bridges = 0;

  constructor(options: VlanOptions = {}) {
    if (open.size === 0) {
      sweep();
      for (const signal of SIGNALS) process.on(signal, onSignal);
      process.on("exit", closeAll);
    }
    open.add(this);
    this.#options = options;
    this.prefix = options.prefix ?? "2001:db8:0:1::";
    this.address = `${this.prefix}1`;
    if (options.dir) mkdirSync(options.dir, { recursive: true });
    this.dir = options.dir ?? mkdtempSync(join(tmpdir(), `${this.name}-`));
    try {
      this.switch = this.#namespace("sw", { "ipv6/conf/default/disable_ipv6": 1 });
      this.server = this.#namespace("srv", options.forwarding === false ? {} : FORWARDING);
      this.#wire(this.server, SERVER_INTERFACE, this.#bridge());
      this.server.ip(`link set ${SERVER_INTERFACE} address ${SERVER_MAC} up\naddr add ${this.address}/64 dev ${SERVER_INTERFACE}`);
    } catch (cause) {
      this.close();
      throw cause;
    }
  }

  /** A new tap on a bridge, for one machine. */
  tap(bridge = "br0"): string {
    const tap = `tap${this.#ports++}`;
    this.switch.ip(`tuntap add ${tap} mode tap\nlink set ${tap} master ${bridge} mtu ${this.#mtu} up`);
    return tap;
  }

  client(name: string, { bridge = "br0", mac }: ClientOptions = {}): Client {
    const namespace = this.#namespace(name);
    const port = this.#wire(namespace, "eth0", bridge);
    const address = mac ?? `02:1a:b0:01:00:${port.toString(16).padStart(2, "0")}`;
    namespace.ip(`link set eth0 address ${address}`);
    return { namespace, interface: "eth0", mac: address, up: () => namespace.ip("link set eth0 up") };
  }

  /** A router and a second link behind it, ready for a relay agent and machines; the server has the route. */
  relay(name = "relay", prefix = "2001:db8:0:2::"): RelayedLink {
    const router = this.#namespace(name, FORWARDING);
    const bridge = this.#bridge();
    const [near, far] = [`${this.prefix}fe`, `${prefix}1`];
    this.#wire(router, "eth0", "br0");
    this.#wire(router, "eth1", bridge);
    router.ip(`link set eth0 up\nlink set eth1 up\naddr add ${near}/64 dev eth0\naddr add ${far}/64 dev eth1
      route add default via ${this.address}`);
    this.server.ip(`route add ${prefix}/64 via ${near}`);
    return { router, bridge, prefix, near, far };
  }

  /** Ends every process of the VLAN and removes it. */
  close(): void {
    if (!open.delete(this)) return;
    if (open.size === 0) {
      for (const signal of SIGNALS) process.off(signal, onSignal);
      process.off("exit", closeAll);
    }
    deleteNamespaces(
      namespaceNames(`${this.name}-`),
      this.#namespaces.flatMap((namespace) => namespace.children),
    );
    if (!this.#options.dir) rmSync(this.dir, { recursive: true, force: true });
  }

  get #mtu(): number {
    return this.#options.mtu ?? 1500;
  }

  #namespace(role: string, settings: Sysctls = {}): Namespace {
    const namespace = new Namespace(`${this.name}-${role}`, { ...(this.#options.dad ? {} : NO_DAD), ...settings });
    this.#namespaces.push(namespace);
    return namespace;
  }

  #bridge(): string {
    const bridge = `br${this.#bridges++}`;
    this.switch.ip(`link add ${bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\nlink set ${bridge} mtu ${this.#mtu} up`);
    return bridge;
  }

  /** Joins a namespace to a bridge; returns the port's number. Checksums are made in full unless offloaded, so that captures and raw sockets see true ones. */
  #wire(namespace: Namespace, name: string, bridge: string): number {
    const port = this.#ports++;
    this.switch.ip(`link add port${port} type veth peer name ${name} netns ${namespace.name}
      link set port${port} master ${bridge} mtu ${this.#mtu} up`);
    namespace.ip(`link set ${name} mtu ${this.#mtu}`);
    if (!this.#options.offload) {
      namespace.run(["ethtool", "-K", name, "tx", "off"]);
      this.switch.run(["ethtool", "-K", `port${port}`, "tx", "off"]);
    }
    return port;
  }
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

function closeAll(): void {
  for (const vlan of open) vlan.close();
}

function onSignal(signal: NodeJS.Signals): void {
  // A program with a handler of its own decides what the signal means, and `exit` is heard all the same.
  if (process.listenerCount(signal) > 1) return;
  closeAll();
  process.kill(process.pid, signal);
}

/** Removes what processes that were killed outright left behind. */
export function sweep(): void {
  const left = (name: string): boolean => {
    const pid = /^nb6-(\d+)-\d+-/.exec(name)?.[1];
    return pid !== undefined && !isRunning(Number(pid));
  };
  deleteNamespaces(namespaceNames(PREFIX).filter(left));
  for (const dir of readdirSync(tmpdir()).filter(left)) rmSync(join(tmpdir(), dir), { recursive: true, force: true });
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code !== "ESRCH";
  }
}
