/**
 * The embedded store: JSON values by kind and key in one SQLite file, written by a thread of its own, so that an fsync on a
 * slow disk never stops the thread that answers. Changes handed over while a commit is under way share the next one.
 */
import { Worker } from "node:worker_threads";

export { readStored } from "./read.ts";

/** Another process has the store open. */
export class StoreInUseError extends Error {
  override readonly name = "StoreInUseError";
}

/** `value: null` deletes. */
export interface Change {
  readonly kind: string;
  readonly key: string;
  readonly value: unknown;
}

export interface Stored {
  readonly kind: string;
  readonly key: string;
  readonly value: unknown;
}

export interface Store {
  /** Everything there was at the start. */
  readonly stored: readonly Stored[];
  /** Set where a damaged file was put aside: its new name. */
  readonly setAside: string | null;
  /** Resolves once the changes are on disk (a completed fsync). Rejects where they are not. */
  commit(changes: readonly Change[]): Promise<void>;
  /** Stores them with the next commit, or within a second: for what no answer rests on. */
  later(changes: readonly Change[]): void;
  close(): Promise<void>;
}

export type ToStore = { readonly say: "commit"; readonly id: number; readonly changes: readonly Change[] } | { readonly say: "close" };
export type FromStore =
  | { readonly say: "open"; readonly stored: readonly Stored[]; readonly setAside: string | null }
  | { readonly say: "failed"; readonly why: string; readonly inUse: boolean }
  | { readonly say: "committed"; readonly id: number; readonly error?: string }
  | { readonly say: "closed" };

const LEISURE_MS = 1000;

/** Opens or makes `netboot6.db` in `dir`. Rejects with a plain message where it cannot. */
export async function openStore(dir: string): Promise<Store> {
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { dir }, name: "store" });
  const opened = await new Promise<FromStore>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  if (opened.say === "failed") throw opened.inUse ? new StoreInUseError(opened.why) : new Error(opened.why);
  if (opened.say !== "open") throw new Error("the store did not open");

  interface Batch {
    changes: Change[];
    waiting: { resolve: () => void; reject: (error: Error) => void }[];
  }
  let lastId = 0;
  let next: Batch = { changes: [], waiting: [] };
  let writing: Batch | null = null;
  let failed: Error | null = null;

  let leisure: NodeJS.Timeout | null = null;
  const write = (): void => {
    if (writing || next.changes.length === 0) return;
    if (leisure) clearTimeout(leisure);
    leisure = null;
    writing = next;
    next = { changes: [], waiting: [] };
    worker.postMessage({ say: "commit", id: ++lastId, changes: writing.changes } satisfies ToStore);
  };
  const settle = (error: Error | null): void => {
    const done = writing;
    writing = null;
    for (const { resolve, reject } of done?.waiting ?? []) error ? reject(error) : resolve();
  };
  worker.on("message", (message: FromStore) => {
    if (message.say !== "committed") return;
    settle(message.error === undefined ? null : new Error(message.error));
    write();
  });
  worker.on("error", (error) => {
    failed = new Error(`the store's thread ended: ${error.message}`);
    settle(failed);
    for (const { reject } of next.waiting) reject(failed);
    next = { changes: [], waiting: [] };
  });

  return {
    stored: opened.stored,
    setAside: opened.setAside,
    commit(changes) {
      if (failed) return Promise.reject(failed);
      if (changes.length === 0) return Promise.resolve();
      return new Promise((resolve, reject) => {
        for (const change of changes) next.changes.push(change);
        next.waiting.push({ resolve, reject });
        // The changes of one turn of the event loop go together.
        if (!writing && next.waiting.length === 1) setImmediate(write);
      });
    },
    later(changes) {
      if (failed) return;
      for (const change of changes) next.changes.push(change);
      leisure ??= setTimeout(() => {
        leisure = null;
        write();
      }, LEISURE_MS);
    },
    async close() {
      while (!failed && (writing || next.changes.length > 0)) {
        write();
        const batch: Batch = writing ?? next;
        await new Promise<void>((resolve) => batch.waiting.push({ resolve, reject: () => resolve() }));
      }
      if (failed) return;
      const ended = new Promise((resolve) => worker.once("exit", resolve));
      worker.postMessage({ say: "close" } satisfies ToStore);
      await ended;
    },
  };
}
