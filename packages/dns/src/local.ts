/** Names that are answered here: the configuration's, the machines', and those that no resolver may ask the world for. */
import { type Address, addressBytes } from "@netboot6/codec";
import { answer as record, name as wireName } from "dns-packet";
import { type Answer, makeAnswer } from "./answer.ts";
import { CLASS_IN, type Query, Rcode, Type } from "./wire.ts";

export interface LocalName {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly addresses: readonly Address[];
}

const TTL = 60;
/** RFC 6761, 6762, 7686, 8375, 9462; `localhost` has addresses besides. */
const SPECIAL_NAMES = ["localhost", "invalid", "local", "onion", "home.arpa", "resolver.arpa"];
/** RFC 6303 §4, RFC 7793. */
const PRIVATE_REVERSE_ZONES = [
  ...["0", "10", "127", "254.169", "2.0.192", "100.51.198", "113.0.203", "255.255.255.255", "168.192"],
  ...Array.from({ length: 16 }, (_, n) => `${16 + n}.172`),
  ...Array.from({ length: 64 }, (_, n) => `${64 + n}.100`),
]
  .map((zone) => `${zone}.in-addr.arpa`)
  .concat(["d.f", "8.e.f", "9.e.f", "a.e.f", "b.e.f", "8.b.d.0.1.0.0.2"].map((zone) => `${zone}.ip6.arpa`))
  .concat([reverseName("::"), reverseName("::1")]);

/** The name whose PTR is the address's (RFC 3596 §2.5). */
export function reverseName(address: Address): string {
  const nibbles = [...Buffer.from(addressBytes(address)).toString("hex")].reverse();
  return `${nibbles.join(".")}.ip6.arpa`;
}

const toWire = (name: string): string => wireName.encode(name).toString("latin1");

export class LocalNames {
  /** By name and type. A name without records of a type has none of it. */
  readonly #records = new Map<string, Map<number, Uint8Array[]>>();
  /** Names with records, and all above them. */
  readonly #existing = new Set<string>();
  /** The SOA of each zone that is ours alone: what is not in it does not exist. */
  readonly #zones = new Map<string, Uint8Array>();

  /** Where two claim a name or an address, the first has it. */
  constructor(names: readonly LocalName[]) {
    for (const zone of [...SPECIAL_NAMES, ...PRIVATE_REVERSE_ZONES]) this.#addZone(zone);
    this.#add("localhost", Type.aaaa, record.encode({ name: "localhost", type: "AAAA", ttl: TTL, data: "::1" }));
    this.#add("localhost", Type.a, record.encode({ name: "localhost", type: "A", ttl: TTL, data: "127.0.0.1" }));
    this.#addPointer(reverseName("::1"), "localhost");
    this.#addPointer("1.0.0.127.in-addr.arpa", "localhost");
    for (const { name, addresses } of names) {
      if (this.#records.has(toWire(name))) continue;
      for (const address of addresses) {
        this.#add(name, Type.aaaa, record.encode({ name, type: "AAAA", ttl: TTL, data: address }));
        this.#addPointer(reverseName(address), name);
      }
    }
  }

  /** The answer, or null where the world is to be asked. */
  answer(query: Query): Answer | null {
    if (query.class !== CLASS_IN) return null;
    const records = this.#records.get(query.name);
    const answers = records?.get(query.type);
    if (answers) return makeAnswer(query, Rcode.noError, { answers, authoritative: true });
    // Below localhost everything is localhost (RFC 6761 §6.3).
    const [zone, soa] = this.#zoneOf(query.name);
    if (zone === LOCALHOST) return this.#alias(query);
    if (!records && !soa) return null;
    const rcode = records || this.#existing.has(query.name) ? Rcode.noError : Rcode.nxDomain;
    return makeAnswer(query, rcode, { authority: [soa ?? soaRecord(query.name)], authoritative: true });
  }

  #alias(query: Query): Answer {
    const answers = (this.#records.get(LOCALHOST)?.get(query.type) ?? []).map((each) =>
      // The owner's name is the question's.
      Buffer.concat([Buffer.of(0xc0, 12), each.subarray(LOCALHOST.length)]),
    );
    const authority = answers.length > 0 ? [] : [this.#zones.get(LOCALHOST) as Uint8Array];
    return makeAnswer(query, Rcode.noError, { answers, authority, authoritative: true });
  }

  #zoneOf(name: string): [zone: string, soa: Uint8Array] | [null, null] {
    for (let at = 0; at < name.length - 1; at += name.charCodeAt(at) + 1) {
      const soa = this.#zones.get(name.slice(at));
      if (soa) return [name.slice(at), soa];
    }
    return [null, null];
  }

  #addZone(zone: string): void {
    const soa = soaRecord(toWire(zone));
    this.#zones.set(toWire(zone), soa);
    this.#add(zone, Type.soa, soa);
    this.#add(zone, Type.ns, record.encode({ name: zone, type: "NS", ttl: TTL, data: "localhost" }));
  }

  #addPointer(name: string, target: string): void {
    if (!this.#records.get(toWire(name))?.has(Type.ptr))
      this.#add(name, Type.ptr, record.encode({ name, type: "PTR", ttl: TTL, data: target }));
  }

  #add(name: string, type: number, bytes: Uint8Array): void {
    const wire = toWire(name);
    const records = this.#records.get(wire) ?? new Map<number, Uint8Array[]>();
    this.#records.set(wire, records.set(type, [...(records.get(type) ?? []), bytes]));
    for (let at = 0; at < wire.length - 1; at += wire.charCodeAt(at) + 1) this.#existing.add(wire.slice(at));
  }
}

const LOCALHOST = toWire("localhost");

/** The SOA of an empty zone (RFC 6303 §3); its times bound how long a denial is kept. */
function soaRecord(zone: string): Uint8Array {
  const soa = { mname: "localhost", rname: "nobody.invalid", serial: 1, refresh: 3600, retry: 1200, expire: 604_800, minimum: TTL };
  const [, ...rest] = record.encode({ name: ".", type: "SOA", ttl: TTL, data: soa });
  return Buffer.concat([Buffer.from(zone, "latin1"), Buffer.from(rest)]);
}
