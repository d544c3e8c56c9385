/** The store's file, as who does not own it reads it: read-only, also while the appliance writes it. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { Stored } from "./index.ts";

export const STORE_FILE = "netboot6.db";
const BUSY_MS = 2000;

export function readEntries(db: DatabaseSync, kind: string | null = null): Stored[] {
  const rows = db.prepare("SELECT kind, key, value FROM entry WHERE kind = coalesce(?, kind)").all(kind);
  return (rows as { kind: string; key: string; value: string }[]).map((row) => ({ ...row, value: JSON.parse(row.value) }));
}

/** All that is stored, or what is of one kind; nothing where there is no store yet. Throws with a plain message where it cannot be read. */
export function readStored(dir: string, kind: string | null = null): Stored[] {
  const file = join(dir, STORE_FILE);
  if (!existsSync(file)) return [];
  try {
    using db = new DatabaseSync(file, { readOnly: true, timeout: BUSY_MS });
    return readEntries(db, kind);
  } catch (error) {
    throw new Error(`cannot read ${file}: ${(error as Error).message}`);
  }
}
