import { addressToBigInt, canonicalAddress, formatPrefix, parsePrefix } from "@netboot6/codec";
import type { Appliance } from "@netboot6/config";
import { type Lease, stateOf } from "@netboot6/leases";
import { readStored, type Stored, StoreInUseError } from "@netboot6/store";
import { ApiClient } from "../api-client.ts";
import { damagedRows, Registry } from "../registry.ts";
import { isWhole } from "../stored.ts";
import { formatTable } from "../table.ts";
import { formatDuration } from "../words.ts";
import { readConfiguration } from "./configuration.ts";

const FOR_EVER_SECONDS = 0xffffffff;

/** Prints the leases; the exit code. */
export async function listLeases(options: { config: string; json?: true }): Promise<number> {
  const appliance = await readConfiguration(options.config);
  if (!appliance) return 2;
  const leases: Lease[] = [];
  const damaged: Stored[] = [];
  try {
    for (const row of readStored(appliance.state.dir, "lease"))
      if (isWhole(row)) leases.push(row.value as Lease);
      else damaged.push(row);
  } catch (error) {
    console.error(`netboot6: ${(error as Error).message}`);
    return 1;
  }
  const sorted = leases
    .map((lease) => ({ lease, value: addressToBigInt(lease.address.replace(/\/.*/, "")) }))
    .sort((a, b) => (a.value < b.value ? -1 : 1))
    .map(({ lease }) => lease);
  const now = Math.floor(Date.now() / 1000);
  if (options.json) console.log(JSON.stringify(sorted.map((lease) => ({ ...lease, state: stateOf(lease, now) }))));
  else if (sorted.length === 0) console.log("no leases");
  else {
    const rows = sorted.map((lease) => [lease.address, lease.machine, lease.network, stateOf(lease, now), endsIn(lease, now)]);
    console.log(formatTable(["ADDRESS", "MACHINE", "NETWORK", "STATE", "ENDS IN"], rows, [1, 2]));
  }
  if (damaged.length === 0) return 0;
  const left = `${damagedRows(damaged)}, left out here: the appliance puts what is damaged aside when it starts`;
  console.error(`netboot6: ${appliance.state.dir} has ${left}`);
  return 1;
}

function endsIn({ state, since, validUntil }: Lease, now: number): string {
  const left = validUntil - now;
  if (state === "released" || left <= 0) return "-";
  if (validUntil - since >= FOR_EVER_SECONDS) return "never";
  return formatDuration(left);
}

/** An address, or a delegated prefix, as leases are listed. */
function readLeased(text: string): string | null {
  const prefix = parsePrefix(text);
  return prefix ? formatPrefix(prefix) : canonicalAddress(text);
}

/** Ends a lease; the exit code. */
export async function releaseLease(text: string, { config, json }: { config: string; json?: true }): Promise<number> {
  const address = readLeased(text);
  if (address === null) {
    console.error(`netboot6: ${text} is no IPv6 address or prefix`);
    return 2;
  }
  const appliance = await readConfiguration(config);
  if (!appliance) return 2;
  let failure: string | null;
  try {
    const registry = await Registry.open(appliance);
    if (registry.setAside !== null) console.error(`netboot6: ${registry.setAside}`);
    try {
      failure = (await registry.releaseLease(address)) ? null : `${address} is not leased`;
    } finally {
      await registry.close();
    }
  } catch (error) {
    failure = error instanceof StoreInUseError ? await releaseByApi(address, appliance) : (error as Error).message;
  }
  if (failure === null) console.log(json ? JSON.stringify({ released: address }) : `${address} is released`);
  else console.error(`netboot6: ${failure}`);
  return failure === null ? 0 : 1;
}

/** The running appliance owns its leases. Null, or why not. */
async function releaseByApi(address: string, appliance: Appliance): Promise<string | null> {
  if (!appliance.console)
    return "the appliance runs without a console, through which it would be told: stop it first, or turn the console on";
  try {
    await new ApiClient(appliance).change("DELETE", `/leases/${encodeURIComponent(address)}`);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}
