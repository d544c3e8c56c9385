/** The DHCPv6 server's edge: sockets, clock and store around `handle`. Runs in the main thread. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { type Address, ALL_DHCP_SERVERS, ALL_RELAY_AGENTS_AND_SERVERS, SERVER_PORT } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { Emit, Running } from "@netboot6/events";
import type { Lease } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import { handle, type ServerState } from "./server.ts";

export interface Dhcpv6Edge {
  readonly emit: Emit;
  /** Resolves once they are on disk. */
  store(leases: readonly Lease[]): Promise<void>;
  /** Stores what was learned with the next lease, or a little later: no answer rests on it. */
  remember(machines: readonly Machine[]): void;
}

const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;
/** Answers that wait for the disk; beyond it messages are dropped and counted. */
const MAX_WAITING = 5_000;

export async function startDhcpv6(state: ServerState, edge: Dhcpv6Edge): Promise<Running<ServerState>> {
  let current = state;
  let waiting = 0;
  const sockets = new Map<string, Socket>();

  const receive = async (bytes: Buffer, from: RemoteInfo, on: Listening): Promise<void> => {
    const source = from.address.replace(/%.*$/, "");
    const outcome = handle(current, { bytes, source, sourcePort: from.port, interface: on.interface, destination: on.address }, Date.now());
    const { send } = outcome;
    if (outcome.machines.length > 0) edge.remember(outcome.machines);
    if (outcome.leases.length > 0) {
      if (waiting >= MAX_WAITING) {
        edge.emit({ type: "wire.dropped", service: "dhcpv6", why: "too many answers wait for the disk", count: 1 });
        return;
      }
      waiting++;
      try {
        await edge.store(outcome.leases);
      } catch (error) {
        const why = `the lease could not be stored: ${(error as Error).message}`;
        edge.emit({ type: "dhcpv6.dropped", message: "Reply", why, client: source });
        return;
      } finally {
        waiting--;
      }
    }
    // From a socket bound to our address on that link, so that the answer leaves from there and needs no zone. It may be gone
    // since: stopped, or reloaded.
    const out = sockets.get(on.answerFrom);
    if (send && out) {
      out.send(send.bytes, send.port, send.to, (error) => {
        if (error) edge.emit({ type: "wire.dropped", service: "dhcpv6", why: `not sent to ${send.to}: ${error.message}`, count: 1 });
      });
    }
    for (const event of outcome.events) edge.emit(event);
  };

  const listen = async (on: Listening): Promise<void> => {
    const socket = createSocket({ type: "udp6", reuseAddr: true, ipv6Only: true, recvBufferSize: RECEIVE_BUFFER_BYTES });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind(
        { address: on.interface === null ? on.address : `${on.address}%${on.interface}`, port: SERVER_PORT, exclusive: true },
        () => {
          socket.off("error", reject);
          resolve();
        },
      );
    }).catch((error: NodeJS.ErrnoException) => {
      socket.close();
      throw new Error(`cannot listen on ${on.key}: ${error.message}`);
    });
    if (on.group && on.interface !== null) socket.addMembership(on.address, `::%${on.interface}`);
    socket.on("message", (bytes, from) => void receive(bytes, from, on));
    socket.on("error", (error) => edge.emit({ type: "wire.dropped", service: "dhcpv6", why: error.message, count: 1 }));
    sockets.set(on.key, socket);
  };

  const follow = async (networks: readonly Network[]): Promise<void> => {
    const wanted = new Map(listenings(networks).map((on) => [on.key, on]));
    for (const [key, socket] of sockets)
      if (!wanted.has(key)) {
        sockets.delete(key);
        socket.close();
      }
    for (const on of wanted.values()) if (!sockets.has(on.key)) await listen(on);
  };

  await follow(state.networks).catch((error) => {
    for (const socket of sockets.values()) socket.close();
    throw error;
  });
  return {
    get listens() {
      return [...sockets.keys()];
    },
    async reload(next) {
      await follow(next.networks);
      current = next;
    },
    async stop() {
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
    },
  };
}

interface Listening {
  /** How it is shown, and what tells it from others: `[ff02::1:2%eth1]:547`. */
  readonly key: string;
  readonly address: Address;
  /** Null: a global address, on whatever interface. */
  readonly interface: string | null;
  readonly group: boolean;
  /** Key of the socket that answers go out of. */
  readonly answerFrom: string;
}

function listenings(networks: readonly Network[]): Listening[] {
  const result: Listening[] = [];
  const add = (address: Address, on: string | null, group: boolean, answerFrom: string | null): string => {
    const key = on === null ? `[${address}]:${SERVER_PORT}` : `[${address}%${on}]:${SERVER_PORT}`;
    if (!result.some((listening) => listening.key === key))
      result.push({ key, address, interface: on, group, answerFrom: answerFrom ?? key });
    return key;
  };
  const relayed = networks.some((network) => network.relayed && network.dhcp);
  for (const { link, address, dhcp } of networks) {
    if (!link || (!dhcp && !relayed)) continue;
    const unicast = add(link.linkLocal, link.name, false, null);
    add(ALL_RELAY_AGENTS_AND_SERVERS, link.name, true, unicast);
    const global = add(address, null, false, null);
    add(ALL_DHCP_SERVERS, link.name, true, global);
  }
  for (const network of networks) if (network.relayed && network.dhcp) add(network.address, null, false, null);
  return result;
}
