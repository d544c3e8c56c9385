/**
 * Which address or prefix a machine gets. The choice is a pure function of what is leased, who asks and the network; a machine asks
 * under other DUIDs and IAIDs at each stage of its boot and keeps what it has through all of them.
 */
import { type Address, Chain, type Linked, type Mac, prefixContains } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { addressCandidates } from "./candidates.ts";
import { isLive, isPrefix, type Lease } from "./lease.ts";
import { isDelegated, prefixCandidates, prefixesOverlap } from "./prefixes.ts";

/** Who asks for an address (IA_NA) or a prefix (IA_PD). All that is leased is text; a prefix has its length. */
export interface LeaseRequest {
  readonly kind: "address" | "prefix";
  readonly network: Network;
  readonly machine: string;
  readonly mac: Mac | null;
  /** The MAC of the very interface that asks; null where only a DUID tells one. */
  readonly interfaceMac: Mac | null;
  readonly duid: string;
  readonly iaid: number;
  /** Firmware or iPXE: its IAID is new at each boot, so it takes over what its machine has. */
  readonly bootClient: boolean;
  /** What the configuration reserves for it on this network. */
  readonly reserved: Address | null;
  /** What the client asks for. */
  readonly hints: readonly Address[];
  /** The name that it claims, whole; null: none, or none that it may have. */
  readonly hostname: string | null;
  /** Given to other IAs of the same message. */
  readonly taken: ReadonlySet<Address>;
  /** Unix seconds. */
  readonly now: number;
}

/** What tells one identity association from another. */
export type BindingOf = Pick<LeaseRequest, "kind" | "network" | "machine" | "interfaceMac" | "duid" | "iaid" | "hints">;

export type Allocation =
  | { readonly address: Address; readonly why: string /** the binding it takes it over from */; readonly supersedes: Lease | null }
  | { readonly address: null; readonly why: string };

interface Offer {
  readonly machine: string;
  readonly mac: Mac | null;
  /** Unix seconds. */
  readonly until: number;
}

/**
 * All that stands at one address. It is one record, which leases and offers come to and leave: a Map out of which keys are taken as
 * fast as others come keeps each of its former tables, and what was in them, alive until the next full collection.
 */
interface Place extends Linked<Place> {
  readonly address: Address;
  /** Null while it is only offered. */
  lease: Lease | null;
  /** Advertised and not yet requested, so that two machines are not offered the same address. */
  offer: Offer | null;
  /** What was put and is not known to be stored yet, the newest last; and what stands on disk in its place, null for nothing. */
  unstored: { onDisk: Lease | null; readonly put: Lease[] } | null;
}

const OFFER_SECONDS = 30;
/** How many bindings a lease remembers to have taken the place of: more than a boot has stages. */
const MAX_SUPERSEDED = 8;
const DECLINE_SECONDS = 24 * 3600;

export class Leases {
  readonly #places = new Map<Address, Place>();
  /** Those with an offer, the oldest first. */
  readonly #offered = new Chain<Place>();
  /** Each machine's, what was put last at the end. */
  readonly #byMachine = new Map<string, Place[]>();
  #changes = 0;
  /** The addresses whose clients claim, or claimed, a name. */
  readonly #byName = new Map<string, Set<Address>>();
  /** What machines of the configuration reserve. */
  #reserved = new Map<Address, string>();
  /** By network and kind: where the last search of a crowded pool ended. */
  readonly #searched = new Map<string, { at: number }>();
  /** The prefixes that were ever leased, by their length. */
  readonly #prefixes = new Map<string, Set<string>>();

  constructor(stored: readonly Lease[] = []) {
    // Where a binding moved to another address, that one is put last and is its own.
    const bound = (lease: Lease): number => Number(lease.state === "bound");
    for (const lease of stored.toSorted((a, b) => bound(a) - bound(b) || a.validUntil - b.validUntil))
      this.#place(this.#placeOf(lease.address, lease.machine), lease);
  }

