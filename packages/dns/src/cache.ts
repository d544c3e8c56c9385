/** Kept answers, bounded by number and size; the least recently asked for goes first. */
import { LRUCache } from "lru-cache";
import type { Answer } from "./answer.ts";

export interface Kept {
  /** The question in words. */
  readonly name: string;
  readonly qtype: string;
  readonly answer: Answer;
  readonly since: number;
  readonly until: number;
}

const MEAN_BYTES = 512;

export class Cache {
  readonly #kept: LRUCache<string, Kept> | null;
  readonly #staleMs: number;

  constructor({ entries, serveStale }: { readonly entries: number; readonly serveStale: number }) {
    this.#staleMs = serveStale * 1000;
    this.#kept =
      entries > 0
        ? new LRUCache({
            max: entries,
            maxSize: Math.max(entries * MEAN_BYTES, 65536),
            sizeCalculation: ({ answer }, key) => key.length + answer.bytes.length,
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
}
