/** What became of the machines' DNS questions: a reader of the stream, bounded in memory. */
import type { Address } from "@netboot6/codec";
import type { BootEvent } from "@netboot6/events";

type Answered = Extract<BootEvent, { type: "dns.answered" }>;

/** Answers by where they came from. */
type Counts = Record<Answered["from"], number>;

export interface Interval extends Counts {
  /** Unix milliseconds of its beginning. */
  readonly at: number;
}

export interface UpstreamState {
  readonly upstream: string;
  readonly up: boolean;
  readonly why: string;
  /** Unix milliseconds since when. */
  readonly at: number;
}

/** A client that was refused, asked too often, or got no answer. */
export interface Unserved {
  readonly client: Address;
  readonly machine: string | null;
  count: number;
  /** The newest of it. */
  why: string;
  /** Unix milliseconds. */
  at: number;
}

export const INTERVAL_SECONDS = 10;
/** An hour. */
const INTERVALS = 360;
const MAX_UPSTREAMS = 32;
const MAX_UNSERVED = 100;

const none = (): Counts => ({ cache: 0, upstream: 0, local: 0, stale: 0, refused: 0, failed: 0 });

export class DnsReadings {
  /** Since the start. */
  readonly total: Counts = none();
  readonly #intervals: Interval[] = [];
  readonly #upstreams = new Map<string, UpstreamState>();
  /** The one heard last at the end. */
  readonly #unserved = new Map<Address, Unserved>();

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    switch (event.type) {
      case "dns.answered":
      case "dns.counted": {
        const count = event.type === "dns.counted" ? event.count : 1;
        this.total[event.from] += count;
        this.#interval(event.at)[event.from] += count;
        if (event.from === "refused") this.#leave(event, count, `${event.rcode}: dns.allow names its address not, or nobody is asked that`);
        if (event.from === "failed") this.#leave(event, count, `${event.rcode}: no upstream answered`);
        break;
      }
      case "wire.dropped":
        if (event.service === "dns" && event.client !== undefined) this.#leave(event, event.count, event.why);
        break;
      case "dns.upstream":
        if (event.state === "gone") this.#upstreams.delete(event.upstream);
        else this.#upstreams.set(event.upstream, { upstream: event.upstream, up: event.state === "up", why: event.why, at: event.at });
        if (this.#upstreams.size > MAX_UPSTREAMS) this.#upstreams.delete(this.#upstreams.keys().next().value as string);
        break;
    }
  };

  /** Those that something was heard of: one that answers from the start on is told of nowhere. */
  upstreams(): UpstreamState[] {
    return [...this.#upstreams.values()];
  }

  /** The newest first. */
  unserved(): Unserved[] {
    return [...this.#unserved.values()].toReversed();
  }

  /** The last hour up to `now`, without gaps, from the first answer on; the newest last. */
  intervals(now: number): Interval[] {
    const first = this.#intervals[0];
    if (!first) return [];
    this.#interval(now);
    const byStart = new Map(this.#intervals.map((each) => [each.at, each]));
    const end = start(now);
    const begin = Math.max(first.at, end - (INTERVALS - 1) * INTERVAL_SECONDS * 1000);
    const all: Interval[] = [];
    for (let at = begin; at <= end; at += INTERVAL_SECONDS * 1000) all.push(byStart.get(at) ?? { at, ...none() });
    return all;
  }

  #interval(now: number): Interval {
    const at = start(now);
    const last = this.#intervals.at(-1);
    // A clock that was set back counts into the newest.
    if (last && last.at >= at) return last;
    const interval = { at, ...none() };
    this.#intervals.push(interval);
    while ((this.#intervals[0] as Interval).at <= at - INTERVALS * INTERVAL_SECONDS * 1000) this.#intervals.shift();
    return interval;
  }

  #leave(
    { client, machine, at }: { readonly client?: Address; readonly machine?: string; readonly at: number },
    count: number,
    why: string,
  ): void {
    if (client === undefined) return;
    const known = this.#unserved.get(client) ?? { client, machine: machine ?? null, count: 0, why, at };
    this.#unserved.delete(client);
    this.#unserved.set(client, known);
    known.count += count;
    known.why = why;
    known.at = at;
    if (this.#unserved.size > MAX_UNSERVED) this.#unserved.delete(this.#unserved.keys().next().value as Address);
  }
}

const start = (now: number): number => Math.floor(now / (INTERVAL_SECONDS * 1000)) * INTERVAL_SECONDS * 1000;
