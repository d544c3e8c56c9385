/** The options that have structure: bytes to values and back. Each decoder refuses what its RFC calls malformed. */
import { type Address, addressBytes, formatAddress, writeAddress } from "../address.ts";
import { type Decoded, decoded, undecodable } from "../decoded.ts";
import { OptionCode } from "./constants.ts";
import { decodeOptions, encodeOptions, type Option, readU16, readU32, writeU16, writeU32 } from "./message.ts";

export const findOption = (options: readonly Option[], code: number): Uint8Array | undefined =>
  options.find((option) => option.code === code)?.data;

/** IA_NA or IA_PD (RFC 9915 §21.4, §21.21). T1 and T2 in seconds. */
export interface IdentityAssociation {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly options: readonly Option[];
}

export function decodeIa(data: Uint8Array): Decoded<IdentityAssociation> {
  if (data.length < 12) return undecodable(`an IA of ${data.length} bytes; 12 are the least (RFC 9915 §21.4)`);
  const options = decodeOptions(data, 12);
  if (!options.ok) return undecodable(`inside an IA: ${options.why}`);
  return decoded({ iaid: readU32(data, 0), t1: readU32(data, 4), t2: readU32(data, 8), options: options.value });
}

export function encodeIa(ia: IdentityAssociation): Uint8Array {
  const bytes = encodeOptions(ia.options, 12);
  writeU32(bytes, 0, ia.iaid);
  writeU32(bytes, 4, ia.t1);
  writeU32(bytes, 8, ia.t2);
  return bytes;
}

/** IA Address (RFC 9915 §21.6). Lifetimes in seconds. */
export interface IaAddress {
  readonly address: Address;
  readonly preferred: number;
  readonly valid: number;
  readonly options: readonly Option[];
}

export function decodeIaAddress(data: Uint8Array): Decoded<IaAddress> {
  if (data.length < 24) return undecodable(`an IA Address of ${data.length} bytes; 24 are the least (RFC 9915 §21.6)`);
  const options = decodeOptions(data, 24);
  if (!options.ok) return undecodable(`inside an IA Address: ${options.why}`);
  return decoded({ address: formatAddress(data), preferred: readU32(data, 16), valid: readU32(data, 20), options: options.value });
}

export function encodeIaAddress(value: IaAddress): Uint8Array {
  const bytes = encodeOptions(value.options, 24);
  writeAddress(value.address, bytes, 0);
  writeU32(bytes, 16, value.preferred);
  writeU32(bytes, 20, value.valid);
  return bytes;
}

/** IA Prefix (RFC 9915 §21.22). Lifetimes in seconds. */
export interface IaPrefix {
  /** As it was sent, bits beyond `length` too. */
  readonly prefix: Address;
  /** 0..128 */
  readonly length: number;
  readonly preferred: number;
  readonly valid: number;
  readonly options: readonly Option[];
}

export function decodeIaPrefix(data: Uint8Array): Decoded<IaPrefix> {
  if (data.length < 25) return undecodable(`an IA Prefix of ${data.length} bytes; 25 are the least (RFC 9915 §21.22)`);
  const length = data[8] as number;
  if (length > 128) return undecodable(`an IA Prefix with a length of ${length}`);
  const options = decodeOptions(data, 25);
  if (!options.ok) return undecodable(`inside an IA Prefix: ${options.why}`);
  return decoded({
    prefix: formatAddress(data, 9),
    length,
    preferred: readU32(data, 0),
    valid: readU32(data, 4),
    options: options.value,
  });
}

export function encodeIaPrefix(value: IaPrefix): Uint8Array {
  const bytes = encodeOptions(value.options, 25);
  writeU32(bytes, 0, value.preferred);
  writeU32(bytes, 4, value.valid);
  bytes[8] = value.length;
  writeAddress(value.prefix, bytes, 9);
  return bytes;
}

/** Status Code (RFC 9915 §21.13). */
export function encodeStatus(code: number, text: string): Uint8Array {
  const message = Buffer.from(text, "utf8");
  const bytes = new Uint8Array(2 + message.length);
  writeU16(bytes, 0, code);
  bytes.set(message, 2);
  return bytes;
}

