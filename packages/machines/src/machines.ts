/**
 * The registry: who is asking. One machine, many DUIDs: firmware, iPXE, installer and system each bring their own, so a
 * machine is known by its MAC first (docs/adr/0003-identity.md).
 */
import { randomBytes } from "node:crypto";
import { formatPrefix, isLinkLocal, type Mac, macOfEui64, readDuid } from "@netboot6/codec";
import type { MachineConfig } from "@netboot6/config";
import { type Evidence, isPlaceholderUuid, type Machine } from "./machine.ts";

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

const SHARED_WITHIN_MS = 3600_000;
/** What anyone on a link can fill by making identities up is bounded. */
const MAX_STRANGERS = 10_000;
const MAX_IDENTITIES = 16;

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
  /** By the MAC of a link-local address: the other MAC that was last seen in a DUID from there. */
  readonly #foreignMac = new Map<Mac, { mac: Mac; at: number }>();
  /** Ids that were only met: neither configured nor installing nor installed. The one met longest ago comes first. */
  readonly #strangers = new Set<string>();
  #configured = new Map<string, MachineConfig>();
  /** `DUID ...`, `MAC ...`, `UUID ...` -> id */
  #configuredBy = new Map<string, string>();

  /** `stored`: the machines of an earlier run. */
  constructor(configured: readonly MachineConfig[], stored: readonly Machine[] = []) {
    for (const machine of stored) this.#put(machine);
    this.configure(configured);
  }

  /**
   * Takes the machines of a new configuration; what was learned stays. One that was known before it was given its name goes on
   * under it: else it would be another machine, without its address, and would be installed again.
   */
  configure(machines: readonly MachineConfig[]): Renamed[] {
    this.#configured = new Map(machines.map((config) => [config.name ?? nameOf(config), config]));
    this.#configuredBy = new Map();
    for (const [id, { duid, macs, uuid }] of this.#configured)
      for (const key of [`DUID ${duid}`, ...macs.map((mac) => `MAC ${mac}`), `UUID ${uuid}`]) this.#configuredBy.set(key, id);
    const renamed: Renamed[] = [];
    for (const [id, config] of this.#configured) {
      const known = this.#byId.has(id) ? undefined : this.#knownAs(config);
      if (known && !this.#configured.has(known.id)) {
        this.#remove(known);
        const machine = { ...known, id };
        this.#put(machine);
        renamed.push({ from: known.id, machine });
      }
    }
    for (const id of this.#configured.keys()) this.#strangers.delete(id);
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

  byUuid(uuid: string): Machine | undefined {
    const id = this.#idByUuid.get(uuid);
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
    const reserved = new Map<string, string>();
    for (const [id, { address, prefix }] of this.#configured) {
      if (address !== null) reserved.set(address, id);
      if (prefix !== null) reserved.set(formatPrefix(prefix), id);
    }
    return reserved;
  }

  /** Whether the configuration names a machine by this MAC. */
  expects(mac: Mac): boolean {
    return this.#configuredBy.has(`MAC ${mac}`);
  }

  /** Finds the machine that the evidence points to, or makes it known. Null where there is no evidence at all. */
  identify(evidence: Evidence, now: number): Identified | null {
    const duid = evidence.duid === undefined ? null : readDuid(Buffer.from(evidence.duid, "hex"));
    const changed: Machine[] = [];
    const [mac, macFrom] = this.#macOf(evidence, duid?.mac ?? null, now, changed);
    const readings = evidence.uuidOrder === "smbios" ? duid?.uuids?.toReversed() : duid?.uuids;
    const uuids = (readings ?? []).filter((uuid) => !isPlaceholderUuid(uuid)); // the likelier one first
    const configured = this.#configuredFor(mac, uuids, evidence.duid);

    let known: Machine | undefined;
    let why: string;
    if (configured) {
      known = this.#byId.get(configured.id);
      why = configured.why;
    } else if (mac !== null) {
      known = this.byMac(mac);
      why = `MAC ${mac} ${macFrom}`;
    } else {
      const uuid = uuids.find((candidate) => this.#idByUuid.has(candidate));
      known = uuid === undefined ? undefined : this.byUuid(uuid);
      why = `UUID ${uuid ?? uuids[0] ?? ""}`;
      if (!known && evidence.duid !== undefined) {
        const id = this.#idByDuid.get(evidence.duid);
        known = id === undefined ? undefined : this.#byId.get(id);
        if (known || uuids.length === 0) why = `DUID ${evidence.duid}`;
      }
      if (!known && uuids.length === 0 && evidence.duid === undefined) return null;
    }

    const before = known ?? newMachine(configured?.id ?? newId(mac, uuids[0], evidence.duid), now);
    const learned: string[] = [];
    let machine = before;
    if (mac !== null && !machine.macs.includes(mac) && this.#mayOwn(machine, mac)) {
      machine = { ...machine, macs: [...machine.macs, mac].slice(-MAX_IDENTITIES) };
      learned.push(`MAC ${mac}`);
    }
    const uuid = this.config(machine.id)?.uuid ?? uuids[0] ?? null;
    // iPXE reads SMBIOS itself, so its word goes before what was taken for the UUID until then.
    const surer = evidence.uuidOrder === "text" && machine.uuid !== uuid && this.config(machine.id)?.uuid == null;
    if (uuid !== null && (machine.uuid === null || surer)) {
      machine = { ...machine, uuid };
      learned.push(`UUID ${uuid}`);
    }
    if (evidence.duid !== undefined && !machine.duids.includes(evidence.duid)) {
      machine = { ...machine, duids: [...machine.duids, evidence.duid].slice(-MAX_IDENTITIES) };
      learned.push(`DUID ${evidence.duid}`);
    }
    if (machine !== known) changed.push(machine);
    for (const each of changed) this.#put(each);
    if (this.#strangers.delete(machine.id)) this.#strangers.add(machine.id);
    return { machine, mac, why, learned, changed };
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

  /** The MAC that the evidence shows and where it comes from; the surest first. */
  #macOf({ relayMac, peer, duid }: Evidence, duidMac: Mac | null, now: number, changed: Machine[]): [mac: Mac | null, from: string] {
    if (relayMac !== undefined) return [relayMac, "from the relay (option 79)"];
    const peerMac = peer !== undefined && isLinkLocal(peer) ? macOfEui64(peer) : null;
    if (peerMac === null) return [duidMac, duidMac === null ? "" : "from its DUID"];
    const fromPeer: [Mac, string] = [peerMac, "from its link-local address"];
    if (duidMac === null || duidMac === peerMac || duid === undefined) return fromPeer;
    // One other MAC in its DUIDs is its other NIC's, or a cloned disk's; a second one soon after shows that several machines speak.
    const machine = this.byMac(peerMac);
    const last = this.#foreignMac.get(peerMac);
    if (!machine?.shared && (last === undefined || last.mac === duidMac || now - last.at > SHARED_WITHIN_MS)) {
      this.#foreignMac.delete(peerMac);
      this.#foreignMac.set(peerMac, { mac: duidMac, at: now });
      if (this.#foreignMac.size > MAX_STRANGERS) this.#foreignMac.delete(this.#foreignMac.keys().next().value as Mac);
      return fromPeer;
    }
    if (machine && !machine.shared) changed.push({ ...machine, shared: true });
    return machine?.duids.includes(duid) ? fromPeer : [duidMac, "from its DUID: several machines speak from that link-local address"];
  }

  #knownAs({ macs, uuid, duid }: MachineConfig): Machine | undefined {
    const byDuid = duid === null ? undefined : this.#idByDuid.get(duid);
    if (byDuid !== undefined) return this.#byId.get(byDuid);
    return macs.map((mac) => this.byMac(mac)).find((machine) => machine) ?? (uuid === null ? undefined : this.byUuid(uuid));
  }

  #put(machine: Machine): void {
    const before = this.#byId.get(machine.id);
    if (before) this.#unindex(before);
    else if (machine.boot.stage === "new" && !this.#configured.has(machine.id)) this.#strangers.add(machine.id);
    if (machine.boot.stage !== "new") this.#strangers.delete(machine.id);
    this.#byId.set(machine.id, machine);
    for (const mac of machine.macs) this.#idByMac.set(mac, machine.id);
    if (machine.uuid !== null) this.#idByUuid.set(machine.uuid, machine.id);
    for (const duid of machine.duids) this.#idByDuid.set(duid, machine.id);
    if (machine.boot.token !== null) this.#idByToken.set(machine.boot.token, machine.id);
  }

  #remove(machine: Machine): void {
    this.#unindex(machine);
    this.#byId.delete(machine.id);
    this.#strangers.delete(machine.id);
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

  /** A configured machine keeps to the MACs that its entry names, if it names any. */
  #mayOwn(machine: Machine, mac: Mac): boolean {
    const config = this.config(machine.id);
    return !config || config.macs.length === 0 || config.macs.includes(mac);
  }

  #configuredFor(mac: Mac | null, uuids: readonly string[], duid: string | undefined): { id: string; why: string } | null {
    // The surest first: what an operator wrote down of this very system, of its card, of its board.
    for (const key of [`DUID ${duid}`, `MAC ${mac}`, ...uuids.map((uuid) => `UUID ${uuid}`)]) {
      const id = this.#configuredBy.get(key);
      if (id !== undefined) return { id, why: `configured ${key} of ${id}` };
    }
    return null;
  }
}

const newMachine = (id: string, now: number): Machine => ({
  id,
  macs: [],
  uuid: null,
  duids: [],
  profile: null,
  boot: { stage: "new", token: null, since: now },
  shared: false,
  firstSeen: now,
});

function newId(mac: Mac | null, uuid: string | undefined, duid: string | undefined): string {
  if (mac !== null) return `m-${mac.replaceAll(":", "")}`;
  return uuid === undefined ? `m-${duid}` : `m-${uuid}`;
}

const nameOf = (config: MachineConfig): string => newId(config.macs[0] ?? null, config.uuid ?? undefined, config.duid ?? undefined);
