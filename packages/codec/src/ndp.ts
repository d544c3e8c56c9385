/** Neighbor discovery messages of a router: RFC 4861 §4.1, §4.2 with the options of RFC 8106, 4191 and 8781. */
import { type Address, addressBytes, formatAddress, formatMac, type Mac, macBytes, type Prefix } from "./address.ts";
import { type Decoded, decoded, undecodable } from "./decoded.ts";
import { readU16, readU32, writeU16, writeU32 } from "./dhcpv6/message.ts";
import { decodeDomains, encodeDomains } from "./dhcpv6/options.ts";

export const IcmpType = { routerSolicitation: 133, routerAdvertisement: 134 } as const;
export const ALL_NODES = "ff02::1";
export const ALL_ROUTERS = "ff02::2";

const NdpOption = {
  sourceLinkLayerAddress: 1,
  prefixInformation: 3,
  mtu: 5,
  routeInformation: 24,
  rdnss: 25,
  dnssl: 31,
  pref64: 38,
} as const;
const PREFERENCE = { medium: 0, high: 1, low: 3 } as const;
/** By prefix length code (RFC 8781 §4). */
const PREF64_LENGTHS = [96, 64, 56, 48, 40, 32];
export type RouterPreference = keyof typeof PREFERENCE;

export interface RouterSolicitation {
  readonly sourceMac: Mac | null;
}

/** All lifetimes in seconds. */
export interface RouterAdvertisement {
  readonly hopLimit: number;
  readonly managed: boolean;
  readonly other: boolean;
  readonly preference: RouterPreference;
  readonly routerLifetime: number;
  /** milliseconds; 0: not specified */
  readonly reachableTime: number;
  /** milliseconds; 0: not specified */
  readonly retransTimer: number;
  readonly sourceMac: Mac | null;
  readonly mtu: number | null;
  readonly prefixes: readonly {
    readonly prefix: Address;
    readonly length: number;
    readonly onLink: boolean;
    readonly autonomous: boolean;
    readonly valid: number;
    readonly preferred: number;
  }[];
  readonly routes: readonly {
    readonly prefix: Address;
    readonly length: number;
    readonly preference: RouterPreference;
    readonly lifetime: number;
  }[];
  readonly rdnss: readonly { readonly addresses: readonly Address[]; readonly lifetime: number }[];
  readonly dnssl: readonly { readonly domains: readonly string[]; readonly lifetime: number }[];
  readonly pref64: readonly { readonly prefix: Pick<Prefix, "address" | "length">; readonly lifetime: number }[];
}

/** RFC 4861 §6.1.1, but for the checks that need the IP header. `fromUnspecified`: the source was `::`. */
export function decodeRouterSolicitation(bytes: Uint8Array, fromUnspecified: boolean): Decoded<RouterSolicitation> {
  if (bytes.length < 8) return undecodable(`${bytes.length} bytes; a router solicitation has 8 or more`);
  if (bytes[0] !== IcmpType.routerSolicitation || bytes[1] !== 0)
    return undecodable(`type ${bytes[0]} code ${bytes[1]} is no router solicitation`);
  let sourceMac: Mac | null = null;
  // In place: a machine that boots waits for the answer.
  for (let at = 8; at < bytes.length; ) {
    const length = (bytes[at + 1] ?? 0) * 8;
    if (length === 0) return undecodable(NO_LENGTH);
    if (at + length > bytes.length) return undecodable(TOO_LONG);
    if (bytes[at] === NdpOption.sourceLinkLayerAddress) {
      if (fromUnspecified) return undecodable("a source link-layer address from the unspecified address");
      if (length === 8) sourceMac = formatMac(bytes.subarray(at + 2, at + 8));
    }
    at += length;
  }
  return decoded({ sourceMac });
}

const NO_LENGTH = "an option of length 0";
const TOO_LONG = "an option that is longer than the message";

function decodeNdpOptions(bytes: Uint8Array): Decoded<{ type: number; body: Uint8Array }[]> {
  const options: { type: number; body: Uint8Array }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = (bytes[at + 1] ?? 0) * 8;
    if (length === 0) return undecodable(NO_LENGTH);
    if (at + length > bytes.length) return undecodable(TOO_LONG);
    options.push({ type: bytes[at] as number, body: bytes.subarray(at + 2, at + length) });
    at += length;
  }
  return decoded(options);
}

