/** One address or delegated prefix and who has it. Plain data: it is stored. */
import { type Address, canonicalAddress, type Mac } from "@netboot6/codec";

export interface Lease {
  /** A prefix has its length behind it: `2001:db8:fff:10::/60`. */
  readonly address: Address;
  readonly network: string;
  /** The machine's id. */
  readonly machine: string;
  /** Lower-case hex. */
  readonly duid: string;
  readonly iaid: number;
  /** A released address stays with its machine and goes to another only when no other is free; a declined one rests. */
  readonly state: "bound" | "released" | "declined";
  /** Unix seconds; Infinity is written as null by JSON, so "for ever" is 0xffffffff seconds from `since`. */
  readonly validUntil: number;
  /** Unix seconds of the first binding of this machine. */
  readonly since: number;
  /** The name that its client claims (RFC 4704), whole, in lower case, without the final dot; it ends with the lease. */
  readonly hostname?: string;
  /** The interface that it was leased to last, where that is known. */
  readonly mac?: Mac;
  /** The machine's earlier bindings of it, whose place this one took: another DUID or IAID of another stage. The newest last. */
  readonly superseded?: readonly { readonly duid: string; readonly iaid: number }[];
}

/** Whether it is held now; `now` in Unix seconds. */
export const isLive = ({ state, validUntil }: Lease, now: number): boolean => state === "bound" && validUntil > now;

export const isPrefix = (leased: string): boolean => leased.includes("/");

/** Its state now; `now` in Unix seconds. */
export const stateOf = ({ state, validUntil }: Lease, now: number): Lease["state"] | "expired" =>
  validUntil <= now && state !== "released" ? "expired" : state;

/** Whether what was stored is a lease. */
export function isLease(value: object): value is Lease {
  const {
    address,
    network,
    machine,
    duid,
    iaid,
    state,
    validUntil,
    since,
    hostname = "",
    mac = "",
    superseded = [],
  }: {
    readonly [K in keyof Lease]?: unknown;
  } = value;
  return (
    typeof address === "string" &&
    canonicalAddress(address.replace(/\/\d+$/, "")) !== null &&
    [network, machine, duid, hostname, mac].every((each) => typeof each === "string") &&
    [iaid, validUntil, since].every(Number.isInteger) &&
    Array.isArray(superseded) &&
    STATES.has(state)
  );
}

const STATES: ReadonlySet<unknown> = new Set<Lease["state"]>(["bound", "released", "declined"]);
