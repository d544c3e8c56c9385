/** A directory as a page. */
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, sep } from "node:path";

interface Item {
  readonly name: string;
  /** Bytes; null: a folder. */
  readonly size: number | null;
  readonly modified: Date;
}

const STYLE = `:root { color-scheme: light dark; background: Canvas; color: CanvasText; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 1.5rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; }
td, th { padding: 0.15rem 0.75rem 0.15rem 0; overflow-wrap: anywhere; }
td + td, th + th { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }`;

const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
const byName = new Intl.Collator("en", { numeric: true });

/**
 * The page of the folder `folder`, which was asked for as `path`, decoded: folders first, then files with size and time. Dot files, and
 * what leads out of `root`, are not shown.
 */
export async function directoryPage(path: string, folder: string, root: string): Promise<string> {
  const top = (await realpath(root)) + sep;
  const entries = (await readdir(folder)).filter((name) => !name.startsWith("."));
  const items = (await Promise.all(entries.map((name) => look(join(folder, name), top)))).filter((item) => item !== null);
  items.sort((a, b) => Number(a.size !== null) - Number(b.size !== null) || byName.compare(a.name, b.name));
  const base = path.endsWith("/") ? path : `${path}/`;
  const href = (to: string): string => to.split("/").map(encodeURIComponent).join("/");
  const rows = items.map(({ name, size, modified }) => {
    const shown = size === null ? `${name}/` : name;
    const time = modified.toISOString().slice(0, 16).replace("T", " ");
    return `<tr><td><a href="${href(base + shown)}">${escapeHtml(shown)}</a></td><td>${size === null ? "" : size.toLocaleString("en")}</td><td>${time}</td></tr>`;
  });
  const up = base === "/" ? "" : `<tr><td><a href="${href(base.replace(/[^/]+\/$/, ""))}">../</a></td><td></td><td></td></tr>`;
  const title = `Boot files: ${escapeHtml(base)}`;
  const head = `<meta charset="utf-8"><meta name="viewport" content="width=device-width"><link rel="icon" href="data:,"><title>${title}</title><style>${STYLE}</style>`;
  const table = `<table><thead><tr><th>Name</th><th>Bytes</th><th>Changed (UTC)</th></tr></thead><tbody>${up}${rows.join("")}</tbody></table>`;
  return `<!doctype html><html lang="en"><head>${head}</head><body><h1>${title}</h1>${items.length === 0 ? "<p>It is empty.</p>" : ""}${table}</body></html>\n`;
}

/** Null: gone meanwhile, or a link to nothing that is served. */
async function look(entry: string, top: string): Promise<Item | null> {
  const real = await realpath(entry).catch(() => null);
  const info = real?.startsWith(top) ? await stat(real).catch(() => null) : null;
  return info && { name: basename(entry), size: info.isDirectory() ? null : info.size, modified: info.mtime };
}
