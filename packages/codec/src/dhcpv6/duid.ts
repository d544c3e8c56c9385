/** DHCP unique identifiers (RFC 9915 §11, RFC 6355) and what they tell of the machine. */
import { type Mac, macOfHex } from "../address.ts";
import { formatUuid, swapUuid } from "../uuid.ts";

export interface DuidFacts {
  readonly kind: "LLT" | "EN" | "LL" | "UUID" | "unknown";
  /** LL and LLT of Ethernet. */
  readonly mac?: Mac;
  /** UUID: the 16 bytes read in text order, and as SMBIOS keeps them (first three fields little-endian), as EDK2 sends them. */
  readonly uuids?: readonly [textOrder: string, smbiosOrder: string];
}

const ETHERNET = "0001";

/** `duid` in lower-case hex, as it is kept. */
export function readDuid(duid: string): DuidFacts {
  const isEthernet = duid.startsWith(ETHERNET, 4);
  switch (duid.slice(0, 4)) {
    case "0001":
      return isEthernet && duid.length === 28 ? { kind: "LLT", mac: macOfHex(duid, 16) } : { kind: "LLT" };
    case "0002":
      return { kind: "EN" };
    case "0003":
      return isEthernet && duid.length === 20 ? { kind: "LL", mac: macOfHex(duid, 8) } : { kind: "LL" };
    case "0004": {
      if (duid.length !== 36) return { kind: "unknown" };
      const uuid = Buffer.from(duid.slice(4), "hex");
      return { kind: "UUID", uuids: [formatUuid(uuid), formatUuid(swapUuid(uuid))] };
    }
    default:
      return { kind: "unknown" };
  }
}
