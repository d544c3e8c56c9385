/** What is under boot-assets, who uses it, and what is missing. */
import { readdir, stat } from "node:fs/promises";
import { join, relative } from "node:path";
import { checkBootFiles, usesOf } from "@netboot6/boot";
import { type Appliance, formatKey } from "@netboot6/config";
import type { AssetsView } from "./schemas.ts";

const MOST_FILES = 10_000;

export async function listAssets(appliance: Appliance): Promise<AssetsView> {
  const root = (appliance.http ?? appliance.tftp)?.root ?? null;
  const missing = checkBootFiles(appliance)
    .filter(({ id }) => id === "missing-boot-file" || id === "empty-boot-file")
    .map(({ path, what, mend }) => ({ key: formatKey(path), what, mend }));
  if (root === null) return { root, files: [], truncated: false, missing };
  const uses = usesOf(appliance);
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch(() => []);
  const paths = entries
    .filter((entry) => !entry.isDirectory())
    .map((entry) => relative(root, join(entry.parentPath, entry.name)))
    .filter((path) => !path.split("/").some((part) => part.startsWith("."))) // hidden from machines
    .sort();
  const files: AssetsView["files"] = [];
  for (const path of paths.slice(0, MOST_FILES)) {
    const found = await stat(join(root, path)).catch(() => null);
    if (found?.isFile()) files.push({ path, size: found.size, modified: Math.floor(found.mtimeMs), usedBy: uses.get(path) ?? [] });
  }
  return { root, files, truncated: paths.length > MOST_FILES, missing };
}
