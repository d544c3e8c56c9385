/** DHCP unique identifiers (RFC 9915 §11, RFC 6355) and what they tell of the machine. */
import { formatMac, type Mac } from "../address.ts";
import { readU16 } from "./message.ts";

export interface DuidFacts {
  readonly kind: "LLT" | "EN" | "LL" | "UUID" | "unknown";
  /** LL and LLT of Ethernet. */
  readonly mac?: Mac;
  /** UUID: the 16 bytes read in text order, and as SMBIOS keeps them (first three fields little-endian), as EDK2 sends them. */
  readonly uuids?: readonly [textOrder: string, smbiosOrder: string];
}

const ETHERNET = 1;

export function readDuid(duid: Uint8Array): DuidFacts {
  const type = duid.length >= 2 ? readU16(duid, 0) : 0;
  if (type === 1 && duid.length === 14 && readU16(duid, 2) === ETHERNET) return { kind: "LLT", mac: formatMac(duid.subarray(8)) };
  if (type === 3 && duid.length === 10 && readU16(duid, 2) === ETHERNET) return { kind: "LL", mac: formatMac(duid.subarray(4)) };
  if (type === 2) return { kind: "EN" };
  if (type === 4 && duid.length === 18)
    return { kind: "UUID", uuids: [formatUuid(duid.subarray(2)), formatUuid(swapUuid(duid.subarray(2)))] };
  return { kind: type === 1 ? "LLT" : type === 3 ? "LL" : "unknown" };
}

export function formatUuid(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

/** Turns text order into SMBIOS order and back: the first three fields change their byte order. */
export function swapUuid(bytes: Uint8Array): Uint8Array {
  const b = (i: number): number => bytes[i] as number;
  return Uint8Array.of(b(3), b(2), b(1), b(0), b(5), b(4), b(7), b(6), ...bytes.subarray(8, 16));
}
