/** What an advertisement says, out of the configuration and the host. Lifetimes in seconds. */
import type { RouterAdvertisement } from "@netboot6/codec";
import type { AdvertiseConfig, Network } from "@netboot6/config";

export interface AdvertisePlan {
  readonly settings: AdvertiseConfig;
  readonly network: Network;
  /** Whether the host forwards IPv6 from this interface. */
  readonly forwarding: boolean;
  /** The forwarder's address stands in the advertisement where dns is on. */
  readonly dnsOn: boolean;
  readonly domain: string;
}

/** Greatest router lifetime (RFC 8319 §4) and greatest PREF64 lifetime that its 13 bits hold (RFC 8781 §4). */
const MAX_ROUTER_LIFETIME = 65535;
const MAX_PREF64_LIFETIME = 65528;

export function buildAdvertisement({ settings, network, forwarding, dnsOn, domain }: AdvertisePlan): RouterAdvertisement {
  const [, max] = settings.interval;
  const automatic = forwarding ? Math.min(MAX_ROUTER_LIFETIME, 3 * max) : 0;
  const routerLifetime = settings.routerLifetime === "auto" ? automatic : settings.routerLifetime;
  const lifetime = settings.dnsLifetime ?? 3 * max; // RFC 8106 §5.1
  const dns = settings.dns ?? (dnsOn ? [network.address] : []);
  const search = settings.search ?? (domain === "" ? [] : [domain]);
  const mtu = settings.mtu ?? network.link?.mtu ?? 0;
  return {
    hopLimit: settings.hopLimit,
    managed: network.dhcp?.managed ?? false,
    other: network.dhcp !== null,
    preference: routerLifetime === 0 ? "medium" : settings.preference, // RFC 4191 §2.2: who is no router says medium
    routerLifetime,
    reachableTime: 0,
    retransTimer: 0,
    sourceMac: network.link?.mac ?? null,
    mtu: mtu === 0 ? null : mtu,
    prefixes: [
      {
        prefix: network.prefix.address,
        length: network.prefix.length,
        onLink: settings.onLink,
        autonomous: settings.autonomous,
        valid: settings.validLifetime,
        preferred: settings.preferredLifetime,
      },
    ],
    routes: settings.routes.map(({ prefix, lifetime, preference }) => ({
      prefix: prefix.address,
      length: prefix.length,
      preference,
      lifetime,
    })),
    rdnss: dns.length > 0 ? [{ addresses: dns, lifetime }] : [],
    dnssl: search.length > 0 ? [{ domains: search, lifetime }] : [],
    pref64: (settings.pref64 ? [settings.pref64] : []).map(({ address, length }) => ({
      prefix: { address, length },
      lifetime: Math.min(MAX_PREF64_LIFETIME, 3 * max), // RFC 8781 §4.1
    })),
  };
}

/**
 * The last one before the appliance stops (RFC 4861 §6.2.5): no router, no routes, no resolver any more. The prefix stays as it is:
 * machines keep their addresses while we restart.
 */
export function finalAdvertisement(ra: RouterAdvertisement): RouterAdvertisement {
  const ended = <T>(option: T): T & { readonly lifetime: 0 } => ({ ...option, lifetime: 0 });
  return {
    ...ra,
    routerLifetime: 0,
    preference: "medium",
    routes: ra.routes.map(ended),
    rdnss: ra.rdnss.map(ended),
    dnssl: ra.dnssl.map(ended),
    pref64: ra.pref64.map(ended),
  };
}

/** The last one where we are to advertise no more: no router, and nothing else either. What was said is withdrawn beside it. */
export const nothingOf = (ra: RouterAdvertisement): RouterAdvertisement => ({
  ...ra,
  routerLifetime: 0,
  preference: "medium",
  prefixes: [],
  routes: [],
  rdnss: [],
  dnssl: [],
  pref64: [],
});
