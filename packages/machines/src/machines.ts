/**
 * The registry: who is asking. One machine, many DUIDs: firmware, iPXE, installer and system each bring their own, so a
 * machine is known by its MAC first (docs/adr/0003-identity.md).
 */
import { randomBytes } from "node:crypto";
import { Chain, isPlaceholderUuid, type Linked, type Mac, readDuid } from "@netboot6/codec";
import type { MachineConfig } from "@netboot6/config";
import { Configured, macOfId, newId, portName } from "./configured.ts";
import { learn, type Shown } from "./learn.ts";
import { MacSource } from "./mac-source.ts";
import { type Evidence, type Machine, NOBODY } from "./machine.ts";

export interface Identified {
  readonly machine: Machine;
  /** The interface that asked; null where only a DUID or UUID is known. */
  readonly mac: Mac | null;
  /** Whether the link or a relay told that MAC: a DUID may carry the one of the machine's other card. */
  readonly onLink: boolean;
  /** What decided, e.g. `MAC from the link-local address`. */
  readonly why: string;
  /** What was not known of it before; empty where nothing changed. */
  readonly learned: readonly string[];
  /** Machines that are to be stored. */
  readonly changed: readonly Machine[];
}

/** What anyone on a link can fill by making identities up is bounded. */
const MAX_STRANGERS = 10_000;
const MAX_SHARED = 10_000;
/** Nobody changes a card faster: another card with the same UUID within this time is another machine's. */
const CARD_CHANGE_MS = 600_000;

export interface Renamed {
  readonly from: string;
  readonly machine: Machine;
}

/** A machine as it is now. Each index leads straight to it: at 100,000 machines every look into a map is a wait for memory. */
interface Known extends Linked<Known> {
  machine: Machine;
  /** Unix milliseconds of its last message since the start; -Infinity: none yet. */
  seenAt: number;
  /** When it came to the end of the queue of strangers. */
  queuedAt: number;
}

export class Machines {
  /** In the order they were met. */
  readonly #all = new Set<Known>();
  /** Those whose id is not made of one of their MACs; the others are found by that MAC, which saves nearly all of them a second index. */
  readonly #byOtherId = new Map<string, Known>();
  readonly #byMac = new Map<Mac, Known>();
  readonly #byUuid = new Map<string, Known>();
  readonly #byDuid = new Map<string, Known>();
  readonly #byToken = new Map<string, Known>();
  /** UUIDs and DUIDs that two machines showed: they tell neither. */
  readonly #shared = new Set<string>();
  readonly #macSource = new MacSource();
  /** Those that were only met: neither configured nor installing nor installed. */
  readonly #strangers = new Chain<Known>();
  #configured = new Configured([]);

  /** `stored`: the machines of an earlier run. */
  constructor(configured: readonly MachineConfig[], stored: readonly Machine[] = []) {
    // What older versions stored has neither ports nor `met`.
    for (const machine of stored) this.#put({ ...machine, ports: machine.ports ?? [], met: machine.met ?? true });
    this.configure(configured);
  }

  /**
   * Takes the machines of a new configuration; what was learned stays. One that was known before it was given its name goes on
   * under it: else it would be another machine, without its address, and would be installed again.
   */
  configure(machines: readonly MachineConfig[]): Renamed[] {
    this.#configured = new Configured(machines);
    const renamed: Renamed[] = [];
    for (const [id, config] of this.#configured.entries()) {
      const known = this.#known(id) ? undefined : this.#knownAs(config);
      if (known && !this.#configured.get(known.id)) {
        this.#remove(known);
        const machine = { ...known, id };
        this.#put(machine);
        renamed.push({ from: known.id, machine });
      }
    }
    for (const id of this.#configured.ids()) {
      const known = this.#known(id);
      if (known) this.#strangers.delete(known);
    }
    return renamed;
  }

