/** Queries to upstreams over real sockets. */
import { randomFillSync } from "node:crypto";
import { createSocket } from "node:dgram";
import { isIPv4 } from "node:net";
import type { Clock, Heard, Surroundings } from "./lookup.ts";
import { Connections } from "./streams.ts";

/** Addresses are never names: without this each send would go through the resolver's queue. */
export const noLookup = (address: string, _: unknown, found: (error: Error | null, address: string, family: number) => void): void =>
  found(null, address, isIPv4(address) ? 4 : 6);

const clock: Clock = {
  now: () => performance.now(),
  after(milliseconds, act) {
    const timer = setTimeout(act, milliseconds);
    timer.unref(); // open sockets keep the thread up, nothing else should
    return () => clearTimeout(timer);
  },
};

const randomness = new Uint32Array(1024);
let used = randomness.length;

function random(): number {
  if (used === randomness.length) {
    randomFillSync(randomness);
    used = 0;
  }
  return randomness[used++] as number;
}

/** Real surroundings, and what closes all that is open in them. */
export function realSurroundings(): Omit<Surroundings, "drop"> & { close(): void } {
  const open = new Set<() => void>();
  const connections = new Connections();
  return {
    clock,
    random,
    exchange(upstream, overTcp, bytes, heard) {
      const byStream = overTcp || upstream.tlsName !== null;
      const close = byStream ? connections.ask(upstream, bytes, heard) : overDatagram(upstream.address, upstream.port, bytes, heard);
      const end = (): void => {
        if (open.delete(end)) close();
      };
      open.add(end);
      return end;
    },
    close() {
      for (const end of open) end();
      connections.close();
    },
  };
}

/** A connected socket of its own for each query: the kernel picks a random port and drops what comes from elsewhere. */
function overDatagram(address: string, port: number, bytes: Buffer, heard: Heard): () => void {
  const socket = createSocket({ type: isIPv4(address) ? "udp4" : "udp6", lookup: noLookup });
  socket.on("message", (message) => heard.message(message));
  socket.on("error", (error) => heard.failed(words(error)));
  let closed = false;
  socket.on("connect", () => {
    // It may have been closed before it was connected.
    if (!closed)
      socket.send(bytes, (error) => {
        if (error) heard.failed(words(error));
      });
  });
  // Without a callback: a failure comes as `error`.
  socket.connect(port, address);
  return () => {
    closed = true;
    socket.close();
  };
}

/** What went wrong, for an operator. */
export function words(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "connection refused: no resolver runs there";
  if (error.code === "EHOSTUNREACH" || error.code === "ENETUNREACH") return "no route there";
  if (CERTIFICATE_ERRORS.test(error.code ?? "")) return `its certificate: ${error.message}`;
  return error.message;
}
const CERTIFICATE_ERRORS = /CERT|SELF_SIGNED|LEAF_SIGNATURE/;
