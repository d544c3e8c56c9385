/** Which addresses of a network are a machine's, the likeliest first. */
import { createHash } from "node:crypto";
import { type Address, addressToBigInt, bigIntToAddress, eui64Address, type Prefix } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { LeaseRequest } from "./leases.ts";

/** So many addresses are looked at from the hashed one on, then so many from where the last search ended: a look at the whole of a full pool would hold up every other answer. */
const HASHED_STEPS = 64n;
const SEARCH_STEPS = 1024n;

export interface Candidate {
  /** An address, or a prefix with its length. */
  readonly address: Address;
  readonly why: string;
  /** Nobody else's by right: taken even where another machine had it before. */
  readonly own: boolean;
}

/** The reserved one, the one it forms itself, what it asks for, then the pool. */
export function* addressCandidates(request: LeaseRequest, cursor: { at: number }): Generator<Candidate> {
  const { network, mac, reserved } = request;
  if (reserved !== null) yield { address: reserved, why: "reserved for it in the configuration", own: true };
  const { autonomous, kind } = { autonomous: isAutonomous(network), kind: network.dhcp?.pool.kind };
  if (kind === "auto" && autonomous && mac !== null && network.prefix.length <= 64)
    yield { address: eui64Address(network.prefix, mac), why: "the address it forms itself from its MAC (SLAAC)", own: true };
  const range = poolRange(network);
  for (const hint of request.hints) if (range && inRange(range, hint)) yield { address: hint, why: "the address it asked for", own: false };
  for (const address of poolCandidates(request, cursor)) yield { address, why: "by its identity, from the pool", own: false };
}

const isAutonomous = (network: Network): boolean => {
  if (network.advertise === "observe" || network.advertise === null) return network.relayed;
  return network.advertise.autonomous;
};

type Range = Pick<Prefix, "first" | "last">;

/** The pool's lowest and highest address. `auto`: ::1000 to ::ffff of the prefix. */
function poolRange(network: Network): Range | null {
  const pool = network.dhcp?.pool;
  if (!pool || pool.kind === "none") return null;
  if (pool.kind === "range") return { first: addressToBigInt(pool.first), last: addressToBigInt(pool.last) };
  const { first, last } = network.prefix;
  const high = first + 0xffffn;
  return { first: first + 0x1000n > last ? first : first + 0x1000n, last: high > last ? last : high };
}

const inRange = (range: Range, address: Address): boolean => {
  const value = addressToBigInt(address);
  return value >= range.first && value <= range.last;
};

/**
 * The pool's addresses from the one that the identity hashes to, so that it is the same even after the store was lost. In a
 * crowded pool many searches together see all of it.
 */
function* poolCandidates(request: LeaseRequest, cursor: { at: number }): Generator<Address> {
  const range = poolRange(request.network);
  if (!range) return;
  const size = range.last - range.first + 1n;
  const address = (place: bigint): Address => bigIntToAddress(range.first + (place % size));
  const identity = request.mac ?? request.machine;
  const start = createHash("sha256").update(identity).digest().readBigUInt64BE() % size;
  for (let i = 0n; i < size && i < HASHED_STEPS; i++) yield address(start + i);
  for (let i = 0n; i < size && i < SEARCH_STEPS; i++) yield address(BigInt(cursor.at++));
}
