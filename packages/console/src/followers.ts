/** Who follows the stream of events. In a storm there are thousands a second: each is put into text once, and sent with its neighbours. */
import type { BootEvent, EventBus } from "@netboot6/events";

/** Longer than a page waits before it paints anyway, an operator would see it. */
const TOGETHER_MS = 50;
/** A reader that takes no more is cut off rather than held in memory. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

/** As much of a response as is needed to send on. */
export interface Sink {
  write(text: string): unknown;
  destroy(): unknown;
  readonly writableLength: number;
}

interface Follower {
  readonly sink: Sink;
  /** Null: all of them. */
  readonly wants: ((event: BootEvent) => boolean) | null;
}

export class Followers {
  readonly #bus: EventBus;
  /** What an event's number is of: numbers begin anew with the process. */
  readonly #run: string;
  readonly #followers = new Set<Follower>();
  #waiting: BootEvent[] = [];
  #timer: NodeJS.Timeout | null = null;
  #unsubscribe: (() => void) | null = null;

  constructor(bus: EventBus, run: string) {
    this.#bus = bus;
    this.#run = run;
  }

  get size(): number {
    return this.#followers.size;
  }

  /** `missed` first, then what happens from now on; returns the end of it. */
  add(sink: Sink, wants: Follower["wants"], missed: readonly BootEvent[]): () => void {
    this.#send();
    const follower = { sink, wants };
    this.#followers.add(follower);
    if (missed.length > 0) this.#give(follower, missed.map((event) => this.#text(event)).join(""));
    this.#unsubscribe ??= this.#bus.subscribe((event) => {
      this.#waiting.push(event);
      this.#timer ??= setTimeout(() => this.#send(), TOGETHER_MS);
    });
    return () => {
      this.#followers.delete(follower);
      if (this.#followers.size > 0) return;
      this.#unsubscribe?.();
      this.#unsubscribe = null;
      this.#send();
    };
  }

  #send(): void {
    if (this.#timer) clearTimeout(this.#timer);
    this.#timer = null;
    const waiting = this.#waiting;
    if (waiting.length === 0) return;
    this.#waiting = [];
    if (this.#followers.size === 0) return;
    const texts = waiting.map((event) => this.#text(event));
    const all = texts.join("");
    for (const follower of this.#followers) {
      const { wants } = follower;
      const text = wants ? texts.filter((_, i) => wants(waiting[i] as BootEvent)).join("") : all;
      if (text !== "") this.#give(follower, text);
    }
  }

  #give({ sink }: Follower, text: string): void {
    if (sink.writableLength > MAX_BUFFERED_BYTES) sink.destroy();
    else sink.write(text);
  }

  #text(event: BootEvent): string {
    return `id: ${this.#run}-${event.seq}\ndata: ${JSON.stringify(event)}\n\n`;
  }
}