  /** Forgets strangers that were met long ago, where they are too many; their ids. Those that `hasLease` are none. */
  forgetStrangers(hasLease: (id: string) => boolean): string[] {
    const forgotten: string[] = [];
    while (this.#strangers.size > MAX_STRANGERS) {
      const known = this.#strangers.oldest as Known;
      const { machine, seenAt, queuedAt } = known;
      this.#strangers.delete(known);
      if (hasLease(machine.id)) continue;
      if (seenAt > queuedAt) {
        known.queuedAt = seenAt;
        this.#strangers.append(known);
        continue;
      }
      this.#remove(machine);
      forgotten.push(machine.id);
    }
    return forgotten;
  }

  *all(): Generator<Machine> {
    for (const { machine } of this.#all) yield machine;
  }

  /** The machines of the configuration, by id. */
  configured(): IterableIterator<[id: string, config: MachineConfig]> {
    return this.#configured.entries();
  }

  byId(id: string): Machine | undefined {
    return this.#known(id)?.machine;
  }

  #known(id: string): Known | undefined {
    const mac = macOfId(id);
    const known = mac === null ? undefined : this.#byMac.get(mac);
    return known?.machine.id === id ? known : this.#byOtherId.get(id);
  }

  byMac(mac: Mac): Machine | undefined {
    return this.#byMac.get(mac)?.machine;
  }

  /** Undefined also where several machines show it. */
  byUuid(uuid: string): Machine | undefined {
    return this.#toldBy(this.#byUuid, uuid);
  }

