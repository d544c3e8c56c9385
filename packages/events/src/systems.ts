/**
 * Systems that ask for their address and do nothing else that the appliance sees: each is remembered by one event, as there may be
 * many more of them than machines that boot. Bounded in memory.
 */
import { Chain, type Linked } from "@netboot6/codec";
import { type BootRecord, isAgain, type Seen, see, type Writable } from "./records.ts";
import type { BootEvent } from "./types.ts";

type Answered = Writable<Extract<BootEvent, { readonly type: "dhcpv6.answered" }>>;

interface System extends Writable<Seen>, Linked<System> {
  readonly machine: string;
  readonly startedAt: number;
  /** The Reply to it, a copy of our own; null while it was only offered an address. */
  answered: Answered | null;
  /** How often it asked that. */
  count: number;
}

/** Such a system takes less than a kilobyte. */
const MAX_SYSTEMS = 100_000;

export class Systems {
  readonly #systems = new Map<string, System>();
  /** The one that was silent longest comes first. */
  readonly #heard = new Chain<System>();

  /** Whether the event tells no more of a machine that is met here alone, or nowhere yet, than that it is a system with one address. */
  read(machine: string, event: BootEvent): boolean {
    if (event.type !== "dhcpv6.answered" || event.clientKind !== "system") return false;
    const isReply = event.answer !== "Advertise";
    let system = this.#systems.get(machine);
    if (system === undefined) {
      system = {
        machine,
        startedAt: event.at,
        answered: null,
        count: 0,
        at: event.at,
        network: null,
        address: null,
        older: null,
        newer: null,
      };
      this.#systems.set(machine, system);
    } else if (isReply && system.answered && !isAgain(system.answered, event)) return false;
    see(system, event);
    this.#heard.append(system);
    if (this.#heard.size > MAX_SYSTEMS) this.forget((this.#heard.oldest as System).machine);
    if (!isReply) return true;
    system.count++;
    // It is renewed again and again by the same words: keeping the new ones would cost the collector more than the answer took.
    if (system.answered && isSame(system.answered, event)) {
      system.answered.seq = event.seq;
      system.answered.at = event.at;
    } else system.answered = { ...event };
    return true;
  }

  seen(machine: string): Seen | undefined {
    return this.#systems.get(machine);
  }

  ids(): Iterable<string> {
    return this.#systems.keys();
  }

  /** As any machine's; empty where it is not met here. */
  boots(machine: string): readonly BootRecord[] {
    const system = this.#systems.get(machine);
    return system ? [bootOf(system)] : [];
  }

  forget(machine: string): void {
    const system = this.#systems.get(machine);
    if (!system) return;
    this.#systems.delete(machine);
    this.#heard.delete(system);
  }

  /** Takes it out, as it does more now. */
  take(machine: string): { readonly boot: BootRecord; readonly seen: Seen } | undefined {
    const system = this.#systems.get(machine);
    if (!system) return undefined;
    this.forget(machine);
    const { at, network, address } = system;
    return { boot: bootOf(system), seen: { at, network, address } };
  }
}

const areSame = (a: readonly string[], b: readonly string[]): boolean => a.length === b.length && a.every((each, i) => each === b[i]);

/** Whether all but its number and time is the same; `isAgain` compared the rest. */
const isSame = (a: Answered, b: Answered): boolean =>
  areSame(a.why, b.why) &&
  areSame(a.addresses, b.addresses) &&
  a.valid === b.valid &&
  a.client === b.client &&
  a.network === b.network &&
  a.mac === b.mac &&
  a.relay === b.relay &&
  a.bootfileUrl === b.bootfileUrl &&
  a.vendorClass === b.vendorClass;

const bootOf = ({ startedAt, at, answered, count }: System): BootRecord => ({
  startedAt,
  stages: [],
  entries: answered ? [{ event: answered, count }] : [],
  heardAt: at ?? startedAt,
});
