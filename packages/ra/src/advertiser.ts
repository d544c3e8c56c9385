/**
 * The router advertiser's decisions (RFC 4861 §6.2): what an advertisement says and when the next one goes out.
 * No sockets; clock and chance are arguments. Times in milliseconds unless said otherwise.
 */
import type { Address, RouterAdvertisement } from "@netboot6/codec";
import type { AdvertiseConfig, Network } from "@netboot6/config";

/** RFC 4861 §10 */
const MAX_INITIAL_RTR_ADVERTISEMENTS = 3;
const MAX_INITIAL_RTR_ADVERT_INTERVAL = 16_000;
const MIN_DELAY_BETWEEN_RAS = 3_000;
const MAX_RA_DELAY_TIME = 500;

export interface AdvertiserState {
  /** How many unsolicited advertisements went out since the start or the last change. */
  readonly sent: number;
  /** When the last multicast one went out. */
  readonly lastMulticast: number | null;
  /** When the next multicast one is due. */
  readonly next: number;
  readonly nextWhy: "initial" | "periodic" | "solicited" | "changed";
}

export interface AdvertisePlan {
  readonly settings: AdvertiseConfig;
  readonly network: Network;
  readonly forwarding: boolean;
  /** The forwarder's address stands in the advertisement where dns is on. */
  readonly dnsOn: boolean;
  readonly domain: string;
}

export const initialState = (now: number): AdvertiserState => ({ sent: 0, lastMulticast: null, next: now, nextWhy: "initial" });

/** The settings changed: told as soon as the last advertisement lets it (RFC 4861 §6.2.4). */
export const changedState = ({ lastMulticast }: AdvertiserState, now: number): AdvertiserState => ({
  sent: 0,
  lastMulticast,
  next: earliestMulticast(lastMulticast, now),
  nextWhy: "changed",
});

const earliestMulticast = (last: number | null, now: number): number => (last === null ? now : Math.max(now, last + MIN_DELAY_BETWEEN_RAS));

/** What the advertisement says. `final`: the last ones before we stop have a router lifetime of 0 (RFC 4861 §6.2.5). */
export function buildAdvertisement({ settings, network, forwarding, dnsOn, domain }: AdvertisePlan, final = false): RouterAdvertisement {
  const [, max] = settings.interval;
  const life = settings.routerLifetime === "auto" ? (forwarding ? Math.min(9000, 3 * max) : 0) : settings.routerLifetime;
  const dnsLifetime = final ? 0 : (settings.dnsLifetime ?? 3 * max); // RFC 8106 §5.1
  const dns = settings.dns ?? (dnsOn ? [network.address] : []);
  const search = settings.search ?? (domain === "" ? [] : [domain]);
  const managed = network.dhcp?.managed ?? false;
  const mtu = settings.mtu ?? network.link?.mtu ?? 0;
  return {
    hopLimit: settings.hopLimit,
    managed,
    other: network.dhcp !== null,
    // RFC 4191 §2.2: a router that is none says medium
    preference: life === 0 ? "medium" : settings.preference,
    routerLifetime: final ? 0 : life,
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
      lifetime: final ? 0 : lifetime,
    })),
    rdnss: dns.length > 0 ? { addresses: dns, lifetime: dnsLifetime } : null,
    dnssl: search.length > 0 ? { domains: search, lifetime: dnsLifetime } : null,
    pref64: settings.pref64 ? { prefix: settings.pref64, lifetime: final ? 0 : Math.min(65528, 3 * max) } : null, // RFC 8781 §4.1
  };
}

/** The state after a multicast advertisement went out. `random` gives [0, 1). */
export function afterMulticast(state: AdvertiserState, settings: AdvertiseConfig, now: number, random: () => number): AdvertiserState {
  const [min, max] = settings.interval;
  const sent = state.nextWhy === "solicited" ? state.sent : state.sent + 1;
  const interval = (min + random() * (max - min)) * 1000;
  const next = now + (sent < MAX_INITIAL_RTR_ADVERTISEMENTS ? Math.min(interval, MAX_INITIAL_RTR_ADVERT_INTERVAL) : interval);
  return { sent, lastMulticast: now, next, nextWhy: sent < MAX_INITIAL_RTR_ADVERTISEMENTS ? "initial" : "periodic" };
}

/**
 * What a solicitation brings about. One with a source is answered by unicast at once, sooner than RFC 4861 §6.2.6's random
 * delay, which is there for multicast; those from `::` (EDK2's) share one multicast advertisement, 3 s after the last at the earliest.
 */
export function solicited(
  state: AdvertiserState,
  source: Address,
  now: number,
  random: () => number,
): { state: AdvertiserState; unicast: boolean } {
  if (source !== "::") return { state, unicast: true };
  const due = Math.max(now + random() * MAX_RA_DELAY_TIME, earliestMulticast(state.lastMulticast, now));
  return { state: due < state.next ? { ...state, next: due, nextWhy: "solicited" } : state, unicast: false };
}
