/**
 * IPv6 addresses and prefixes. Inside the appliance an address is its RFC 5952 text, which compares by `===` and is what
 * sockets take and give; its 16 bytes exist only in messages, its bigint only where addresses are counted.
 */

/** An IPv6 address in RFC 5952 form, lower case, without a zone. */
export type Address = string;

/** An IPv6 prefix. `first` and `last` are its lowest and highest address as numbers. */
export interface Prefix {
  /** RFC 5952 form of the first address, e.g. `2001:db8:0:1::`. */
  readonly address: Address;
  /** 0..128 */
  readonly length: number;
  readonly first: bigint;
  readonly last: bigint;
  /** The 16 bytes of `address`. */
  readonly bytes: Uint8Array;
}

const ALL_ONES = (1n << 128n) - 1n;
/** The characters of the 16 digits. */
const DIGITS = Buffer.from("0123456789abcdef", "latin1");
/** Texts are put together here: one string for each, where adding pieces up would leave one for each piece. */
const written = Buffer.allocUnsafe(260);

/** Writes 4 bits; returns where the next character goes. */
function writeDigit(at: number, bits: number): number {
  written[at] = DIGITS[bits & 15] as number;
  return at + 1;
}

/** Reads IPv6 text in any form RFC 4291 §2.2 allows, without a zone. Returns null where it is not one. */
export function parseAddress(text: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  return readInto(text, bytes, 0) ? bytes : null;
}

/** Reads into the 16 bytes at `start`; false where the text is no address. */
function readInto(text: string, bytes: Uint8Array, start: number): boolean {
  const { length } = text;
  if (length < 2 || length > 45) return false;
  const end = start + 16;
  let at = start; // where the next byte goes
  let gap = -1; // where `::` stood
  let i = 0;
  if (text.charCodeAt(0) === COLON) {
    if (text.charCodeAt(1) !== COLON) return false;
    gap = start;
    i = 2;
  }
  while (i < length) {
    const first = i;
    let group = 0;
    let character = 0;
    for (; i < length; i++) {
      character = text.charCodeAt(i);
      const digit = character < 103 ? (HEX_DIGITS[character] as number) : -1;
      if (digit < 0) break;
      group = group * 16 + digit;
    }
    if (character === DOT && i < length) {
      const v4 = at <= end - 4 ? parseIpv4(text.slice(first)) : null;
      if (v4 === null) return false;
      bytes[at++] = v4 >>> 24;
      bytes[at++] = v4 >>> 16;
      bytes[at++] = v4 >>> 8;
      bytes[at++] = v4;
      break;
    }
    if (i === first || i - first > 4 || at > end - 2) return false;
    bytes[at++] = group >>> 8;
    bytes[at++] = group;
    if (i === length) break;
    if (character !== COLON || ++i === length) return false;
    if (text.charCodeAt(i) === COLON) {
      if (gap >= 0) return false;
      gap = at;
      i++;
    }
  }
  if (gap < 0) return at === end;
  if (at > end - 2) return false; // `::` stands for one group or more
  for (let to = end - 1; to >= gap; to--) bytes[to] = at > gap ? (bytes[--at] as number) : 0;
  return true;
}

const COLON = 58;
const DOT = 46;
/** The value of a hex digit by its character; -1 for what is none. */
const HEX_DIGITS = Int8Array.from({ length: 103 }, (_, code) => {
  const value = Number.parseInt(String.fromCharCode(code), 16);
  return Number.isNaN(value) ? -1 : value;
});

function parseIpv4(text: string): number | null {
  const parts = text.split(".");
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return null;
    value = value * 256 + Number(part);
  }
  return value >>> 0;
}

