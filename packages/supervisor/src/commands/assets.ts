/** `netboot6 assets add|list|check`. */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import {
  type AddedAsset,
  ASSETS,
  type Asset,
  AssetError,
  addAsset,
  addFile,
  alteredFiles,
  checkBootFiles,
  type DownloadOptions,
  type DownloadProgress,
  isAssetName,
  listFiles,
} from "@netboot6/boot";
import type { Appliance } from "@netboot6/config";
import { formatBytes } from "@netboot6/events";
import ora from "ora";
import { formatTable } from "../table.ts";
import { readConfiguration } from "./configuration.ts";

const BAR_WIDTH = 30;
/** So many files of one asset are named; an unpacked image has thousands. */
const NAMED_FILES = 8;
/** Of a SHA-256 in the table; --json has all of it. */
const SHOWN_DIGITS = 12;

export interface AssetOptions {
  readonly config: string;
  readonly root?: string;
}

export interface AddAssetOptions extends AssetOptions {
  readonly json?: true;
  readonly renew?: true;
  readonly sha256?: string;
  readonly to?: string;
  /** `true`: all of it. */
  readonly extract?: readonly string[] | true;
}

/** Brings the named assets, or one file. Exit codes: 0; 1 it failed; 2 wrong use. */
export async function addAssets(names: readonly string[], options: AddAssetOptions): Promise<number> {
  const place = await placeOf(options);
  if (!place) return 2;
  const { root } = place;
  const { to, extract, sha256 = null, json } = options;
  if (to !== undefined) {
    const [from, ...others] = names;
    if (from === undefined || others.length > 0) return wrong("--to is for one file");
    const patterns = extract === true ? [] : (extract ?? null);
    return bringAll([[to, from, (given) => addFile({ from, sha256, to, extract: patterns, ...given }, root)]], json);
  }
  if (sha256 !== null || extract !== undefined) return wrong("--sha256 and --extract are for a file or URL, with --to");
  const unknown = names.filter((name) => !isAssetName(name));
  if (unknown.length > 0)
    return wrong(
      `no such asset: ${unknown.join(", ")}. There are: ${Object.keys(ASSETS).join(", ")}. A file or URL takes --to, its path under boot-assets.`,
    );
  const renew = options.renew === true;
  return bringAll(
    names.filter(isAssetName).map((name): Wanted => {
      const asset: Asset = ASSETS[name];
      return [name, asset.what, (given) => addAsset(name, root, { renew, ...given })];
    }),
    json,
  );
}

type Wanted = readonly [name: string, what: string, add: (given: DownloadOptions) => Promise<AddedAsset>];

/** One after another, up to the first that fails; the exit code. */
async function bringAll(wanted: readonly Wanted[], json = false): Promise<number> {
  const added: AddedAsset[] = [];
  for (const each of wanted) {
    const brought = await bring(...each);
    if (!brought) break;
    const one = { ...brought, name: each[0] };
    added.push(one);
    if (!json) console.log(addedLine(one));
  }
  if (json) console.log(JSON.stringify(added));
  return added.length === wanted.length ? 0 : 1;
}

