/** The DHCPv6 server's edge: sockets, clock and store around `handle`. Runs in the main thread. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { type Address, ALL_DHCP_SERVERS, ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT } from "@netboot6/codec";
import type { Link, Network } from "@netboot6/config";
import { Drops, type Emit, type Running, TELL_DROPS_MS } from "@netboot6/events";
import type { Lease } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import { handle, type Outcome, type ServerState } from "./server.ts";
import { WaitingAnswers } from "./waiting.ts";

export interface Dhcpv6Edge {
  readonly emit: Emit;
  /** Resolves once they are on disk; those that get there together share a promise. Where it rejects, they are taken back. */
  store(leases: readonly Lease[]): Promise<void>;
  /** Stores what was learned with the next lease, or a little later: no answer rests on it. */
  remember(machines: readonly Machine[]): void;
}

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** `node:dgram` asks it even of literals; answering at once saves a turn of the loop for each datagram. */
const lookup = (literal: string, _: unknown, callback: (error: null, address: string, family: 6) => void): void =>
  callback(null, literal, 6);

export async function startDhcpv6(state: ServerState, edge: Dhcpv6Edge): Promise<Running<ServerState>> {
  let current = state;
  const sockets = new Map<string, { readonly socket: Socket; readonly on: Listening }>();
  /** Keys of the sockets that are bound to our link-local addresses, by interface. */
  let linkLocals: ReadonlyMap<string, string> = new Map();

  const drops = new Drops("dhcpv6");
  const drop = (why: string): void => drops.count(why);
  const telling = setInterval(() => drops.tell(edge.emit), TELL_DROPS_MS).unref();

  const sendOut = ({ send }: Outcome, outOf: string): void => {
    // Its socket may be gone since: stopped, or reloaded.
    if (send)
      sockets.get(outOf)?.socket.send(send.bytes, send.port, send.to, (error) => {
        if (error) drop(`not sent to ${send.to}: ${error.message}`);
      });
  };
  const tell = ({ events }: Outcome): void => {
    for (const event of events) edge.emit(event);
  };

  const waiting = new WaitingAnswers({
    send: ({ outcome, outOf }) => sendOut(outcome, outOf),
    tell: ({ outcome }) => tell(outcome),
    drop,
    refuse: ({ source }, why) => edge.emit({ type: "dhcpv6.dropped", message: "Reply", why, client: source }),
    now: Date.now,
  });

  const receive = (bytes: Buffer, from: RemoteInfo, on: Listening): void => {
    const now = Date.now();
    const percent = from.address.indexOf("%");
    const source = percent < 0 ? from.address : from.address.slice(0, percent);
    const zone = percent < 0 ? null : from.address.slice(percent + 1);
    const incoming = { bytes, source, sourcePort: from.port, interface: on.interface ?? zone, destination: on.address };
    const outcome = handle(current, incoming, now);
    if (outcome.machines.length > 0) edge.remember(outcome.machines);
    // From a socket bound to our address on that link, so that the answer leaves from there and needs no zone.
    const outOf = zone === null ? on.answerFrom : (linkLocals.get(zone) ?? "");
    if (outcome.leases.length === 0) {
      sendOut(outcome, outOf);
      tell(outcome);
      return;
    }
    if (waiting.areTooMany) {
      current.leases.takeBack(outcome.leases);
      drop("too many answers wait for the disk");
      return;
    }
    waiting.add({ outcome, source, since: now, outOf }, edge.store(outcome.leases));
  };

  const listen = async (on: Listening): Promise<Socket> => {
    const socket = createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true, recvBufferSize: RECEIVE_BUFFER_BYTES, lookup });
    try {
      await new Promise<void>((resolve, reject) => {
        socket.once("error", reject);
        socket.bind(
          { address: on.interface === null ? on.address : `${on.address}%${on.interface}`, port: SERVER_PORT, exclusive: true },
          () => {
            socket.off("error", reject);
            resolve();
          },
        );
      });
      for (const name of on.joins) socket.addMembership(on.address, `::%${name}`);
    } catch (error) {
      socket.close();
      throw new Error(`cannot listen on ${on.key}: ${(error as Error).message}`);
    }
    socket.on("message", (bytes, from) => receive(bytes, from, on));
    socket.on("error", (error) => drop(error.message));
    return socket;
  };

  /** New sockets first: where one cannot be had, the old ones stay. */
  const follow = async (networks: readonly Network[]): Promise<void> => {
    const wanted = new Map(listenings(networks).map((on) => [on.key, on]));
    const added: { socket: Socket; on: Listening }[] = [];
    try {
      for (const on of wanted.values()) if (sockets.get(on.key)?.on.links !== on.links) added.push({ socket: await listen(on), on });
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
    linkLocals = new Map(networks.flatMap(({ link }) => (link ? [[link.name, keyOf(link.linkLocal, link.name)]] : [])));
  };

  await follow(state.networks);
  return {
    get listens() {
      return [...sockets.keys()];
    },
    async reload(next) {
      await follow(next.networks);
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
  /** The interfaces on which it joins its group. */
  readonly joins: readonly string[];
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
    const joins = joined.map(({ name }) => name);
    if (!result.has(key)) result.set(key, { key, address, interface: on?.name ?? null, joins, links, answerFrom: answerFrom ?? key });
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
