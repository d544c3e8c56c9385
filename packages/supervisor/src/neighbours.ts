/** The host's neighbour table: which MAC an address on a link was last heard from (RFC 4861 §5.1). */
import { execFile } from "node:child_process";
import { type Address, type Mac, parseMac } from "@netboot6/codec";

const TIMEOUT_MS = 1000;
/** So many are looked up at once: each takes a process. */
const MAX_LOOKUPS = 16;
/** A rack's worth of others wait: anyone on a link may ask from many addresses. */
const MAX_WAITING = 512;
let lookups = 0;
const waiting: (() => void)[] = [];

/** Null where the address is none of the link's, not known there, or one of too many that are asked for at once. */
export async function macOfNeighbour(address: Address, link: string): Promise<Mac | null> {
  if (lookups < MAX_LOOKUPS) lookups++;
  else if (waiting.length >= MAX_WAITING) return null;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    const shown = await new Promise<string>((resolve) => {
      const argv = ["-6", "neigh", "show", "to", address, "dev", link];
      execFile("ip", argv, { timeout: TIMEOUT_MS }, (_, stdout) => resolve(stdout));
    });
    return parseMac(/ lladdr (\S+)/.exec(shown)?.[1] ?? "");
  } finally {
    const next = waiting.shift();
    if (next) next();
    else lookups--;
  }
}
