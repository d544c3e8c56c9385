/** What is under boot-assets: from where, who uses it, and whether it is as it was brought. */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import type { Appliance } from "@netboot6/config";
import { sha256 } from "./debian-package.ts";
import { readReceipts } from "./receipts.ts";
import { usesOf } from "./uses.ts";

export interface ListedFile {
  /** Under boot-assets. */
  readonly path: string;
  /** Bytes; null where it was brought and is not there any more. */
  readonly size: number | null;
  /** What it came out of; null where it was not brought by `assets add`. */
  readonly source: string | null;
  /** The profiles and boot rules that name it. */
  readonly usedBy: readonly string[];
  /** Hex, as it was brought; null where nobody knows. */
  readonly sha256: string | null;
}

/** All files, by path. `appliance`: null where there is no configuration. */
export async function listFiles(root: string, appliance: Appliance | null): Promise<ListedFile[]> {
  const uses = appliance ? usesOf(appliance) : new Map<string, string[]>();
  const brought = new Map<string, { source: string; sha256: string }>();
  for (const { source, sha256: sums } of (await readReceipts(root)).values())
    for (const [path, sum] of Object.entries(sums)) brought.set(path, { source, sha256: sum });
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const there = entries.filter((entry) => !entry.isDirectory()).map((entry) => relative(root, join(entry.parentPath, entry.name)));
  const hidden = (path: string): boolean => path.startsWith(".assets/") || path.startsWith(".incoming");
  const files: ListedFile[] = [];
  for (const path of [...new Set([...there, ...brought.keys()])].filter((each) => !hidden(each)).sort()) {
    const info = await stat(join(root, path)).catch(() => null);
    const from = brought.get(path);
    if (info?.isDirectory() && !from) continue; // a symlink to a folder
    files.push({
      path,
      size: info?.isFile() ? info.size : null,
      source: from?.source ?? null,
      usedBy: uses.get(path) ?? [],
      sha256: from?.sha256 ?? null,
    });
  }
  return files;
}

export interface AlteredFile {
  readonly path: string;
  readonly what: "missing" | "altered";
  readonly source: string;
}

/** The files that were brought and are not as they were; each is read whole. */
export async function alteredFiles(root: string, files: readonly ListedFile[]): Promise<AlteredFile[]> {
  const altered: AlteredFile[] = [];
  for (const { path, source, sha256: sum } of files) {
    if (source === null || sum === null) continue;
    const now = await sha256(join(root, path)).catch(() => null);
    if (now !== sum) altered.push({ path, what: now === null ? "missing" : "altered", source });
  }
  return altered;
}
