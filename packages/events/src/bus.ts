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

  /** Takes the body over: it becomes the event. */
  readonly emit = (body: EventBody): void => {
    const event = body as { -readonly [Key in keyof Asker]: Asker[Key] } & Writable<BootEvent>;
    if (!body.type.startsWith("appliance.")) makePlain(event as unknown as Record<string, unknown>);
    event.seq = ++this.#seq;
    event.at = this.#now();
    if (event.client !== undefined && event.machine === undefined) Object.assign(event, this.#whoIs(event));
    for (const reader of this.#readers) reader(event);
  };

  /** Returns the end of the subscription. */
  subscribe(reader: Reader): () => void {
    this.#readers.add(reader);
    return () => this.#readers.delete(reader);
  }
}

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

const MAX_TEXT = 512;
/** What nobody on the wire can write: numbers, words of ours, addresses and identities in the forms that we give them. */
const OURS: ReadonlySet<string> = new Set([
  "type",
  "message",
  "answer",
  "clientKind",
  "duid",
  "addresses",
  "valid",
  "mac",
  "machine",
  "network",
]);
const NOT_PLAIN = /[^ -~]/;
const UNPRINTABLE = /[\p{Cc}\p{Cf}\u2028\u2029]/gu;

/**
 * Makes the event's texts short and printable. File names, user agents and classes are whatever came over the wire: a reader's
 * memory must hold them, and an operator's terminal must not obey them. What the appliance says of itself has lines of its own.
 */
function makePlain(event: Record<string, unknown>): void {
  for (const key in event) {
    if (OURS.has(key)) continue;
    const value = event[key];
    if (typeof value === "string") {
      if (!isPlain(value)) event[key] = plainText(value);
    } else if (Array.isArray(value) && !value.every(isPlain)) event[key] = value.map(plainText);
  }
}

/** Most texts are: the exact expression is slower by far. */
const isPlain = (value: unknown): boolean => typeof value !== "string" || (value.length <= MAX_TEXT && !NOT_PLAIN.test(value));

function plainText<T>(value: T): T | string {
  if (typeof value !== "string") return value;
  const short = value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value;
  return short.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}