  #toldBy(index: ReadonlyMap<string, Known>, identity: string | undefined): Machine | undefined {
    const known = identity === undefined ? undefined : index.get(identity);
    return known && !this.#shared.has(identity as string) ? known.machine : undefined;
  }

  byToken(token: string): Machine | undefined {
    return this.#byToken.get(token)?.machine;
  }

  /** What the configuration says of a machine. */
  config(id: string): MachineConfig | undefined {
    return this.#configured.get(id);
  }

  /** Addresses and prefixes (with their length) that the configuration keeps, and whose they are. */
  reservations(): Map<string, string> {
    return this.#configured.reservations();
  }

  /** The machine that the configuration names by this MAC or UUID, met or not. */
  expects({ mac, uuid }: { readonly mac?: Mac; readonly uuid?: string }): string | undefined {
    return this.#configured.find(undefined, mac ?? null, uuid === undefined ? [] : [uuid], undefined)?.id;
  }

  /** Finds the machine that the evidence points to, or makes it known. Null where there is no evidence at all. */
  identify(evidence: Evidence, now: number): Identified | null {
    const changed: Machine[] = [];
    const shown = this.#read(evidence, now, changed);
    const { mac, onLink, uuids } = shown;
    const configured = this.#configured.find(evidence.duid, mac, uuids, evidence.port);
    const found = configured ? { machine: this.byId(configured.id), why: configured.why } : this.#find(shown, now);
    if (!found) return null;
    const known = found.machine;
    const before = known ?? this.#begin(configured?.id ?? newId(mac, uuids[0], evidence.duid), now);
    const learned: string[] = [];
    const indexed = mac === null ? undefined : this.#byMac.get(mac);
    const hasMac = indexed?.machine === before;
    const newMac = mac !== null && !hasMac && !before.macs.includes(mac) && this.#mayOwn(before, mac, "newCard" in found) ? mac : null;
    const machine = learn(before, shown, newMac, this.config(before.id)?.uuid ?? null, learned);
    const took = mac !== null && !hasMac && machine.macs.includes(mac) && this.#takeFromOthers(mac, machine.id, changed);
    if (machine !== known || took) changed.push(machine);
    for (const each of changed) this.#put(each);
    const seen = hasMac ? indexed : this.#known(machine.id);
    if (seen) seen.seenAt = now;
    return { machine, mac, onLink, why: found.why, learned, changed };
  }

  /** A machine that was not met before. A card that moved left its name with the machine that it was in. */
  #begin(id: string, now: number): Machine {
    const named = this.byId(id);
    if (!named) return newMachine(id, now);
    return named.macs.length === 0 ? named : this.#begin(`${id}-2`, now);
  }

  #read(evidence: Evidence, now: number, changed: Machine[]): Shown {
    const duid = evidence.duid === undefined ? null : readDuid(evidence.duid);
    const shares = (machine: Machine): void => {
      const shared = { ...machine, shared: true };
      changed.push(shared);
      this.#put(shared);
    };
    const source = this.#macSource.find(evidence, duid?.mac ?? null, now, (mac) => this.byMac(mac), shares);
    const readings = evidence.uuidOrder === "smbios" ? duid?.uuids?.toReversed() : duid?.uuids;
    return { evidence, ...source, uuids: (readings ?? []).filter((uuid) => !isPlaceholderUuid(uuid)) };
  }

  /** Of the machines that were met before, the one that the surest evidence tells (docs/adr/0003-identity.md). */
  #find(shown: Shown, now: number): Found | null {
    const { evidence, mac, from, onLink, uuids } = shown;
    const here = (machine: Machine | undefined): machine is Machine =>
      machine !== undefined && !this.#configured.standsElsewhere(machine.id, evidence.port);
    const byMac = mac === null ? undefined : this.byMac(mac);
    const why = `MAC ${mac} ${from}`;
    if (mac !== null && here(byMac) && !this.#cardMoved(byMac, mac, shown)) return { machine: byMac, why };
    const byUuid = uuids.map((uuid) => this.byUuid(uuid)).find(here);
    const byDuid = this.#toldBy(this.#byDuid, evidence.duid);
    if (mac !== null) {
      // Firmware and iPXE read the board's UUID. A system's may be its disk's, and disks are cloned.
      if (byUuid && evidence.uuidOrder && !this.#seenLately(byUuid, now))
        return { machine: byUuid, why: `UUID ${byUuid.uuid}; MAC ${mac} is a card that it did not have before`, newCard: true };
      if (onLink && here(byDuid) && !byDuid.met) return { machine: byDuid, why: `DUID ${evidence.duid}, whose MAC was not met before` };
      return { machine: undefined, why };
    }
    if (byUuid) return { machine: byUuid, why: `UUID ${byUuid.uuid}` };
    if (here(byDuid) || uuids.length === 0)
      return evidence.duid === undefined ? null : { machine: here(byDuid) ? byDuid : undefined, why: `DUID ${evidence.duid}` };
    return { machine: undefined, why: `UUID ${uuids[0]}` };
  }

  /** One of several cards that were learned, now on another board. The only card of a machine stays: there the board was changed. */
  #cardMoved({ macs, uuid }: Machine, mac: Mac, { evidence, uuids }: Shown): boolean {
    if (!evidence.uuidOrder || uuids.length === 0 || uuid === null || this.#shared.has(uuid)) return false;
    return macs.length > 1 && !uuids.includes(uuid) && this.#configured.byMac(mac) === undefined;
  }

  #seenLately({ id, macs }: Machine, now: number): boolean {
    return macs.length > 0 && now - (this.#known(id)?.seenAt ?? Number.NEGATIVE_INFINITY) < CARD_CHANGE_MS;
  }

  /** A card is in one machine. */
  #takeFromOthers(mac: Mac, id: string, changed: Machine[]): boolean {
    const owner = this.byMac(mac);
    if (!owner || owner.id === id) return false;
    changed.push({ ...owner, macs: owner.macs.filter((each) => each !== mac) });
    return true;
  }

  /** Sets how far its installation is; returns the machine as it is then. */
  setBoot(id: string, stage: Machine["boot"]["stage"], now: number): Machine | undefined {
    const machine = this.byId(id);
    if (!machine) return undefined;
    // It outlives its installation: a report whose answer was lost, or that could not be stored, comes again.
    const begins = stage === "installing" && machine.boot.stage !== "installing";
    const token = begins ? randomBytes(16).toString("hex") : stage === "new" ? null : machine.boot.token;
    const changed = { ...machine, boot: { stage, token, since: now } };
    this.#put(changed);
    return changed;
  }

  /** Sets the profile that an operator chose, null: none; returns the machine as it is then. */
  setProfile(id: string, profile: string | null): Machine | undefined {
    const machine = this.byId(id);
    if (!machine) return undefined;
    const changed = { ...machine, profile };
    this.#put(changed);
    return changed;
  }

  /** Forgets a machine that the configuration does not name, as if it had never been met. */
  forget(id: string): void {
    const machine = this.byId(id);
    if (machine && !this.#configured.get(id)) this.#remove(machine);
  }

  #knownAs({ macs, uuid, duid, port }: MachineConfig): Machine | undefined {
    const known =
      this.#toldBy(this.#byDuid, duid ?? undefined) ??
      macs.map((mac) => this.byMac(mac)).find((machine) => machine) ??
      (uuid === null ? undefined : this.byUuid(uuid));
    if (known || !port) return known;
    const name = portName(port);
    const seen = [...this.all()].filter(({ ports }) => ports.some((each) => portName(each) === name));
    return seen.length === 1 ? seen[0] : undefined;
  }

  #put(machine: Machine): void {
    let known = this.#known(machine.id);
    if (known) {
      this.#unindex(known);
      known.machine = machine;
    } else {
      known = { machine, seenAt: Number.NEGATIVE_INFINITY, queuedAt: Number.NEGATIVE_INFINITY, older: null, newer: null };
      this.#all.add(known);
      if (machine.boot.stage === "new" && !this.#configured.get(machine.id)) this.#strangers.append(known);
    }
    if (machine.boot.stage !== "new") this.#strangers.delete(known);
    let hasOtherId = true;
    for (const mac of machine.macs) {
      this.#indexMac(mac, known);
      if (newId(mac) === machine.id) hasOtherId = false;
    }
    if (hasOtherId) this.#byOtherId.set(machine.id, known);
    if (machine.uuid !== null) this.#index(this.#byUuid, machine.uuid, known);
    for (const duid of machine.duids) this.#index(this.#byDuid, duid, known);
    if (machine.boot.token !== null) this.#byToken.set(machine.boot.token, known);
  }

  /** One that its MAC is taken from is found by its id. */
  #indexMac(mac: Mac, known: Known): void {
    const other = this.#byMac.get(mac);
    if (other && other !== known && other.machine.id === newId(mac)) this.#byOtherId.set(other.machine.id, other);
    this.#byMac.set(mac, known);
  }

  #index(index: Map<string, Known>, identity: string, known: Known): void {
    const other = index.get(identity);
    if (other !== undefined && other !== known) {
      this.#shared.add(identity);
      if (this.#shared.size > MAX_SHARED) this.#shared.delete(this.#shared.values().next().value as string);
    }
    index.set(identity, known);
  }

  #remove({ id }: Machine): void {
    const known = this.#known(id);
    if (!known) return;
    this.#unindex(known);
    this.#all.delete(known);
    this.#strangers.delete(known);
  }

  #unindex(known: Known): void {
    const { id, macs, uuid, duids, boot } = known.machine;
    drop(this.#byOtherId, id, known);
    for (const mac of macs) drop(this.#byMac, mac, known);
    for (const duid of duids) drop(this.#byDuid, duid, known);
    if (uuid !== null) drop(this.#byUuid, uuid, known);
    if (boot.token !== null) drop(this.#byToken, boot.token, known);
  }

  /** A configured machine keeps to the MACs that its entry names, if it names any; a new card in its board is its own besides. */
  #mayOwn(machine: Machine, mac: Mac, newCard: boolean): boolean {
    const owner = this.#configured.byMac(mac);
    if (owner !== undefined) return owner === machine.id;
    return newCard || (this.config(machine.id)?.macs.length ?? 0) === 0;
  }
}

function drop(index: Map<string, Known>, key: string, known: Known): void {
  if (index.get(key) === known) index.delete(key);
}

interface Found {
  /** Undefined: it was not met before. */
  readonly machine: Machine | undefined;
  readonly why: string;
  readonly newCard?: true;
}

const newMachine = (id: string, now: number): Machine => ({ ...NOBODY, id, boot: { ...NOBODY.boot, since: now }, firstSeen: now });
