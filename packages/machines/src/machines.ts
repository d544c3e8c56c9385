/**
 * The registry: who is asking. One machine, many DUIDs: firmware, iPXE, installer and system each bring their own, so a
 * machine is known by its MAC first (docs/adr/0003-identity.md).
 */
import { randomBytes } from "node:crypto";
import { isLinkLocal, type Mac, macOfEui64, readDuid } from "@netboot6/codec";
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

export class Machines {
  readonly #byId = new Map<string, Machine>();
  readonly #idByMac = new Map<Mac, string>();
  readonly #idByUuid = new Map<string, string>();
  readonly #idByDuid = new Map<string, string>();
  readonly #idByToken = new Map<string, string>();
  /** By the MAC of a link-local address: the other MAC that was last seen in a DUID from there. */
  readonly #foreignMac = new Map<Mac, { mac: Mac; at: number }>();
  #configured = new Map<string, MachineConfig>();

  /** `stored`: the machines of an earlier run. */
  constructor(configured: readonly MachineConfig[], stored: readonly Machine[] = []) {
    this.configure(configured);
    for (const machine of stored) this.#put(machine);
  }

  /** Takes the machines of a new configuration; what was learned stays. */
  configure(machines: readonly MachineConfig[]): void {
    this.#configured = new Map(machines.map((config) => [config.name ?? nameOf(config), config]));
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

  /** Finds the machine that the evidence points to, or makes it known. Null where there is no evidence at all. */
  identify(evidence: Evidence, now: number): Identified | null {
    const duid = evidence.duid === undefined ? null : readDuid(Buffer.from(evidence.duid, "hex"));
    const changed: Machine[] = [];
    const [mac, macFrom] = this.#macOf(evidence, duid?.mac ?? null, now, changed);
    const uuids = (duid?.uuids ?? []).filter((uuid) => !isPlaceholderUuid(uuid));
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
      machine = { ...machine, macs: [...machine.macs, mac] };
      learned.push(`MAC ${mac}`);
    }
    const uuid = this.config(machine.id)?.uuid ?? uuids.find((candidate) => this.#idByUuid.has(candidate)) ?? uuids[0] ?? null;
    if (uuid !== null && machine.uuid === null) {
      machine = { ...machine, uuid };
      learned.push(`UUID ${uuid}`);
    }
    if (evidence.duid !== undefined && !machine.duids.includes(evidence.duid)) {
      machine = { ...machine, duids: [...machine.duids, evidence.duid].slice(-16) };
      learned.push(`DUID ${evidence.duid}`);
    }
    if (machine !== known) changed.push(machine);
    for (const each of changed) this.#put(each);
    return { machine, mac, why, learned, changed };
  }

  /** Sets how far its installation is; returns the machine as it is then. */
  setBoot(id: string, stage: Machine["boot"]["stage"], now: number): Machine | undefined {
    const machine = this.#byId.get(id);
    if (!machine) return undefined;
    const token = stage === "installing" ? (machine.boot.token ?? randomBytes(16).toString("hex")) : null;
    if (machine.boot.token !== null && machine.boot.token !== token) this.#idByToken.delete(machine.boot.token);
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
      this.#foreignMac.set(peerMac, { mac: duidMac, at: now });
      return fromPeer;
    }
    if (machine && !machine.shared) changed.push({ ...machine, shared: true });
    return machine?.duids.includes(duid) ? fromPeer : [duidMac, "from its DUID: several machines speak from that link-local address"];
  }

  #put(machine: Machine): void {
    this.#byId.set(machine.id, machine);
    for (const mac of machine.macs) this.#idByMac.set(mac, machine.id);
    if (machine.uuid !== null) this.#idByUuid.set(machine.uuid, machine.id);
    for (const duid of machine.duids) this.#idByDuid.set(duid, machine.id);
    if (machine.boot.token !== null) this.#idByToken.set(machine.boot.token, machine.id);
  }

  /** A configured machine keeps to the MACs that its entry names, if it names any. */
  #mayOwn(machine: Machine, mac: Mac): boolean {
    const config = this.config(machine.id);
    return !config || config.macs.length === 0 || config.macs.includes(mac);
  }

  #configuredFor(mac: Mac | null, uuids: readonly string[], duid: string | undefined): { id: string; why: string } | null {
    let found: { id: string; why: string } | null = null;
    for (const [id, config] of this.#configured) {
      if (duid !== undefined && config.duid === duid) return { id, why: `configured DUID of ${id}` };
      if (mac !== null && config.macs.includes(mac)) found = { id, why: `configured MAC ${mac} of ${id}` };
      else if (config.uuid !== null && uuids.includes(config.uuid)) found ??= { id, why: `configured UUID of ${id}` };
    }
    return found;
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
