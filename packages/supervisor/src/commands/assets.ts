/** `netboot6 assets add|list|check`. */
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
import { type Appliance, loadAppliance } from "@netboot6/config";
import { formatBytes } from "@netboot6/events";
import ora from "ora";
import { formatTable } from "../table.ts";

const BAR_WIDTH = 30;
/** So many files of one asset are named; an unpacked image has thousands. */
const NAMED_FILES = 8;

export interface AssetOptions {
  readonly config: string;
  readonly root?: string;
}

export interface AddAssetOptions extends AssetOptions {
  readonly renew?: true;
  readonly sha256?: string;
  readonly to?: string;
  /** `true`: all of it. */
  readonly extract?: readonly string[] | true;
}

/** Brings the named assets, or one file. Exit codes: 0; 1 it failed; 2 wrong use. */
export async function addAssets(names: readonly string[], options: AddAssetOptions): Promise<number> {
  const { root } = await placeOf(options);
  if (options.to !== undefined) {
    const [from, ...others] = names;
    if (from === undefined || others.length > 0) return wrong("--to is for one file");
    const extract = options.extract === true ? [] : (options.extract ?? null);
    const { to, sha256 = null } = options;
    return (await bring(to, from, (given) => addFile({ from, sha256, to, extract, ...given }, root))) ? 0 : 1;
  }
  if (options.sha256 !== undefined || options.extract !== undefined)
    return wrong("--sha256 and --extract are for a file or URL, with --to");
  const unknown = names.filter((name) => !isAssetName(name));
  if (unknown.length > 0)
    return wrong(
      `no such asset: ${unknown.join(", ")}. There are: ${Object.keys(ASSETS).join(", ")}. A file or URL takes --to, its path under boot-assets.`,
    );
  for (const name of names.filter(isAssetName)) {
    const asset: Asset = ASSETS[name];
    const renew = options.renew === true;
    if (!(await bring(name, asset.what, (given) => addAsset(name, root, { renew, ...given })))) return 1;
  }
  return 0;
}

const wrong = (what: string): number => {
  console.error(`netboot6: ${what}`);
  return 2;
};

/** Shows how far it is; Ctrl-C breaks it off and leaves what was there. Whether it is there. */
async function bring(name: string, what: string, add: (given: DownloadOptions) => Promise<AddedAsset>): Promise<boolean> {
  const onTerminal = process.stderr.isTTY === true;
  const spinner = ora({ text: `${name}: ${what}`, isEnabled: onTerminal, isSilent: !onTerminal }).start();
  const breaking = new AbortController();
  const onSignal = (): void => breaking.abort();
  process.once("SIGINT", onSignal);
  try {
    const added = await add({
      signal: breaking.signal,
      onProgress: (progress) => {
        spinner.text = `${name}: ${bar(progress)}`;
      },
    });
    spinner.stop();
    const more = added.files.length - NAMED_FILES;
    const files = `${added.files.slice(0, NAMED_FILES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
    console.log(`${name}: ${added.source} ${added.alreadyThere ? "is there already" : "added"}: ${files}`);
    return true;
  } catch (error) {
    spinner.stop();
    const why = breaking.signal.aborted ? "broken off" : error instanceof AssetError ? error.message : null;
    if (why === null) throw error;
    console.error(`netboot6: ${name}: ${why}`);
    return false;
  } finally {
    process.off("SIGINT", onSignal);
  }
}

function bar({ what, fraction, total }: DownloadProgress): string {
  if (what === "unpacking") return what;
  const filled = Math.round(BAR_WIDTH * fraction);
  const size = total === null ? "" : ` of ${formatBytes(total)}`;
  return `${what} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${Math.round(fraction * 100)}%${size}`;
}

/** What is there, and what is missing. Exit codes: 0; 1 the configuration names what is not there. */
export async function listAssets(options: AssetOptions & { json?: true }): Promise<number> {
  const { root, appliance } = await placeOf(options);
  const files = await listFiles(root, appliance);
  const missing = missingFiles(appliance);
  if (options.json) console.log(JSON.stringify({ root, files, missing }));
  else {
    const rows = files.map(({ path, size, source, usedBy }) => [
      path,
      size === null ? "missing" : formatBytes(size),
      usedBy.join("; ") || "-",
      source ?? "-",
    ]);
    console.log(files.length === 0 ? `nothing is under ${root}` : formatTable(["FILE", "SIZE", "USED BY", "FROM"], rows, [0, 2, 3]));
    for (const line of missing) console.log(line);
  }
  return missing.length > 0 ? 1 : 0;
}

/** Reads every file that was brought. Exit codes: 0 all are as they were brought, and what is named is there; 1 not so. */
export async function checkAssets(options: AssetOptions & { json?: true }): Promise<number> {
  const { root, appliance } = await placeOf(options);
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
    : checkBootFiles(appliance).flatMap(({ id, what, mend }) => (id === "missing-boot-file" ? [`${what}. ${mend}`] : []));

async function placeOf({ config, root }: AssetOptions): Promise<{ root: string; appliance: Appliance | null }> {
  const loaded = await loadAppliance(config);
  const appliance = "appliance" in loaded ? loaded.appliance : null;
  return { root: resolve(root ?? appliance?.http?.root ?? "boot-assets"), appliance };
}
