/**
 * Which address a machine gets. The choice is a pure function of what is leased, who asks and the network; a machine asks
 * under other DUIDs and IAIDs at each stage of its boot and keeps its address through all of them.
 */
import { createHash } from "node:crypto";
import { type Address, addressToBigInt, bigIntToAddress, eui64Address, type Mac, type Prefix, prefixContains } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { bindingKey, type Lease } from "./lease.ts";

export interface AddressRequest {
  readonly network: Network;
  readonly machine: string;
  readonly mac: Mac | null;
  readonly duid: string;
  readonly iaid: number;
  /** Firmware or iPXE: its IAID is new at each boot, so it takes over what its machine has. */
  readonly bootClient: boolean;
  /** The address that the configuration reserves for it on this network. */
  readonly reserved: Address | null;
  /** Addresses the client asks for. */
  readonly hints: readonly Address[];
  /** Given to other IAs of the same message. */
  readonly taken: ReadonlySet<Address>;
  /** Unix seconds. */
  readonly now: number;
}

export type Allocation =
  | { readonly address: Address; readonly why: string /** the binding it takes the address over from */; readonly supersedes: Lease | null }
  | { readonly address: null; readonly why: string };

const OFFER_SECONDS = 30;
const DECLINE_SECONDS = 24 * 3600;

export class Leases {
  readonly #byAddress = new Map<Address, Lease>();
  readonly #addressByBinding = new Map<string, Address>();
  readonly #byMachine = new Map<string, Set<Address>>();
  /** Addresses advertised and not yet requested, so that two machines are not offered the same one. */
  readonly #offers = new Map<Address, { machine: string; until: number }>();
  /** Addresses that machines of the configuration reserve. */
  #reserved = new Map<Address, string>();
  /** By network: where the last search of a crowded pool ended. */
  readonly #searched = new Map<string, { at: bigint }>();

  constructor(stored: readonly Lease[] = []) {
    // Where a binding moved to another address, that one is put last and is its own.
    const bound = (lease: Lease): number => Number(lease.state === "bound");
    for (const lease of stored.toSorted((a, b) => bound(a) - bound(b) || a.validUntil - b.validUntil)) this.put(lease);
  }

  /** Takes the reservations of a configuration: address -> machine id. */
  reserve(reserved: ReadonlyMap<Address, string>): void {
    this.#reserved = new Map(reserved);
  }

  all(): IterableIterator<Lease> {
    return this.#byAddress.values();
  }

  byAddress(address: Address): Lease | undefined {
    return this.#byAddress.get(address);
  }

  /** The lease of one identity association, in whatever state. */
  byBinding(network: string, duid: string, iaid: number): Lease | undefined {
    const address = this.#addressByBinding.get(bindingKey(network, duid, iaid));
    return address === undefined ? undefined : this.#byAddress.get(address);
  }

