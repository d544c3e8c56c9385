/** Queries to upstreams over real sockets. */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv4 } from "node:net";
import { Frames, frame } from "./frames.ts";
import type { Clock, Heard, Surroundings } from "./lookup.ts";

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

/** Real surroundings, and what closes all that is open in them. */
export function realSurroundings(): Omit<Surroundings, "drop"> & { close(): void } {
  const open = new Set<() => void>();
  return {
    clock,
    id: () => randomInt(65536),
    exchange(upstream, overTcp, bytes, heard) {
      const close = (overTcp ? overStream : overDatagram)(upstream.address, upstream.port, bytes, heard);
      const end = (): void => {
        if (open.delete(end)) close();
      };
      open.add(end);
      return end;
    },
    close() {
      for (const end of open) end();
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

function overStream(host: string, port: number, bytes: Buffer, heard: Heard): () => void {
  const socket = connect({ host, port, lookup: noLookup, noDelay: true });
  const frames = new Frames();
  socket.on("data", (data) => {
    for (const message of frames.take(data)) heard.message(message);
  });
  socket.on("error", (error) => heard.failed(words(error)));
  socket.on("end", () => heard.failed("closed the connection without an answer"));
  socket.write(frame(bytes));
  return () => socket.destroy();
}

function words(error: NodeJS.ErrnoException): string {
  if (error.code === "ECONNREFUSED") return "connection refused: no resolver runs there";
  if (error.code === "EHOSTUNREACH" || error.code === "ENETUNREACH") return "no route there";
  return error.message;
}
