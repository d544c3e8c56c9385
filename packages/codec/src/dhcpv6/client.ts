/** What a client's message says, read once and checked: the options that a server's decisions rest on. */
import { type Decoded, decoded, undecodable } from "../decoded.ts";
import { DUID_MAX_BYTES, OptionCode } from "./constants.ts";
import { type ClientServerMessage, readU16 } from "./message.ts";
import {
  type ClientFqdn,
  decodeClientFqdn,
  decodeIa,
  decodeIaAddress,
  decodeIaPrefix,
  decodeU16List,
  decodeUserClasses,
  decodeVendorClass,
  type IaAddress,
  type IaPrefix,
  type VendorClass,
} from "./options.ts";

export interface ClientIa {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  readonly addresses: readonly IaAddress[];
}

export interface ClientPrefixIa {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  /** `::/56` asks for a length alone (RFC 8168 §2). */
  readonly prefixes: readonly IaPrefix[];
}

export interface ClientFacts {
  readonly clientId: Uint8Array | null;
  readonly serverId: Uint8Array | null;
  readonly iaNas: readonly ClientIa[];
  readonly iaPds: readonly ClientPrefixIa[];
  /** Null where it sent no Option Request. */
  readonly requested: ReadonlySet<number> | null;
  /** hundredths of a second, RFC 9915 §21.9 */
  readonly elapsed: number;
  readonly rapidCommit: boolean;
  readonly userClasses: readonly string[];
  /** Of all its vendor class options, one for each enterprise (RFC 9915 §21.16). */
  readonly vendorClass: Pick<VendorClass, "classes"> | null;
  /** In the client's order, RFC 5970 §3.3. */
  readonly architectures: readonly number[];
  readonly fqdn: ClientFqdn | null;
}

/** Far more than any client has; each costs its server a search for an address, and a datagram has room for thousands. */
const MAX_IAS = 32;

export function readClientFacts(message: ClientServerMessage): Decoded<ClientFacts> {
  let clientId: Uint8Array | null = null;
  let serverId: Uint8Array | null = null;
  let requested: Set<number> | null = null;
  let elapsed = 0;
  let rapidCommit = false;
  let userClasses: string[] = [];
  const vendorClasses: string[] = [];
  let architectures: number[] = [];
  let fqdn: ClientFqdn | null = null;
  const iaNas: ClientIa[] = [];
  const iaPds: ClientPrefixIa[] = [];

  for (const { code, data } of message.options) {
    switch (code) {
      case OptionCode.clientId:
      case OptionCode.serverId:
        if (data.length < 3 || data.length > DUID_MAX_BYTES) return undecodable(`a DUID of ${data.length} bytes (RFC 9915 §11.1)`);
        if (code === OptionCode.clientId) clientId = data;
        else serverId = data;
        break;
      case OptionCode.iaNa: {
        const ia = decodeIa(data);
        if (!ia.ok) return ia;
        const addresses: IaAddress[] = [];
        for (const option of ia.value.options) {
          if (option.code !== OptionCode.iaAddress) continue;
          const address = decodeIaAddress(option.data);
          if (!address.ok) return address;
          addresses.push(address.value);
        }
        iaNas.push({ iaid: ia.value.iaid, t1: ia.value.t1, t2: ia.value.t2, addresses });
        break;
      }
      case OptionCode.iaPd: {
        const ia = decodeIa(data);
        if (!ia.ok) return ia;
        const prefixes: IaPrefix[] = [];
        for (const option of ia.value.options) {
          if (option.code !== OptionCode.iaPrefix) continue;
          const prefix = decodeIaPrefix(option.data);
          if (!prefix.ok) return prefix;
          prefixes.push(prefix.value);
        }
        iaPds.push({ iaid: ia.value.iaid, t1: ia.value.t1, t2: ia.value.t2, prefixes });
        break;
      }
      case OptionCode.optionRequest: {
        const codes = decodeU16List(data);
        if (!codes.ok) return undecodable(`option request: ${codes.why}`);
        requested = new Set(codes.value);
        break;
      }
      case OptionCode.elapsedTime:
        if (data.length !== 2) return undecodable(`an elapsed time of ${data.length} bytes`);
        elapsed = readU16(data, 0);
        break;
      case OptionCode.rapidCommit:
        rapidCommit = true;
        break;
      case OptionCode.userClass:
        userClasses = decodeUserClasses(data);
        break;
      case OptionCode.vendorClass: {
        const value = decodeVendorClass(data);
        if (!value.ok) return value;
        vendorClasses.push(...value.value.classes);
        break;
      }
      case OptionCode.clientArchitecture: {
        const list = decodeU16List(data);
        if (!list.ok) return undecodable(`client architecture: ${list.why}`);
        architectures = list.value;
        break;
      }
      case OptionCode.clientFqdn:
        fqdn = decodeClientFqdn(data);
        break;
    }
  }
  if (iaNas.length + iaPds.length > MAX_IAS) return undecodable(`${iaNas.length + iaPds.length} IAs; ${MAX_IAS} are taken`);
  const vendorClass = vendorClasses.length > 0 ? { classes: vendorClasses } : null;
  return decoded({ clientId, serverId, iaNas, iaPds, requested, elapsed, rapidCommit, userClasses, vendorClass, architectures, fqdn });
}
