/**
 * What a lease tells of its machine. Of most that are only met it tells all, so they have no row of their own beside it: a storm of
 * strangers is half as many rows.
 */
import type { Lease } from "@netboot6/leases";
import { type Machine, macOfId, NOBODY } from "@netboot6/machines";

/** Whether it is known by one MAC, after which it is called, and one DUID, and nothing was done with it. */
export function isPlain({ id, macs, duids, uuid, ports, profile, boot, shared }: Machine): boolean {
  if (macs.length !== 1 || duids.length !== 1 || ports.length > 0 || uuid !== null || profile !== null || shared) return false;
  return boot.stage === "new" && boot.token === null && macOfId(id) === macs[0];
}

/** Whether the lease tells all of a plain machine. */
export const tells = (lease: Lease, { duids, met }: Machine): boolean =>
  lease.state === "bound" && lease.duid === duids[0] && (lease.mac !== undefined) === met;

/** The stored machines with what stored leases tell of them, and those that only a lease tells of. */
export function withLeased(machines: readonly Machine[], leases: readonly Lease[]): Machine[] {
  const known = new Map(machines.map((machine) => [machine.id, machine]));
  for (const { machine: id, duid, mac, state, since } of leases) {
    if (state !== "bound") continue;
    const machine = known.get(id);
    const own = macOfId(id);
    const at = since * 1000;
    if (machine) {
      if (!machine.met && mac !== undefined && machine.macs.includes(mac)) known.set(id, { ...machine, met: true });
    } else if (own !== null)
      known.set(id, {
        ...NOBODY,
        id,
        macs: [own],
        duids: [duid],
        met: mac !== undefined,
        boot: { ...NOBODY.boot, since: at },
        firstSeen: at,
      });
  }
  return [...known.values()];
}
