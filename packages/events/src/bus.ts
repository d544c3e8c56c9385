/** The one stream: services emit into it, readers subscribe. Numbers and dates each event, and adds the machine where a service cannot know it. */
import type { Asker, BootEvent, EventBody } from "./types.ts";

export type Reader = (event: BootEvent) => void;

export class EventBus {
  readonly #readers = new Set<Reader>();
  readonly #whoIs: (asker: Asker) => Asker;
  readonly #now: () => number;
  #seq = 0;

  /** `whoIs` completes what a service knows of who asked. */
  constructor(whoIs: (asker: Asker) => Asker, now: () => number = Date.now) {
    this.#whoIs = whoIs;
    this.#now = now;
  }

  readonly emit = (body: EventBody): void => {
    const known = "client" in body && body.machine === undefined ? { ...body, ...this.#whoIs(body) } : body;
    const event: BootEvent = { seq: ++this.#seq, at: this.#now(), ...known };
    for (const reader of this.#readers) reader(event);
  };

  /** Returns the end of the subscription. */
  subscribe(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}
