/**
 * The registry: who is asking. One machine, many DUIDs: firmware, iPXE, installer and system each bring their own, so a
 * machine is known by its MAC first (docs/adr/0003-identity.md).
 */
import { randomBytes } from "node:crypto";
import { type Mac, readDuid } from "@netboot6/codec";
import type { MachineConfig } from "@netboot6/config";
import { Configured, newId, portName } from "./configured.ts";
import { MacSource } from "./mac-source.ts";
import { type Evidence, isPlaceholderUuid, type Machine, type PortEvidence } from "./machine.ts";

export interface Identified {
  readonly machine: Machine;
  /** The interface that asked; null where only a DUID or UUID is known. */
  readonly mac: Mac | null;
  /** What decided, e.g. `MAC from the link-local address`. */
  readonly why: string;
  /** What was not known of it before; empty where nothing changed. */
  readonly learned: readonly string[];
  /** Machines that are to be stored. */
  readonly changed: readonly Machine[];
}

/** What anyone on a link can fill by making identities up is bounded. */
const MAX_STRANGERS = 10_000;
const MAX_IDENTITIES = 16;
const MAX_PORTS = 4;
const MAX_SHARED = 10_000;
/** Nobody changes a card faster: another card with the same UUID within this time is another machine's. */
const CARD_CHANGE_MS = 600_000;

export interface Renamed {
  readonly from: string;
  readonly machine: Machine;
}

