/** Queries to upstreams over real sockets. */
import { randomFillSync } from "node:crypto";
import { isIPv4 } from "node:net";
import { Datagrams } from "./datagrams.ts";
import type { Clock, Surroundings } from "./lookup.ts";
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
  const connections = new Connections();
  const datagrams = new Datagrams();
  return {
    clock,
    random,
    exchange(upstream, overTcp, bytes, heard) {
      const byStream = overTcp || upstream.tlsName !== null;
      return (byStream ? connections : datagrams).ask(upstream, bytes, heard);
    },
    close() {
      connections.close();
      datagrams.close();
    },
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
