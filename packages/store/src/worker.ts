import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { parentPort, workerData } from "node:worker_threads";
import type { FromStore, Stored, ToStore } from "./index.ts";

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
    const rows = db.prepare("SELECT kind, key, value FROM entry").all() as { kind: string; key: string; value: string }[];
    return { db, stored: rows.map((row) => ({ kind: row.kind, key: row.key, value: JSON.parse(row.value) })) };
  } catch (error) {
    db.close();
    throw error;
  }
}

function openOrSetAside(dir: string): { db: DatabaseSync; stored: Stored[]; setAside: string | null } {
  mkdirSync(dir, { recursive: true });
  const file = join(dir, "netboot6.db");
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
  const { db, stored, setAside } = openOrSetAside((workerData as { dir: string }).dir);
  const put = db.prepare(
    "INSERT INTO entry (kind, key, value) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
  );
  const remove = db.prepare("DELETE FROM entry WHERE kind = ? AND key = ?");
  port.on("message", (message: ToStore) => {
    if (message.say === "close") {
      db.close();
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
  say({ say: "failed", why: (error as Error).message });
  port.close();
}
