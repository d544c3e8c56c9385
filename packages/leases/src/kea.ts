/** Kea's lease file (memfile): CSV with a header, one row for each change of a lease, so that the last row of an address holds. */
import {
  type Address,
  canonicalAddress,
  eui64Address,
  formatPrefix,
  LINK_LOCAL_PREFIX,
  type Mac,
  parseMac,
  parsePrefix,
} from "@netboot6/codec";

export interface KeaLease {
  /** A delegated prefix has its length behind it. */
  readonly address: Address;
  /** Lower-case hex. */
  readonly duid: string;
  readonly iaid: number;
  /** Unix seconds. */
  readonly since: number;
  readonly validUntil: number;
  /** Where Kea had the MAC from a relay (option 79). */
  readonly relayMac?: Mac;
  /** Where it had it from the client's link-local address. */
  readonly peer?: Address;
}

export interface KeaLeases {
  readonly leases: readonly KeaLease[];
  /** How many addresses are not among them, by the reason. */
  readonly skipped: ReadonlyMap<string, number>;
}

const COLUMNS = ["address", "duid", "valid_lifetime", "expire", "lease_type", "iaid", "prefix_len", "state"] as const;
type Row = Readonly<Record<(typeof COLUMNS)[number], string>> & Readonly<Record<string, string | undefined>>;
const IA_NA = "0";
const IA_PD = "2";
const DECLINED = "1";

/** `files`: the texts of its files, the oldest first; `now`: Unix seconds. Throws on what is no such file, with a plain message. */
export function readKeaLeases(files: readonly string[], now: number): KeaLeases {
  const last = new Map<string, Row>();
  for (const row of files.flatMap(readRows)) last.set(`${row.address}/${row.prefix_len}`, row);
  const leases: KeaLease[] = [];
  const skipped = new Map<string, number>();
  for (const row of last.values()) {
    const lease = readLease(row, now);
    if (typeof lease === "string") skipped.set(lease, (skipped.get(lease) ?? 0) + 1);
    else leases.push(lease);
  }
  return { leases, skipped };
}

function readRows(text: string): Row[] {
  const [header = "", ...lines] = text.split(/\r?\n/).filter((line) => line !== "");
  const names = header.split(",");
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`its first line names no column ${missing.join(", ")}: it is no lease file of kea-dhcp6`);
  return lines.map((line) => {
    const values = line.split(","); // Kea writes a comma inside a value as &#x2c
    return Object.fromEntries(names.map((name, index) => [name, values[index] ?? ""])) as Row;
  });
}

/** A string: why it is left out. */
function readLease(row: Row, now: number): KeaLease | string {
  const [validUntil, lifetime, iaid] = [Number(row.expire), Number(row.valid_lifetime), Number(row.iaid)];
  const address = readLeased(row);
  const duid = row.duid.replaceAll(":", "").toLowerCase();
  if (address === null || ![validUntil, lifetime, iaid].every(Number.isInteger) || !/^([0-9a-f]{2})+$/.test(duid)) return "not readable";
  if (row.lease_type !== IA_NA && row.lease_type !== IA_PD) return "temporary addresses (IA_TA)";
  if (row.state === DECLINED) return "declined";
  if (validUntil <= now || lifetime === 0 || row.state !== "0") return "expired or released";
  return { address, duid, iaid, since: validUntil - lifetime, validUntil, ...macEvidence(row) };
}

function readLeased({ address, lease_type: type, prefix_len: length }: Row): string | null {
  const canonical = canonicalAddress(address);
  if (canonical === null || type !== IA_PD) return canonical;
  const prefix = parsePrefix(`${canonical}/${length}`);
  return prefix && formatPrefix(prefix);
}

/** By HWADDR_SOURCE_*: 8 is option 79; 2 is the DUID, which says it again; 16 and more are a relay's names for a port. */
function macEvidence({ hwaddr = "", hwaddr_source: source = "" }: Row): Pick<KeaLease, "relayMac" | "peer"> {
  const mac = parseMac(hwaddr);
  if (mac === null) return {};
  if (source === "8") return { relayMac: mac };
  return ["", "1", "4"].includes(source) ? { peer: eui64Address(LINK_LOCAL_PREFIX, mac) } : {};
}