/** Writes the 16 bytes at `offset` in RFC 5952 form (IPv4-mapped addresses with dotted quads, §5). */
export function formatAddress(bytes: Uint8Array, offset = 0): Address {
  let bestStart = -1;
  let bestLength = 1;
  let start = -1;
  for (let i = 0; i < 8; i++) {
    if (((bytes[offset + i * 2] as number) | (bytes[offset + i * 2 + 1] as number)) !== 0) start = -1;
    else {
      if (start < 0) start = i;
      if (i - start + 1 > bestLength) {
        bestStart = start;
        bestLength = i - start + 1;
      }
    }
  }
  if (bestStart === 0 && bestLength === 5 && bytes[offset + 10] === 0xff && bytes[offset + 11] === 0xff) {
    return `::ffff:${bytes[offset + 12]}.${bytes[offset + 13]}.${bytes[offset + 14]}.${bytes[offset + 15]}`;
  }
  let at = 0;
  for (let i = 0; i < 8; i++) {
    if (i === bestStart) {
      written[at++] = COLON;
      written[at++] = COLON;
      i += bestLength - 1;
      continue;
    }
    if (i !== 0 && i !== bestStart + bestLength) written[at++] = COLON;
    const high = bytes[offset + i * 2] as number;
    const low = bytes[offset + i * 2 + 1] as number;
    if (high > 15) at = writeDigit(at, high >> 4);
    if (high > 0) at = writeDigit(at, high);
    if (high > 0 || low > 15) at = writeDigit(at, low >> 4);
    at = writeDigit(at, low);
  }
  return written.toString("latin1", 0, at);
}

/** The same address in RFC 5952 form, or null where the text is no IPv6 address. */
export function canonicalAddress(text: string): Address | null {
  const bytes = parseAddress(text);
  return bytes && formatAddress(bytes);
}

/** The 16 bytes of an address already known to be one. Throws on a programmer's error only. */
export function addressBytes(address: Address): Uint8Array {
  const bytes = parseAddress(address);
  if (!bytes) throw new TypeError(`not an IPv6 address: ${address}`);
  return bytes;
}

/** Writes the 16 bytes of an address already known to be one. Throws on a programmer's error only. */
export function writeAddress(address: Address, bytes: Uint8Array, at: number): void {
  if (!readInto(address, bytes, at)) throw new TypeError(`not an IPv6 address: ${address}`);
}

export function bytesToBigInt(bytes: Uint8Array, offset = 0): bigint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, 16);
  return (view.getBigUint64(0) << 64n) | view.getBigUint64(8);
}

export function addressToBigInt(address: Address): bigint {
  return bytesToBigInt(addressBytes(address));
}

export function bigIntToAddress(value: bigint): Address {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, (value >> 64n) & 0xffffffffffffffffn);
  view.setBigUint64(8, value & 0xffffffffffffffffn);
  return formatAddress(bytes);
}

/** The prefix of `length` bits that `address` is in. */
export function prefixOf(address: Address, length: number): Prefix {
  const host = (1n << BigInt(128 - length)) - 1n;
  const first = addressToBigInt(address) & (ALL_ONES ^ host);
  const network = bigIntToAddress(first);
  return { address: network, length, first, last: first | host, bytes: addressBytes(network) };
}

