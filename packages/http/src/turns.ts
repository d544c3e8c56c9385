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

/** What is known of a machine: when its first large file of this boot began, and when it last loaded one. */
interface Machine {
  readonly since: number;
  last: number;
}

interface Waiting extends Turn {
  readonly machine: Machine;
  active: boolean;
  since: number;
  /** Since this phase began, or before. */
  lasting: boolean;
  /** Since the phase settled. */
  bytes: number;
}

/** Downloads at full speed to begin with. */
const FIRST_SLOTS = 2;
const MOST_SLOTS = 1024;
type Phase = "measure" | "try" | "hold";
/** The speed of a download is compared with its speed beside twice as many; where the link was full, fewer go again for a while. */
const LASTS_MS: Readonly<Record<Phase, number>> = { measure: 750, try: 750, hold: 3_000 };
/** First those that began fill the kernel's buffers, which are not the link. */
const SETTLE_MS = 250;
/** Beside twice as many each keeps so much of its speed where the machines, not the link, were slow: half of it, where the link was. */
const WORTH = 0.7;
/** A machine that loaded no large file for so long begins anew. */
const FORGET_MS = 60_000;

/** The downloads that share a way out: those of one network. */
class Line {
  readonly #turns: Waiting[] = [];
  #slots = FIRST_SLOTS;
  /** Since the phase settled. */
  #bytes = 0;
  #settled = 0;
  #speed = 0;
  #phase: Phase = "measure";
  #phaseSince = 0;

  get idle(): boolean {
    return this.#turns.length === 0;
  }

  enter(machine: Machine, now: number): Turn {
    if (this.idle) {
      this.#slots = FIRST_SLOTS;
      this.#begin("measure", now);
    }
    const { since } = machine;
    const turn: Waiting = {
      machine,
      since,
      active: false,
      lasting: false,
      bytes: 0,
      wake: () => {},
      count: (bytes) => {
        turn.bytes += bytes;
        this.#bytes += bytes;
      },
      end: () => this.#leave(turn),
    };
    let at = this.#turns.length;
    while (at > 0 && (this.#turns[at - 1] as Waiting).since > since) at--;
    this.#turns.splice(at, 0, turn);
    turn.active = at < this.#slots;
    turn.lasting = turn.active && this.#phase === "measure" && this.#settled === 0;
    const last = this.#turns[this.#slots];
    if (last) pause(last);
    return turn;
  }

  /** Tries twice the slots where some wait, and keeps them where each goes on as fast. */
  tick(now: number): void {
    for (const { machine } of this.#turns) machine.last = now;
    const past = now - this.#phaseSince;
    if (this.#turns.length <= this.#slots && this.#phase !== "try") this.#begin("measure", now);
    else if (this.#settled === 0) {
      if (past >= SETTLE_MS) this.#settle(now);
    } else if (past >= LASTS_MS[this.#phase]) {
      this.#passOver(now);
      this.#passOn(this.#speedOfOne(now), now);
    }
  }

  /** Who took nothing goes to the end: of a machine that was switched off nothing is heard until its connection is given up. */
  #passOver(now: number): void {
    for (const turn of this.#turns.filter(({ lasting, bytes }) => lasting && bytes === 0)) {
      this.#turns.splice(this.#turns.indexOf(turn), 1);
      turn.since = now;
      this.#turns.push(turn);
    }
    this.#give(this.#slots);
  }

  /** `speed`: of one download in the phase that is over. */
  #passOn(speed: number, now: number): void {
    switch (this.#phase) {
      case "measure":
        this.#try(speed, now);
        break;
      case "try":
        if (speed > this.#speed * WORTH) {
          if (this.#turns.length > this.#slots) this.#try(speed, now);
          else this.#begin("measure", now);
        } else {
          this.#give(this.#slots / 2);
          this.#begin("hold", now);
        }
        break;
      case "hold":
        this.#begin("measure", now);
    }
  }

  #try(speed: number, now: number): void {
    if (this.#slots === MOST_SLOTS) {
      this.#begin("hold", now);
      return;
    }
    this.#speed = speed;
    this.#begin("try", now);
    this.#give(this.#slots * 2);
  }

  /** Bytes in a millisecond: of those that lasted through the phase, or where all were done sooner, of what each slot let out. */
  #speedOfOne(now: number): number {
    const lasting = this.#turns.filter((turn) => turn.lasting);
    const each = lasting.length > 0 ? lasting.reduce((sum, turn) => sum + turn.bytes, 0) / lasting.length : this.#bytes / this.#slots;
    return each / (now - this.#settled);
  }

  #settle(now: number): void {
    this.#settled = now;
    this.#bytes = 0;
    for (const turn of this.#turns) turn.bytes = 0;
  }

  #begin(phase: Phase, now: number): void {
    this.#phase = phase;
    this.#phaseSince = now;
    this.#settled = 0;
    for (const turn of this.#turns) turn.lasting = turn.active;
  }

  #give(slots: number): void {
    this.#slots = Math.min(MOST_SLOTS, slots);
    this.#turns.forEach((turn, i) => {
      if (i < this.#slots) activate(turn);
      else pause(turn);
    });
  }

  #leave(turn: Waiting): void {
    const at = this.#turns.indexOf(turn);
    if (at < 0) return;
    this.#turns.splice(at, 1);
    pause(turn);
    const next = this.#turns[this.#slots - 1];
    if (next) activate(next);
  }
}

function activate(turn: Waiting): void {
  if (turn.active) return;
  turn.active = true;
  turn.wake();
}

function pause(turn: Waiting): void {
  turn.active = false;
  turn.lasting = false;
}

export class Turns {
  readonly #lines = new Map<string, Line>();
  readonly #machines = new Map<string, Machine>();

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
    return line.enter(known, now);
  }

  /** Often: a few times a second. */
  tick(now: number): void {
    for (const line of this.#lines.values()) line.tick(now);
    for (const [machine, { last }] of this.#machines) if (now - last > FORGET_MS) this.#machines.delete(machine);
  }
}
