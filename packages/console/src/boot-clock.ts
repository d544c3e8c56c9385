/** How long machines take for the stages of their boot, from the stages that timelines show. Bounded in memory. */
import { type BootEvent, STAGES, type StageName } from "@netboot6/events";

interface Clock {
  readonly stage: StageName;
  /** When it began, in Unix milliseconds; null where that was not seen. */
  readonly since: number | null;
  /** When the boot began; null where that was before the start of the process. */
  readonly begun: number | null;
}

const MOST = 20_000;
const ORDER = new Map(STAGES.map(({ name }, index) => [name, index]));
const LAST: StageName = "done";

export class BootClock {
  /** The machine that was heard last at the end. */
  readonly #clocks = new Map<string, Clock>();
  readonly #stage: (stage: StageName, seconds: number) => void;
  readonly #boot: (seconds: number) => void;

  constructor(stage: (stage: StageName, seconds: number) => void, boot: (seconds: number) => void) {
    this.#stage = stage;
    this.#boot = boot;
  }

  /** The machine was heard, and stands at that stage. */
  tick(machine: string, stage: StageName | null, event: BootEvent): void {
    if (stage === null) return;
    const before = this.#clocks.get(machine);
    if (before?.stage === stage) return;
    // What is told first at its end began earlier.
    const at = event.type === "http.finished" || event.type === "tftp.finished" ? event.at - event.seconds * 1000 : event.at;
    const goesOn = before !== undefined && order(stage) > order(before.stage);
    if (goesOn && before.since !== null) this.#stage(before.stage, Math.max(0, at - before.since) / 1000);
    const begun = goesOn ? before.begun : isBeginning(stage) ? at : null;
    const since = goesOn || begun !== null ? at : null;
    if (stage === LAST && begun !== null) this.#boot((at - begun) / 1000);
    this.#clocks.delete(machine);
    this.#clocks.set(machine, { stage, since, begun });
    if (this.#clocks.size > MOST) this.#clocks.delete(this.#clocks.keys().next().value as string);
  }
}

const order = (stage: StageName): number => ORDER.get(stage) ?? 0;

/** A boot begins with firmware, or with iPXE out of a ROM; further on, it began before this process did. */
const isBeginning = (stage: StageName): boolean => stage === "firmware" || stage === "ipxe";
