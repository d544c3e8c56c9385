/** Which file was probably meant by a path under boot-assets that is not there. */
import { readdir } from "node:fs/promises";
import { join, relative, sep } from "node:path";
import { closest, distance } from "fastest-levenshtein";

/** Paths that are compared, and how often within the life of one look at the folders: anyone may ask for what is not there. */
const MAX_FILES = 5_000;
const MAX_ANSWERS = 32;
const LOOK_MS = 5_000;

export class MeantFiles {
  readonly #root: string;
  #look: Promise<string[]> = Promise.resolve([]);
  #lookedAt = Number.NEGATIVE_INFINITY;
  #answers = new Map<string, string | null>();

  constructor(root: string) {
    this.#root = root;
  }

  /** `Did you mean debian12/linux?` with a space before it; "" where nothing is near. `now` in milliseconds. */
  async suggest(name: string, now: number): Promise<string> {
    if (now - this.#lookedAt > LOOK_MS) {
      this.#lookedAt = now;
      this.#look = filesUnder(this.#root);
      this.#answers = new Map();
    }
    const files = await this.#look;
    let meant = this.#answers.get(name);
    if (meant === undefined && this.#answers.size < MAX_ANSWERS) {
      meant = closestFile(name, files);
      this.#answers.set(name, meant);
    }
    return meant ? `. Did you mean ${meant}?` : "";
  }
}

async function filesUnder(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const files: string[] = [];
  for (const entry of entries) {
    if (files.length >= MAX_FILES) break;
    const name = relative(root, join(entry.parentPath, entry.name));
    if (!entry.isDirectory() && !name.split(sep).some((part) => part.startsWith("."))) files.push(name);
  }
  return files;
}

/** The same but for case and marks; else the same file in another folder; else one that is spelled nearly so. */
export function closestFile(name: string, files: readonly string[]): string | null {
  const plain = (text: string): string => text.toLowerCase().replace(/[^a-z0-9/]/g, "");
  const same = files.find((file) => plain(file) === plain(name));
  if (same !== undefined || files.length === 0 || name.length > 256) return same ?? null;
  const base = name.slice(name.lastIndexOf("/") + 1);
  const elsewhere = files.filter((file) => file.slice(file.lastIndexOf("/") + 1) === base);
  const best = closest(name, elsewhere.length > 0 ? elsewhere : (files as string[]));
  return elsewhere.length > 0 || distance(name, best) <= name.length / 4 ? best : null;
}