/** Reads `2001:db8::/32`. Null where it is no prefix, or has bits set beyond its length. */
export function parsePrefix(text: string): Prefix | null {
  const match = /^([^/]+)\/(0|[1-9][0-9]{0,2})$/.exec(text);
  const address = match && canonicalAddress(match[1] as string);
  const length = Number(match?.[2]);
  if (!address || length > 128) return null;
  const prefix = prefixOf(address, length);
  return prefix.address === address ? prefix : null;
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

export function prefixContains({ length, bytes }: Prefix, address: Address): boolean {
  writeAddress(address, looked, 0);
  return sameBits(bytes, looked, length);
}

const looked = new Uint8Array(16);

/** Whether the first `length` bits are the same. */
export function sameBits(a: Uint8Array, b: Uint8Array, length: number): boolean {
  const whole = length >> 3;
  for (let i = 0; i < whole; i++) if (a[i] !== b[i]) return false;
  const rest = length & 7;
  return rest === 0 || ((a[whole] as number) ^ (b[whole] as number)) >> (8 - rest) === 0;
}

export function isLinkLocal(address: Address): boolean {
  const third = address.charCodeAt(2);
  return address.startsWith("fe") && (third === 56 || third === 57 || third === 97 || third === 98) && address.charCodeAt(4) === COLON; // fe80::/10: 8, 9, a, b
}
export const isMulticast = (address: Address): boolean => address.startsWith("ff") && address.indexOf(":") === 4;

/** A MAC address: six octets in lower-case hex with colons. */
export type Mac = string;

/** Reads a MAC written with colons, hyphens or dots, or bare. Null where it is not one of 48 bits. */
export function parseMac(text: string): Mac | null {
  const hex = /^(?:[0-9a-f]{2}([:-]))(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}$|^(?:[0-9a-f]{4}\.){2}[0-9a-f]{4}$|^[0-9a-f]{12}$/i.test(text)
    ? text.replace(/[^0-9a-f]/gi, "").toLowerCase()
    : null;
  return hex && macOfHex(hex);
}

/** Writes the 6 bytes at `offset`. */
export function formatMac(bytes: Uint8Array, offset = 0): Mac {
  let at = 0;
  for (let i = 0; i < 6; i++) {
    if (i > 0) written[at++] = COLON;
    at = writeDigit(at, (bytes[offset + i] as number) >> 4);
    at = writeDigit(at, bytes[offset + i] as number);
  }
  return written.toString("latin1", 0, at);
}

/** The MAC whose 12 digits begin at `offset`. */
export function macOfHex(hex: string, offset = 0): Mac {
  let at = 0;
  for (let i = 0; i < 12; i++) {
    if (i > 0 && i % 2 === 0) written[at++] = COLON;
    written[at++] = hex.charCodeAt(offset + i);
  }
  return written.toString("latin1", 0, at);
}

/** Lower-case hex of what is no longer than a DUID may be. */
export function formatHex(bytes: Uint8Array): string {
  let at = 0;
  for (let i = 0; i < bytes.length; i++) {
    at = writeDigit(at, (bytes[i] as number) >> 4);
    at = writeDigit(at, bytes[i] as number);
  }
  return written.toString("latin1", 0, at);
}

export function macBytes(mac: Mac): Uint8Array {
  const bytes = new Uint8Array(6);
  for (let i = 0; i < 6; i++) bytes[i] = Number.parseInt(mac.slice(i * 3, i * 3 + 2), 16);
  return bytes;
}

/** The address that a machine forms from its MAC in a prefix of at most 64 bits (modified EUI-64, RFC 4291 appendix A). */
export function eui64Address(prefix: Prefix, mac: Mac): Address {
  const bytes = prefix.bytes.slice();
  const [a, b, c, d, e, f] = macBytes(mac) as unknown as [number, number, number, number, number, number];
  const identifier = [a ^ 2, b, c, 0xff, 0xfe, d, e, f];
  for (let i = 0; i < 8; i++) bytes[8 + i] = (bytes[8 + i] as number) | (identifier[i] as number);
  return formatAddress(bytes);
}

/** The MAC inside an address whose interface identifier is a modified EUI-64; null where it is not one. */
export function macOfEui64(address: Address): Mac | null {
  if (!address.includes("ff:fe")) return null; // nearly all end here
  writeAddress(address, looked, 0);
  if (looked[11] !== 0xff || looked[12] !== 0xfe) return null;
  const first = (looked[8] as number) ^ 2;
  if (first & 1) return null; // a group address is nobody's
  // The two octets in the middle are drawn over: then the MAC stands from 10 on.
  looked[12] = looked[10] as number;
  looked[11] = looked[9] as number;
  looked[10] = first;
  return formatMac(looked, 10);
}

export const LINK_LOCAL_PREFIX = prefixOf("fe80::", 64);
