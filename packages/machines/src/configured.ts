/** The machines of the configuration, and which of them a piece of evidence names. */
import { formatPrefix, type Mac, macOfHex } from "@netboot6/codec";
import type { MachineConfig } from "@netboot6/config";
import type { Port, PortEvidence } from "./machine.ts";

export class Configured {
  readonly #entries: ReadonlyMap<string, MachineConfig>;
  /** `DUID ...`, `MAC ...`, `UUID ...`, `port ...` -> id */
  readonly #by = new Map<string, string>();
  readonly #hasPorts: boolean;

  constructor(machines: readonly MachineConfig[]) {
    this.#entries = new Map(machines.map((config) => [config.name ?? nameOf(config), config]));
    this.#hasPorts = machines.some(({ port }) => port !== null);
    for (const [id, { duid, macs, uuid, port }] of this.#entries) {
      for (const key of [`DUID ${duid}`, ...macs.map((mac) => `MAC ${mac}`), `UUID ${uuid}`]) this.#by.set(key, id);
      if (port) this.#by.set(portName(port), id);
    }
  }

  entries(): IterableIterator<[id: string, config: MachineConfig]> {
    return this.#entries.entries();
  }

  ids(): IterableIterator<string> {
    return this.#entries.keys();
  }

  get(id: string): MachineConfig | undefined {
    return this.#entries.get(id);
  }

  /** The machine that an entry gives this MAC. */
  byMac(mac: Mac): string | undefined {
    return this.#by.size === 0 ? undefined : this.#by.get(`MAC ${mac}`);
  }

  /** The surest first: what an operator wrote down of this very system, of its card, of its board, of the slot it stands in. */
  find(
    duid: string | undefined,
    mac: Mac | null,
    uuids: readonly string[],
    port: PortEvidence | undefined,
  ): { id: string; why: string } | null {
    if (this.#by.size === 0) return null;
    for (const key of [`DUID ${duid}`, `MAC ${mac}`, ...uuids.map((uuid) => `UUID ${uuid}`)]) {
      const id = this.#by.get(key);
      if (id !== undefined) return { id, why: `configured ${key} of ${id}` };
    }
    if (!port || !this.#hasPorts) return null;
    const { interfaceId, remoteId } = port;
    for (const relay of port.relays)
      for (const named of [port, { interfaceId, remoteId: null }, { interfaceId: null, remoteId }]) {
        const key = portName({ relay, interfaceId: named.interfaceId, remoteId: named.remoteId });
        const id = this.#by.get(key);
        if (id !== undefined) return { id, why: `configured ${key} of ${id}` };
      }
    return null;
  }

  /** Whether the machine is known by its slot alone, and this is another one. */
  standsElsewhere(id: string, port: PortEvidence | undefined): boolean {
    if (!port || !this.#hasPorts) return false;
    const config = this.#entries.get(id);
    if (!config?.port || config.macs.length > 0 || config.uuid !== null || config.duid !== null) return false;
    const { relay, interfaceId, remoteId } = config.port;
    const same =
      port.relays.includes(relay) &&
      (interfaceId === null || interfaceId === port.interfaceId) &&
      (remoteId === null || remoteId === port.remoteId);
    return !same;
  }

  /** Addresses and prefixes (with their length) that are kept, and whose they are. */
  reservations(): Map<string, string> {
    const reserved = new Map<string, string>();
    for (const [id, { address, prefix }] of this.#entries) {
      if (address !== null) reserved.set(address, id);
      if (prefix !== null) reserved.set(formatPrefix(prefix), id);
    }
    return reserved;
  }
}

/** `port Eth1/7 of relay 2001:db8:0:2::fe` */
export function portName({ relay, interfaceId, remoteId }: Port): string {
  const remote = remoteId === null ? "" : `remote-id ${remoteId}`;
  return `port ${[interfaceId ?? "", remote].filter((part) => part !== "").join(", ")} of relay ${relay}`;
}

/** What is asked for a message is asked several times. */
let last: { readonly mac: Mac; readonly id: string } = { mac: "", id: "" };

/** What a machine without a name is called. */
export function newId(mac: Mac | null, uuid?: string, duid?: string): string {
  if (mac !== null) {
    if (mac !== last.mac) last = { mac, id: `m-${mac.replaceAll(":", "")}` };
    return last.id;
  }
  return uuid === undefined ? `m-${duid}` : `m-${uuid}`;
}

/** The MAC that an id is made of; null where it is made of something else. */
export function macOfId(id: string): Mac | null {
  if (id === last.id) return last.mac;
  return MADE_OF_MAC.test(id) ? macOfHex(id, 2) : null;
}

const MADE_OF_MAC = /^m-[0-9a-f]{12}$/;

const nameOf = (config: MachineConfig): string => newId(config.macs[0] ?? null, config.uuid ?? undefined, config.duid ?? undefined);
