/** The part of dns-packet that is used here; the package brings no types. */
declare module "dns-packet" {
  export interface Record {
    name: string;
    type: string;
    ttl?: number;
    class?: string;
    /** By type: an address, a name, a list of texts, the fields of an SOA ... */
    data?: unknown;
    /** Of OPT. */
    udpPayloadSize?: number;
    extendedRcode?: number;
    ednsVersion?: number;
    flags?: number;
    flag_do?: boolean;
    options?: { code: number; data: Buffer }[];
  }
  export interface Packet {
    type?: "query" | "response";
    id?: number;
    flags?: number;
    rcode?: string;
    flag_tc?: boolean;
    flag_aa?: boolean;
    flag_ad?: boolean;
    flag_ra?: boolean;
    flag_rd?: boolean;
    flag_cd?: boolean;
    questions?: { name: string; type: string; class?: string }[];
    answers?: Record[];
    authorities?: Record[];
    additionals?: Record[];
  }
  export function encode(packet: Packet): Buffer;
  export function decode(bytes: Uint8Array): Required<Packet>;
  export const answer: { encode(record: Record): Buffer };
  export const name: { encode(name: string): Buffer };
}

declare module "dns-packet/types.js" {
  const types: {
    /** `UNKNOWN_65280` where it has no name. */
    toString(type: number): string;
  };
  export default types;
}
