/** A map that can be told which of its keys was set longest ago. */
export class Recent<Key, Value> {
  readonly #map = new Map<Key, Value>();
  /** Where the search for the oldest has come to: from the beginning, it would pass by all that was deleted since the map was last rearranged. */
  #oldest = this.#map.entries();

  get size(): number {
    return this.#map.size;
  }

  get(key: Key): Value | undefined {
    return this.#map.get(key);
  }

  /** It is the newest from now on. */
  set(key: Key, value: Value): void {
    this.#map.delete(key);
    this.#map.set(key, value);
  }

  delete(key: Key): void {
    this.#map.delete(key);
  }

  /** Takes the oldest out; undefined where there is none. */
  takeOldest(): [Key, Value] | undefined {
    let next = this.#oldest.next();
    if (next.done) {
      this.#oldest = this.#map.entries();
      next = this.#oldest.next();
    }
    if (next.done) return undefined;
    this.#map.delete(next.value[0]);
    return next.value;
  }

  /** The oldest first. */
  entries(): IterableIterator<[Key, Value]> {
    return this.#map.entries();
  }

  keys(): IterableIterator<Key> {
    return this.#map.keys();
  }
}