export class Machines {
  readonly #byId = new Map<string, Machine>();
  readonly #idByMac = new Map<Mac, string>();
  readonly #idByUuid = new Map<string, string>();
  readonly #idByDuid = new Map<string, string>();
  readonly #idByToken = new Map<string, string>();
  /** UUIDs and DUIDs that two machines showed: they tell neither. */
  readonly #shared = new Set<string>();
  /** Id -> Unix milliseconds of its last message, since the start. */
  readonly #seen = new Map<string, number>();
  readonly #macSource = new MacSource();
  /** Ids that were only met: neither configured nor installing nor installed. The one met longest ago comes first. */
  readonly #strangers = new Set<string>();
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
      const known = this.#byId.has(id) ? undefined : this.#knownAs(config);
      if (known && !this.#configured.get(known.id)) {
        this.#remove(known);
        const machine = { ...known, id };
        this.#put(machine);
        renamed.push({ from: known.id, machine });
      }
    }
    for (const id of this.#configured.ids()) this.#strangers.delete(id);
    return renamed;
  }

  /** Forgets the strangers that were met longest ago, where they are too many; their ids. Those that `hasLease` are none. */
  forgetStrangers(hasLease: (id: string) => boolean): string[] {
    const forgotten: string[] = [];
    for (const id of this.#strangers) {
      if (this.#strangers.size <= MAX_STRANGERS) break;
      this.#strangers.delete(id);
      const machine = this.#byId.get(id);
      if (!machine || hasLease(id)) continue;
      this.#remove(machine);
      forgotten.push(id);
    }
    return forgotten;
  }

  all(): IterableIterator<Machine> {
    return this.#byId.values();
  }

  /** The machines of the configuration, by id. */
  configured(): IterableIterator<[id: string, config: MachineConfig]> {
    return this.#configured.entries();
  }

  byId(id: string): Machine | undefined {
    return this.#byId.get(id);
  }

  byMac(mac: Mac): Machine | undefined {
    const id = this.#idByMac.get(mac);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** Undefined also where several machines show it. */
  byUuid(uuid: string): Machine | undefined {
    const id = this.#shared.has(uuid) ? undefined : this.#idByUuid.get(uuid);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  #byDuid(duid: string | undefined): Machine | undefined {
    const id = duid === undefined || this.#shared.has(duid) ? undefined : this.#idByDuid.get(duid);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  byToken(token: string): Machine | undefined {
    const id = this.#idByToken.get(token);
    return id === undefined ? undefined : this.#byId.get(id);
  }

  /** What the configuration says of a machine. */
  config(id: string): MachineConfig | undefined {
    return this.#configured.get(id);
  }

  /** Addresses and prefixes (with their length) that the configuration keeps, and whose they are. */
  reservations(): Map<string, string> {
    return this.#configured.reservations();
  }

  /** Whether the configuration names a machine by this MAC. */
  expects(mac: Mac): boolean {
    return this.#configured.byMac(mac) !== undefined;
  }

  /** Finds the machine that the evidence points to, or makes it known. Null where there is no evidence at all. */
  identify(evidence: Evidence, now: number): Identified | null {
    const changed: Machine[] = [];
    const shown = this.#read(evidence, now, changed);
    const { mac, uuids } = shown;
    const configured = this.#configured.find(evidence.duid, mac, uuids, evidence.port);
    const found = configured ? { machine: this.#byId.get(configured.id), why: configured.why } : this.#find(shown, now);
    if (!found) return null;
    const known = found.machine;
    const before = known ?? this.#begin(configured?.id ?? newId(mac, uuids[0], evidence.duid), now);
    const learned: string[] = [];
    const machine = this.#learn(before, shown, "newCard" in found, learned);
    const took = mac !== null && machine.macs.includes(mac) && this.#takeFromOthers(mac, machine.id, changed);
    if (machine !== known || took) changed.push(machine);
    for (const each of changed) this.#put(each);
    if (this.#strangers.delete(machine.id)) this.#strangers.add(machine.id);
    this.#seen.set(machine.id, now);
    return { machine, mac, why: found.why, learned, changed };
  }

  /** A machine that was not met before. A card that moved left its name with the machine that it was in. */
  #begin(id: string, now: number): Machine {
    const named = this.#byId.get(id);
    if (!named) return newMachine(id, now);
    return named.macs.length === 0 ? named : this.#begin(`${id}-2`, now);
  }

  #read(evidence: Evidence, now: number, changed: Machine[]): Shown {
    const duid = evidence.duid === undefined ? null : readDuid(Buffer.from(evidence.duid, "hex"));
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
    const byDuid = this.#byDuid(evidence.duid);
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
    return macs.length > 0 && now - (this.#seen.get(id) ?? Number.NEGATIVE_INFINITY) < CARD_CHANGE_MS;
  }

  /** The machine with what the message shows and it did not have yet. */
  #learn(before: Machine, { evidence, mac, onLink, uuids }: Shown, newCard: boolean, learned: string[]): Machine {
    let machine = before;
    if (mac !== null && !machine.macs.includes(mac) && this.#mayOwn(machine, mac, newCard)) {
      machine = { ...machine, macs: [...machine.macs, mac].slice(-MAX_IDENTITIES) };
      learned.push(`MAC ${mac}`);
    }
    if (onLink && !machine.met) machine = { ...machine, met: true };
    const uuid = this.#uuidOf(machine, evidence, uuids);
    if (uuid !== machine.uuid) {
      machine = { ...machine, uuid };
      learned.push(`UUID ${uuid}`);
    }
    if (evidence.duid !== undefined && !machine.duids.includes(evidence.duid)) {
      machine = { ...machine, duids: [...machine.duids, evidence.duid].slice(-MAX_IDENTITIES) };
      learned.push(`DUID ${evidence.duid}`);
    }
    return learnPort(machine, evidence.port, learned);
  }

  #uuidOf({ id, uuid }: Machine, { uuidOrder }: Evidence, uuids: readonly string[]): string | null {
    const shown = this.config(id)?.uuid ?? uuids[0] ?? null;
    if (uuid === null || shown === null || this.config(id)?.uuid != null) return uuid ?? shown;
    // iPXE's word goes before what was taken for the UUID until then; and firmware that shows neither reading of it is a new board's.
    const changed = uuidOrder === "text" || (uuidOrder === "smbios" && !uuids.includes(uuid));
    return changed ? shown : uuid;
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
    const machine = this.#byId.get(id);
    if (!machine) return undefined;
    // It stays until the next installation: a report whose answer was lost, or that could not be stored, comes again.
    const begins = stage === "installing" && machine.boot.stage !== "installing";
    const token = begins ? randomBytes(16).toString("hex") : machine.boot.token;
    const changed = { ...machine, boot: { stage, token, since: now } };
    this.#put(changed);
    return changed;
  }

  #knownAs({ macs, uuid, duid, port }: MachineConfig): Machine | undefined {
    const known =
      this.#byDuid(duid ?? undefined) ??
      macs.map((mac) => this.byMac(mac)).find((machine) => machine) ??
      (uuid === null ? undefined : this.byUuid(uuid));
    if (known || !port) return known;
    const name = portName(port);
    const seen = [...this.#byId.values()].filter(({ ports }) => ports.some((each) => portName(each) === name));
    return seen.length === 1 ? seen[0] : undefined;
  }

  #put(machine: Machine): void {
    const before = this.#byId.get(machine.id);
    if (before) this.#unindex(before);
    else if (machine.boot.stage === "new" && !this.#configured.get(machine.id)) this.#strangers.add(machine.id);
    if (machine.boot.stage !== "new") this.#strangers.delete(machine.id);
    this.#byId.set(machine.id, machine);
    for (const mac of machine.macs) this.#idByMac.set(mac, machine.id);
    if (machine.uuid !== null) this.#index(this.#idByUuid, machine.uuid, machine.id);
    for (const duid of machine.duids) this.#index(this.#idByDuid, duid, machine.id);
    if (machine.boot.token !== null) this.#idByToken.set(machine.boot.token, machine.id);
  }

  #index(index: Map<string, string>, identity: string, id: string): void {
    const other = index.get(identity);
    if (other !== undefined && other !== id) {
      this.#shared.add(identity);
      if (this.#shared.size > MAX_SHARED) this.#shared.delete(this.#shared.values().next().value as string);
    }
    index.set(identity, id);
  }

  #remove(machine: Machine): void {
    this.#unindex(machine);
    this.#byId.delete(machine.id);
    this.#strangers.delete(machine.id);
    this.#seen.delete(machine.id);
  }

  #unindex({ id, macs, uuid, duids, boot }: Machine): void {
    const drop = (index: Map<string, string>, key: string): void => {
      if (index.get(key) === id) index.delete(key);
    };
    for (const mac of macs) drop(this.#idByMac, mac);
    for (const duid of duids) drop(this.#idByDuid, duid);
    if (uuid !== null) drop(this.#idByUuid, uuid);
    if (boot.token !== null) drop(this.#idByToken, boot.token);
  }

  /** A configured machine keeps to the MACs that its entry names, if it names any; a new card in its board is its own besides. */
  #mayOwn(machine: Machine, mac: Mac, newCard: boolean): boolean {
    const owner = this.#configured.byMac(mac);
    if (owner !== undefined) return owner === machine.id;
    return newCard || (this.config(machine.id)?.macs.length ?? 0) === 0;
  }
}

/** What a message shows, read. */
interface Shown {
  readonly evidence: Evidence;
  readonly mac: Mac | null;
  readonly from: string;
  readonly onLink: boolean;
  /** The likelier reading first; none that a board without one sends. */
  readonly uuids: readonly string[];
}

interface Found {
  /** Undefined: it was not met before. */
  readonly machine: Machine | undefined;
  readonly why: string;
  readonly newCard?: true;
}

function learnPort(machine: Machine, port: PortEvidence | undefined, learned: string[]): Machine {
  if (!port) return machine;
  const [relay = "::"] = port.relays;
  const { interfaceId, remoteId } = port;
  if (machine.ports.some((each) => each.relay === relay && each.interfaceId === interfaceId && each.remoteId === remoteId)) return machine;
  const seen = { relay, interfaceId, remoteId };
  learned.push(portName(seen));
  return { ...machine, ports: [...machine.ports, seen].slice(-MAX_PORTS) };
}

const newMachine = (id: string, now: number): Machine => ({
  id,
  macs: [],
  uuid: null,
  duids: [],
  ports: [],
  profile: null,
  boot: { stage: "new", token: null, since: now },
  shared: false,
  met: false,
  firstSeen: now,
});
