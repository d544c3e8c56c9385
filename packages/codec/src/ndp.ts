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
  readonly rdnss: { readonly addresses: readonly Address[]; readonly lifetime: number } | null;
  readonly dnssl: { readonly domains: readonly string[]; readonly lifetime: number } | null;
  readonly pref64: { readonly prefix: Pick<Prefix, "address" | "length">; readonly lifetime: number } | null;
}

/** RFC 4861 §6.1.1, but for the checks that need the IP header. `fromUnspecified`: the source was `::`. */
export function decodeRouterSolicitation(bytes: Uint8Array, fromUnspecified: boolean): Decoded<RouterSolicitation> {
  if (bytes.length < 8) return undecodable(`${bytes.length} bytes; a router solicitation has 8 or more`);
  if (bytes[0] !== IcmpType.routerSolicitation || bytes[1] !== 0)
    return undecodable(`type ${bytes[0]} code ${bytes[1]} is no router solicitation`);
  let sourceMac: Mac | null = null;
  const options = decodeNdpOptions(bytes.subarray(8));
  if (!options.ok) return options;
  for (const { type, body } of options.value) {
    if (type !== NdpOption.sourceLinkLayerAddress) continue;
    if (fromUnspecified) return undecodable("a source link-layer address from the unspecified address");
    if (body.length === 6) sourceMac = formatMac(body);
  }
  return decoded({ sourceMac });
}

function decodeNdpOptions(bytes: Uint8Array): Decoded<{ type: number; body: Uint8Array }[]> {
  const options: { type: number; body: Uint8Array }[] = [];
  let at = 0;
  while (at < bytes.length) {
    const length = (bytes[at + 1] ?? 0) * 8;
    if (length === 0) return undecodable("an option of length 0");
    if (at + length > bytes.length) return undecodable("an option that is longer than the message");
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

/** The ICMPv6 message with a checksum of zero, which the kernel fills in. */
export function encodeRouterAdvertisement(ra: RouterAdvertisement): Uint8Array {
  const header = new Uint8Array(16);
  header[0] = IcmpType.routerAdvertisement;
  header[4] = ra.hopLimit;
  header[5] = (ra.managed ? 0x80 : 0) | (ra.other ? 0x40 : 0) | (PREFERENCE[ra.preference] << 3);
  writeU16(header, 6, ra.routerLifetime);
  writeU32(header, 8, ra.reachableTime);
  writeU32(header, 12, ra.retransTimer);
  const parts: Uint8Array[] = [header];
  if (ra.sourceMac) parts.push(ndpOption(NdpOption.sourceLinkLayerAddress, macBytes(ra.sourceMac)));
  if (ra.mtu !== null) parts.push(ndpOption(NdpOption.mtu, u16(0), u32(ra.mtu)));
  for (const p of ra.prefixes) {
    const flags = (p.onLink ? 0x80 : 0) | (p.autonomous ? 0x40 : 0);
    parts.push(
      ndpOption(
        NdpOption.prefixInformation,
        Uint8Array.of(p.length, flags),
        u32(p.valid),
        u32(p.preferred),
        u32(0),
        addressBytes(p.prefix),
      ),
    );
  }
  for (const r of ra.routes) {
    const size = r.length === 0 ? 0 : r.length <= 64 ? 8 : 16; // RFC 4191 §2.3
    const flags = Uint8Array.of(r.length, PREFERENCE[r.preference] << 3);
    parts.push(ndpOption(NdpOption.routeInformation, flags, u32(r.lifetime), addressBytes(r.prefix).subarray(0, size)));
  }
  if (ra.rdnss && ra.rdnss.addresses.length > 0)
    parts.push(ndpOption(NdpOption.rdnss, u16(0), u32(ra.rdnss.lifetime), ...ra.rdnss.addresses.map(addressBytes)));
  if (ra.dnssl && ra.dnssl.domains.length > 0)
    parts.push(ndpOption(NdpOption.dnssl, u16(0), u32(ra.dnssl.lifetime), encodeDomains(ra.dnssl.domains)));
  if (ra.pref64) {
    // RFC 8781 §4: lifetime in units of 8 s above a 3-bit prefix length code
    const scaled = Math.min(8191, Math.ceil(ra.pref64.lifetime / 8));
    const code = [96, 64, 56, 48, 40, 32].indexOf(ra.pref64.prefix.length);
    parts.push(ndpOption(NdpOption.pref64, u16((scaled << 3) | code), addressBytes(ra.pref64.prefix.address).subarray(0, 12)));
  }
  return concat(parts);
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
  let rdnss: RouterAdvertisement["rdnss"] = null;
  let dnssl: RouterAdvertisement["dnssl"] = null;
  let pref64: RouterAdvertisement["pref64"] = null;
  const prefixes: RouterAdvertisement["prefixes"][number][] = [];
  const routes: RouterAdvertisement["routes"][number][] = [];
  for (const { type, body } of options.value) {
    const b = (i: number): number => body[i] as number;
    if (type === NdpOption.sourceLinkLayerAddress && body.length === 6) sourceMac = formatMac(body);
    else if (type === NdpOption.mtu && body.length === 6) mtu = readU32(body, 2);
    else if (type === NdpOption.prefixInformation && body.length === 30)
      prefixes.push({
        prefix: formatAddress(body, 14),
        length: b(0),
        onLink: (b(1) & 0x80) !== 0,
        autonomous: (b(1) & 0x40) !== 0,
        valid: readU32(body, 2),
        preferred: readU32(body, 6),
      });
    else if (type === NdpOption.routeInformation && (body.length === 6 || body.length === 14 || body.length === 22)) {
      const address = new Uint8Array(16);
      address.set(body.subarray(6));
      routes.push({ prefix: formatAddress(address), length: b(0), preference: preferenceOf(b(1)), lifetime: readU32(body, 2) });
    } else if (type === NdpOption.rdnss && body.length >= 22 && (body.length - 6) % 16 === 0)
      rdnss = {
        lifetime: readU32(body, 2),
        addresses: Array.from({ length: (body.length - 6) / 16 }, (_, i) => formatAddress(body, 6 + i * 16)),
      };
    else if (type === NdpOption.dnssl && body.length >= 6) {
      const domains = decodeDomains(body.subarray(6));
      if (domains.ok) dnssl = { lifetime: readU32(body, 2), domains: domains.value };
    } else if (type === NdpOption.pref64 && body.length === 14) {
      const address = new Uint8Array(16);
      address.set(body.subarray(2));
      const length = [96, 64, 56, 48, 40, 32][b(1) & 7];
      if (length !== undefined) pref64 = { prefix: { address: formatAddress(address), length }, lifetime: (readU16(body, 0) >>> 3) * 8 };
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
