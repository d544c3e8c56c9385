/** What the host has: its interfaces and their IPv6 addresses; and the networks of the file completed by them. */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Address, formatAddress, isLinkLocal, isMulticast, type Mac, parseMac, prefixContains, prefixOf } from "@netboot6/codec";
import type { Appliance, Network, NetworkConfig } from "./appliance.ts";

export interface HostAddress {
  readonly address: Address;
  readonly length: number;
  /** Duplicate address detection is not over: bind would fail with EADDRNOTAVAIL. */
  readonly tentative: boolean;
  /** Duplicate address detection found another host that has it. */
  readonly duplicate: boolean;
  readonly deprecated: boolean;
  /** Configured by hand, not by SLAAC or DHCPv6. */
  readonly permanent: boolean;
}

export interface HostInterface {
  readonly name: string;
  readonly index: number;
  /** null where its link layer has none. */
  readonly mac: Mac | null;
  /** Of IPv6. */
  readonly mtu: number;
  readonly up: boolean;
  readonly ipv6: boolean;
  /** Configured ones first, then by number: the kernel's order differs from boot to boot. */
  readonly addresses: readonly HostAddress[];
}

/** Every interface but loopback, with or without addresses. */
export function readHost(): HostInterface[] {
  const known = networkInterfaces();
  const addresses = parseIfInet6(read("/proc/net/if_inet6"));
  const names = [...read("/proc/net/dev").matchAll(/^\s*([^\s:]+):/gm)].map((match) => match[1] as string);
  return names
    .filter((name) => name !== "lo")
    .map((name) => {
      const own = addresses.filter((each) => each.name === name);
      const sysfs = (file: string) => read(`/sys/class/net/${name}/${file}`);
      const sysctl = (file: string) => read(`/proc/sys/net/ipv6/conf/${name}/${file}`);
      const mac = parseMac(known[name]?.[0]?.mac ?? sysfs("address"));
      return {
        name,
        // First from where a network namespace is always our own: /sys shows the one it was mounted in.
        index: own[0]?.index ?? Number(sysfs("ifindex")),
        mac: mac === "00:00:00:00:00:00" ? null : mac,
        mtu: Number(sysctl("mtu") || sysfs("mtu") || 1500),
        up: !["down", "lowerlayerdown", "notpresent"].includes(sysfs("operstate")),
        ipv6: sysctl("disable_ipv6") === "0",
        addresses: own.map(({ name: _, index: __, ...address }) => address),
      };
    });
}

function read(file: string): string {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return ""; // gone meanwhile, or not told by this kind of interface
  }
}

export function parseIfInet6(text: string): (HostAddress & { readonly name: string; readonly index: number })[] {
  const lines = text.matchAll(/^([0-9a-f]{32}) +([0-9a-f]+) +([0-9a-f]+) +[0-9a-f]+ +([0-9a-f]+) +(\S+)$/gm);
  const parsed = Array.from(lines, ([, hex = "", index = "", length = "", flags = "", name = ""]) => {
    const bits = Number.parseInt(flags, 16); // IFA_F_* of linux/if_addr.h
    return {
      name,
      index: Number.parseInt(index, 16),
      address: formatAddress(Buffer.from(hex, "hex")),
      length: Number.parseInt(length, 16),
      tentative: (bits & 0x40) !== 0,
      duplicate: (bits & 0x08) !== 0,
      deprecated: (bits & 0x20) !== 0,
      permanent: (bits & 0x80) !== 0,
      hex,
    };
  });
  parsed.sort((a, b) => Number(b.permanent) - Number(a.permanent) || (a.hex < b.hex ? -1 : 1));
  return parsed.map(({ hex: _, ...rest }) => rest);
}

/** The networks that can be served now, and what the others wait for, in words for the operator. */
export function resolveNetworks(appliance: Appliance, host: readonly HostInterface[]): { networks: Network[]; waiting: string[] } {
  const waiting: string[] = [];
  const onLink = new Map<NetworkConfig, Network>();
  for (const config of appliance.networks) {
    const network = config.interface === null ? null : resolveOnLink(config, config.interface, host);
    if (typeof network === "string") waiting.push(network);
    else if (network) onLink.set(config, network);
  }
  const first = appliance.networks.find(({ relayed }) => !relayed);
  const ours = first && onLink.get(first)?.address;
  const networks = appliance.networks.flatMap((config): Network[] => {
    const address = config.address ?? ours;
    if (!config.relayed) return [onLink.get(config) ?? []].flat();
    return config.prefix && address ? [{ ...config, prefix: config.prefix, address, link: null }] : [];
  });
  return { networks, waiting };
}

function resolveOnLink(config: NetworkConfig, name: string, host: readonly HostInterface[]): Network | string {
  const on = host.find((each) => each.name === name);
  if (!on) return `interface ${name} does not exist; there are: ${host.map((each) => each.name).join(", ") || "none"}`;
  if (!on.ipv6) return `IPv6 is off on ${name}: sysctl -w net.ipv6.conf.${name}.disable_ipv6=0`;
  const down = on.up ? "" : `; ${name} has no carrier`;

  const linkLocal = on.addresses.find(({ address, duplicate }) => isLinkLocal(address) && !duplicate);
  const other = on.addresses.find(({ address }) => isLinkLocal(address));
  if (!linkLocal) return other ? duplicated(other.address, name) : `${name} has no link-local address yet${down}`;
  if (linkLocal.tentative) return `${linkLocal.address} on ${name} is still tentative${down}`;
  if (on.mac === null) return `${name} has no MAC address: it is no Ethernet interface`;

  const chosen = choose(config, on);
  if (typeof chosen === "string") return chosen + down;
  if (chosen.duplicate) return duplicated(chosen.address, name);
  if (chosen.tentative) return `${chosen.address} on ${name} is still tentative${down}`;
  if (!config.prefix && chosen.length > 126)
    return `${chosen.address} on ${name} is a /${chosen.length}: give the network's prefix in the file`;
  return {
    ...config,
    prefix: config.prefix ?? prefixOf(chosen.address, chosen.length),
    address: chosen.address,
    link: { name, index: on.index, mac: on.mac, mtu: on.mtu, linkLocal: linkLocal.address },
  };
}

const duplicated = (address: Address, name: string) => `${address} on ${name} failed duplicate address detection: another host has it`;

/** The address to serve from: the file's; else the first in the file's prefix; else the first global, else unique-local one. */
function choose({ prefix, address }: NetworkConfig, { name, addresses }: HostInterface): HostAddress | string {
  const usable = addresses.filter((each) => !isLinkLocal(each.address) && !isMulticast(each.address) && each.address !== "::1");
  const has = usable.length > 0 ? `; it has: ${usable.map((each) => each.address).join(", ")}` : "";
  if (address !== null) return usable.find((each) => each.address === address) ?? `${address} is not on ${name} yet${has}`;
  // A deprecated one, one that failed or a host route only where there is no better one.
  const byUse = usable.toSorted((a, b) => rank(a) - rank(b));
  if (prefix !== null)
    return (
      byUse.find((each) => prefixContains(prefix, each.address)) ?? `${name} has no address in ${prefix.address}/${prefix.length} yet${has}`
    );
  return byUse.find((each) => !isUniqueLocal(each.address)) ?? byUse[0] ?? `${name} has no global or unique-local IPv6 address yet`;
}

const rank = ({ duplicate, deprecated, length }: HostAddress) => (duplicate ? 4 : 0) + (length > 126 ? 2 : 0) + (deprecated ? 1 : 0);
const isUniqueLocal = (address: Address) => /^f[cd]/.test(address);
