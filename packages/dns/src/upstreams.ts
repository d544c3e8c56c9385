/** The resolvers that are asked, and how each of them does. */
import { type Upstream, upstreamText } from "@netboot6/config";
import type { Emit } from "@netboot6/events";

/** Missed answers in a row until an upstream counts as down: one lost packet is nothing, one slow name hardly more. */
const MISSES_TO_DOWN = 3;
/** What an unmeasured upstream is taken for, and the least that one is taken for that missed an answer. */
const UNMEASURED_MS = 400;
const MISSED_MS = 800;
const SLOWEST_MS = 10_000;
/** An upstream that is not the first choice gets a query now and then beside it: so it is known when it comes up, or is the faster one. */
const MEASURE_EVERY_MS = 60_000;
const FIRST_RETRY_MS = 2_000;
const WITHOUT_EDNS_MS = 15 * 60_000;
const FLAT_MS = 60 * 60_000;

export class UpstreamHealth {
  readonly upstream: Upstream;
  readonly name: string;
  /** Smoothed time to an answer; null: unmeasured. */
  roundTrip: number | null = null;
  misses = 0;
  down = false;
  measureAt = 0;
  retry = FIRST_RETRY_MS;
  withoutEdnsUntil = 0;
  /** Until then it is asked in lower case. */
  flatUntil = 0;

  constructor(upstream: Upstream) {
    this.upstream = upstream;
    this.name = upstreamText(upstream);
  }
}

export class Upstreams {
  #all: readonly UpstreamHealth[] = [];
  readonly #emit: Emit;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  /** Keeps what is known of those that stay. */
  set(upstreams: readonly Upstream[]): void {
    const known = new Map(this.#all.map((each) => [each.name, each]));
    const names = new Set(upstreams.map(upstreamText));
    for (const each of this.#all) if (!names.has(each.name)) this.#tell(each, "gone", "it is asked no more");
    this.#all = [...new Map(upstreams.map((each) => [upstreamText(each), each]))].map(
      ([name, upstream]) => known.get(name) ?? new UpstreamHealth(upstream),
    );
  }

  get allDown(): boolean {
    return this.#all.length > 0 && this.#all.every(({ down }) => down);
  }

  /** Best first. */
  ranked(): UpstreamHealth[] {
    const cost = ({ roundTrip }: UpstreamHealth): number => roundTrip ?? UNMEASURED_MS;
    return this.#all.toSorted((a, b) => Number(a.down) - Number(b.down) || cost(a) - cost(b));
  }

  /** Those it is time to ask beside the first choice. */
  due(now: number): UpstreamHealth[] {
    return this.#all.filter((each) => {
      if (each.measureAt > now) return false;
      each.measureAt = now + (each.down ? each.retry : MEASURE_EVERY_MS);
      if (each.down) each.retry = Math.min(each.retry * 2, MEASURE_EVERY_MS);
      return true;
    });
  }

  answered(each: UpstreamHealth, now: number, roundTrip: number): void {
    each.roundTrip = each.roundTrip === null ? roundTrip : each.roundTrip * 0.7 + roundTrip * 0.3;
    each.misses = 0;
    each.measureAt = now + MEASURE_EVERY_MS;
    if (!each.down) return;
    each.down = false;
    each.retry = FIRST_RETRY_MS;
    this.#tell(each, "up", `it answers in ${Math.round(roundTrip)} ms`);
  }

  missed(each: UpstreamHealth, now: number, why: string): void {
    each.roundTrip = Math.min(Math.max((each.roundTrip ?? 0) * 2, MISSED_MS), SLOWEST_MS);
    each.misses++;
    if (each.down || each.misses < MISSES_TO_DOWN) return;
    each.down = true;
    each.measureAt = now + each.retry;
    this.#tell(each, "down", why);
  }

  /** What one that is asked no more does still, as it was asked before, is told of nowhere. */
  #tell(each: UpstreamHealth, state: "up" | "down" | "gone", why: string): void {
    if (this.#all.includes(each)) this.#emit({ type: "dns.upstream", upstream: each.name, state, why });
  }

  /** RFC 6891 §7: asked without OPT for a while. */
  hasNoEdns(each: UpstreamHealth, now: number): void {
    each.withoutEdnsUntil = now + WITHOUT_EDNS_MS;
  }

  /** It repeats questions in a spelling of its own. */
  losesSpelling(each: UpstreamHealth, now: number): void {
    each.flatUntil = now + FLAT_MS;
  }
}
