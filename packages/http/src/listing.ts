/** A directory as a page. */
import type { Dirent } from "node:fs";

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);

/** `path` is the decoded path of the request. Dot files are not shown. */
export function directoryPage(path: string, entries: readonly Dirent[]): string {
  const base = path.endsWith("/") ? path : `${path}/`;
  const items = entries
    .filter((entry) => !entry.name.startsWith("."))
    .toSorted((a, b) => a.name.localeCompare(b.name, "en"))
    .map((entry) => {
      const name = entry.isDirectory() ? `${entry.name}/` : entry.name;
      const href = `${base}${entry.name}`.split("/").map(encodeURIComponent).join("/") + (entry.isDirectory() ? "/" : "");
      return `<li><a href="${href}">${escapeHtml(name)}</a></li>`;
    });
  const up = base === "/" ? "" : '<li><a href="../">../</a></li>';
  const title = `Boot files: ${escapeHtml(base)}`;
  return `<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${title}</title><h1>${title}</h1><ul>${up}${items.join("")}</ul></html>\n`;
}
