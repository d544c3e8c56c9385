/** Names that are answered here: the configuration's records, the machines', and those that no resolver may ask the world for. */
import { type Address, addressBytes, formatAddress } from "@netboot6/codec";
import { answer as record, name as wireName } from "dns-packet";
import { type Answer, makeAnswer } from "./answer.ts";
import type { Dns64 } from "./dns64.ts";
import { CLASS_IN, POINTER_TO_QUESTION, type Query, Rcode, Type } from "./wire.ts";

export interface LocalName {
  /** Lower case, without the last dot. */
  readonly name: string;
  readonly addresses: readonly Address[];
}

/** Whose word counts: the configuration's records over the names of machines. */
export const Layer = { records: 0, machines: 1 } as const;
export type Layer = (typeof Layer)[keyof typeof Layer];

const TTL = 60;
/** RFC 6761, 6762, 7686, 8375, 9462, 9665; `localhost` has addresses besides. `example` and `alt` are names like others to a resolver. */
const SPECIAL_NAMES = ["localhost", "invalid", "test", "local", "onion", "home.arpa", "resolver.arpa", "service.arpa"];
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

interface Owner {
  readonly name: string;
  readonly layer: Layer;
}

export class LocalNames {
  /** Counts changes: who keeps answers compares it. */
  version = 0;
  /** By name and type, each with the question for its owner. A name without records of a type has none of it. */
  readonly #records = new Map<string, Map<number, readonly Uint8Array[]>>();
  /** How many names with records are at or below a name. */
  readonly #below = new Map<string, number>();
  /** The SOA of each zone that is ours alone: what is not in it does not exist. */
  readonly #zones = new Map<string, Uint8Array>();
  /** What each layer says of a name. */
  readonly #claims = new Map<string, (readonly Address[] | undefined)[]>();
  /** The names that an address has, the one of its PTR first. */
  readonly #owners = new Map<Address, Owner[]>();

  /** With DNS64, `ipv4only.arpa` tells its prefix (RFC 7050, RFC 8880). */
  constructor(dns64: Dns64 | null = null) {
    for (const zone of [...SPECIAL_NAMES, ...PRIVATE_REVERSE_ZONES]) this.#addZone(zone);
    this.#put("localhost", Type.aaaa, [record.encode({ name: "localhost", type: "AAAA", ttl: TTL, data: "::1" })]);
    this.#put("localhost", Type.a, [record.encode({ name: "localhost", type: "A", ttl: TTL, data: "127.0.0.1" })]);
    this.#putPointer(reverseName("::1"), "localhost");
    this.#putPointer("1.0.0.127.in-addr.arpa", "localhost");
    if (dns64) this.#addDiscovery(dns64);
  }

