/** The names that machines have in the DNS: what they are called, then what they claim. */
import { type Address, macOfEui64 } from "@netboot6/codec";
import { isLive, isPrefix, type Lease, type Leases } from "@netboot6/leases";
import type { Machines } from "@netboot6/machines";

/** Whole names in lower case, without the final dot. */
export type Names = ReadonlyMap<string, readonly Address[]>;

const MAX_LABEL = 63;

/**
 * Each machine of the configuration, and each with a lease, under its own name in `domain`, with the address that is reserved for
 * it, those it is leased now (`now` in Unix seconds) and the one it forms itself: firmware and installers release that one and go
 * on with it. Then names that clients claim, where no machine is called so. None where there is no domain. The names that an
 * operator gives come first, and of one name the first has it.
 */
export function namesOf(machines: Machines, leases: Leases, domain: string, now: number): Names {
  const names = new Map<string, Address[]>();
  if (domain === "") return names;
  const add = (name: string, address: Address): void => {
    const addresses = names.get(name);
    if (!addresses) names.set(name, [address]);
    else if (!addresses.includes(address)) addresses.push(address);
  };
  const nameOf = (id: string): string | null => (id.length > MAX_LABEL ? null : `${id}.${domain}`);
  for (const [id, { address }] of machines.configured()) {
    const name = nameOf(id);
    if (name !== null && address !== null) add(name, address);
  }
  const had = [...leases.all()].filter((lease) => !isPrefix(lease.address));
  for (const lease of had) {
    const name = nameOf(lease.machine);
    if (name !== null && (isLive(lease, now) || formsItself(machines, lease))) add(name, lease.address);
  }
  const machinesOwn = new Set(names.keys());
  for (const [id] of machines.configured()) machinesOwn.add(`${id}.${domain}`);
  for (const lease of had) {
    const { hostname, address } = lease;
    if (hostname !== undefined && !machinesOwn.has(hostname) && isLive(lease, now)) add(hostname, address);
  }
  return names;
}

/** Whether its machine has the address by SLAAC too, whatever became of the lease. */
function formsItself(machines: Machines, { address, machine, state }: Lease): boolean {
  const mac = macOfEui64(address);
  return mac !== null && state !== "declined" && machines.byId(machine)?.macs.includes(mac) === true;
}

/** A name whose addresses changed; none: it is gone. */
export interface NameChange {
  readonly name: string;
  readonly addresses: readonly Address[];
}

/** The names are gathered only where leases changed, and once a minute for those that ended; and never for more than a twentieth of the time. */
const LOOK_MS = 250;
const ENDED_MS = 60_000;
const GATHERING_SHARE = 20;

/** Tells all names now and each that changes later, until the returned function is called. `changes` grows with what they depend on. */
export function watchNames(names: () => Names, changes: () => number, tell: (changed: readonly NameChange[]) => void): () => void {
  let known: Names = new Map();
  let seen = Number.NaN;
  let gathered = Number.NEGATIVE_INFINITY;
  let rest = 0;
  const look = (): void => {
    const began = performance.now(); // the wall clock steps when time is set
    const since = began - gathered;
    if (since < rest || (changes() === seen && since < ENDED_MS)) return;
    seen = changes();
    const current = names();
    const changed = changedNames(known, current);
    known = current;
    gathered = performance.now();
    rest = (gathered - began) * GATHERING_SHARE;
    if (changed.length > 0) tell(changed);
  };
  look();
  const timer = setInterval(look, LOOK_MS).unref();
  return () => clearInterval(timer);
}

function changedNames(before: Names, now: Names): NameChange[] {
  const changed: NameChange[] = [];
  for (const [name, addresses] of now) {
    const had = before.get(name);
    if (!had || had.length !== addresses.length || had.some((address, i) => address !== addresses[i])) changed.push({ name, addresses });
  }
  for (const name of before.keys()) if (!now.has(name)) changed.push({ name, addresses: [] });
  return changed;
}
