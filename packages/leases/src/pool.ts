/** A network's pool of addresses as bytes: no bigint where each packet comes by. */
import { type Address, addressBytes, formatAddress, writeAddress } from "@netboot6/codec";
import type { Network } from "@netboot6/config";

export interface Pool {
  /** Its lowest and highest address. */
  readonly first: Uint8Array;
  readonly last: Uint8Array;
  /** How many of its addresses are searched: all, or the first 2^48. */
  readonly size: number;
}

const MAX_SIZE = 2 ** 48;
/** `auto`: ::1000 to ::ffff of the prefix. */
const AUTO_FIRST = 0x1000;
const AUTO_LAST = 0xffff;

const pools = new WeakMap<Network, Pool | null>();

/** Null where the network leases no addresses. */
export function poolOf(network: Network): Pool | null {
  let pool = pools.get(network);
  if (pool === undefined) {
    pool = readPool(network);
    pools.set(network, pool);
  }
  return pool;
}

function readPool({ dhcp, prefix }: Network): Pool | null {
  if (!dhcp || dhcp.pool.kind === "none") return null;
  if (dhcp.pool.kind === "range") return poolBetween(addressBytes(dhcp.pool.first), addressBytes(dhcp.pool.last));
  const hosts = 2 ** Math.min(128 - prefix.length, 48);
  const first = plus(prefix.bytes, AUTO_FIRST < hosts ? AUTO_FIRST : 0);
  return poolBetween(first, plus(prefix.bytes, Math.min(AUTO_LAST, hosts - 1)));
}

function poolBetween(first: Uint8Array, last: Uint8Array): Pool {
  let size = 0;
  for (let i = 0; i < 16; i++) size = size * 256 + (last[i] as number) - (first[i] as number);
  return { first, last, size: Math.min(size + 1, MAX_SIZE) };
}

export function inPool({ first, last }: Pool, address: Address): boolean {
  writeAddress(address, looked, 0);
  return compare(first, looked) <= 0 && compare(looked, last) <= 0;
}

const looked = new Uint8Array(16);

/** The address at a place, counted from 0; places beyond the last begin again. */
export const addressAt = ({ first, size }: Pool, place: number): Address => formatAddress(plus(first, place % size));

function compare(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < 16; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
  return 0;
}

/** `more` at most 2^48. */
function plus(bytes: Uint8Array, more: number): Uint8Array {
  const sum = bytes.slice();
  for (let i = 15; more > 0 && i >= 0; i--) {
    more += sum[i] as number;
    sum[i] = more % 256;
    more = Math.floor(more / 256);
  }
  return sum;
}
