import { chownSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import { type FromStore, type Stored, StoreInUseError, type ToStore } from "./index.ts";
import { readEntries, STORE_FILE } from "./read.ts";

const port = parentPort;
if (!port) throw new Error("the store runs in a thread of its own");
const say = (message: FromStore): void => port.postMessage(message);

function open(file: string): { db: DatabaseSync; stored: Stored[] } {
  const db = new DatabaseSync(file);
  try {
    db.exec("PRAGMA journal_mode = WAL");
    db.exec("PRAGMA synchronous = FULL"); // each commit is fsynced
    db.exec(
      "CREATE TABLE IF NOT EXISTS entry (kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID",
    );
    return { db, stored: readEntries(db) };
  } catch (error) {
    db.close();
    throw error;
  }
}

/** Only one process may have the store. A lock of SQLite's ends with the process, however that ends. */
function lock(dir: string): DatabaseSync {
  const held = new DatabaseSync(join(dir, "lock"));
  try {
    held.exec("BEGIN EXCLUSIVE");
    return held;
  } catch (error) {
    held.close();
    throw /locked/.test((error as Error).message) ? new StoreInUseError(`${dir} is in use by another netboot6`) : error;
  }
}

/** What root makes in a folder of another user is that user's, who must be able to open it later. */
function giveToOwner(dir: string): void {
  const { uid, gid } = statSync(dir);
  if (process.getuid?.() === 0 && uid !== 0)
    for (const name of ["lock", STORE_FILE, `${STORE_FILE}-wal`, `${STORE_FILE}-shm`])
      if (existsSync(join(dir, name))) chownSync(join(dir, name), uid, gid);
}

function openOrSetAside(dir: string): { db: DatabaseSync; stored: Stored[]; setAside: string | null } {
  const file = join(dir, STORE_FILE);
  try {
    return { ...open(file), setAside: null };
  } catch (error) {
    const damaged = /malformed|not a database|JSON/i.test((error as Error).message);
    if (!damaged) throw new Error(`cannot open ${file}: ${(error as Error).message}`);
    const aside = `${file}.damaged-${new Date().toISOString().replace(/[:.]/g, "-")}`;
    for (const suffix of ["", "-wal", "-shm"]) if (existsSync(file + suffix)) renameSync(file + suffix, aside + suffix);
    return { ...open(file), setAside: aside };
  }
}

try {
  const { dir } = workerData as { dir: string };
  mkdirSync(dir, { recursive: true });
  const locked = lock(dir);
  const { db, stored, setAside } = openOrSetAside(dir);
  giveToOwner(dir);
  const put = db.prepare(
    "INSERT INTO entry (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
  );
  const remove = db.prepare("DELETE FROM entry WHERE kind = ? AND key = ?");
  port.on("message", (message: ToStore) => {
    if (message.say === "close") {
      db.close();
      locked.close();
      say({ say: "closed" });
      port.close();
      return;
    }
    try {
      db.exec("BEGIN");
      for (const { kind, key, value } of message.changes) {
        if (value === null) remove.run(kind, key);
        else put.run(kind, key, JSON.stringify(value));
      }
      db.exec("COMMIT");
      say({ say: "committed", id: message.id });
    } catch (error) {
      if (db.isTransaction) db.exec("ROLLBACK");
      say({ say: "committed", id: message.id, error: (error as Error).message });
    }
  });
  say({ say: "open", stored, setAside });
} catch (error) {
  say({ say: "failed", why: (error as Error).message, inUse: error instanceof StoreInUseError });
  port.close();
}
