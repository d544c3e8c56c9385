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
    const plain = plainEvent(body);
    const known = "client" in plain && plain.machine === undefined ? { ...plain, ...this.#whoIs(plain) } : plain;
    const event: BootEvent = { seq: ++this.#seq, at: this.#now(), ...known };
    for (const reader of this.#readers) reader(event);
  };

  /** Returns the end of the subscription. */
  subscribe(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}

const MAX_TEXT = 512;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * The event with its texts short and printable. File names, user agents and classes are whatever came over the wire: a reader's
 * memory must hold them, and an operator's terminal must not obey them. What the appliance says of itself has lines of its own.
 */
function plainEvent(body: EventBody): EventBody {
  if (body.type.startsWith("appliance.")) return body;
  let changed: Record<string, unknown> | null = null;
  for (const [key, value] of Object.entries(body) as [string, unknown][]) {
    const plain = typeof value === "string" ? plainText(value) : Array.isArray(value) ? plainTexts(value) : value;
    if (plain === value) continue;
    changed ??= { ...body };
    changed[key] = plain;
  }
  return (changed as EventBody | null) ?? body;
}

function plainText(text: string): string {
  const short = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return short.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

function plainTexts(values: readonly unknown[]): readonly unknown[] {
  const plain = values.map((value) => (typeof value === "string" ? plainText(value) : value));
  return plain.every((value, i) => value === values[i]) ? values : plain;
}
