import { addressToBigInt, formatPrefix, type Prefix, prefixContains } from "@netboot6/codec";
import type { AdvertiseConfig, Appliance, DhcpConfig, NetworkConfig } from "./appliance.ts";
import { error, type Finding, type Path, repeats, warning } from "./problem.ts";

export function checkNetworks({ networks }: Appliance): Finding[] {
  const findings = [
    ...repeats(
      networks,
      ({ name }) => name,
      (index, name) =>
        error(
          "duplicate-network",
          ["networks", index, "name"],
          `another network is called ${name}`,
          "Give each network a name of its own.",
        ),
    ),
    ...repeats(
      networks,
      (network) => network.interface,
      (index, name) =>
        error(
          "duplicate-interface",
          ["networks", index, "interface"],
          `another network is on ${name}`,
          "An interface carries one network: delete one.",
        ),
    ),
    ...checkLinkAddresses(networks),
  ];
  networks.forEach((network, index) => {
    const at: Path = ["networks", index];
    findings.push(...checkPlace(network, at, networks), ...checkDelegate(network, index, networks));
    if (network.dhcp) findings.push(...checkDhcp(network, network.dhcp, [...at, "dhcp"]));
    if (network.advertise !== null && network.advertise !== "observe")
      findings.push(...checkAdvertise(network, network.advertise, [...at, "advertise"]));
    const earlier = networks.slice(0, index).find((other) => network.prefix && other.prefix && overlap(network.prefix, other.prefix));
    if (earlier)
      findings.push(
        error("prefix-overlap", [...at, "prefix"], `overlaps with the prefix of ${earlier.name}`, "Give each network a prefix of its own."),
      );
  });
  return findings;
}

function checkLinkAddresses(networks: readonly NetworkConfig[]): Finding[] {
  const all = networks.flatMap(({ linkAddresses }, network) =>
    (linkAddresses ?? []).map((address, index) => ({ address, at: ["networks", network, "linkAddresses", index] as const })),
  );
  return repeats(
    all,
    ({ address }) => address,
    (index, address) =>
      error("duplicate-link-address", all[index]?.at ?? [], `${address} tells another network, too`, "A link is one network: delete one."),
  );
}

export const overlap = (a: Prefix, b: Prefix) => a.first <= b.last && b.first <= a.last;

function checkPlace({ relayed, prefix, address, relays }: NetworkConfig, at: Path, networks: readonly NetworkConfig[]): Finding[] {
  const findings: Finding[] = [];
  if (relayed && prefix === null)
    findings.push(
      error("relayed-without-prefix", at, "a relayed network without a prefix", "Give its prefix: no interface of ours has it."),
    );
  if (relayed && address === null && networks.every((other) => other.relayed))
    findings.push(error("relayed-without-address", at, "no address of ours that its machines reach", "Give the appliance's address."));
  if (relayed && relays === null)
    findings.push(warning("relays-open", at, "anyone may relay for it", "Name its relays: relays: [2001:db8:0:2::fe]."));
  if (!relayed && prefix && address && !prefixContains(prefix, address))
    findings.push(
      error(
        "address-outside-prefix",
        [...at, "address"],
        `${address} is not in ${formatPrefix(prefix)}`,
        "Give an address inside the prefix.",
      ),
    );
  return findings;
}

/** Most installations have their files and their answers by then. */
const SHORT_LEASE_SECONDS = 600;

function checkDhcp({ prefix, advertise, relayed }: NetworkConfig, { pool, managed, lifetimes }: DhcpConfig, at: Path): Finding[] {
  const findings: Finding[] = [];
  const { renew, rebind, preferred, valid } = lifetimes;
  const pairs = {
    renew: [renew, rebind, "rebind"],
    rebind: [rebind, preferred, "preferred"],
    preferred: [preferred, valid, "valid"],
  } as const;
  for (const [key, [shorter, longer, name]] of Object.entries(pairs))
    if (shorter > longer)
      findings.push(
        error(
          "lease-lifetimes",
          [...at, "lifetimes", key],
          `${shorter}s is longer than ${name}, ${longer}s`,
          "Keep renew <= rebind <= preferred <= valid.",
        ),
      );
  if (valid < SHORT_LEASE_SECONDS)
    findings.push(
      warning(
        "lease-short",
        [...at, "lifetimes", "valid"],
        `a lease of ${valid}s ends while an installation runs, and installers do not renew it`,
        `Write ${SHORT_LEASE_SECONDS / 60}m or more.`,
      ),
    );
  if (pool.kind === "none" && managed)
    findings.push(
      error(
        "managed-without-pool",
        [...at, "managed"],
        "the M flag promises addresses, and pool is none",
        "Give a pool, or managed: false.",
      ),
    );
  const autonomous = advertise === null || advertise === "observe" || advertise.autonomous;
  if (pool.kind === "none" && !autonomous && !relayed)
    findings.push(
      warning(
        "no-addresses",
        [...at, "pool"],
        "machines get no address: pool is none and autonomous is false",
        "Give a pool, or autonomous: true.",
      ),
    );
  if (prefix === null) return findings;
  if (pool.kind === "auto" && prefix.length > 112)
    findings.push(error("pool-outside-prefix", [...at, "pool"], `auto needs a prefix of /112 or shorter`, "Give a range as the pool."));
  if (pool.kind === "range" && (addressToBigInt(pool.first) < prefix.first || addressToBigInt(pool.last) > prefix.last))
    findings.push(
      error(
        "pool-outside-prefix",
        [...at, "pool"],
        `${pool.first}-${pool.last} is not inside ${formatPrefix(prefix)}`,
        "Give a range inside it.",
      ),
    );
  return findings;
}

