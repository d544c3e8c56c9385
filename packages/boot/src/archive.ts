/** A file, tarball or ISO image from a URL or this host, brought under boot-assets, whole or unpacked. */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, createWriteStream, readdirSync, readFileSync, readlinkSync, realpathSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import type { AddedAsset } from "./assets.ts";
import { AssetError, type DownloadOptions, PIECE_BYTES, sha256 } from "./debian-package.ts";
import { fetchFile } from "./fetch-file.ts";
import { safeName } from "./files.ts";
import { presentReceipt, writeReceipt } from "./receipts.ts";

const run = promisify(execFile);
const LOOK_MS = 250;

export interface FileAsset extends DownloadOptions {
  /** `http://` or `https://`, or a path on this host. */
  readonly from: string;
  /** Of what is at `from`, in hex. A URL takes one. */
  readonly sha256: string | null;
  /** Path under boot-assets: of the file, or of the folder that it is unpacked to. */
  readonly to: string;
  /** Unpacks an archive: these of its files (patterns with `*`), or all where there is none. Null: it stays as it is. */
  readonly extract: readonly string[] | null;
}

/** Throws AssetError with a plain message. What was there before stays until the new is whole. */
export async function addFile(asset: FileAsset, root: string): Promise<AddedAsset> {
  const to = safeName(asset.to);
  if (to === null || to === "") throw new AssetError(`${asset.to} is no path under boot-assets`);
  const isUrl = /^https?:\/\//.test(asset.from);
  if (isUrl && asset.sha256 === null) throw new AssetError("a URL takes --sha256: who gives the file tells its checksum");
  if (asset.sha256 !== null && !/^[0-9a-f]{64}$/.test(asset.sha256)) throw new AssetError(`${asset.sha256} is no SHA-256 in hex`);
  const name = to.replaceAll("/", "_");
  const source = `${asset.from}${asset.sha256 === null ? "" : ` SHA-256 ${asset.sha256}`}`;
  const present = await presentReceipt(root, name);
  if (present?.source === source && asset.sha256 !== null)
    return { name, source: asset.from, files: Object.keys(present.sha256), alreadyThere: true };

  const part = isUrl ? join(root, ".incoming", `${asset.sha256}.part`) : asset.from;
  await mkdir(join(root, ".incoming"), { recursive: true });
  const incoming = await mkdtemp(join(root, ".incoming", "new-"));
  try {
    const made = join(incoming, "made");
    if (isUrl) await fetchFile(asset.from, asset.sha256 as string, part, asset);
    let sum = asset.sha256;
    if (!isUrl && !asset.extract) sum = await copy(part, made, asset);
    else if (!isUrl && sum !== null) sum = await sha256(part, asset);
    if (asset.sha256 !== null && sum !== asset.sha256) throw new AssetError(`${part} has another SHA-256`);
    if (asset.extract) await unpack(part, made, asset.extract, asset);
    else if (isUrl) await rename(part, made);
    const sums = asset.extract ? await sumsUnder(made, to, asset) : { [to]: sum as string };
    await mkdir(dirname(join(root, to)), { recursive: true });
    await replace(join(root, to), made, join(incoming, "old"));
    await writeReceipt(root, name, { source, sha256: sums });
    if (isUrl) await rm(part, { force: true });
    return { name, source: asset.from, files: Object.keys(sums), alreadyThere: false };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw new AssetError(`no such file: ${asset.from}`);
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

/** Returns its SHA-256. */
async function copy(from: string, to: string, { onProgress, signal }: DownloadOptions): Promise<string> {
  const { size: total } = await stat(from);
  const hash = createHash("sha256");
  let copied = 0;
  await pipeline(
    createReadStream(from, { highWaterMark: PIECE_BYTES }),
    async function* (pieces: AsyncIterable<Buffer>) {
      for await (const piece of pieces) {
        hash.update(piece);
        copied += piece.length;
        onProgress?.({ what: "copying", fraction: copied / total, total });
        yield piece;
      }
    },
    createWriteStream(to),
    signal ? { signal } : {},
  );
  return hash.digest("hex");
}

/** A file takes another's place at once. A folder cannot: what is there is moved aside, and back where that fails. */
async function replace(there: string, by: string, aside: string): Promise<void> {
  try {
    await rename(by, there);
  } catch (cause) {
    if (!["EISDIR", "ENOTDIR", "ENOTEMPTY", "EEXIST"].includes((cause as NodeJS.ErrnoException).code ?? "")) throw cause;
    await rename(there, aside);
    try {
      await rename(by, there);
    } catch (failed) {
      await rename(aside, there);
      throw failed;
    }
  }
}

async function unpack(
  archive: string,
  folder: string,
  patterns: readonly string[],
  { signal, onProgress }: DownloadOptions,
): Promise<void> {
  await mkdir(folder);
  const { size: total } = await stat(archive);
  const unpacking = run("bsdtar", ["-x", "-f", archive, "-C", folder, ...patterns], signal ? { signal } : {});
  const look = (): void =>
    onProgress?.({ what: "unpacking", fraction: Math.min(1, readSoFar(unpacking.child.pid, archive) / (total || 1)), total });
  const looking = setInterval(look, LOOK_MS);
  look();
  try {
    await unpacking;
  } catch (cause) {
    const { code, stderr = "" } = cause as NodeJS.ErrnoException & { stderr?: string };
    if (code === "ENOENT") throw new AssetError("bsdtar is missing: install the package libarchive-tools");
    signal?.throwIfAborted();
    throw new AssetError(`${archive} cannot be unpacked: ${stderr.trim().split("\n")[0]}`);
  } finally {
    clearInterval(looking);
  }
  // Images have folders that nobody may write to, not even to delete them.
  await run("chmod", ["-R", "u+rwX,go+rX", folder]);
}

/** Bytes of the file that the process has read, as far as can be seen (proc_pid_fdinfo(5)). */
function readSoFar(pid: number | undefined, file: string): number {
  try {
    const path = realpathSync(file);
    const fd = readdirSync(`/proc/${pid}/fd`).find((each) => readlinkSync(`/proc/${pid}/fd/${each}`) === path);
    return Number(/^pos:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/fdinfo/${fd}`, "latin1"))?.[1] ?? 0);
  } catch {
    return 0; // it has not begun, or has ended
  }
}

/** SHA-256 of each file, by its path under boot-assets. */
async function sumsUnder(folder: string, to: string, { onProgress, signal }: DownloadOptions): Promise<Record<string, string>> {
  const sums: Record<string, string> = {};
  const files = (await readdir(folder, { recursive: true, withFileTypes: true })).filter((entry) => entry.isFile());
  for (const [n, { parentPath, name }] of files.entries()) {
    signal?.throwIfAborted();
    const file = join(parentPath, name);
    sums[`${to}/${relative(folder, file)}`] = await sha256(file);
    onProgress?.({ what: "checksum", fraction: (n + 1) / files.length, total: null });
  }
  if (Object.keys(sums).length === 0) throw new AssetError("nothing in it is called so");
  return sums;
}
