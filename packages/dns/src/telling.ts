/**
 * What is told of answers. A machine that boots asks a few questions, and each answer is an event of its own. Who asks often is
 * counted: every answer is told exactly once, by itself or in a count.
 */
import type { Emit, EventBody } from "@netboot6/events";
import type { Client } from "./clients.ts";
import type { Clock } from "./lookup.ts";
import { nameText, rcodeText, typeText } from "./text.ts";

export type Source = Extract<EventBody, { type: "dns.answered" }>["from"];

/** Answers of one kind to one client. */
export interface Counted {
  readonly from: Source;
  readonly rcode: number;
  count: number;
}

/** What an event says of a question. */
export interface Asked {
  /** Wire form, one character a byte. */
  readonly name: string;
  readonly type: number;
}

const WINDOW_MS = 1_000;
/** Answers told by themselves in a window, to one client and to all. */
const SINGLES_OF_CLIENT = 20;
const SINGLES = 1_000;
/** Kinds of drops told in a window with the client's address; further ones without. */
const NAMED_DROPS = 100;

interface Dropped {
  readonly why: string;
  readonly client: string | undefined;
  count: number;
}

export class Telling {
  readonly #emit: Emit;
  readonly #clock: Clock;
  /** Clients of this window, to be told of and forgotten at its end. */
  #clients: Client[] = [];
  readonly #dropped = new Map<string, Dropped>();
  #singles = 0;
  #windowOpen = false;

  constructor(emit: Emit, clock: Clock) {
    this.#emit = emit;
    this.#clock = clock;
  }

  /** `seconds` is asked for where the answer is told by itself; `empty`: the name has nothing of that type. */
  answered(client: Client, asked: Asked, rcode: number, from: Source, seconds: () => number, empty = false): void {
    if (!this.#isSingle(client, from)) {
      this.#count(client, from, rcode);
      return;
    }
    this.#emit({
      type: "dns.answered",
      name: nameText(asked.name),
      qtype: typeText(asked.type),
      rcode: rcodeText(rcode),
      from,
      seconds: seconds(),
      ...(empty ? { empty } : {}),
      client: client.address,
    });
  }

  /** A refusal of who is not allowed: one a second is told with its question, which `read` reads. */
  refused(client: Client, rcode: number, read: () => Asked | null): void {
    const asked = client.told === 0 ? read() : null;
    if (asked) this.answered(client, asked, rcode, "refused", () => 0);
    else this.#count(client, "refused", rcode);
  }

  dropped(why: string, client?: Client): void {
    const key = client && this.#dropped.size < NAMED_DROPS ? `${why} ${client.address}` : why;
    const known = this.#dropped.get(key);
    if (known) known.count++;
    else {
      this.#openWindow();
      this.#dropped.set(key, { why, client: key === why ? undefined : client?.address, count: 1 });
    }
  }

  #isSingle(client: Client, from: Source): boolean {
    if (client.told >= SINGLES_OF_CLIENT && from !== "failed" && from !== "stale") return false;
    if (this.#singles >= SINGLES) return false;
    if (client.told === 0 && client.counted.length === 0) this.#enter(client);
    client.told++;
    this.#singles++;
    return true;
  }

  #count(client: Client, from: Source, rcode: number): void {
    const { counted } = client;
    for (const each of counted)
      if (each.from === from && each.rcode === rcode) {
        each.count++;
        return;
      }
    if (counted.length === 0 && client.told === 0) this.#enter(client);
    counted.push({ from, rcode, count: 1 });
  }

  #enter(client: Client): void {
    this.#openWindow();
    this.#clients.push(client);
  }

  #openWindow(): void {
    if (this.#windowOpen) return;
    this.#windowOpen = true;
    this.#clock.after(WINDOW_MS, () => this.#closeWindow());
  }

  #closeWindow(): void {
    this.#windowOpen = false;
    this.#singles = 0;
    const clients = this.#clients;
    this.#clients = [];
    const others = new Map<string, Counted>();
    let named = 0;
    for (const client of clients) {
      for (const { from, rcode, count } of client.counted) {
        if (named++ < SINGLES) this.#tellCount(from, rcode, count, client);
        else {
          const sum = others.get(`${from} ${rcode}`) ?? { from, rcode, count: 0 };
          sum.count += count;
          others.set(`${from} ${rcode}`, sum);
        }
      }
      client.told = 0;
      client.counted.length = 0;
    }
    for (const { from, rcode, count } of others.values()) this.#tellCount(from, rcode, count);
    for (const { why, count, client } of this.#dropped.values())
      this.#emit({ type: "wire.dropped", service: "dns", why, count, ...(client === undefined ? {} : { client }) });
    this.#dropped.clear();
  }

  #tellCount(from: Source, rcode: number, count: number, client?: Client): void {
    this.#emit({ type: "dns.counted", from, rcode: rcodeText(rcode), count, ...(client ? { client: client.address } : {}) });
  }
}