function checkDelegate({ dhcp }: NetworkConfig, index: number, networks: readonly NetworkConfig[]): Finding[] {
  const delegate = dhcp?.delegate;
  if (!delegate) return [];
  const { prefix, length } = delegate;
  const at: Path = ["networks", index, "dhcp", "delegate"];
  const findings: Finding[] = [];
  if (length < prefix.length)
    findings.push(
      error(
        "delegate-length",
        [...at, "length"],
        `a /${length} is larger than ${formatPrefix(prefix)}`,
        `Give a length from ${prefix.length} on.`,
      ),
    );
  const onLink = networks.find((network) => network.prefix && overlap(network.prefix, prefix));
  if (onLink)
    findings.push(
      error(
        "delegate-overlap",
        [...at, "prefix"],
        `overlaps with the prefix of ${onLink.name}, which is on a link`,
        "Delegate prefixes that are on no link.",
      ),
    );
  const earlier = networks.slice(0, index).find((network) => network.dhcp?.delegate && overlap(network.dhcp.delegate.prefix, prefix));
  if (earlier)
    findings.push(
      error("delegate-overlap", [...at, "prefix"], `overlaps with what ${earlier.name} delegates`, "Give each network its own."),
    );
  return findings;
}

/** RFC 4861 §6.2.1 with the longer times of RFC 8319. */
function checkAdvertise({ prefix }: NetworkConfig, settings: AdvertiseConfig, at: Path): Finding[] {
  const findings: Finding[] = [];
  const [min, max] = settings.interval;
  if (max < 4 || max > 65535)
    findings.push(
      error(
        "advertise-interval",
        [...at, "interval", 1],
        `${max}s is not from 4s to 65535s`,
        "Most networks take 60s to 600s (RFC 4861 §6.2.1).",
      ),
    );
  else if (min < 3 || min > 0.75 * max)
    findings.push(
      error(
        "advertise-interval",
        [...at, "interval", 0],
        `${min}s is not from 3s to 0.75 of the max interval`,
        `Write ${Math.max(3, Math.floor(max / 3))}s (RFC 4861 §6.2.1).`,
      ),
    );
  const { routerLifetime: life, dnsLifetime } = settings;
  if (life !== "auto" && life !== 0 && (life < max || life > 65535))
    findings.push(
      error(
        "router-lifetime",
        [...at, "routerLifetime"],
        `${life}s is neither 0s nor from the max interval, ${max}s, to 65535s`,
        `Write ${Math.min(65535, 3 * max)}s, or 0s where we are no router.`,
      ),
    );
  if (dnsLifetime !== null && dnsLifetime !== 0 && dnsLifetime < max)
    findings.push(
      warning(
        "dns-lifetime",
        [...at, "dnsLifetime"],
        `machines forget the resolver between advertisements, up to ${max}s apart`,
        `Write ${3 * max}s.`,
      ),
    );
  settings.routes.forEach(({ prefix: to, lifetime }, index) => {
    if (lifetime > 0 && lifetime < max)
      findings.push(
        warning(
          "route-lifetime",
          [...at, "routes", index, "lifetime"],
          `machines forget the route to ${formatPrefix(to)} between advertisements, up to ${max}s apart`,
          `Write ${3 * max}s.`,
        ),
      );
  });
  if (settings.preferredLifetime > 0 && settings.preferredLifetime < max)
    findings.push(
      warning(
        "prefix-lifetime-short",
        [...at, "preferredLifetime"],
        `machines cease to prefer their addresses between advertisements, up to ${max}s apart`,
        `Write ${3 * max}s or more.`,
      ),
    );
  if (settings.preferredLifetime > settings.validLifetime)
    findings.push(
      error(
        "prefix-lifetimes",
        [...at, "preferredLifetime"],
        `${settings.preferredLifetime}s is longer than validLifetime, ${settings.validLifetime}s`,
        "Preferred is at most valid (RFC 4861 §4.6.2).",
      ),
    );
  if (prefix && settings.autonomous && prefix.length !== 64)
    findings.push(
      error(
        "autonomous-needs-64",
        [...at, "autonomous"],
        `no machine forms an address in ${formatPrefix(prefix)}`,
        "SLAAC needs a /64: give one, or autonomous: false.",
      ),
    );
  return findings;
}