  /** Takes the reservations of a configuration: address or prefix -> machine id. */
  reserve(reserved: ReadonlyMap<Address, string>): void {
    this.#reserved = new Map(reserved);
  }

  *all(): Generator<Lease> {
    for (const { lease } of this.#places.values()) if (lease) yield lease;
  }

  /** Grows whenever a lease begins, ends or changes hands or name; not where it is merely renewed. */
  get changes(): number {
    return this.#changes;
  }

  byAddress(address: Address): Lease | undefined {
    return this.#places.get(address)?.lease ?? undefined;
  }

  /** By way of the machine that it is likely to be: who comes again is looked up once, where each look is a wait for memory. */
  #placeNear(address: Address, machine: string): Place | undefined {
    return this.#byMachine.get(machine)?.find((place) => place.address === address) ?? this.#places.get(address);
  }

  #placeOf(address: Address, machine: string): Place {
    let place = this.#placeNear(address, machine);
    if (!place) {
      place = { address, lease: null, offer: null, unstored: null, older: null, newer: null };
      this.#places.set(address, place);
    }
    return place;
  }

  /** The lease of one identity association, in whatever state: the one that was put last, where it moved. */
  byBinding(of: BindingOf): Lease | undefined {
    const places = this.#byMachine.get(of.machine);
    if (!places) return undefined;
    for (let i = places.length - 1; i >= 0; i--) {
      const lease = places[i]?.lease;
      if (!lease || !isBinding(lease, of) || lease.network !== of.network.name) continue;
      if (isPrefix(lease.address) === (of.kind === "prefix") && !isOtherInterface(lease, of)) return lease;
    }
    return undefined;
  }

  ofMachine(machine: string): Lease[] {
    return (this.#byMachine.get(machine) ?? []).flatMap(({ lease }) => lease ?? []);
  }

  /** The caller stores it, and says what became of that: `stored` or `takeBack`. */
  put(lease: Lease): void {
    this.#put(this.#placeOf(lease.address, lease.machine), lease);
  }

  #put(place: Place, lease: Lease): void {
    if (place.unstored) place.unstored.put.push(lease);
    else place.unstored = { onDisk: place.lease, put: [lease] };
    this.#place(place, lease);
  }

  /** They are on disk, and with them what was put before them. */
  stored(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const place = this.#placeNear(lease.address, lease.machine);
      const at = place?.unstored?.put.indexOf(lease) ?? -1;
      if (!place?.unstored || at < 0) continue;
      place.unstored.onDisk = lease;
      place.unstored.put.splice(0, at + 1);
      if (place.unstored.put.length === 0) place.unstored = null;
    }
  }

  /** They could not be stored: what was put before them and is still under way holds again, else what is on disk. */
  takeBack(leases: readonly Lease[]): void {
    for (const lease of leases) {
      const place = this.#placeNear(lease.address, lease.machine);
      const at = place?.unstored?.put.indexOf(lease) ?? -1;
      if (!place?.unstored || at < 0) continue;
      const { put, onDisk } = place.unstored;
      put.splice(at, 1);
      if (put.length === 0) place.unstored = null;
      if (place.lease !== lease) continue;
      const before = put.at(-1) ?? onDisk;
      if (before) {
        this.#place(place, before);
      } else {
        this.#forgetName(lease);
        this.#forgetMachine(place, lease.machine);
        place.lease = null;
        this.#changes++;
        this.#leaveIfEmpty(place);
      }
    }
  }

  #leaveIfEmpty({ address, lease, offer }: Place): void {
    if (lease === null && offer === null) this.#places.delete(address);
  }

  #place(place: Place, lease: Lease): void {
    const { address, machine } = lease;
    const before = place.lease;
    if (before?.machine !== machine || before.state !== lease.state || before.hostname !== lease.hostname) this.#changes++;
    if (before) this.#forgetName(before);
    if (!before && isPrefix(address)) this.#addPrefix(address);
    this.#indexMachine(place, machine);
    place.lease = lease;
    if (lease.hostname !== undefined) {
      const same = this.#byName.get(lease.hostname);
      if (same) same.add(address);
      else this.#byName.set(lease.hostname, new Set([address]));
    }
    this.#endOffer(place);
  }

  /** It comes last of the machine's. What is renewed, as most leases are, leaves the index as it is. */
  #indexMachine(place: Place, machine: string): void {
    const places = this.#byMachine.get(machine);
    if (places?.length === 1 && places[0] === place) return;
    if (place.lease) this.#forgetMachine(place, place.lease.machine);
    const others = this.#byMachine.get(machine);
    if (others) others.push(place);
    else this.#byMachine.set(machine, [place]);
  }

  /** The machine that has the name, by claiming it first; undefined where none has. */
  claimant(hostname: string, now: number): string | undefined {
    for (const address of this.#byName.get(hostname) ?? []) {
      const lease = this.byAddress(address);
      if (lease && isLive(lease, now)) return lease.machine;
    }
    return undefined;
  }

  #forgetName({ hostname, address }: Lease): void {
    if (hostname === undefined) return;
    const addresses = this.#byName.get(hostname);
    addresses?.delete(address);
    if (addresses?.size === 0) this.#byName.delete(hostname);
  }

  #forgetMachine(place: Place, machine: string): void {
    const places = this.#byMachine.get(machine) ?? [];
    if (places.length <= 1) this.#byMachine.delete(machine);
    else places.splice(places.indexOf(place), 1);
  }

  /** Keeps an advertised address for the interface that asked a little while. */
  offer(address: Address, { machine, interfaceMac: mac, now }: Pick<LeaseRequest, "machine" | "interfaceMac" | "now">): void {
    for (let oldest = this.#offered.oldest; oldest?.offer && oldest.offer.until <= now; oldest = this.#offered.oldest) {
      this.#endOffer(oldest);
      this.#leaveIfEmpty(oldest);
    }
    const place = this.#placeOf(address, machine);
    place.offer = { machine, mac, until: now + OFFER_SECONDS };
    this.#offered.append(place);
  }

  #endOffer(place: Place): void {
    place.offer = null;
    this.#offered.delete(place);
  }

  choose(request: LeaseRequest): Allocation {
    const chosen = this.#choose(request);
    const { reserved } = request;
    if (reserved === null || chosen.address === reserved) return chosen;
    return { ...chosen, why: `${chosen.why}; ${reserved} is reserved for it, and ${this.#holder(reserved, request)}` };
  }

  /** Who has a reserved address that its machine is not given now. */
  #holder(reserved: Address, request: LeaseRequest): string {
    const lease = this.byAddress(reserved);
    if (request.taken.has(reserved)) return "another IA of the message has it";
    if (lease?.state === "declined") return "it rests, as a client found another host on it";
    if (lease && lease.machine !== request.machine) return `machine ${lease.machine} has it`;
    if (lease && isOtherInterface(lease, request)) return `its interface ${lease.mac} has it`;
    return lease && isLive(lease, request.now) ? "another IA of it has it" : "another of its interfaces is offered it";
  }

  #choose(request: LeaseRequest): Allocation {
    const { kind, network } = request;
    if (!leasesAny(request))
      return { address: null, why: kind === "prefix" ? "no prefixes are delegated" : `network ${network.name} leases no addresses` };

    // Its own binding, whatever became of the pool since, as long as it is of this network.
    const bound = this.byBinding(request);
    if (
      bound &&
      bound.state !== "declined" &&
      belongs(bound.address, request) &&
      !request.taken.has(bound.address) &&
      this.#ownerOr(bound.address, request.machine) === request.machine &&
      !this.#liesAcross(bound.address, request)
    ) {
      if (
        request.reserved === null ||
        request.reserved === bound.address ||
        !this.#mayHave(request.reserved, this.#places.get(request.reserved), request)
      )
        return { address: bound.address, why: `the ${kind} it has`, supersedes: null };
    }

    let other: Address | null = null;
    const candidates = kind === "prefix" ? prefixCandidates : addressCandidates;
    for (const { address, why, own } of candidates(request, this.#cursor(`${kind} ${network.name}`))) {
      const place = this.#places.get(address);
      if (!this.#mayHave(address, place, request)) continue;
      const lease = place?.lease;
      if (!lease || isOwn(lease, request) || own) return { address, why, supersedes: lease && isSuperseded(lease, request) ? lease : null };
      other ??= address; // another's, released or expired: only when nothing else is free
    }
    if (other !== null) return { address: other, why: "none was found free that nobody had before", supersedes: null };
    return { address: null, why: `${kind === "prefix" ? "the delegated prefix" : "the pool"} of network ${network.name} is full` };
  }

  /** Whether the address, at which that stands, may be given to this request at all. */
  #mayHave(address: Address, place: Place | undefined, request: LeaseRequest): boolean {
    const { now, network } = request;
    // The first address of a prefix is every router's (RFC 4291 §2.6.1).
    if (request.taken.has(address) || address === network.address || address === network.prefix.address) return false;
    if (this.#ownerOr(address, request.machine) !== request.machine) return false;
    if (this.#liesAcross(address, request)) return false;
    if (!place) return true;
    const { offer, lease } = place;
    if (offer && offer.until > now && !isSameInterface(offer, request)) return false;
    if (!lease || lease.validUntil <= now) return true;
    if (lease.state === "declined") return false;
    if (!isOwn(lease, request)) return lease.state === "released";
    // Its interface's: a new stage (another DUID) and a boot client take it over, a second IA of one system does not.
    return lease.state === "released" || lease.duid !== request.duid || lease.iaid === request.iaid || request.bootClient;
  }

  /** The machine that the address is reserved for; else `machine`. */
  #ownerOr(address: Address, machine: string): string {
    return this.#reserved.get(address) ?? machine;
  }

  /** Whether another machine has a prefix of another length there: delegated before the configuration changed. */
  #liesAcross(prefix: string, { kind, machine, now }: LeaseRequest): boolean {
    if (kind !== "prefix") return false;
    const length = lengthOf(prefix);
    for (const [otherLength, others] of this.#prefixes) {
      if (otherLength === length) continue;
      for (const other of others) {
        const lease = this.byAddress(other);
        if (lease?.state === "bound" && lease.validUntil > now && lease.machine !== machine && prefixesOverlap(prefix, other)) return true;
      }
    }
    return false;
  }

  #addPrefix(prefix: string): void {
    const same = this.#prefixes.get(lengthOf(prefix));
    if (same) same.add(prefix);
    else this.#prefixes.set(lengthOf(prefix), new Set([prefix]));
  }

  #cursor(search: string): { at: number } {
    let cursor = this.#searched.get(search);
    if (!cursor) {
      cursor = { at: 0 };
      this.#searched.set(search, cursor);
    }
    return cursor;
  }

  /** Binds the address or prefix: the leases to store, its own first. The caller stores them, then answers. */
  bind(address: Address, request: LeaseRequest, valid: number): Lease[] {
    const place = this.#placeOf(address, request.machine);
    const before = place.lease ?? undefined;
    const moved = this.byBinding(request);
    // A client that says nothing of its name when it renews keeps it; another stage has none.
    const hostname = request.hostname ?? (moved?.address === address ? moved.hostname : undefined);
    const mac = request.interfaceMac ?? (before && isBinding(before, request) ? before.mac : undefined);
    const lease: { -readonly [Key in keyof Lease]: Lease[Key] } = {
      address,
      network: request.network.name,
      machine: request.machine,
      duid: request.duid,
      iaid: request.iaid,
      state: "bound",
      validUntil: request.now + valid,
      since: before?.machine === request.machine ? before.since : request.now,
    };
    if (hostname !== undefined) lease.hostname = hostname;
    if (mac !== undefined) lease.mac = mac;
    const superseded = supersededBy(request, before);
    if (superseded.length > 0) lease.superseded = superseded;
    // Released first: what is put last is the binding's address.
    const left = moved && moved.address !== address && moved.state === "bound";
    const released = left ? this.release(moved) : null;
    this.#put(place, lease);
    return released ? [lease, released] : [lease];
  }

  /** Takes over what another id of the same machine has; the leases to store. */
  rename(from: string, to: string): Lease[] {
    const renamed = this.ofMachine(from).map((lease) => ({ ...lease, machine: to }));
    for (const lease of renamed) this.#place(this.#placeOf(lease.address, lease.machine), lease);
    for (let place = this.#offered.oldest; place; place = place.newer)
      if (place.offer?.machine === from) place.offer = { ...place.offer, machine: to };
    return renamed;
  }

  release(lease: Lease): Lease {
    const released: Lease = { ...lease, state: "released" };
    this.put(released);
    return released;
  }

  /** The client found another host on the address (RFC 9915 §18.3.8): it rests for a day. */
  decline(lease: Lease, now: number): Lease {
    const declined: Lease = { ...lease, state: "declined", validUntil: now + DECLINE_SECONDS };
    this.put(declined);
    return declined;
  }
}

