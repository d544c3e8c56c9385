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
  /** Undefined where what is stored is no JSON. */
  readonly value: unknown;
}

export interface SetAside {
  /** Its new name. */
  readonly file: string;
  readonly why: string;
}

export interface Store {
  /** Everything there was at the start. */
  readonly stored: readonly Stored[];
  /** Set where a damaged file was put aside, and a new one begun. */
  readonly setAside: SetAside | null;
  /** Keeps a copy of the file as it is at the start, where rows in it are damaged; its name. */
  copyAside(): Promise<string>;
  /**
   * Resolves once the changes are on disk (a completed fsync). Rejects where they are not. All of one commit share a promise.
   * `sendUntil`: the store's thread sends the prepared datagram (`@netboot6/udp`) as soon as they are, until then; Unix milliseconds;
   * 0: there is none.
   */
  commit(changes: readonly Change[], sendUntil?: number): Promise<void>;
  /** Stores them with the next commit, or within a second, and again where that fails: for what no answer rests on. */
  later(changes: readonly Change[]): void;
  close(): Promise<void>;
}

/** `rows`: kind, key and JSON text ("" deletes), one change after another: the cheapest form to hand to a thread. */
export type ToStore =
  | { readonly say: "commit"; readonly rows: readonly string[]; readonly sendUntil: number }
  | { readonly say: "copy" }
  | { readonly say: "close" };
/** What the thread starts with. Both sides wait on counts: to be woken by a message costs twice as much. */
export interface StoreData {
  readonly dir: string;
  readonly counts: Int32Array<SharedArrayBuffer>;
}
/** Place in `counts`: how many messages the thread was sent. */
export const SENT = 0;
/** How many commits are on disk. */
export const COMMITTED = 1;
export type FromStore =
  | { readonly say: "open"; readonly stored: readonly Stored[]; readonly setAside: SetAside | null }
  | { readonly say: "copied"; readonly file: string; readonly error?: string }
  | { readonly say: "failed"; readonly why: string; readonly inUse: boolean }
  | { readonly say: "not committed"; readonly error: string };

const LEISURE_MS = 1000;
/** So long at most a commit waits for others to share it while each turn of the event loop brings more. */
const GATHERING_MS = 2;
/** What cannot be stored as it closes was told of; it is tried again so often. */
const CLOSING_TRIES = 5;

interface Row {
  readonly text: string;
  /** An answer waits for it, so a failure is told and not tried again. */
  readonly awaited: boolean;
}

/** The changes of one commit: the newest of each kind and key. */
class Batch {
  readonly #kinds = new Map<string, Map<string, Row>>();
  /** How many were put. */
  changes = 0;
  readonly done = Promise.withResolvers<void>();
  awaited = false;
  sendUntil = 0;

  constructor() {
    this.done.promise.catch(() => {}); // it may be that nobody waits
  }

  put({ kind, key, value }: Change, awaited: boolean): void {
    this.#rowsOf(kind).set(key, { text: value === null ? "" : JSON.stringify(value), awaited });
    this.changes++;
  }

