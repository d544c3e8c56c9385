/** What a message adds to what is known of its machine. */
import type { Mac } from "@netboot6/codec";
import { portName } from "./configured.ts";
import type { Evidence, Machine, PortEvidence } from "./machine.ts";

/** What a message shows, read. */
export interface Shown {
  readonly evidence: Evidence;
  readonly mac: Mac | null;
  readonly from: string;
  readonly onLink: boolean;
  /** The likelier reading first; none that a board without one sends. */
  readonly uuids: readonly string[];
}

const MAX_IDENTITIES = 16;
const MAX_PORTS = 4;

/**
 * The machine with what the message shows and it did not have yet, which `learned` is told in words. `newMac`: the card, where it
 * is one that it had not and may have; `configured`: the UUID of its entry.
 */
export function learn(
  before: Machine,
  { evidence, onLink, uuids }: Shown,
  newMac: Mac | null,
  configured: string | null,
  learned: string[],
): Machine {
  let machine = before;
  if (newMac !== null) {
    machine = { ...machine, macs: [...machine.macs, newMac].slice(-MAX_IDENTITIES) };
    learned.push(`MAC ${newMac}`);
  }
  if (onLink && !machine.met) machine = { ...machine, met: true };
  const uuid = uuidOf(machine, evidence, uuids, configured);
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

function uuidOf({ uuid }: Machine, { uuidOrder }: Evidence, uuids: readonly string[], configured: string | null): string | null {
  const shown = configured ?? uuids[0] ?? null;
  if (uuid === null || shown === null || configured !== null) return uuid ?? shown;
  // iPXE's word goes before what was taken for the UUID until then; and firmware that shows neither reading of it is a new board's.
  const changed = uuidOrder === "text" || (uuidOrder === "smbios" && !uuids.includes(uuid));
  return changed ? shown : uuid;
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
