import { addressToBigInt, canonicalAddress, formatPrefix, parsePrefix } from "@netboot6/codec";
import type { ConsoleConfig } from "@netboot6/config";
import type { Lease } from "@netboot6/leases";
import { readStored, StoreInUseError } from "@netboot6/store";
import { Registry } from "../registry.ts";
import { formatTable } from "../table.ts";
import { readConfiguration } from "./configuration.ts";

const FOR_EVER_SECONDS = 0xffffffff;
const API_DEADLINE_MS = 10_000;

/** Prints the leases; the exit code. */
export async function listLeases(options: { config: string; json?: true }): Promise<number> {
  const appliance = await readConfiguration(options.config);
  if (!appliance) return 2;
  let leases: Lease[];
  try {
    leases = readStored(appliance.state.dir, "lease").map(({ value }) => value as Lease);
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
  return 0;
}

const stateOf = ({ state, validUntil }: Lease, now: number): Lease["state"] | "expired" =>
  validUntil <= now && state !== "released" ? "expired" : state;

function endsIn({ state, since, validUntil }: Lease, now: number): string {
  const left = validUntil - now;
  if (state === "released" || left <= 0) return "-";
  if (validUntil - since >= FOR_EVER_SECONDS) return "never";
  const units = [Math.floor(left / 86400), Math.floor(left / 3600) % 24, Math.floor(left / 60) % 60, left % 60];
  const first = units.findIndex((count) => count > 0);
  return units
    .map((count, index) => `${count}${"dhms"[index]}`)
    .slice(first, first + 2)
    .join(" ");
}

/** An address, or a delegated prefix, as leases are listed. */
function readLeased(text: string): string | null {
  const prefix = parsePrefix(text);
  return prefix ? formatPrefix(prefix) : canonicalAddress(text);
}

/** Ends a lease; the exit code. */
export async function releaseLease(text: string, file: string): Promise<number> {
  const address = readLeased(text);
  if (address === null) {
    console.error(`netboot6: ${text} is no IPv6 address or prefix`);
    return 2;
  }
  const appliance = await readConfiguration(file);
  if (!appliance) return 2;
  let failure: string | null;
  try {
    const registry = await Registry.open(appliance);
    if (registry.setAside !== null) console.error(`netboot6: the store was damaged; it was put aside as ${registry.setAside}`);
    try {
      failure = (await registry.releaseLease(address)) ? null : `${address} is not leased`;
    } finally {
      await registry.close();
    }
  } catch (error) {
    failure = error instanceof StoreInUseError ? await releaseByApi(address, appliance.console) : (error as Error).message;
  }
  if (failure === null) console.log(`${address} is released`);
  else console.error(`netboot6: ${failure}`);
  return failure === null ? 0 : 1;
}

/** The running appliance owns its leases. Null, or why not. */
async function releaseByApi(address: string, config: ConsoleConfig | null): Promise<string | null> {
  if (!config) return "the appliance runs without a console, through which it would be told: stop it first, or turn the console on";
  const url = `http://[${config.host === "::" ? "::1" : config.host}]:${config.port}/api/v1/leases/${encodeURIComponent(address)}`;
  try {
    const headers = config.token === null ? {} : { authorization: `Bearer ${config.token}` };
    const response = await fetch(url, { method: "DELETE", headers, signal: AbortSignal.timeout(API_DEADLINE_MS) });
    return response.ok ? null : ((await response.json()) as { detail: string }).detail;
  } catch (error) {
    const { cause, message } = error as Error;
    return `the appliance runs, but its console does not answer (${url}): ${(cause as Error | undefined)?.message ?? message}`;
  }
}