  flat(): string[] {
    const flat: string[] = [];
    for (const [kind, rows] of this.#kinds) for (const [key, { text }] of rows) flat.push(kind, key, text);
    return flat;
  }

  /** Takes over what a failed commit was to store at leisure, and has no newer value for. */
  retry(failed: Batch): void {
    for (const [kind, rows] of failed.#kinds)
      for (const [key, row] of rows) {
        if (row.awaited || this.#rowsOf(kind).has(key)) continue;
        this.#rowsOf(kind).set(key, row);
        this.changes++;
      }
  }

  #rowsOf(kind: string): Map<string, Row> {
    let rows = this.#kinds.get(kind);
    if (!rows) {
      rows = new Map();
      this.#kinds.set(kind, rows);
    }
    return rows;
  }
}

/** Opens or makes `netboot6.db` in `dir`. Rejects with a plain message where it cannot. */
export async function openStore(dir: string): Promise<Store> {
  const counts = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: { dir, counts } satisfies StoreData, name: "store" });
  const send = (message: ToStore): void => {
    worker.postMessage(message);
    Atomics.add(counts, SENT, 1);
    Atomics.notify(counts, SENT);
  };
  const opened = await new Promise<FromStore>((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
  if (opened.say === "failed") throw opened.inUse ? new StoreInUseError(opened.why) : new Error(opened.why);
  if (opened.say !== "open") throw new Error("the store did not open");

  let next = new Batch();
  let writing: Batch | null = null;
  let failed: Error | null = null;
  let leisure: NodeJS.Timeout | null = null;
  const copied = Promise.withResolvers<string>();
  copied.promise.catch(() => {}); // it may be that nobody waits

  const write = (): void => {
    if (writing || next.changes === 0) return;
    if (leisure) clearTimeout(leisure);
    leisure = null;
    writing = next;
    next = new Batch();
    send({ say: "commit", rows: writing.flat(), sendUntil: writing.sendUntil });
  };
  /** Commits are dear beside rows: in a storm one takes what many turns of the loop bring; a lone one goes in the next. */
  const gather = (since = performance.now()): void => {
    const had = next.changes;
    setImmediate(() => {
      if (next.changes > had && performance.now() - since < GATHERING_MS) gather(since);
      else write();
    });
  };
  const atLeisure = (): void => {
    leisure ??= setTimeout(() => {
      leisure = null;
      write();
    }, LEISURE_MS);
  };
  /** The commit that was under way is on disk, or has failed. */
  const settle = (error: Error | null): void => {
    if (!writing) return;
    const batch = writing;
    writing = null;
    if (error === null) batch.done.resolve();
    else {
      next.retry(batch);
      batch.done.reject(error);
    }
    if (next.awaited) gather();
    else if (next.changes > 0) atLeisure();
  };
  const hearCommits = async (): Promise<never> => {
    for (let heard = 0; ; heard++) {
      await Atomics.waitAsync(counts, COMMITTED, heard).value;
      settle(null);
    }
  };
  hearCommits();
  worker.on("message", (message: FromStore) => {
    if (message.say === "copied") {
      if (message.error === undefined) copied.resolve(message.file);
      else copied.reject(new Error(`cannot keep the damaged store as ${message.file}: ${message.error}`));
    }
    if (message.say === "not committed") settle(new Error(message.error));
  });
  worker.on("error", (error) => {
    failed = new Error(`the store's thread ended: ${error.message}`);
    writing?.done.reject(failed);
    next.done.reject(failed);
    copied.reject(failed);
  });
  let closing: Promise<void> | null = null;
  const end = async (): Promise<void> => {
    for (let tries = 0; tries < CLOSING_TRIES && !failed && (writing || next.changes > 0); tries++) {
      write();
      await writing?.done.promise.catch(() => {});
    }
    if (leisure) clearTimeout(leisure);
    if (failed) return;
    const ended = new Promise((resolve) => worker.once("exit", resolve));
    send({ say: "close" });
    await ended;
  };

  return {
    stored: opened.stored,
    setAside: opened.setAside,
    copyAside() {
      send({ say: "copy" });
      return copied.promise;
    },
    commit(changes, sendUntil = 0) {
      if (failed) return Promise.reject(failed);
      if (changes.length === 0) return Promise.resolve();
      for (const change of changes) next.put(change, true);
      if (!writing && !next.awaited) gather();
      next.awaited = true;
      if (sendUntil > 0) next.sendUntil = sendUntil;
      return next.done.promise;
    },
    later(changes) {
      if (failed || changes.length === 0) return;
      for (const change of changes) next.put(change, false);
      if (!writing) atLeisure();
    },
    close() {
      closing ??= end();
      return closing;
    },
  };
}