function addedLine({ name, source, alreadyThere, files }: AddedAsset): string {
  const more = files.length - NAMED_FILES;
  const named = `${files.slice(0, NAMED_FILES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
  return `${name}: ${source} ${alreadyThere ? "is there already" : "added"}: ${named}`;
}

const wrong = (what: string): number => {
  console.error(`netboot6: ${what}`);
  return 2;
};

const ENDS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
/** A full disk, a folder that may not be written to: what the system says of it names the file. */
const isOfTheSystem = (error: unknown): error is Error => error instanceof Error && "syscall" in error;

/** Shows how far it is; Ctrl-C breaks it off and leaves what was there. Null where it failed. */
async function bring(...[name, what, add]: Wanted): Promise<AddedAsset | null> {
  // A serial line may not know its width: there ora would write line after line.
  const onTerminal = process.stderr.isTTY === true && process.stderr.columns > 0;
  const spinner = ora({ text: `${name}: ${what}`, isEnabled: onTerminal, isSilent: !onTerminal }).start();
  const breaking = new AbortController();
  const onSignal = (): void => breaking.abort();
  for (const signal of ENDS) process.on(signal, onSignal);
  try {
    const added = await add({
      signal: breaking.signal,
      onProgress: (progress) => {
        spinner.text = `${name}: ${bar(progress)}`;
      },
    });
    spinner.stop();
    return added;
  } catch (error) {
    spinner.stop();
    const why = breaking.signal.aborted ? "broken off" : error instanceof AssetError || isOfTheSystem(error) ? error.message : null;
    if (why === null) throw error;
    console.error(`netboot6: ${name}: ${why}`);
    return null;
  } finally {
    for (const signal of ENDS) process.off(signal, onSignal);
  }
}

function bar({ what, fraction, total }: DownloadProgress): string {
  const filled = Math.round(BAR_WIDTH * fraction);
  const size = total === null ? "" : ` of ${formatBytes(total)}`;
  return `${what} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${Math.round(fraction * 100)}%${size}`;
}

/** What is there, and what is missing. Exit codes: 0; 1 the configuration names what is not there; 2 it is bad. */
export async function listAssets(options: AssetOptions & { json?: true }): Promise<number> {
  const place = await placeOf(options);
  if (!place) return 2;
  const { root, appliance } = place;
  const files = await listFiles(root, appliance);
  const missing = missingFiles(appliance);
  if (options.json) console.log(JSON.stringify({ root, files, missing }));
  else {
    const rows = files.map(({ path, size, sha256, source, usedBy }) => [
      path,
      size === null ? "missing" : formatBytes(size),
      sha256?.slice(0, SHOWN_DIGITS) ?? "-",
      usedBy.join("; ") || "-",
      source ?? "-",
    ]);
    console.log(
      files.length === 0 ? `nothing is under ${root}` : formatTable(["FILE", "SIZE", "SHA-256", "USED BY", "FROM"], rows, [0, 3, 4]),
    );
    for (const line of missing) console.log(line);
  }
  return missing.length > 0 ? 1 : 0;
}

/** Reads every file that was brought. Exit codes: 0 all are as they were brought, and what is named is there; 1 not so; 2 the configuration is bad. */
export async function checkAssets(options: AssetOptions & { json?: true }): Promise<number> {
  const place = await placeOf(options);
  if (!place) return 2;
  const { root, appliance } = place;
  const files = await listFiles(root, appliance);
  const altered = await alteredFiles(root, files);
  const missing = missingFiles(appliance);
  if (options.json) console.log(JSON.stringify({ root, altered, missing }));
  else {
    for (const { path, what, source } of altered) console.log(`${path}: ${what}; it came out of ${source}`);
    for (const line of missing) console.log(line);
    const brought = files.filter(({ source }) => source !== null).length;
    console.log(`${brought - altered.length} of ${brought} files that were brought are as they were`);
  }
  return altered.length + missing.length > 0 ? 1 : 0;
}

const missingFiles = (appliance: Appliance | null): string[] =>
  appliance === null
    ? []
    : checkBootFiles(appliance).flatMap(({ id, what, mend }) =>
        id === "missing-boot-file" || id === "empty-boot-file" ? [`${what}. ${mend}`] : [],
      );

/** Boot files may come before there is a configuration; null: there is one, and it is bad. */
async function placeOf({ config, root }: AssetOptions): Promise<{ root: string; appliance: Appliance | null } | null> {
  const isThere = existsSync(config);
  const appliance = isThere ? await readConfiguration(config) : null;
  if (isThere && !appliance) return null;
  return { root: resolve(root ?? appliance?.http?.root ?? "boot-assets"), appliance };
}
