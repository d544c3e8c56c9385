/** What was brought under boot-assets, kept there and hidden from machines: from where, and the checksum of each file. */
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sha256 } from "./debian-package.ts";

export interface Receipt {
  /** What the files came out of, e.g. `ipxe 1.21.1` or a URL. */
  readonly source: string;
  /** By path under boot-assets, in hex. */
  readonly sha256: Readonly<Record<string, string>>;
}

const FOLDER = ".assets";

export async function writeReceipt(root: string, name: string, receipt: Receipt): Promise<void> {
  await mkdir(join(root, FOLDER), { recursive: true });
  const file = join(root, FOLDER, `${name}.json`);
  await writeFile(`${file}.new`, `${JSON.stringify(receipt, null, 2)}\n`);
  await rename(`${file}.new`, file);
}

/** By name. What cannot be read is as if it were not there. */
export async function readReceipts(root: string): Promise<Map<string, Receipt>> {
  const receipts = new Map<string, Receipt>();
  for (const file of (await readdir(join(root, FOLDER)).catch(() => [])).sort()) {
    const receipt = file.endsWith(".json") ? await readReceipt(root, file.slice(0, -".json".length)) : null;
    if (receipt) receipts.set(file.slice(0, -".json".length), receipt);
  }
  return receipts;
}

async function readReceipt(root: string, name: string): Promise<Receipt | null> {
  try {
    return JSON.parse(await readFile(join(root, FOLDER, `${name}.json`), "utf8")) as Receipt;
  } catch {
    return null;
  }
}

/** The receipt where all its files, and these, are there unchanged. */
export async function presentReceipt(root: string, name: string, files: readonly string[] = []): Promise<Receipt | null> {
  const receipt = await readReceipt(root, name);
  if (!receipt) return null;
  for (const file of new Set([...files, ...Object.keys(receipt.sha256)]))
    if ((await sha256(join(root, file)).catch(() => null)) !== receipt.sha256[file]) return null;
  return receipt;
}
