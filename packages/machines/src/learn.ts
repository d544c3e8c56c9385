/** What a message adds to what is known of its machine. */
import type { Mac } from "@netboot6/codec";
import { portName } from "./configured.ts";
import type { Evidence, Machine, Port, PortEvidence } from "./machine.ts";

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
  const { duid, port } = evidence;
  const met = before.met || onLink;
  const uuid = uuidOf(before, evidence, uuids, configured);
  const newDuid = duid !== undefined && !before.duids.includes(duid) ? duid : null;
  const newPort = newPortOf(before, port);
  if (newMac !== null) learned.push(`MAC ${newMac}`);
  if (uuid !== before.uuid) learned.push(`UUID ${uuid}`);
  if (newDuid !== null) learned.push(`DUID ${newDuid}`);
  if (newPort !== null) learned.push(portName(newPort));
  if (learned.length === 0 && met === before.met) return before;
  return {
    ...before,
    macs: withNew(before.macs, newMac, MAX_IDENTITIES),
    uuid,
    duids: withNew(before.duids, newDuid, MAX_IDENTITIES),
    ports: withNew(before.ports, newPort, MAX_PORTS),
    met,
  };
}

/** The newest last; the oldest go where they are too many. */
function withNew<T>(known: readonly T[], found: T | null, most: number): readonly T[] {
  if (found === null) return known;
  return known.length === 0 ? [found] : [...known, found].slice(-most);
}

function uuidOf({ uuid }: Machine, { uuidOrder }: Evidence, uuids: readonly string[], configured: string | null): string | null {
  const shown = configured ?? uuids[0] ?? null;
  if (uuid === null || shown === null || configured !== null) return uuid ?? shown;
  // iPXE's word goes before what was taken for the UUID until then; and firmware that shows neither reading of it is a new board's.
  const changed = uuidOrder === "text" || (uuidOrder === "smbios" && !uuids.includes(uuid));
  return changed ? shown : uuid;
}

/** The port that it is seen at now; null where that is known. */
function newPortOf({ ports }: Machine, port: PortEvidence | undefined): Port | null {
  if (!port) return null;
  const [relay = "::"] = port.relays;
  const { interfaceId, remoteId } = port;
  const isKnown = ports.some((each) => each.relay === relay && each.interfaceId === interfaceId && each.remoteId === remoteId);
  return isKnown ? null : { relay, interfaceId, remoteId };
}