export function decodeStatus(data: Uint8Array): Decoded<{ code: number; text: string }> {
  if (data.length < 2) return undecodable("a Status Code shorter than 2 bytes");
  return decoded({ code: readU16(data, 0), text: Buffer.from(data.subarray(2)).toString("utf8") });
}

/** A list of 16-bit numbers: Option Request, client architectures. An odd last byte makes it malformed. */
export function decodeU16List(data: Uint8Array): Decoded<number[]> {
  if (data.length % 2 !== 0) return undecodable(`${data.length} bytes are no list of 16-bit numbers`);
  return decoded(Array.from({ length: data.length / 2 }, (_, i) => readU16(data, i * 2)));
}

export function encodeU16List(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(values.length * 2);
  values.forEach((value, i) => {
    writeU16(bytes, i * 2, value);
  });
  return bytes;
}

export function encodeAddresses(addresses: readonly Address[]): Uint8Array {
  const bytes = new Uint8Array(addresses.length * 16);
  addresses.forEach((address, i) => {
    writeAddress(address, bytes, i * 16);
  });
  return bytes;
}

export function decodeAddresses(data: Uint8Array): Decoded<Address[]> {
  if (data.length % 16 !== 0) return undecodable(`${data.length} bytes are no list of addresses`);
  return decoded(Array.from({ length: data.length / 16 }, (_, i) => formatAddress(data, i * 16)));
}

/** Text fields with 16-bit lengths (user class, vendor class data, bootfile-param). Null where the lengths do not add up. */
export function decodeTexts(data: Uint8Array): Buffer[] | null {
  const texts: Buffer[] = [];
  let at = 0;
  while (at < data.length) {
    if (at + 2 > data.length) return null;
    const end = at + 2 + readU16(data, at);
    if (end > data.length) return null;
    texts.push(Buffer.from(data.subarray(at + 2, end)));
    at = end;
  }
  return texts;
}

export function encodeTexts(texts: readonly (string | Uint8Array)[]): Uint8Array {
  const parts = texts.map((text) => (typeof text === "string" ? Buffer.from(text, "utf8") : text));
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 2 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    writeU16(bytes, at, part.length);
    bytes.set(part, at + 2);
    at += 2 + part.length;
  }
  return bytes;
}

/**
 * User classes (RFC 9915 §21.15). Some clients send the class without its length: where the lengths do not add up, the
 * whole option is one class.
 */
export function decodeUserClasses(data: Uint8Array): string[] {
  const texts = decodeTexts(data) ?? [Buffer.from(data)];
  return texts.map((text) => text.toString("utf8"));
}

/** Vendor class (RFC 9915 §21.16). */
export interface VendorClass {
  readonly enterprise: number;
  readonly classes: readonly string[];
}

export function decodeVendorClass(data: Uint8Array): Decoded<VendorClass> {
  if (data.length < 4) return undecodable("a vendor class shorter than its enterprise number");
  const classes = decodeTexts(data.subarray(4)) ?? [Buffer.from(data.subarray(4))];
  return decoded({ enterprise: readU32(data, 0), classes: classes.map((text) => text.toString("latin1")) });
}

export function encodeVendorClass(value: VendorClass): Uint8Array {
  const texts = encodeTexts(value.classes.map((text) => Buffer.from(text, "latin1")));
  const bytes = new Uint8Array(4 + texts.length);
  writeU32(bytes, 0, value.enterprise);
  bytes.set(texts, 4);
  return bytes;
}

/** Remote-ID (RFC 4649): the bytes are the vendor's. */
export interface RemoteId {
  readonly enterprise: number;
  readonly remoteId: Uint8Array;
}

export function decodeRemoteId(data: Uint8Array): Decoded<RemoteId> {
  if (data.length < 5) return undecodable(`a Remote-ID of ${data.length} bytes; 5 are the least (RFC 4649 §3)`);
  return decoded({ enterprise: readU32(data, 0), remoteId: data.subarray(4) });
}

export function encodeRemoteId({ enterprise, remoteId }: RemoteId): Uint8Array {
  const bytes = new Uint8Array(4 + remoteId.length);
  writeU32(bytes, 0, enterprise);
  bytes.set(remoteId, 4);
  return bytes;
}

