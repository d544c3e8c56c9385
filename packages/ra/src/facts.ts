/** What advertisements state, one fact by one: hosts keep each for its own lifetime, whichever advertisement brought it. */
import type { RouterAdvertisement } from "@netboot6/codec";

export interface Fact {
  readonly kind: "on-link" | "autonomous" | "route" | "resolver" | "search" | "nat64";
  /** A prefix with its length, an address or a domain. */
  readonly value: string;
  /** Seconds; of a prefix the valid lifetime. */
  readonly lifetime: number;
  /** Seconds; of an autonomous prefix only. */
  readonly preferred?: number;
}

export const keyOf = ({ kind, value }: Pick<Fact, "kind" | "value">): string => `${kind} ${value}`;

/** Those with a lifetime of 0 are withdrawn by it. */
export function factsOf(ra: RouterAdvertisement): Fact[] {
  return [
    ...ra.prefixes.flatMap(({ prefix, length, onLink, autonomous, valid, preferred }): Fact[] => [
      ...(onLink ? [{ kind: "on-link", value: `${prefix}/${length}`, lifetime: valid } as const] : []),
      ...(autonomous ? [{ kind: "autonomous", value: `${prefix}/${length}`, lifetime: valid, preferred } as const] : []),
    ]),
    ...ra.routes.map(({ prefix, length, lifetime }): Fact => ({ kind: "route", value: `${prefix}/${length}`, lifetime })),
    ...ra.rdnss.flatMap(({ addresses, lifetime }) => addresses.map((value): Fact => ({ kind: "resolver", value, lifetime }))),
    ...ra.dnssl.flatMap(({ domains, lifetime }) => domains.map((value): Fact => ({ kind: "search", value, lifetime }))),
    ...ra.pref64.map(({ prefix, lifetime }): Fact => ({ kind: "nat64", value: `${prefix.address}/${prefix.length}`, lifetime })),
  ];
}

/** A prefix as `value` has it. */
export function readPrefix(value: string): { readonly address: string; readonly length: number } {
  const [address = "", length = ""] = value.split("/");
  return { address, length: Number(length) };
}