export function encodeRouterSolicitation(solicitation: RouterSolicitation): Uint8Array {
  const header = new Uint8Array(8);
  header[0] = IcmpType.routerSolicitation;
  return concat(
    solicitation.sourceMac ? [header, ndpOption(NdpOption.sourceLinkLayerAddress, macBytes(solicitation.sourceMac))] : [header],
  );
}

/** What fits behind the IPv6 header into the MTU that every link has: larger ones would be fragmented, and RFC 6980 forbids it. */
const MAX_ADVERTISEMENT_BYTES = 1280 - 40;
/** An RDNSS or DNSSL option that holds no more than this leaves room for others beside it. */
const MAX_LIST_BYTES = 512;

/**
 * ICMPv6 messages with a checksum of zero, which the kernel fills in. One, or where its options do not fit, as many as it
 * takes: each with the same header and some of the options (RFC 4861 §6.2.3). Who obeys only the first one it hears gets
 * the options that matter to it there: routes come last.
 */
export function encodeRouterAdvertisement(ra: RouterAdvertisement): Uint8Array[] {
  const header = new Uint8Array(16);
  header[0] = IcmpType.routerAdvertisement;
  header[4] = ra.hopLimit;
  header[5] = (ra.managed ? 0x80 : 0) | (ra.other ? 0x40 : 0) | (PREFERENCE[ra.preference] << 3);
  writeU16(header, 6, ra.routerLifetime);
  writeU32(header, 8, ra.reachableTime);
  writeU32(header, 12, ra.retransTimer);
  const messages: Uint8Array[][] = [[header]];
  let size = header.length;
  for (const option of encodeOptions(ra)) {
    if (size + option.length > MAX_ADVERTISEMENT_BYTES) {
      messages.push([header]);
      size = header.length;
    }
    messages.at(-1)?.push(option);
    size += option.length;
  }
  return messages.map(concat);
}

function encodeOptions(ra: RouterAdvertisement): Uint8Array[] {
  const options: Uint8Array[] = [];
  if (ra.sourceMac) options.push(ndpOption(NdpOption.sourceLinkLayerAddress, macBytes(ra.sourceMac)));
  if (ra.mtu !== null) options.push(ndpOption(NdpOption.mtu, u16(0), u32(ra.mtu)));
  for (const p of ra.prefixes) {
    const flags = Uint8Array.of(p.length, (p.onLink ? 0x80 : 0) | (p.autonomous ? 0x40 : 0));
    options.push(ndpOption(NdpOption.prefixInformation, flags, u32(p.valid), u32(p.preferred), u32(0), addressBytes(p.prefix)));
  }
  for (const { addresses, lifetime } of ra.rdnss)
    for (const some of inLists(addresses.map(addressBytes))) options.push(ndpOption(NdpOption.rdnss, u16(0), u32(lifetime), ...some));
  for (const { domains, lifetime } of ra.dnssl)
    for (const some of inLists(domains.map((domain) => encodeDomains([domain]))))
      options.push(ndpOption(NdpOption.dnssl, u16(0), u32(lifetime), ...some));
  for (const { prefix, lifetime } of ra.pref64) {
    // RFC 8781 §4: lifetime in units of 8 s above a 3-bit prefix length code
    const scaled = Math.min(8191, Math.ceil(lifetime / 8));
    const code = PREF64_LENGTHS.indexOf(prefix.length);
    options.push(ndpOption(NdpOption.pref64, u16((scaled << 3) | code), addressBytes(prefix.address).subarray(0, 12)));
  }
  for (const r of ra.routes) {
    const size = r.length === 0 ? 0 : r.length <= 64 ? 8 : 16; // RFC 4191 §2.3
    const flags = Uint8Array.of(r.length, PREFERENCE[r.preference] << 3);
    options.push(ndpOption(NdpOption.routeInformation, flags, u32(r.lifetime), addressBytes(r.prefix).subarray(0, size)));
  }
  return options;
}

/** In their order, in lists of at most MAX_LIST_BYTES. */
function inLists(entries: readonly Uint8Array[]): Uint8Array[][] {
  const lists: Uint8Array[][] = [];
  let size = MAX_LIST_BYTES;
  for (const entry of entries) {
    if (size + entry.length > MAX_LIST_BYTES) {
      lists.push([]);
      size = 0;
    }
    lists.at(-1)?.push(entry);
    size += entry.length;
  }
  return lists;
}

