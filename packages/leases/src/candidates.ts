/** Which addresses of a network are a machine's, the likeliest first. */
import { type Address, eui64Address } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { LeaseRequest } from "./leases.ts";
import { addressAt, inPool, poolOf } from "./pool.ts";

/** So many addresses are looked at from the hashed one on, then so many from where the last search ended: a look at the whole of a full pool would hold up every other answer. */
const HASHED_STEPS = 64;
const SEARCH_STEPS = 1024;

export interface Candidate {
  /** An address, or a prefix with its length. */
  readonly address: Address;
  readonly why: string;
  /** Nobody else's by right: taken even where another machine had it before. */
  readonly own: boolean;
}

/**
 * The reserved one, the one it forms itself, what it asks for, then the pool's from the one that the identity hashes to, so that
 * it is the same even after the store was lost. In a crowded pool many searches together see all of it.
 */
export function* addressCandidates(request: LeaseRequest, cursor: { at: number }): Generator<Candidate> {
  const { network, mac, reserved } = request;
  if (reserved !== null) yield { address: reserved, why: "reserved for it in the configuration", own: true };
  if (network.dhcp?.pool.kind === "auto" && isAutonomous(network) && mac !== null && network.prefix.length <= 64)
    yield { address: eui64Address(network.prefix, mac), why: "the address it forms itself from its MAC (SLAAC)", own: true };
  const pool = poolOf(network);
  if (pool === null) return;
  for (const hint of request.hints) if (inPool(pool, hint)) yield { address: hint, why: "the address it asked for", own: false };
  const why = "by its identity, from the pool";
  const start = identityHash(request);
  for (let i = 0; i < pool.size && i < HASHED_STEPS; i++) yield { address: addressAt(pool, start + i), why, own: false };
  for (let i = 0; i < pool.size && i < SEARCH_STEPS; i++) yield { address: addressAt(pool, cursor.at++), why, own: false };
}

/** 48 bits of what the machine is known by, spread evenly (two FNV-1a, each finished as MurmurHash3 is). */
export function identityHash({ mac, machine }: Pick<LeaseRequest, "mac" | "machine">): number {
  const text = mac ?? machine;
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < text.length; i++) {
    const character = text.charCodeAt(i);
    a = Math.imul(a ^ character, 0x01000193);
    b = Math.imul(b ^ character, 0x01000193);
  }
  return finished(a) * 65536 + (finished(b ^ a) >>> 16);
}

function finished(hash: number): number {
  let h = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

const isAutonomous = (network: Network): boolean => {
  if (network.advertise === "observe" || network.advertise === null) return network.relayed;
  return network.advertise.autonomous;
};
