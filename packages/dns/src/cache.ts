/** Kept answers, bounded by number and memory; the least recently asked for goes first. */
import { LRUCache } from "lru-cache";
import type { Answer } from "./answer.ts";

export interface Kept {
  readonly answer: Answer;
  readonly from: "cache" | "local";
  readonly since: number;
  readonly until: number;
  /** Of the local names that it was compared with: a name that has become local is not answered from here. */
  version: number;
}

/** Bytes of heap that an entry takes beside its key and message (measured), and what an entry may take on average. */
const ENTRY_BYTES = 300;
const MEAN_BYTES = 1_024;
const LEAST_BYTES = 1 << 20;

export class Cache {
  readonly #kept: LRUCache<string, Kept> | null;
  readonly #staleMs: number;

  constructor({ entries, serveStale }: { readonly entries: number; readonly serveStale: number }) {
    this.#staleMs = serveStale * 1000;
    this.#kept =
      entries > 0
        ? new LRUCache({
            max: entries,
            maxSize: Math.max(entries * MEAN_BYTES, LEAST_BYTES),
            sizeCalculation: ({ answer }, key) => ENTRY_BYTES + key.length + answer.text.length,
          })
        : null;
  }

  /** It may have expired: then it is for hard times only. */
  get(key: string, now: number): Kept | undefined {
    const kept = this.#kept?.get(key);
    if (kept && kept.until + this.#staleMs <= now) {
      this.#kept?.delete(key);
      return undefined;
    }
    return kept;
  }

  set(key: string, kept: Kept): void {
    if (kept.until > kept.since) this.#kept?.set(key, kept);
  }

  get size(): number {
    return this.#kept?.size ?? 0;
  }
}