/** Longer names of ports are nobody's. */
export const MAX_PORT_BYTES = 128;

/** How a relay names a port (options 18 and 37), to be read: text where all of it is printable ASCII, else hex, `0x00040a`. */
export function portText(bytes: Uint8Array): string {
  let printable = bytes.length > 0 && !(bytes[0] === 0x30 && bytes[1] === 0x78);
  for (let i = 0; printable && i < bytes.length; i++) printable = (bytes[i] as number) >= 0x20 && (bytes[i] as number) < 0x7f;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  return printable ? buffer.toString("latin1") : `0x${buffer.toString("hex")}`;
}

/** Domain names in RFC 1035 §3.1 form, uncompressed (RFC 9915 §10). Names longer than 255 bytes or labels over 63 are a programmer's error. */
export function encodeDomains(names: readonly string[]): Uint8Array {
  const bytes: number[] = [];
  for (const name of names) {
    for (const label of name.replace(/\.$/, "").split(".")) bytes.push(label.length, ...Buffer.from(label, "latin1"));
    bytes.push(0);
  }
  return Uint8Array.from(bytes);
}

export function decodeDomains(data: Uint8Array): Decoded<string[]> {
  const names: string[] = [];
  let labels: string[] = [];
  let at = 0;
  while (at < data.length) {
    const length = data[at] as number;
    if (length > 63 || at + 1 + length > data.length) return undecodable("a label that is longer than 63 bytes or than the option");
    if (length === 0) {
      if (labels.length > 0) names.push(labels.join("."));
      labels = [];
    } else labels.push(Buffer.from(data.subarray(at + 1, at + 1 + length)).toString("latin1"));
    at += 1 + length;
  }
  if (labels.length > 0) names.push(labels.join(".")); // a partial name, RFC 4704 §4.2
  return decoded(names);
}

/** Client FQDN (RFC 4704 §4). */
export interface ClientFqdn {
  /** Bits of FqdnFlag. */
  readonly flags: number;
  /** Null where they are no labels of RFC 1035 (compressed, longer than the option). */
  readonly labels: readonly string[] | null;
  /** It ends with the root: a whole name, not a part of one. */
  readonly whole: boolean;
}

/** S: the server makes the name known; O: it does so against the client's wish; N: it does not. */
export const FqdnFlag = { s: 1, o: 2, n: 4 } as const;

export function decodeClientFqdn(data: Uint8Array): ClientFqdn {
  const flags = data[0] ?? 0;
  const labels: string[] = [];
  let at = 1;
  while (at < data.length) {
    const length = data[at] as number;
    const end = at + 1 + length;
    if (length === 0) return { flags, labels: end === data.length ? labels : null, whole: true };
    if (length > 63 || end > data.length) return { flags, labels: null, whole: false };
    labels.push(Buffer.from(data.buffer, data.byteOffset + at + 1, length).toString("latin1"));
    at = end;
  }
  return { flags, labels: data.length === 0 ? null : labels, whole: false };
}

/** Labels longer than 63 bytes are a programmer's error. */
export function encodeClientFqdn({ flags, labels, whole }: ClientFqdn): Uint8Array {
  const bytes = [flags];
  for (const label of labels ?? []) bytes.push(label.length, ...Buffer.from(label, "latin1"));
  if (whole) bytes.push(0);
  return Uint8Array.from(bytes);
}

/** NTP server option with one address suboption each (RFC 5908 §4.1). */
export function encodeNtp(addresses: readonly Address[]): Uint8Array {
  return encodeOptions(addresses.map((address) => ({ code: 1, data: addressBytes(address) })));
}

export function u32Option(code: number, value: number): Option {
  const data = new Uint8Array(4);
  writeU32(data, 0, value);
  return { code, data };
}

export const iaAddressOption = (value: IaAddress): Option => ({ code: OptionCode.iaAddress, data: encodeIaAddress(value) });
export const iaPrefixOption = (value: IaPrefix): Option => ({ code: OptionCode.iaPrefix, data: encodeIaPrefix(value) });
export const statusOption = (code: number, text: string): Option => ({ code: OptionCode.statusCode, data: encodeStatus(code, text) });
