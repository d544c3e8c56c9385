/**
 * Whose turn it is when many machines load large files at once: the machines that came first go at full speed, so many at a time
 * as the link needs to be full, the others get a little now and then and wait. All are done no later than if all shared equally,
 * and most of them much earlier. No sockets, no clock.
 */

/** One download that takes turns. */
export interface Turn {
  /** Whether it goes at full speed now. */
  readonly active: boolean;
  /** Called when it comes to be. */
  wake: () => void;
  /** So many bytes have gone out. */
  count(bytes: number): void;
  end(): void;
}

interface Waiting extends Turn {
  active: boolean;
  readonly since: number;
}

/** Downloads at full speed to begin with. */
const FIRST_SLOTS = 8;
const MOST_SLOTS = 1024;
type Phase = "measure" | "settle" | "try" | "hold";
/** What a number of slots brings is compared with what twice as many bring; where that was no more they stay for a while. */
const LASTS_MS: Readonly<Record<Phase, number>> = { measure: 500, settle: 250, try: 500, hold: 3_000 };
/** Twice the slots stay where they bring so many times the bytes: the machines, not the link, were slow. */
const WORTH = 1.3;
/** A machine that began no large file for so long begins anew. */
const FORGET_MS = 60_000;

/** The downloads that share a way out: those of one network. */
class Line {
  readonly #turns: Waiting[] = [];
  #slots = FIRST_SLOTS;
  #bytes = 0;
  #rate = 0;
  #phase: Phase = "measure";
  #phaseSince = 0;

  get idle(): boolean {
    return this.#turns.length === 0;
  }

  get slots(): number {
    return this.#slots;
  }

  enter(since: number, now: number): Turn {
    if (this.idle) this.#begin(now);
    const turn: Waiting = {
      since,
      active: false,
      wake: () => {},
      count: (bytes) => {
        this.#bytes += bytes;
      },
      end: () => this.#leave(turn),
    };
    let at = this.#turns.length;
    while (at > 0 && (this.#turns[at - 1] as Waiting).since > since) at--;
    this.#turns.splice(at, 0, turn);
    turn.active = at < this.#slots;
    const last = this.#turns[this.#slots];
    if (last) last.active = false;
    return turn;
  }

  /** Tries twice the slots where some wait, and keeps them where that brings more. */
  tick(now: number): void {
    const past = now - this.#phaseSince;
    if (this.#turns.length <= this.#slots && this.#phase !== "try") this.#enterPhase("measure", now);
    else if (past >= LASTS_MS[this.#phase]) this.#passOn(this.#bytes / past, now);
  }

  /** `rate`: bytes in a millisecond of the phase that is over. */
  #passOn(rate: number, now: number): void {
    switch (this.#phase) {
      case "measure":
        if (this.#slots === MOST_SLOTS) return;
        this.#rate = rate;
        this.#give(this.#slots * 2);
        this.#enterPhase("settle", now);
        break;
      case "settle":
        this.#enterPhase("try", now);
        break;
      case "try": {
        const worth = rate > this.#rate * WORTH;
        if (!worth) this.#give(this.#slots / 2);
        this.#enterPhase(worth ? "measure" : "hold", now);
        break;
      }
      case "hold":
        this.#enterPhase("measure", now);
    }
  }

  #begin(now: number): void {
    this.#slots = FIRST_SLOTS;
    this.#enterPhase("measure", now);
  }

  #enterPhase(phase: Phase, now: number): void {
    this.#phase = phase;
    this.#phaseSince = now;
    this.#bytes = 0;
  }

  #give(slots: number): void {
    this.#slots = Math.min(MOST_SLOTS, slots);
    this.#turns.forEach((turn, i) => {
      if (i < this.#slots) activate(turn);
      else turn.active = false;
    });
  }

  #leave(turn: Waiting): void {
    const at = this.#turns.indexOf(turn);
    if (at < 0) return;
    this.#turns.splice(at, 1);
    turn.active = false;
    const next = this.#turns[this.#slots - 1];
    if (next) activate(next);
  }
}

function activate(turn: Waiting): void {
  if (turn.active) return;
  turn.active = true;
  turn.wake();
}

export class Turns {
  readonly #lines = new Map<string, Line>();
  /** When each machine's first large file of this boot began, and when its last one did. */
  readonly #machines = new Map<string, { readonly since: number; last: number }>();

  /** `machine`: its address. `now` in milliseconds. */
  enter(network: string, machine: string, now: number): Turn {
    let known = this.#machines.get(machine);
    if (known) known.last = now;
    else {
      known = { since: now, last: now };
      this.#machines.set(machine, known);
    }
    let line = this.#lines.get(network);
    if (!line) {
      line = new Line();
      this.#lines.set(network, line);
    }
    return line.enter(known.since, now);
  }

  /** Often: a few times a second. */
  tick(now: number): void {
    for (const line of this.#lines.values()) line.tick(now);
    for (const [machine, { last }] of this.#machines) if (now - last > FORGET_MS) this.#machines.delete(machine);
  }
}
