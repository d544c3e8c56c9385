import { resolve } from "node:path";
import { ASSETS, AssetError, addAsset, type DownloadProgress, isAssetName } from "@netboot6/boot";
import { loadAppliance } from "@netboot6/config";
import { formatBytes } from "@netboot6/events";
import ora from "ora";

const BAR_WIDTH = 30;

/** Brings the named assets; the exit code. */
export async function addAssets(names: readonly string[], options: { config: string; root?: string; renew?: true }): Promise<number> {
  const unknown = names.filter((name) => !isAssetName(name));
  if (unknown.length > 0) {
    console.error(`netboot6: no such asset: ${unknown.join(", ")}. There are: ${Object.keys(ASSETS).join(", ")}.`);
    return 2;
  }
  const root = resolve(options.root ?? (await configuredRoot(options.config)));
  for (const name of names.filter(isAssetName)) {
    const spinner = ora({
      text: `${name}: ${ASSETS[name].what}`,
      isEnabled: process.stderr.isTTY === true,
      isSilent: process.stderr.isTTY !== true,
    }).start();
    try {
      const added = await addAsset(name, root, {
        renew: options.renew === true,
        onProgress: (progress) => {
          spinner.text = `${name}: ${bar(progress)}`;
        },
      });
      spinner.stop();
      console.log(`${name}: ${added.source} ${added.alreadyThere ? "is there already" : "added"}: ${added.files.join(", ")}`);
    } catch (error) {
      spinner.stop();
      if (!(error instanceof AssetError)) throw error;
      console.error(`netboot6: ${name}: ${error.message}`);
      return 1;
    }
  }
  return 0;
}

function bar({ what, fraction, total }: DownloadProgress): string {
  const filled = Math.round(BAR_WIDTH * fraction);
  const size = total === null ? "" : ` of ${formatBytes(total)}`;
  return `${what} ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${Math.round(fraction * 100)}%${size}`;
}

async function configuredRoot(file: string): Promise<string> {
  const loaded = await loadAppliance(file);
  return ("appliance" in loaded ? loaded.appliance.http?.root : undefined) ?? "boot-assets";
}
