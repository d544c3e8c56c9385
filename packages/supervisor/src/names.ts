/** The names that machines have in the DNS: what they are called, then what they claim. */
import type { Address } from "@netboot6/codec";
import { isLive, isPrefix, type Leases } from "@netboot6/leases";
import type { Machines } from "@netboot6/machines";

/** Whole names in lower case, without the final dot. */
export type Names = ReadonlyMap<string, readonly Address[]>;

const MAX_LABEL = 63;

/**
 * Each machine of the configuration, and each with a lease, under its own name in `domain`, with the address that is reserved for
 * it and those it is leased now (`now` in Unix seconds); then names that clients claim, where no machine is called so. None where
 * there is no domain. The names that an operator gives come first, and of one name the first has it.
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
  const live = [...leases.all()].filter((lease) => isLive(lease, now) && !isPrefix(lease.address));
  for (const { machine, address } of live) {
    const name = nameOf(machine);
    if (name !== null) add(name, address);
  }
  const machinesOwn = new Set(names.keys());
  for (const [id] of machines.configured()) machinesOwn.add(`${id}.${domain}`);
  for (const { hostname, address } of live) if (hostname !== undefined && !machinesOwn.has(hostname)) add(hostname, address);
  return names;
}

/** `netboot6` looks for changes this often; the names themselves are gathered only where leases changed, and once a minute for those that ended. */
const LOOK_MS = 250;
const ENDED_MS = 60_000;

/** Tells the names now and whenever they change, until the returned function is called. `changes` grows with what they depend on. */
export function watchNames(names: () => Names, changes: () => number, tell: (names: Names) => void): () => void {
  let known = "";
  let seen = Number.NaN;
  let gathered = 0;
  const look = (): void => {
    if (changes() === seen && Date.now() - gathered < ENDED_MS) return;
    seen = changes();
    gathered = Date.now();
    const current = names();
    const text = JSON.stringify([...current]);
    if (text === known) return;
    known = text;
    tell(current);
  };
  look();
  const timer = setInterval(look, LOOK_MS).unref();
  return () => clearInterval(timer);
}
