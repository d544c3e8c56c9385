/** Which prefixes a network may delegate, as texts with their length: `2001:db8:fff:10::/60`. */
import { type Address, addressBytes, formatAddress, sameBits } from "@netboot6/codec";
import type { DhcpConfig } from "@netboot6/config";
import { type Candidate, identityHash } from "./candidates.ts";
import type { LeaseRequest } from "./leases.ts";

type Delegate = NonNullable<DhcpConfig["delegate"]>;

/** Far more than one appliance delegates; all of them have a number that is exact. */
const MAX_COUNTED_BITS = 32;
const HASHED_STEPS = 64;
const SEARCH_STEPS = 1024;

/** The prefix of `length` bits that the address is in, as text. */
export function prefixText(address: Address, length: number): string {
  const bytes = addressBytes(address);
  const whole = length >> 3;
  if (length % 8 > 0) bytes[whole] = (bytes[whole] as number) & (0xff00 >> (length % 8));
  bytes.fill(0, Math.ceil(length / 8));
  return `${formatAddress(bytes)}/${length}`;
}

function readPrefixText(text: string): { bytes: Uint8Array; length: number } {
  const slash = text.indexOf("/");
  return { bytes: addressBytes(text.slice(0, slash)), length: Number(text.slice(slash + 1)) };
}

export function prefixesOverlap(a: string, b: string): boolean {
  const [one, other] = [readPrefixText(a), readPrefixText(b)];
  return sameBits(one.bytes, other.bytes, Math.min(one.length, other.length));
}

/** Whether it is one of the prefixes that may be delegated. */
export function isDelegated(delegate: Delegate | null | undefined, prefix: string): boolean {
  if (!delegate) return false;
  const { bytes, length } = readPrefixText(prefix);
  return length === delegate.length && sameBits(bytes, addressBytes(delegate.prefix.address), delegate.prefix.length);
}

function nth({ prefix, length }: Delegate, index: number): string {
  const bytes = addressBytes(prefix.address);
  let left = index * 2 ** (7 - ((length + 7) % 8));
  for (let at = Math.ceil(length / 8) - 1; left > 0; at--) {
    bytes[at] = (bytes[at] as number) | (left % 256);
    left = Math.floor(left / 256);
  }
  return `${formatAddress(bytes)}/${length}`;
}

/** The reserved one, what is asked for, then from the one that the identity hashes to, as with addresses. */
export function* prefixCandidates(request: LeaseRequest, cursor: { at: number }): Generator<Candidate> {
  if (request.reserved !== null) yield { address: request.reserved, why: "reserved for it in the configuration", own: true };
  const delegate = request.network.dhcp?.delegate;
  if (!delegate) return;
  for (const hint of request.hints) if (isDelegated(delegate, hint)) yield { address: hint, why: "the prefix it asked for", own: false };
  const count = 2 ** Math.min(delegate.length - delegate.prefix.length, MAX_COUNTED_BITS);
  const start = identityHash(request);
  const place = (at: number): Candidate => ({ address: nth(delegate, at % count), why: "by its identity", own: false });
  for (let i = 0; i < count && i < HASHED_STEPS; i++) yield place(start + i);
  for (let i = 0; i < count && i < SEARCH_STEPS; i++) yield place(cursor.at++);
}
