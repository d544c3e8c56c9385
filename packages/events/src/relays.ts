/** What each relay brought, counted: a reader of the stream, bounded in memory. */
import type { Address } from "@netboot6/codec";
import type { BootEvent } from "./types.ts";

export interface RelayCount {
  readonly relay: Address;
  answered: number;
  dropped: number;
  /** Unix milliseconds of its last message. */
  lastAt: number;
  /** Why its last message that was dropped was; null where none was. */
  lastDropped: string | null;
}

/** A forged source is a relay more: beyond these, the one that is silent the longest is forgotten. */
const MAX_RELAYS = 1000;

export class RelayCounts {
  /** By network and relay, the one heard last at the end. */
  readonly #counts = new Map<string, { readonly network: string; readonly count: RelayCount }>();

  /** The relays that serve, or are refused on, a network. */
  of(network: string): RelayCount[] {
    return [...this.#counts.values()].filter((each) => each.network === network).map(({ count }) => count);
  }

  #networkOf(relay: Address): string | undefined {
    return [...this.#counts.values()].findLast(({ count }) => count.relay === relay)?.network;
  }

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    if ((event.type !== "dhcpv6.answered" && event.type !== "dhcpv6.dropped") || event.relay === undefined) return;
    // What is of no network (an unknown link-address, a message that cannot be read) stands where its relay was heard last.
    const network = event.network ?? this.#networkOf(event.relay);
    if (network === undefined) return;
    const key = `${network} ${event.relay}`;
    const known = this.#counts.get(key);
    const count = known?.count ?? { relay: event.relay, answered: 0, dropped: 0, lastAt: 0, lastDropped: null };
    this.#counts.delete(key);
    this.#counts.set(key, known ?? { network, count });
    if (this.#counts.size > MAX_RELAYS) this.#counts.delete(this.#counts.keys().next().value as string);
    count.lastAt = event.at;
    if (event.type === "dhcpv6.answered") count.answered++;
    else {
      count.dropped++;
      count.lastDropped = event.why;
    }
  };
}