  ofMachine(machine: string): Lease[] {
    return [...(this.#byMachine.get(machine) ?? [])].flatMap((address) => this.#byAddress.get(address) ?? []);
  }

  put(lease: Lease): void {
    const before = this.#byAddress.get(lease.address);
    if (before) {
      const key = bindingKey(before.network, before.duid, before.iaid);
      if (this.#addressByBinding.get(key) === before.address) this.#addressByBinding.delete(key);
      if (before.machine !== lease.machine) this.#byMachine.get(before.machine)?.delete(before.address);
    }
    this.#byAddress.set(lease.address, lease);
    this.#addressByBinding.set(bindingKey(lease.network, lease.duid, lease.iaid), lease.address);
    const addresses = this.#byMachine.get(lease.machine);
    if (addresses) addresses.add(lease.address);
    else this.#byMachine.set(lease.machine, new Set([lease.address]));
    this.#offers.delete(lease.address);
  }

  /** Keeps an advertised address for the machine a little while. */
  offer(address: Address, machine: string, now: number): void {
    // The oldest stand first, so that those that are over are found without a look at all.
    for (const [key, offer] of this.#offers) {
      if (offer.until > now) break;
      this.#offers.delete(key);
    }
    this.#offers.delete(address);
    this.#offers.set(address, { machine, until: now + OFFER_SECONDS });
  }

  choose(request: AddressRequest): Allocation {
    const { network } = request;
    const pool = network.dhcp?.pool;
    if (!network.dhcp || !pool || (pool.kind === "none" && request.reserved === null))
      return { address: null, why: `network ${network.name} leases no addresses` };

    // Its own binding, whatever became of the pool since, as long as the prefix is the same.
    const bound = this.byBinding(network.name, request.duid, request.iaid);
    if (
      bound &&
      bound.state !== "declined" &&
      bound.machine === request.machine &&
      prefixContains(network.prefix, bound.address) &&
      !request.taken.has(bound.address) &&
      this.#ownerOr(bound.address, request.machine) === request.machine
    ) {
      if (request.reserved === null || request.reserved === bound.address || !this.#mayHave(request.reserved, request))
        return { address: bound.address, why: "the address it has", supersedes: null };
    }

    let other: Address | null = null;
    for (const { address, why, own } of candidates(request, poolCandidates(request, this.#cursor(network.name)))) {
      if (!this.#mayHave(address, request)) continue;
      const lease = this.#byAddress.get(address);
      if (!lease || lease.machine === request.machine || own) {
        const another = lease && (lease.duid !== request.duid || lease.iaid !== request.iaid) && lease.machine === request.machine;
        const supersedes = another && lease.state === "bound" ? lease : null;
        return { address, why, supersedes };
      }
      other ??= address; // another machine's, released or expired: only when nothing else is free
    }
    if (other !== null) return { address: other, why: "none is free that nobody had before", supersedes: null };
    return { address: null, why: `the pool of network ${network.name} is full` };
  }

  /** Whether the address may be given to this request at all. */
  #mayHave(address: Address, request: AddressRequest): boolean {
    const { now, network } = request;
    // The first address of a prefix is every router's (RFC 4291 §2.6.1).
    if (request.taken.has(address) || address === network.address || address === network.prefix.address) return false;
    if (this.#ownerOr(address, request.machine) !== request.machine) return false;
    const offer = this.#offers.get(address);
    if (offer && offer.machine !== request.machine && offer.until > now) return false;
    const lease = this.#byAddress.get(address);
    if (!lease || lease.validUntil <= now) return true;
    if (lease.state === "declined") return false;
    if (lease.machine !== request.machine) return lease.state === "released";
    // Its machine's: a new stage (another DUID) and a boot client take it over, a second IA of one system does not.
    return lease.state === "released" || lease.duid !== request.duid || lease.iaid === request.iaid || request.bootClient;
  }

  /** The machine that the address is reserved for; else `machine`. */
  #ownerOr(address: Address, machine: string): string {
    return this.#reserved.get(address) ?? machine;
  }

  #cursor(network: string): { at: bigint } {
    const cursor = this.#searched.get(network) ?? { at: 0n };
    this.#searched.set(network, cursor);
    return cursor;
  }

  /** Binds the address: the leases to store, its own first. The caller stores them, then answers. */
  bind(address: Address, request: AddressRequest, valid: number): Lease[] {
    const before = this.#byAddress.get(address);
    const moved = this.byBinding(request.network.name, request.duid, request.iaid);
    const lease: Lease = {
      address,
      network: request.network.name,
      machine: request.machine,
      duid: request.duid,
      iaid: request.iaid,
      state: "bound",
      validUntil: request.now + valid,
      since: before?.machine === request.machine ? before.since : request.now,
    };
    // Released first: what is put last is the binding's address.
    const left = moved && moved.address !== address && moved.machine === request.machine && moved.state === "bound";
    const released = left ? [this.release(moved)] : [];
    this.put(lease);
    return [lease, ...released];
  }

  /** Takes over what another id of the same machine has; the leases to store. */
  rename(from: string, to: string): Lease[] {
    const renamed = this.ofMachine(from).map((lease) => ({ ...lease, machine: to }));
    for (const lease of renamed) this.put(lease);
    this.#byMachine.delete(from);
    for (const [address, offer] of this.#offers) if (offer.machine === from) this.#offers.set(address, { ...offer, machine: to });
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

/** So many addresses are looked at from the hashed one on, then so many from where the last search ended: a look at the whole of a full pool would hold up every other answer. */
const HASHED_STEPS = 64n;
const SEARCH_STEPS = 1024n;

interface Candidate {
  readonly address: Address;
  readonly why: string;
  /** Nobody else's by right: taken even where another machine had it before. */
  readonly own: boolean;
}

function* candidates(request: AddressRequest, pool: Iterable<Address>): Generator<Candidate> {
  const { network, mac, reserved } = request;
  if (reserved !== null) yield { address: reserved, why: "reserved for it in the configuration", own: true };
  const { autonomous, kind } = { autonomous: isAutonomous(network), kind: network.dhcp?.pool.kind };
  if (kind === "auto" && autonomous && mac !== null && network.prefix.length <= 64)
    yield { address: eui64Address(network.prefix, mac), why: "the address it forms itself from its MAC (SLAAC)", own: true };
  const range = poolRange(network);
  for (const hint of request.hints) if (range && inRange(range, hint)) yield { address: hint, why: "the address it asked for", own: false };
  for (const address of pool) yield { address, why: "by its identity, from the pool", own: false };
}

const isAutonomous = (network: Network): boolean => {
  if (network.advertise === "observe" || network.advertise === null) return network.relayed;
  return network.advertise.autonomous;
};

type Range = Pick<Prefix, "first" | "last">;

/** The pool's lowest and highest address. `auto`: ::1000 to ::ffff of the prefix. */
function poolRange(network: Network): Range | null {
  const pool = network.dhcp?.pool;
  if (!pool || pool.kind === "none") return null;
  if (pool.kind === "range") return { first: addressToBigInt(pool.first), last: addressToBigInt(pool.last) };
  const { first, last } = network.prefix;
  const high = first + 0xffffn;
  return { first: first + 0x1000n > last ? first : first + 0x1000n, last: high > last ? last : high };
}

const inRange = (range: Range, address: Address): boolean => {
  const value = addressToBigInt(address);
  return value >= range.first && value <= range.last;
};

/**
 * The pool's addresses from the one that the identity hashes to, so that it is the same even after the store was lost. In a
 * crowded pool many searches together see all of it.
 */
function* poolCandidates(request: AddressRequest, cursor: { at: bigint }): Generator<Address> {
  const range = poolRange(request.network);
  if (!range) return;
  const size = range.last - range.first + 1n;
  const address = (place: bigint): Address => bigIntToAddress(range.first + (place % size));
  const identity = request.mac ?? request.machine;
  const start = createHash("sha256").update(identity).digest().readBigUInt64BE() % size;
  for (let i = 0n; i < size && i < HASHED_STEPS; i++) yield address(start + i);
  for (let i = 0n; i < size && i < SEARCH_STEPS; i++) yield address(cursor.at++);
}
