/** Whole files in memory, each read once however many ask for it, and read again when it was replaced on disk. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { LRUCache } from "lru-cache";

export interface CachedFile {
  readonly body: Buffer;
  /** Strong: of the content. */
  readonly etag: string;
}

export class FileCache {
  readonly #limit: number;
  readonly #files: LRUCache<string, CachedFile>;
  readonly #loading = new Map<string, Promise<CachedFile>>();

  /** `limit`: bytes of files held at once. */
  constructor(limit: number) {
    this.#limit = limit;
    this.#files = new LRUCache({ maxSize: limit, sizeCalculation: (file) => file.body.length + 1 });
  }

  /** Null where the file is too large to be held: it is then to be read piece by piece. */
  async get(file: string, size: number, modified: number): Promise<CachedFile | null> {
    if (size > this.#limit / 2) return null;
    const key = `${file} ${size} ${modified}`;
    const held = this.#files.get(key);
    if (held) return held;
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = readFile(file)
        .then((body) => {
          const cached = { body, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` };
          this.#files.set(key, cached);
          return cached;
        })
        .finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }
}
