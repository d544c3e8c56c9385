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
  /** The name its client goes by, as Kea has it: whole where it ends with a dot. */
  readonly hostname?: string;
}

export interface KeaLeases {
  readonly leases: readonly KeaLease[];
  /** How many rows and addresses are not among them, by the reason. */
  readonly skipped: ReadonlyMap<string, number>;
}

const COLUMNS = ["address", "duid", "valid_lifetime", "expire", "lease_type", "iaid", "prefix_len", "state"] as const;
type Row = Readonly<Record<(typeof COLUMNS)[number], string>> & Readonly<Record<string, string | undefined>>;
const IA_TA = "1";
const IA_PD = "2";
/** By the number of its state: 0 is assigned. */
const OVER = [null, "declined", "expired", "released", "registered by clients that formed them themselves (RFC 9686)"];

/** `files`: the texts of its files, the oldest first; `now`: Unix seconds. Throws on what is no such file, with a plain message. */
export function readKeaLeases(files: readonly string[], now: number): KeaLeases {
  const last = new Map<Address, { readonly row: Row; readonly lease: KeaLease }>();
  const leases: KeaLease[] = [];
  const skipped = new Map<string, number>();
  const skip = (why: string) => skipped.set(why, (skipped.get(why) ?? 0) + 1);
  for (const row of files.flatMap(readRows)) {
    const lease = row && readLease(row);
    // One that was cut off as it was written, such as the last before a power failure, ends no lease.
    if (row && lease) last.set(lease.address, { row, lease });
    else skip("not readable");
  }
  for (const { row, lease } of last.values()) {
    const why = leftOut(row, lease, now);
    if (why === null) leases.push(lease);
    else skip(why);
  }
  return { leases, skipped };
}

/** Null for a row that has not the columns of its file. */
function readRows(text: string): (Row | null)[] {
  const [header = "", ...lines] = text.split(/\r?\n/).filter((line) => line !== "");
  const names = header.split(",");
  const missing = COLUMNS.filter((name) => !names.includes(name));
  if (missing.length > 0) throw new Error(`its first line names no column ${missing.join(", ")}: it is no lease file of kea-dhcp6`);
  return lines.map((line) => {
    const values = line.split(","); // Kea writes a comma inside a value as &#x2c
    return values.length === names.length ? (Object.fromEntries(names.map((name, index) => [name, values[index]])) as Row) : null;
  });
}

function readLease(row: Row): KeaLease | null {
  const address = readLeased(row);
  const duid = row.duid.replaceAll(":", "").toLowerCase();
  const numbers = [row.expire, row.valid_lifetime, row.iaid];
  if (address === null || !numbers.every((each) => /^\d+$/.test(each)) || !/^([0-9a-f]{2})+$/.test(duid)) return null;
  if (!/^[0-2]$/.test(row.lease_type) || !/^[0-4]$/.test(row.state)) return null;
  const [validUntil = 0, lifetime = 0, iaid = 0] = numbers.map(Number);
  const { hostname } = row;
  return { address, duid, iaid, since: validUntil - lifetime, validUntil, ...macEvidence(row), ...(hostname ? { hostname } : {}) };
}

/** Why it is not taken over; null where it is. */
function leftOut(row: Row, { since, validUntil }: KeaLease, now: number): string | null {
  if (row.lease_type === IA_TA) return "temporary addresses (IA_TA)";
  const over = OVER[Number(row.state)];
  if (over) return over;
  if (since === validUntil) return "released"; // as Kea writes what it deletes
  return validUntil <= now ? "expired" : null;
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
