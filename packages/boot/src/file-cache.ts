/** Whole files in memory, each read once however many ask for it, and read again when it was replaced on disk. */
import { createHash } from "node:crypto";
import type { Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { totalmem } from "node:os";
import { setTimeout } from "node:timers/promises";
import { LRUCache } from "lru-cache";

export interface FileOnDisk {
  readonly file: string;
  readonly size: number;
  /** Unix milliseconds. */
  readonly modified: number;
  /** Another one after each change, also where size and time were made the same. */
  readonly version: string;
}

export interface CachedFile extends FileOnDisk {
  readonly body: Buffer;
  /** The body of a small file, one character a byte: Node writes it and the head as one, which takes half as long. Null: a large one. */
  readonly text: string | null;
  /** Strong: of the content. */
  readonly etag: string;
}

/** Read and hashed at once: in between others are served. */
const CHUNK_BYTES = 2 * 1024 * 1024;
/** One larger than this is read piece by piece whatever memory there is. */
const LARGEST_BYTES = 2 ** 31;
const SMALL_BYTES = 8 * 1024;
/** So long one that is being written is waited for: firmware and GRUB give up where they are told 503, or where no head comes for 5 s. */
const BEING_WRITTEN_MS = 3_000;
/** One that was written to so lately may well be written to again: a copy over the network comes in pieces. */
const LOOK_AGAIN_MS = 250;

export const onDisk = (file: string, { dev, ino, size, mtimeMs, ctimeMs }: Stats): FileOnDisk => ({
  file,
  size,
  modified: mtimeMs,
  version: `${dev}-${ino}-${size}-${mtimeMs}-${ctimeMs}`,
});

/** What this process may use: the host's, or its cgroup's where that is less. */
export const memoryBytes = (): number => Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);

const isFresh = ({ modified }: FileOnDisk): boolean => Math.abs(Date.now() - modified) < LOOK_AGAIN_MS;

/** Opened as soon as it rests. Rejects where it does not until then. */
async function openAtRest(file: string, until = performance.now() + BEING_WRITTEN_MS): Promise<{ handle: FileHandle; about: FileOnDisk }> {
  for (; performance.now() < until; await setTimeout(LOOK_AGAIN_MS)) {
    const handle = await open(file);
    const about = onDisk(file, await handle.stat());
    if (!isFresh(about)) return { handle, about };
    await handle.close();
  }
  throw new BeingWritten(file);
}

export class FileCache {
  /** Bytes of files held, and being read, at once. */
  readonly limit: number;
  readonly #largest: number;
  readonly #files: LRUCache<string, CachedFile>;
  readonly #loading = new Map<string, Promise<CachedFile | null>>();
  #beingRead = 0;

  /** `limit` null: a quarter of the memory. */
  constructor(limit: number | null) {
    this.limit = limit ?? memoryBytes() / 4;
    this.#largest = Math.min(this.limit / 2, LARGEST_BYTES);
    this.#files = new LRUCache({ maxSize: this.limit, sizeCalculation: (file) => file.body.length + 1 });
  }

  /** Null where there is no room to hold the file: it is then to be read piece by piece. Rejects where it cannot be read. */
  get(asked: FileOnDisk): CachedFile | Promise<CachedFile | null> | null {
    if (asked.size > this.#largest) return null;
    const held = this.#files.get(asked.file);
    if (held?.version === asked.version) return held;
    const key = `${asked.file} ${asked.version}`;
    let loading = this.#loading.get(key);
    if (!loading) {
      loading = this.#load(asked.file).finally(() => this.#loading.delete(key));
      this.#loading.set(key, loading);
    }
    return loading;
  }

  async #load(file: string): Promise<CachedFile | null> {
    for (const until = performance.now() + BEING_WRITTEN_MS; ; ) {
      const { handle, about } = await openAtRest(file, until);
      let room = 0;
      try {
        // Asked for at once, many files would be more than what is held may be; and one may have grown since it was looked at.
        if (about.size > this.#largest || this.#beingRead + about.size > this.limit) return null;
        room = about.size;
        this.#beingRead += room;
        while (this.#files.calculatedSize + this.#beingRead > this.limit) this.#files.pop();
        const { body, etag } = await readWhole(handle, about.size);
        const after = onDisk(file, await handle.stat());
        if (body.length !== about.size || after.version !== about.version) continue;
        const cached = { ...about, body, text: body.length <= SMALL_BYTES ? body.toString("latin1") : null, etag };
        this.#files.set(file, cached);
        return cached;
      } finally {
        this.#beingRead -= room;
        await handle.close();
      }
    }
  }
}

/** Half of the old and half of the new is never given out. */
export class BeingWritten extends Error {
  override readonly name = "BeingWritten";
  constructor(file: string) {
    super(`${file} is being written`);
  }
}

async function readWhole(handle: FileHandle, size: number): Promise<{ body: Buffer; etag: string }> {
  const body = Buffer.allocUnsafeSlow(size);
  const hash = createHash("sha256");
  let at = 0;
  while (at < size) {
    const { bytesRead } = await handle.read(body, at, Math.min(CHUNK_BYTES, size - at), at);
    if (bytesRead === 0) break;
    hash.update(body.subarray(at, at + bytesRead));
    at += bytesRead;
  }
  return { body: body.subarray(0, at), etag: `"${hash.digest("base64url").slice(0, 22)}"` };
}

/** A file that there is no room for in memory, read as it goes out. */
export class OpenFile {
  readonly about: FileOnDisk;
  readonly #handle: FileHandle;

  static async open(file: string): Promise<OpenFile> {
    const { handle, about } = await openAtRest(file);
    return new OpenFile(handle, about);
  }

  private constructor(handle: FileHandle, about: FileOnDisk) {
    this.#handle = handle;
    this.about = about;
  }

  /** Names this version of the file: that its content is another cannot be told without reading all of it. */
  get etag(): string {
    return `"${createHash("sha256").update(this.about.version).digest("base64url").slice(0, 22)}"`;
  }

  /** All of the stretch. Rejects where the file was written to since it was opened; one that was replaced by another stays as it was. */
  async read(start: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    const { bytesRead } = await this.#handle.read(bytes, 0, length, start);
    const now = await this.#handle.stat();
    if (bytesRead !== length || now.mtimeMs !== this.about.modified || now.size !== this.about.size)
      throw new BeingWritten(this.about.file);
    return bytes;
  }

  close(): void {
    void this.#handle.close();
  }
}
