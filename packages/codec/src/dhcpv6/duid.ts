/** DHCP unique identifiers (RFC 9915 §11, RFC 6355) and what they tell of the machine. */
import { formatMac, type Mac } from "../address.ts";
import { formatUuid, swapUuid } from "../uuid.ts";
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
  if (type === 1 && duid.length === 14 && readU16(duid, 2) === ETHERNET) return { kind: "LLT", mac: formatMac(duid, 8) };
  if (type === 3 && duid.length === 10 && readU16(duid, 2) === ETHERNET) return { kind: "LL", mac: formatMac(duid, 4) };
  if (type === 2) return { kind: "EN" };
  if (type === 4 && duid.length === 18)
    return { kind: "UUID", uuids: [formatUuid(duid.subarray(2)), formatUuid(swapUuid(duid.subarray(2)))] };
  return { kind: type === 1 ? "LLT" : type === 3 ? "LL" : "unknown" };
}
