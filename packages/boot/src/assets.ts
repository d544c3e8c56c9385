/** Boot files out of Debian packages, brought under boot-assets. */
import { copyFile, mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { ASSETS, type Asset, type AssetName, type DebianSource } from "./catalogue.ts";
import { type DownloadOptions, downloadPackage, installedPackage, sha256 } from "./debian-package.ts";
import { presentReceipt, writeReceipt } from "./receipts.ts";

export { AssetError, type DownloadOptions, type DownloadProgress } from "./debian-package.ts";

export interface AddOptions extends DownloadOptions {
  /** Asks Debian for a newer version even where the files are there. */
  readonly renew?: boolean;
}

export interface AddedAsset {
  readonly name: string;
  /** What they came out of, e.g. `ipxe 1.21.1`. */
  readonly source: string;
  /** Paths under boot-assets. */
  readonly files: readonly string[];
  /** Nothing was brought: the files were there, unchanged. */
  readonly alreadyThere: boolean;
}

/** Brings an asset's files under `root`, each one whole or not at all. */
export async function addAsset(name: AssetName, root: string, options: AddOptions = {}): Promise<AddedAsset> {
  const { packages }: Asset = ASSETS[name];
  const files = packages.flatMap((source) => Object.keys(source.files));
  const present = await presentReceipt(root, name, files);
  if (present !== null && !options.renew) return { name, source: present.source, files, alreadyThere: true };

  await mkdir(root, { recursive: true });
  const incoming = await mkdtemp(join(root, ".incoming-"));
  try {
    const unpacked = await unpack(packages, incoming, join(root, ".incoming"), options);
    const source = unpacked.map(({ is, version }) => `${is.package} ${version}`).join(", ");
    if (source === present?.source) return { name, source, files, alreadyThere: true };
    const sums: Record<string, string> = {};
    for (const { is, dir } of unpacked)
      for (const [file, from] of Object.entries(is.files)) {
        await mkdir(dirname(join(incoming, "files", file)), { recursive: true });
        await copyFile(join(dir, from), join(incoming, "files", file));
        sums[file] = await sha256(join(incoming, "files", file));
      }
    for (const file of files) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await rename(join(incoming, "files", file), join(root, file));
    }
    await writeReceipt(root, name, { source, sha256: sums });
    return { name, source, files, alreadyThere: false };
  } finally {
    await rm(incoming, { recursive: true, force: true, maxRetries: 10 }); // apt that was ended may still write
  }
}

interface Unpacked {
  readonly is: DebianSource;
  readonly dir: string;
  readonly version: string;
}

async function unpack(packages: readonly DebianSource[], incoming: string, parts: string, options: AddOptions): Promise<Unpacked[]> {
  const unpacked: Unpacked[] = [];
  for (const [index, is] of packages.entries()) {
    // The host's own package is of the host's own architecture.
    const installed = options.renew || is.architecture ? null : await installedPackage(is.package, Object.values(is.files));
    const from = installed ?? (await downloadPackage(is, join(incoming, String(index)), parts, options));
    unpacked.push({ is, ...from });
  }
  return unpacked;
}
