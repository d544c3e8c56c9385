import { appendFileSync, chownSync, existsSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parentPort, receiveMessageOnPort, workerData } from "node:worker_threads";
import { sendPrepared } from "@netboot6/udp";
import { COMMITTED, type FromStore, SENT, type SetAside, type StoreData, type Stored, StoreInUseError, type ToStore } from "./index.ts";
import { lossOf, readEntries, STORE_FILE } from "./read.ts";

const port = parentPort;
if (!port) throw new Error("the store runs in a thread of its own");
const say = (message: FromStore): void => port.postMessage(message);

/** By kind and key. */
class RowNumbers {
  readonly #kinds = new Map<string, Map<string, number>>();

  get(kind: string, key: string): number | undefined {
    return this.#kinds.get(kind)?.get(key);
  }

  /** Null: it has none any more. */
  set(kind: string, key: string, id: number | null): void {
    let ids = this.#kinds.get(kind);
    if (!ids) {
      ids = new Map();
      this.#kinds.set(kind, ids);
    }
    if (id === null) ids.delete(key);
    else ids.set(key, id);
  }
}

/** The -wal of 1,000 pages, after which SQLite begins it anew. */
const WAL_BYTES = 32 + 1000 * (24 + 4096);

/**
 * Gives the -wal its full size: an fsync of a file that grows takes half as long again. SQLite reads up to the first frame that
 * is none (file format §4.1), so zeros behind the last say nothing.
 */
function growWal(file: string): void {
  try {
    appendFileSync(`${file}-wal`, new Uint8Array(Math.max(0, WAL_BYTES - statSync(`${file}-wal`).size)));
  } catch {
    // A full disk is told of by the commit that fails.
  }
}

interface Opened {
  readonly db: DatabaseSync;
  readonly stored: Stored[];
  readonly ids: RowNumbers;
}

/**
 * Rows are numbered as they come, and kept apart by a map here: with the key as the index each change would rewrite a page of
 * its own, four times the work at 100,000 leases.
 */
function open(file: string): Opened {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL"); // each commit is fsynced
    db.exec("PRAGMA cache_size = -65536"); // KiB: room for a quarter of a million leases
    db.exec("CREATE TABLE IF NOT EXISTS entry (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL)");
    const ids = new RowNumbers();
    for (const { kind, key, id } of db.prepare("SELECT id, kind, key FROM entry").iterate())
      ids.set(kind as string, key as string, id as number);
    growWal(file);
    return { db, stored: readEntries(db), ids };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Only one process may have the store. A lock of SQLite's ends with the process, however that ends. */
function lock(dir: string): DatabaseSync {
  const file = join(dir, "lock");
  const held = new DatabaseSync(file);
  try {
    held.exec("BEGIN EXCLUSIVE");
    return held;
  } catch (error) {
    held.close();
    const { message } = error as Error;
    if (/locked/.test(message)) throw new StoreInUseError(`${dir} is in use by another netboot6`);
    const mend = /not a database/.test(message) ? ". It should be empty: delete it, nothing is stored in it" : "";
    throw new Error(`cannot lock ${file}: ${message}${mend}`);
  }
}

/** What root makes in a folder of another user is that user's, who must be able to open it later. */
function giveToOwner(dir: string): void {
  const { uid, gid } = statSync(dir);
  if (process.getuid?.() === 0 && uid !== 0)
    for (const name of readdirSync(dir)) if (name === "lock" || name.startsWith(STORE_FILE)) chownSync(join(dir, name), uid, gid);
}

function openOrSetAside(dir: string): Opened & { setAside: SetAside | null } {
  const file = join(dir, STORE_FILE);
  let why = lossOf(file);
  if (why === null)
    try {
      return { ...open(file), setAside: null };
    } catch (error) {
      why = (error as Error).message;
      if (!/malformed|not a database/.test(why)) throw new Error(`cannot open ${file}: ${why}`);
    }
  const aside = asideName(file);
  for (const suffix of ["", "-wal", "-shm"]) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
  return { ...open(file), setAside: { file: aside, why } };
}

const asideName = (file: string): string => `${file}.damaged-${new Date().toISOString().replace(/[:.]/g, "-")}`;

/** Opens the store, and says so, or why it cannot; null then. */
function openIn(dir: string): { readonly db: DatabaseSync; readonly ids: RowNumbers; readonly locked: DatabaseSync } | null {
  try {
    mkdirSync(dir, { recursive: true });
    const locked = lock(dir);
    const { db, stored, ids, setAside } = openOrSetAside(dir);
    giveToOwner(dir);
    say({ say: "open", stored, setAside });
    return { db, ids, locked };
  } catch (error) {
    say({ say: "failed", why: (error as Error).message, inUse: error instanceof StoreInUseError });
    return null;
  }
}

function copyAside(db: DatabaseSync, dir: string): void {
  const file = asideName(join(dir, STORE_FILE));
  try {
    db.prepare("VACUUM INTO ?").run(file);
    giveToOwner(dir);
    say({ say: "copied", file });
  } catch (error) {
    say({ say: "copied", file, error: (error as Error).message });
  }
}

/** Makes one transaction; what it did to the row numbers counts once it is on disk. */
function committer(db: DatabaseSync, ids: RowNumbers): (rows: readonly string[]) => void {
  const insert = db.prepare("INSERT INTO entry (kind, key, value) VALUES (?, ?, ?)");
  const update = db.prepare("UPDATE entry SET value = ? WHERE id = ?");
  const remove = db.prepare("DELETE FROM entry WHERE id = ?");
  const begin = db.prepare("BEGIN");
  const end = db.prepare("COMMIT");
  return (rows) => {
    const changed: [kind: string, key: string, id: number | null][] = [];
    begin.run();
    for (let i = 0; i < rows.length; i += 3) {
      const kind = rows[i] as string;
      const key = rows[i + 1] as string;
      const text = rows[i + 2] as string;
      const id = ids.get(kind, key);
      if (text === "") {
        if (id === undefined) continue;
        remove.run(id);
        changed.push([kind, key, null]);
      } else if (id === undefined) changed.push([kind, key, Number(insert.run(kind, key, text).lastInsertRowid)]);
      else update.run(text, id);
    }
    end.run();
    for (const [kind, key, id] of changed) ids.set(kind, key, id);
  };
}

const { dir, counts } = workerData as StoreData;
const opened = openIn(dir);
if (opened) {
  const { db, ids, locked } = opened;
  const commit = committer(db, ids);
  for (let open = true, heard = 0; open; heard++) {
    Atomics.wait(counts, SENT, heard);
    const { message } = receiveMessageOnPort(port) as { readonly message: ToStore };
    switch (message.say) {
      case "commit":
        try {
          commit(message.rows);
          if (message.sendUntil > Date.now()) sendPrepared();
          Atomics.add(counts, COMMITTED, 1);
          Atomics.notify(counts, COMMITTED);
        } catch (error) {
          if (db.isTransaction) db.exec("ROLLBACK");
          say({ say: "not committed", error: (error as Error).message });
        }
        break;
      case "copy":
        copyAside(db, dir);
        break;
      case "close":
        open = false;
    }
  }
  db.close();
  locked.close();
}
