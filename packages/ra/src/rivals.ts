/** The other routers of a link: what each one says at present, and what of it contradicts us (RFC 4861 §6.2.7). */
import type { Address, RouterAdvertisement } from "@netboot6/codec";
import { compare, type Difference } from "./differences.ts";
import { type Fact, factsOf, keyOf } from "./facts.ts";

/** What hosts know from all the advertisements of one router. */
interface Rival {
  readonly router: Address;
  readonly header: RouterAdvertisement;
  readonly facts: readonly Fact[];
}

/** What there is to tell of a router. */
export interface Told extends Rival {
  readonly state: "advertises" | "withdrawn" | "silent";
  readonly differences: readonly Difference[];
}

interface Kept {
  header: RouterAdvertisement;
  /** When hosts forget it as a router, or where it is none, when it should have been heard again. */
  until: number;
  readonly facts: Map<string, { fact: Fact; until: number }>;
  /** Of what was told last; null: nothing yet. */
  told: { readonly print: string; readonly wasRouter: boolean } | null;
}

const MAX_ROUTERS = 64;
const MAX_FACTS = 256;
/** The greatest MaxRtrAdvInterval of RFC 4861 §6.2.1: what lives shorter may expire between two advertisements and is no change. */
const SILENT_AFTER_MS = 1_800_000;

/** Times in milliseconds. */
export class Rivals {
  readonly #kept = new Map<Address, Kept>();

  /** Takes what a router said. False where there is no room for one more router. */
  hear(router: Address, ra: RouterAdvertisement, now: number): boolean {
    let kept = this.#kept.get(router);
    if (!kept) {
      if (this.#kept.size >= MAX_ROUTERS) return false;
      kept = { header: ra, until: 0, facts: new Map(), told: null };
      this.#kept.set(router, kept);
    }
    kept.header = { ...ra, mtu: ra.mtu ?? kept.header.mtu };
    kept.until = now + (ra.routerLifetime > 0 ? ra.routerLifetime * 1000 : SILENT_AFTER_MS);
    for (const fact of factsOf(ra)) {
      const key = keyOf(fact);
      if (fact.lifetime === 0) kept.facts.delete(key);
      else if (kept.facts.size < MAX_FACTS || kept.facts.has(key))
        kept.facts.set(key, { fact, until: now + Math.max(fact.lifetime * 1000, SILENT_AFTER_MS) });
    }
    return true;
  }

  /** Whether hosts on the link have a default router beside us. */
  hasRouter(now: number): boolean {
    return [...this.#kept.values()].some(({ header, until }) => header.routerLifetime > 0 && now < until);
  }

  /** Whether one of them states this at present. Hosts keep it from whoever said it last, but a route from each router apart. */
  state(fact: Fact, now: number): boolean {
    if (fact.kind === "route") return false;
    return [...this.#kept.values()].some(({ facts, until }) => {
      const theirs = facts.get(keyOf(fact));
      return now < until && theirs !== undefined && now < theirs.until && theirs.fact.preferred !== 0;
    });
  }

  /** What changed since the last look: each change is told once, however often it is advertised. `ours` null: we only listen. */
  changes(ours: RouterAdvertisement | null, linkMtu: number, dhcp: boolean, now: number): Told[] {
    const changes: Told[] = [];
    for (const [router, kept] of this.#kept) {
      for (const [key, { until }] of kept.facts) if (until <= now) kept.facts.delete(key);
      const rival = { router, header: kept.header, facts: [...kept.facts.values()].map(({ fact }) => fact) };
      if (kept.until <= now) {
        this.#kept.delete(router);
        changes.push({ ...rival, state: "silent", differences: [] });
        continue;
      }
      const differences = compare(rival, ours, linkMtu, dhcp);
      const print = fingerprint(rival, differences);
      if (kept.told?.print === print) continue;
      const isRouter = kept.header.routerLifetime > 0;
      changes.push({ ...rival, state: kept.told?.wasRouter && !isRouter ? "withdrawn" : "advertises", differences });
      kept.told = { print, wasRouter: isRouter };
    }
    return changes;
  }
}

/** The same for all advertisements that say the same, though their lifetimes may run down from one to the next. */
const fingerprint = ({ header, facts }: Rival, differences: readonly Difference[]): string =>
  JSON.stringify([
    [header.managed, header.other, header.preference, header.routerLifetime > 0],
    [header.hopLimit, header.mtu, header.reachableTime, header.retransTimer],
    facts.map((fact) => `${keyOf(fact)} ${fact.preferred === 0}`).sort(),
    differences.map(({ field }) => field),
  ]);
