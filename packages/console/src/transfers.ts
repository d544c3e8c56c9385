/** Bytes as they go out, from what events say was sent in all. */

/** Whose end is never told is forgotten beyond so many. */
const MOST = 10_000;

export class Transfers {
  readonly #sent = new Map<number, number>();
  readonly #count: (bytes: number) => void;

  /** `count` is given the bytes that were sent since the last time. */
  constructor(count: (bytes: number) => void) {
    this.#count = count;
  }

  get running(): number {
    return this.#sent.size;
  }

  goesOn(id: number, sent: number): void {
    this.#count(Math.max(0, sent - (this.#sent.get(id) ?? 0)));
    this.#sent.set(id, sent);
    if (this.#sent.size > MOST) this.#sent.delete(this.#sent.keys().next().value as number);
  }

  ends(id: number, sent: number): void {
    this.#count(Math.max(0, sent - (this.#sent.get(id) ?? 0)));
    this.#sent.delete(id);
  }

  forget(): void {
    this.#sent.clear();
  }
}
