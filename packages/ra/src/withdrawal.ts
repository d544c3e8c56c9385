/**
 * What was advertised and is not any more is withdrawn in the advertisements that follow, for as long as a host that missed
 * some of them may hold on to it (RFC 9096 §3.5 for prefixes; lifetime 0 of RFC 8106 §5, RFC 4191 §2.3 and RFC 8781 §4).
 */
import type { RouterAdvertisement } from "@netboot6/codec";
import { type Fact, factsOf, keyOf, readPrefix } from "./facts.ts";

export interface Withdrawal {
  readonly fact: Fact;
  /** milliseconds */
  readonly since: number;
}

/** Hosts end an address they formed no sooner than this, in seconds (RFC 4862 §5.5.3 e); its connections may live on that long. */
const TWO_HOURS = 7200;

/** The withdrawals from `now` on: those that go on, and what `old` stated and `next` does not. `now` in milliseconds. */
export function withdraw(
  old: RouterAdvertisement,
  next: RouterAdvertisement,
  earlier: readonly Withdrawal[],
  now: number,
): readonly Withdrawal[] {
  const stays = new Set(factsOf(next).map(keyOf));
  const ended = factsOf(old).map((fact) => ({ fact, since: now }));
  return [...earlier, ...ended].filter(({ fact }) => fact.lifetime > 0 && !stays.has(keyOf(fact)));
}

/** Those that a host may still have to hear. */
export const stillDue = (withdrawals: readonly Withdrawal[], now: number): readonly Withdrawal[] =>
  withdrawals.filter(({ fact, since }) => now < since + fact.lifetime * 1000);

/** The advertisement with its withdrawals. A prefix ends slowly: not preferred from now on, and valid for what is left of two hours. */
export function withWithdrawals(ra: RouterAdvertisement, withdrawals: readonly Withdrawal[], now: number): RouterAdvertisement {
  if (withdrawals.length === 0) return ra;
  const ended = (kind: Fact["kind"]): string[] => withdrawals.flatMap(({ fact }) => (fact.kind === kind ? fact.value : []));
  const prefix = ({ fact, since }: Withdrawal): RouterAdvertisement["prefixes"][number] => {
    const { address, length } = readPrefix(fact.value);
    const valid = Math.max(0, Math.ceil((since - now) / 1000 + Math.min(TWO_HOURS, fact.lifetime)));
    return { prefix: address, length, onLink: fact.kind === "on-link", autonomous: fact.kind === "autonomous", valid, preferred: 0 };
  };
  const [resolvers, domains] = [ended("resolver"), ended("search")];
  return {
    ...ra,
    prefixes: [...ra.prefixes, ...withdrawals.filter(({ fact }) => fact.kind === "on-link" || fact.kind === "autonomous").map(prefix)],
    routes: [
      ...ra.routes,
      ...ended("route").map((value) => {
        const { address, length } = readPrefix(value);
        return { prefix: address, length, preference: "medium" as const, lifetime: 0 };
      }),
    ],
    rdnss: resolvers.length > 0 ? [...ra.rdnss, { addresses: resolvers, lifetime: 0 }] : ra.rdnss,
    dnssl: domains.length > 0 ? [...ra.dnssl, { domains, lifetime: 0 }] : ra.dnssl,
    pref64: [...ra.pref64, ...ended("nat64").map((value) => ({ prefix: readPrefix(value), lifetime: 0 }))],
  };
}