/** Whether what that interface has, or is offered, is the asking one's, as far as both MACs are known. */
const isSameInterface = (
  has: { readonly machine: string; readonly mac?: Mac | null },
  asks: Pick<LeaseRequest, "machine" | "interfaceMac">,
) => has.machine === asks.machine && (!has.mac || asks.interfaceMac === null || has.mac === asks.interfaceMac);

const isBinding = (lease: Lease, { duid, iaid }: Pick<LeaseRequest, "duid" | "iaid">): boolean =>
  lease.duid === duid && lease.iaid === iaid;

/** Two cards of one machine have leases of their own. A binding that its client names stays with it: a bond speaks from either card. */
const isOtherInterface = (lease: Lease, request: Pick<LeaseRequest, "machine" | "interfaceMac" | "duid" | "iaid" | "hints">): boolean =>
  !isSameInterface(lease, request) && !(isBinding(lease, request) && request.hints.includes(lease.address));

const isOwn = (lease: Lease, request: LeaseRequest): boolean => lease.machine === request.machine && !isOtherInterface(lease, request);

/** Whether a lease gives way to another identity of the interface that has it. */
const isSuperseded = (lease: Lease, request: LeaseRequest): boolean =>
  lease.state === "bound" && lease.machine === request.machine && !isBinding(lease, request);

/** The bindings that had the address before, of the same machine. */
function supersededBy(request: LeaseRequest, before: Lease | undefined): NonNullable<Lease["superseded"]> {
  if (before?.machine !== request.machine) return NONE;
  const earlier = (before.superseded ?? NONE).filter(({ duid, iaid }) => duid !== request.duid || iaid !== request.iaid);
  if (isSuperseded(before, request)) earlier.push({ duid: before.duid, iaid: before.iaid });
  return earlier.slice(-MAX_SUPERSEDED);
}

const NONE: NonNullable<Lease["superseded"]> = [];

const lengthOf = (prefix: string): string => prefix.slice(prefix.indexOf("/"));

function leasesAny({ kind, network: { dhcp }, reserved }: LeaseRequest): boolean {
  if (!dhcp) return false;
  return reserved !== null || (kind === "prefix" ? dhcp.delegate !== null : dhcp.pool.kind !== "none");
}

/** Whether it may still be that network's, after the configuration changed. */
const belongs = (leased: string, { kind, network, reserved }: LeaseRequest): boolean =>
  kind === "address" ? prefixContains(network.prefix, leased) : leased === reserved || isDelegated(network.dhcp?.delegate, leased);
