/** The store's file, as who does not own it reads it: read-only, also while the appliance writes it. */
import { existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Stored } from "./index.ts";

export const STORE_FILE = "netboot6.db";
const BUSY_MS = 2000;

export function readEntries(db: DatabaseSync, kind: string | null = null): Stored[] {
  const rows = db.prepare("SELECT kind, key, value FROM entry WHERE kind = coalesce(?, kind)").all(kind);
  return (rows as { kind: string; key: string; value: string }[]).map((row) => ({ ...row, value: readJson(row.value) }));
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is wrong where SQLite would begin a new store without a word; null where nothing is, or where there was none. */
export function lossOf(file: string): string | null {
  const size = statSync(file, { throwIfNoEntry: false })?.size;
  if (size === 0) return "it is empty";
  return size === undefined && existsSync(`${file}-wal`) ? "it is gone, but for its -wal" : null;
}

/** All that is stored, or what is of one kind; nothing where there is no store yet. Throws with a plain message where it cannot be read. */
export function readStored(dir: string, kind: string | null = null): Stored[] {
  const file = join(dir, STORE_FILE);
  const loss = lossOf(file);
  if (loss !== null) throw new Error(`cannot read ${file}: ${loss}`);
  if (!existsSync(file)) return [];
  try {
    using db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
    return readEntries(db, kind);
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`);
  }
}