  /** All that a layer says of a name; without addresses, nothing any more. */
  set(layer: Layer, { name, addresses }: LocalName): void {
    if (this.#zones.has(toWire(name))) return; // special names are what their RFCs say
    const claims = this.#claims.get(name) ?? [];
    const before = effective(claims);
    if (`${claims[layer] ?? ""}` === `${addresses}`) return;
    claims[layer] = addresses.length > 0 ? addresses : undefined;
    const after = effective(claims);
    if (after.addresses.length > 0) this.#claims.set(name, claims);
    else this.#claims.delete(name);
    const encode = (data: Address): Uint8Array => record.encode({ name, type: "AAAA", ttl: TTL, data });
    this.#put(name, Type.aaaa, after.addresses.map(encode));
    for (const address of new Set([...before.addresses, ...after.addresses]))
      this.#own(address, name, after.addresses.includes(address) ? after.layer : null);
    this.version++;
  }

  /** All that a layer says. */
  replace(layer: Layer, names: readonly LocalName[]): void {
    const said = new Set(names.map(({ name }) => name));
    for (const [name, claims] of this.#claims) if (claims[layer] && !said.has(name)) this.set(layer, { name, addresses: [] });
    for (const each of names) this.set(layer, each);
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
    const rcode = records || this.#below.has(query.name) ? Rcode.noError : Rcode.nxDomain;
    return makeAnswer(query, rcode, { authority: [soa ?? soaRecord(query.name)], authoritative: true });
  }

  #alias(query: Query): Answer {
    const answers = this.#records.get(LOCALHOST)?.get(query.type) ?? [];
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
    this.#put(zone, Type.soa, [soa]);
    this.#put(zone, Type.ns, [record.encode({ name: zone, type: "NS", ttl: TTL, data: "localhost" })]);
  }

  #addDiscovery(dns64: Dns64): void {
    const name = "ipv4only.arpa";
    const hosts = [170, 171];
    this.#addZone(name);
    const encode = (type: "A" | "AAAA", data: string): Uint8Array => record.encode({ name, type, ttl: TTL, data });
    this.#put(
      name,
      Type.a,
      hosts.map((host) => encode("A", `192.0.0.${host}`)),
    );
    this.#put(
      name,
      Type.aaaa,
      hosts.map((host) => encode("AAAA", formatAddress(dns64.embed(Uint8Array.of(192, 0, 0, host))))),
    );
    for (const host of hosts) this.#putPointer(`${host}.0.0.192.in-addr.arpa`, name);
  }

  #own(address: Address, name: string, layer: Layer | null): void {
    const owners = (this.#owners.get(address) ?? []).filter((each) => each.name !== name);
    if (layer !== null) owners.push({ name, layer });
    owners.sort((a, b) => a.layer - b.layer); // stable: first come, first served
    const [first] = owners;
    if (first) this.#owners.set(address, owners);
    else this.#owners.delete(address);
    if (first) this.#putPointer(reverseName(address), first.name);
    else this.#put(reverseName(address), Type.ptr, []);
  }

  #putPointer(name: string, target: string): void {
    this.#put(name, Type.ptr, [record.encode({ name, type: "PTR", ttl: TTL, data: target })]);
  }

  /** All records of a name and type. Their owner is written as a pointer to the question: EDK2 takes the first two bytes of an answer for one. */
  #put(name: string, type: number, all: readonly Uint8Array[]): void {
    const wire = toWire(name);
    const records = this.#records.get(wire) ?? new Map<number, readonly Uint8Array[]>();
    const was = records.size;
    const owned = all.map((each) => Buffer.concat([POINTER_TO_QUESTION, each.subarray(wire.length)]));
    if (all.length > 0) records.set(type, owned);
    else records.delete(type);
    if (records.size > 0) this.#records.set(wire, records);
    else this.#records.delete(wire);
    if (was > 0 === records.size > 0) return;
    for (let at = 0; at < wire.length - 1; at += wire.charCodeAt(at) + 1) {
      const above = wire.slice(at);
      const count = (this.#below.get(above) ?? 0) + (was > 0 ? -1 : 1);
      if (count > 0) this.#below.set(above, count);
      else this.#below.delete(above);
    }
  }
}

function effective(claims: readonly (readonly Address[] | undefined)[]): { layer: Layer; addresses: readonly Address[] } {
  for (const layer of [Layer.records, Layer.machines]) {
    const addresses = claims[layer];
    if (addresses) return { layer, addresses };
  }
  return { layer: Layer.machines, addresses: [] };
}

const LOCALHOST = toWire("localhost");

/** The SOA of an empty zone (RFC 6303 §3); its times bound how long a denial is kept. */
function soaRecord(zone: string): Uint8Array {
  const soa = { mname: "localhost", rname: "nobody.invalid", serial: 1, refresh: 3600, retry: 1200, expire: 604_800, minimum: TTL };
  const [, ...rest] = record.encode({ name: ".", type: "SOA", ttl: TTL, data: soa });
  return Buffer.concat([Buffer.from(zone, "latin1"), Buffer.from(rest)]);
}
