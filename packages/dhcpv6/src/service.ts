/** The DHCPv6 server's edge: sockets, clock and store around `handle`. Runs in the main thread. */
import { type Address, ALL_DHCP_SERVERS, ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT } from "@netboot6/codec";
import type { Link, Network } from "@netboot6/config";
import { Drops, type Emit, type Running, TELL_DROPS_MS } from "@netboot6/events";
import type { Lease } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import { type Datagram, hasPreparedLeft, UdpSocket } from "@netboot6/udp";
import { handle, type Outcome, type ServerState } from "./server.ts";
import { MAX_WAIT_SECONDS, WaitingAnswers } from "./waiting.ts";

export interface Dhcpv6Edge {
  readonly emit: Emit;
  /**
   * Resolves once they are on disk; those that get there together share a promise. Where it rejects, they are taken back.
   * `sendUntil`: the prepared datagram leaves as soon as they are, until then; Unix milliseconds; 0: there is none.
   */
  store(leases: readonly Lease[], sendUntil: number): Promise<void>;
  /** Stores what was learned with the next lease, or a little later: no answer rests on it. */
  remember(machines: readonly Machine[]): void;
}

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export async function startDhcpv6(state: ServerState, edge: Dhcpv6Edge): Promise<Running<ServerState>> {
  let current = state;
  const sockets = new Map<string, { readonly socket: UdpSocket; readonly on: Listening }>();
  /** The links, by the number of their interface. */
  let links: ReadonlyMap<number, Link> = new Map();

  const drops = new Drops("dhcpv6");
  const drop = (why: string): void => drops.count(why);
  const telling = setInterval(() => drops.tell(edge.emit), TELL_DROPS_MS).unref();

  const sendOut = ({ send }: Outcome, outOf: string, scope: number): void => {
    // Its socket may be gone since: stopped, or reloaded.
    if (send) sockets.get(outOf)?.socket.send(send.bytes, send.to, send.port, scope);
  };
  /** For the store's thread to send: that this one need not wake first is a tenth of the time that an exchange alone takes. */
  const prepare = ({ send }: Outcome, outOf: string, scope: number): boolean =>
    (send && sockets.get(outOf)?.socket.prepare(send.bytes, send.to, send.port, scope)) ?? false;
  /** Answers leave before they are told of. */
  let untold: Outcome[] = [];
  const tell = (outcome: Outcome): void => {
    if (untold.length === 0)
      queueMicrotask(() => {
        const telling = untold;
        untold = [];
        for (const { events } of telling) for (const event of events) edge.emit(event);
      });
    untold.push(outcome);
  };

  const waiting = new WaitingAnswers({
    hasPreparedLeft,
    send: ({ outcome, outOf, scope }) => sendOut(outcome, outOf, scope),
    tell: ({ outcome }) => tell(outcome),
    drop,
    refuse: ({ source }, why) => edge.emit({ type: "dhcpv6.dropped", message: "Reply", why, client: source }),
    now: Date.now,
  });

  const receive = ({ bytes, address: source, port, scope }: Datagram, on: Listening): void => {
    const now = Date.now();
    const link = links.get(scope);
    const incoming = { bytes, source, sourcePort: port, interface: on.interface ?? link?.name ?? null, destination: on.address };
    const outcome = handle(current, incoming, now);
    if (outcome.machines.length > 0) edge.remember(outcome.machines);
    // From a socket bound to our address on that link, so that the answer leaves from there.
    const outOf = scope === 0 ? on.answerFrom : link ? keyOf(link.linkLocal, link.name) : "";
    if (outcome.leases.length === 0) {
      sendOut(outcome, outOf, scope);
      tell(outcome);
      return;
    }
    if (waiting.areTooMany) {
      current.leases.takeBack(outcome.leases);
      drop("too many answers wait for the disk");
      return;
    }
    const prepared = waiting.areFew && prepare(outcome, outOf, scope);
    const stored = edge.store(outcome.leases, prepared ? now + MAX_WAIT_SECONDS * 1000 : 0);
    waiting.add({ outcome, source, since: now, outOf, scope, prepared }, stored);
  };

  const listen = (on: Listening): UdpSocket => {
    const failed = (why: string, to: Address | null): void => drop(to === null ? why : `not sent to ${to}: ${why}`);
    const options = { address: on.address, scope: on.scope, port: SERVER_PORT, receiveBufferBytes: RECEIVE_BUFFER_BYTES, shared: true };
    let socket: UdpSocket | null = null;
    try {
      socket = new UdpSocket(options, (datagram) => receive(datagram, on), failed);
      for (const { index } of on.joins) socket.join(on.address, index);
      return socket;
    } catch (error) {
      socket?.close();
      throw new Error(`cannot listen on ${on.key}: ${(error as Error).message}`);
    }
  };

  /** New sockets first: where one cannot be had, the old ones stay. */
  const follow = (networks: readonly Network[]): void => {
    const wanted = new Map(listenings(networks).map((on) => [on.key, on]));
    const added: { socket: UdpSocket; on: Listening }[] = [];
    try {
      for (const on of wanted.values()) if (sockets.get(on.key)?.on.links !== on.links) added.push({ socket: listen(on), on });
    } catch (error) {
      for (const { socket } of added) socket.close();
      throw error;
    }
    for (const [key, { socket }] of sockets) {
      if (wanted.has(key) && !added.some(({ on }) => on.key === key)) continue;
      sockets.delete(key);
      socket.close();
    }
    for (const each of added) sockets.set(each.on.key, each);
    links = new Map(networks.flatMap(({ link }) => (link ? [[link.index, link]] : [])));
  };

  follow(state.networks);
  return {
    get listens() {
      return [...sockets.keys()];
    },
    async reload(next) {
      follow(next.networks);
      current = next;
    },
    async stop() {
      clearInterval(telling);
      drops.tell(edge.emit);
      for (const { socket } of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

interface Listening {
  /** How it is shown: `[ff02::1:2%eth1]:547`. */
  readonly key: string;
  readonly address: Address;
  /** Null: on whatever interface. */
  readonly interface: string | null;
  /** Its number; 0: on whatever interface. */
  readonly scope: number;
  /** The interfaces on which it joins its group. */
  readonly joins: readonly Link[];
  /** Names and numbers of its interfaces: one that comes back under its name has another number, and its socket is of no use. */
  readonly links: string;
  /** Key of the socket that answers go out of. */
  readonly answerFrom: string;
}

const keyOf = (address: Address, on: string | null): string => `[${address}${on === null ? "" : `%${on}`}]:${SERVER_PORT}`;

function listenings(networks: readonly Network[]): Listening[] {
  const result = new Map<string, Listening>();
  const add = (address: Address, on: Link | null, joined: readonly Link[], answerFrom: string | null): string => {
    const key = keyOf(address, on?.name ?? null);
    const links = [...(on ? [on] : []), ...joined].map(({ name, index }) => `${name} ${index}`).join();
    const at = { interface: on?.name ?? null, scope: on?.index ?? 0 };
    if (!result.has(key)) result.set(key, { key, address, ...at, joins: joined, links, answerFrom: answerFrom ?? key });
    return key;
  };
  const relayed = networks.some((network) => network.relayed && network.dhcp);
  const served = networks.filter(({ dhcp }) => dhcp || relayed);
  const links = served.flatMap(({ link }) => link ?? []);
  for (const { link, address } of served) {
    if (!link) continue;
    const unicast = add(link.linkLocal, link, [], null);
    add(ALL_RELAY_AGENTS_AND_SERVERS, link, [link], unicast);
    const global = add(address, null, [], null);
    // One for all links: Linux gives a group of site scope to every socket that is bound to it, whichever link it came in on.
    add(ALL_DHCP_SERVERS, null, links, global);
  }
  for (const network of networks) if (network.relayed && network.dhcp) add(network.address, null, [], null);
  return [...result.values()];
}
