import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

/** What Debian packages are for; `setup.sh` knows which. */
export type RequirementSet = "base" | "demo" | "test" | "bench";

const SETUP = fileURLToPath(new URL("../setup.sh", import.meta.url));

/** The Debian packages of a set that are not installed. Throws where this is not Debian. */
export function missingPackages(set: RequirementSet): string[] {
  return execFileSync("sh", [SETUP, "--missing", set], { encoding: "utf8" }).split(/\s+/).filter(Boolean);
}

/** Throws, saying what to do, unless this process can make a VLAN with machines (`demo`) or real clients (`test`) on it. */
export function requireSet(set: RequirementSet): void {
  if (process.getuid?.() !== 0) throw new Error("a provisioning VLAN takes root");
  const missing = missingPackages(set);
  if (missing.length > 0) throw new Error(`Debian packages are missing: ${missing.join(" ")}; run: sh packages/lab/setup.sh ${set}`);
}
