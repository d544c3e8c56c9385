/** The newest events, for who comes back after a while: bounded. Progress is not kept: the newest tells all. */
import type { BootEvent } from "@netboot6/events";

const MOST = 1_000;

export class EventRing {
  readonly #events: BootEvent[] = [];
  readonly #most: number;
  /** The number of the newest event that was dropped. */
  #dropped = 0;
  #at = 0;

  constructor(most = MOST) {
    this.#most = most;
  }

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    if (event.type === "http.progress" || event.type === "tftp.progress") return;
    if (this.#events.length < this.#most) this.#events.push(event);
    else {
      this.#dropped = (this.#events[this.#at] as BootEvent).seq;
      this.#events[this.#at] = event;
      this.#at = (this.#at + 1) % this.#most;
    }
  };

  /** The oldest first. */
  all(): BootEvent[] {
    return [...this.#events.slice(this.#at), ...this.#events.slice(0, this.#at)];
  }

  /** Those after number `seq`; null where some of them are gone. */
  after(seq: number): BootEvent[] | null {
    return seq < this.#dropped ? null : this.all().filter((event) => event.seq > seq);
  }
}