export function decodeRouterAdvertisement(bytes: Uint8Array): Decoded<RouterAdvertisement> {
  if (bytes.length < 16) return undecodable(`${bytes.length} bytes; a router advertisement has 16 or more`);
  if (bytes[0] !== IcmpType.routerAdvertisement || bytes[1] !== 0)
    return undecodable(`type ${bytes[0]} code ${bytes[1]} is no router advertisement`);
  const options = decodeNdpOptions(bytes.subarray(16));
  if (!options.ok) return options;
  const flags = bytes[5] as number;
  let sourceMac: Mac | null = null;
  let mtu: number | null = null;
  const rdnss: RouterAdvertisement["rdnss"][number][] = [];
  const dnssl: RouterAdvertisement["dnssl"][number][] = [];
  const pref64: RouterAdvertisement["pref64"][number][] = [];
  const prefixes: RouterAdvertisement["prefixes"][number][] = [];
  const routes: RouterAdvertisement["routes"][number][] = [];
  for (const { type, body } of options.value) {
    const b = (i: number): number => body[i] as number;
    if (type === NdpOption.sourceLinkLayerAddress && body.length === 6) sourceMac = formatMac(body);
    else if (type === NdpOption.mtu && body.length === 6) mtu = readU32(body, 2);
    else if (type === NdpOption.prefixInformation && body.length === 30 && b(0) <= 128)
      prefixes.push({
        prefix: formatAddress(body, 14),
        length: b(0),
        onLink: (b(1) & 0x80) !== 0,
        autonomous: (b(1) & 0x40) !== 0,
        valid: readU32(body, 2),
        preferred: readU32(body, 6),
      });
    else if (type === NdpOption.routeInformation && isRouteLength(body.length, b(0))) {
      const address = new Uint8Array(16);
      address.set(body.subarray(6));
      routes.push({ prefix: formatAddress(address), length: b(0), preference: preferenceOf(b(1)), lifetime: readU32(body, 2) });
    } else if (type === NdpOption.rdnss && body.length >= 22 && (body.length - 6) % 16 === 0)
      rdnss.push({
        lifetime: readU32(body, 2),
        addresses: Array.from({ length: (body.length - 6) / 16 }, (_, i) => formatAddress(body, 6 + i * 16)),
      });
    else if (type === NdpOption.dnssl && body.length >= 6) {
      const domains = decodeDomains(body.subarray(6));
      if (domains.ok && domains.value.length > 0) dnssl.push({ lifetime: readU32(body, 2), domains: domains.value });
    } else if (type === NdpOption.pref64 && body.length === 14) {
      const address = new Uint8Array(16);
      address.set(body.subarray(2));
      const length = PREF64_LENGTHS[b(1) & 7];
      if (length !== undefined)
        pref64.push({ prefix: { address: formatAddress(address), length }, lifetime: (readU16(body, 0) >>> 3) * 8 });
    }
  }
  return decoded({
    hopLimit: bytes[4] as number,
    managed: (flags & 0x80) !== 0,
    other: (flags & 0x40) !== 0,
    preference: preferenceOf(flags),
    routerLifetime: readU16(bytes, 6),
    reachableTime: readU32(bytes, 8),
    retransTimer: readU32(bytes, 12),
    sourceMac,
    mtu,
    prefixes,
    routes,
    rdnss,
    dnssl,
    pref64,
  });
}

/** RFC 4191 §2.3: how long the option is at least for its prefix length. */
const isRouteLength = (bytes: number, length: number): boolean =>
  (bytes === 22 && length <= 128) || (bytes === 14 && length <= 64) || (bytes === 6 && length === 0);

/** RFC 4191 §2.2: the reserved value 2 is taken as medium. */
const preferenceOf = (flags: number): RouterPreference =>
  (["medium", "high", "medium", "low"] as const)[(flags >> 3) & 3] as RouterPreference;

/** An option padded with zeros to a multiple of 8 bytes. */
function ndpOption(type: number, ...parts: Uint8Array[]): Uint8Array {
  const body = concat(parts);
  const bytes = new Uint8Array(Math.ceil((2 + body.length) / 8) * 8);
  bytes[0] = type;
  bytes[1] = bytes.length / 8;
  bytes.set(body, 2);
  return bytes;
}

const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value);
const u32 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(4);
  writeU32(bytes, 0, value);
  return bytes;
};

function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
