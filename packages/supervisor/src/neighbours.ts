/** The host's neighbour table: which MAC an address on a link was last heard from (RFC 4861 §5.1). */
import { execFile } from "node:child_process";
import { type Address, type Mac, parseMac } from "@netboot6/codec";

const TIMEOUT_MS = 1000;

/** Null where the address is none of the link's, or not known there. */
export function macOfNeighbour(address: Address, link: string): Promise<Mac | null> {
  return new Promise((resolve) => {
    execFile("ip", ["-6", "neigh", "show", "to", address, "dev", link], { timeout: TIMEOUT_MS }, (_, stdout) =>
      resolve(parseMac(/ lladdr (\S+)/.exec(stdout)?.[1] ?? "")),
    );
  });
}
