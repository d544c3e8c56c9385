/** Boot files that Debian has: kernels, installers and boot programs, brought under boot-assets. */
import { copyFile, mkdir, mkdtemp, readFile, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { type DownloadOptions, downloadPackage, installedPackage, sha256 } from "./debian-package.ts";

export { AssetError, type DownloadProgress } from "./debian-package.ts";

interface Asset {
  /** The Debian release that has the package, whichever runs here. */
  readonly suite: string;
  readonly package: string;
  /** Path under boot-assets -> path in the package. */
  readonly files: Readonly<Record<string, string>>;
}

const INSTALLER = "usr/lib/debian-installer/images/12/amd64/text/debian-installer/amd64";

export const ASSETS = {
  "debian-12": {
    suite: "bookworm",
    package: "debian-installer-12-netboot-amd64",
    files: {
      "debian-12/linux": `${INSTALLER}/linux`,
      "debian-12/initrd.gz": `${INSTALLER}/initrd.gz`,
      // Signed, for Secure Boot: the first is shim, which loads the second from beside it.
      "debian-12/shimx64.efi": `${INSTALLER}/bootnetx64.efi`,
      "debian-12/grubx64.efi": `${INSTALLER}/grubx64.efi`,
    },
  },
  ipxe: {
    // Debian 12's asks for no autoexec.ipxe, and has no build for arm64.
    suite: "trixie",
    package: "ipxe",
    files: {
      "ipxe/x86_64/ipxe.efi": "usr/lib/ipxe/ipxe-amd64.efi",
      "ipxe/x86_64/ipxe.lkrn": "usr/lib/ipxe/ipxe.lkrn",
      "ipxe/arm64/ipxe.efi": "usr/lib/ipxe/ipxe-arm64.efi",
    },
  },
} as const satisfies Record<string, Asset>;

export type AssetName = keyof typeof ASSETS;

export interface AddOptions extends DownloadOptions {
  /** Asks Debian for a newer version even where the files are there. */
  readonly renew?: boolean;
}

export interface AddedAsset {
  readonly name: AssetName;
  readonly package: string;
  readonly version: string;
  /** Paths under boot-assets. */
  readonly files: readonly string[];
  /** Nothing was brought: the files were there, unchanged. */
  readonly alreadyThere: boolean;
}

/** Kept beside the files, hidden from machines. */
interface Receipt {
  readonly package: string;
  readonly version: string;
  readonly sha256: Readonly<Record<string, string>>;
}

export const isAssetName = (name: string): name is AssetName => Object.hasOwn(ASSETS, name);

/** Brings an asset's files under `root`, each one whole or not at all. */
export async function addAsset(name: AssetName, root: string, options: AddOptions = {}): Promise<AddedAsset> {
  const asset: Asset = ASSETS[name];
  const files = Object.keys(asset.files);
  const receiptFile = join(root, name, ".asset.json");
  const result = { name, package: asset.package, files };

  const present = await presentVersion(receiptFile, root, files);
  if (present !== null && !options.renew) return { ...result, version: present, alreadyThere: true };

  await mkdir(root, { recursive: true });
  const incoming = await mkdtemp(join(root, ".incoming-"));
  try {
    const installed = options.renew ? null : await installedPackage(asset.package, Object.values(asset.files));
    const source = installed ?? (await downloadPackage(asset.package, asset.suite, incoming, options));
    if (source.version === present) return { ...result, version: present, alreadyThere: true };
    const sums: Record<string, string> = {};
    for (const [file, from] of Object.entries(asset.files)) {
      await mkdir(dirname(join(incoming, file)), { recursive: true });
      await copyFile(join(source.dir, from), join(incoming, file));
      sums[file] = await sha256(join(incoming, file));
    }
    for (const file of files) {
      await mkdir(dirname(join(root, file)), { recursive: true });
      await rename(join(incoming, file), join(root, file));
    }
    const written: Receipt = { package: asset.package, version: source.version, sha256: sums };
    await writeFile(receiptFile, `${JSON.stringify(written, null, 2)}\n`);
    return { ...result, version: source.version, alreadyThere: false };
  } finally {
    await rm(incoming, { recursive: true, force: true });
  }
}

/** The version that the files are of; null where one is missing or was changed. */
async function presentVersion(receiptFile: string, root: string, files: readonly string[]): Promise<string | null> {
  try {
    const receipt = JSON.parse(await readFile(receiptFile, "utf8")) as Receipt;
    for (const file of files) if ((await sha256(join(root, file))) !== receipt.sha256[file]) return null;
    return receipt.version;
  } catch {
    return null;
  }
}
