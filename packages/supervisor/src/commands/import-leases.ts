import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { type Address, macOfEui64, type Prefix, prefixContains } from "@netboot6/codec";
import { type Appliance, type DhcpConfig, readHost, resolveNetworks } from "@netboot6/config";
import { claimName } from "@netboot6/dhcpv6";
import { isDelegated, isLive, isPrefix, type KeaLease, type KeaLeases, type Lease, readKeaLeases, stateOf } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import { StoreInUseError } from "@netboot6/store";
import { Registry } from "../registry.ts";
import { count } from "../words.ts";
import { readConfiguration } from "./configuration.ts";

/** Takes over the leases of a Kea memfile; the exit code. */
export async function importLeases(file: string, { config, json }: { config: string; json?: true }): Promise<number> {
  const appliance = await readConfiguration(config);
  if (!appliance) return 2;
  const now = Math.floor(Date.now() / 1000);
  try {
    const files = keaFiles(file);
    const found = readKeaLeases(await Promise.all(files.map((each) => readFile(each, "utf8"))), now);
    const { imported, skipped, unnamed } = await importInto(appliance, found, now);
    if (json) {
      const leftOut = Object.fromEntries(skipped);
      console.log(JSON.stringify({ imported, files, leftOut, namesLeftOut: Object.fromEntries(unnamed) }));
    } else {
      console.log(`${count(imported, "lease")} imported from ${files.join(", ")}`);
      for (const [why, number] of skipped) console.log(`${number} left out: ${why}`);
      for (const [why, number] of unnamed) console.log(`${count(number, "name")} of clients left out, ${why}`);
    }
    return 0;
  } catch (error) {
    const stop = error instanceof StoreInUseError ? ": stop the appliance first, it owns its leases while it runs" : "";
    console.error(`netboot6: ${(error as Error).message}${stop}`);
    return 1;
  }
}

/** Kea's clean-up (LFC) puts what it has gathered beside the file, and only what changed since is in the file itself. */
function keaFiles(file: string): string[] {
  const cleaned = existsSync(`${file}.completed`) ? [`${file}.completed`] : [`${file}.2`, `${file}.1`].filter((each) => existsSync(each));
  return [...cleaned, file];
}

interface Imported {
  readonly imported: number;
  /** How many leases are left out, and how many names of those that are not, by the reason. */
  readonly skipped: ReadonlyMap<string, number>;
  readonly unnamed: ReadonlyMap<string, number>;
}

async function importInto(appliance: Appliance, { leases, skipped }: KeaLeases, now: number): Promise<Imported> {
  const left = new Map(skipped);
  const unnamed = new Map<string, number>();
  const add = (to: Map<string, number>, why: string) => to.set(why, (to.get(why) ?? 0) + 1);
  const networks = knownNetworks(appliance);
  const registry = await Registry.open(appliance);
  try {
    if (registry.setAside !== null) console.error(`netboot6: ${registry.setAside}`);
    const taken: Lease[] = [];
    const machines = new Map<string, Machine>();
    for (const { hostname, ...lease } of leases) {
      const network = networks.find((each) => serves(each, lease.address));
      const why = refusal(lease, network, registry, now);
      const identified = why === null ? registry.machines.identify(lease, now * 1000) : null;
      if (!network || !identified) {
        add(left, why ?? "nothing tells the machine");
        continue;
      }
      for (const machine of identified.changed) machines.set(machine.id, machine);
      const { address, duid, iaid, validUntil, since } = lease;
      const machine = identified.machine.id;
      // A name that ends with a dot is whole; others stand under the domain.
      const labels = hostname === undefined || isPrefix(address) ? null : hostname.replace(/\.$/, "").split(".");
      const named =
        labels &&
        claimName(
          { appliance, machines: registry.machines, leases: registry.leases },
          machine,
          labels,
          hostname?.endsWith(".") ?? false,
          now,
        );
      if (named?.refused !== undefined) add(unnamed, named.refused);
      const mac = lease.relayMac ?? (lease.peer === undefined ? null : macOfEui64(lease.peer));
      const own: Lease = {
        ...{ address, network: network.name, machine, duid, iaid, state: "bound", validUntil, since },
        ...(mac === null ? {} : { mac }),
        ...(named && named.refused === undefined ? { hostname: named.name } : {}),
      };
      registry.leases.put(own);
      taken.push(own);
    }
    registry.rememberMachines([...machines.values()]);
    await registry.storeLeases(taken);
    return { imported: taken.length, skipped: left, unnamed };
  } finally {
    await registry.close();
  }
}

interface KnownNetwork {
  readonly name: string;
  readonly prefix: Prefix;
  readonly address: Address | null;
  readonly delegate: DhcpConfig["delegate"];
}

const serves = ({ prefix, delegate }: KnownNetwork, leased: string): boolean =>
  isPrefix(leased) ? isDelegated(delegate, leased) : prefixContains(prefix, leased);

function refusal(kea: KeaLease, network: KnownNetwork | undefined, { leases }: Registry, now: number): string | null {
  const { address } = kea;
  if (!network && isPrefix(address)) return "delegated by no network of the configuration";
  if (!network) return "in no network of the configuration, as far as this host knows their prefixes";
  if (address === network.address) return "our own address";
  const own = leases.byAddress(address);
  if (!own) return null;
  // Kea's row is of the client's last message to it: taken where that came after ours began, and promised it more.
  const newer = kea.since > own.since && kea.validUntil > own.validUntil;
  if (isLive(own, now) || stateOf(own, now) === "declined") return newer && own.duid === kea.duid ? null : "leased already";
  return newer ? null : "leased here later, and ended";
}

/** The prefix of a network that names none comes from the host. */
function knownNetworks(appliance: Appliance): KnownNetwork[] {
  const resolved = new Map(resolveNetworks(appliance, readHost()).networks.map((network) => [network.name, network]));
  return appliance.networks.flatMap((config) => {
    const { name, prefix, address, dhcp } = resolved.get(config.name) ?? config;
    return prefix ? [{ name, prefix, address, delegate: dhcp?.delegate ?? null }] : [];
  });
}
