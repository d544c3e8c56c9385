/** Who asks: whether they may, how fast they do, and what of it was told. */
import type { Address } from "@netboot6/codec";
import type { Counted } from "./telling.ts";

export class Client {
  readonly address: Address;
  readonly allowed: boolean;
  /** Answers told by themselves in this second, and kinds of answers that are counted in it. */
  told = 0;
  readonly counted: Counted[] = [];
  #tokens: number;
  #at: number;

  constructor(address: Address, allowed: boolean, tokens: number, now: number) {
    this.address = address;
    this.allowed = allowed;
    this.#tokens = tokens;
    this.#at = now;
  }

  /** Takes a token from the bucket, which holds one second's worth; false where it is empty. */
  take(rate: number, now: number): boolean {
    const tokens = Math.min(rate, this.#tokens + ((now - this.#at) * rate) / 1000);
    this.#at = now;
    this.#tokens = tokens < 1 ? tokens : tokens - 1;
    return tokens >= 1;
  }
}

/** Twice as many are remembered at most: the table has two halves, and the one that was not used for longer goes at once. */
const REMEMBERED = 20_000;

export class Clients {
  #recent = new Map<string, Client>();
  #older = new Map<string, Client>();
  readonly #allowed: (client: string) => boolean;
  readonly #rate: number;

  /** `rate`: tokens of a new client. */
  constructor(allowed: (client: string) => boolean, rate: number) {
    this.#allowed = allowed;
    this.#rate = rate;
  }

  /** `from` is a socket's text of an address; it may have a zone. */
  of(from: string, now: number): Client {
    return this.#recent.get(from) ?? this.#remember(from, now);
  }

  #remember(from: string, now: number): Client {
    let client = this.#older.get(from);
    if (!client) {
      const zone = from.indexOf("%");
      const address = zone < 0 ? from : from.slice(0, zone);
      client = new Client(address, this.#allowed(from), this.#rate, now);
    }
    if (this.#recent.size >= REMEMBERED) {
      this.#older = this.#recent;
      this.#recent = new Map();
    }
    this.#recent.set(from, client);
    return client;
  }

  get size(): number {
    return this.#recent.size + this.#older.size;
  }
}
