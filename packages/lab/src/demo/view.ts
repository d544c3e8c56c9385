/** The demo's picture: each machine's boot, stage by stage. Drawn anew on a terminal, line by line elsewhere. */
import { type BootEvent, describe, formatBytes, levelOf, STAGES, type Stage, Timelines } from "@netboot6/events";
import { createLogUpdate } from "log-update";

export interface Watched {
  readonly id: string;
  /** Unix milliseconds of its power-on; null while it is off. */
  poweredOn: number | null;
}

const BAR_WIDTH = 24;
const LIST_LIMIT = 24;
const PROGRESS_EVERY_MS = 5_000;

export class DemoView {
  readonly timelines = new Timelines();
  readonly #machines = new Map<string, Watched>();
  readonly #terminal: boolean;
  readonly #draw = createLogUpdate(process.stdout, { showCursor: true });
  readonly #told = new Set<string>();
  #toldProgress = 0;
  #footer = "";
  #timer: NodeJS.Timeout | null = null;

  constructor(terminal: boolean) {
    this.#terminal = terminal;
    if (terminal) this.#timer = setInterval(() => this.#redraw(), 200);
  }

  watch(machine: Watched): void {
    this.#machines.set(machine.id, machine);
  }

  set footer(text: string) {
    this.#footer = text;
    if (this.#terminal) this.#redraw();
    else if (text !== "") console.log(text);
  }

  /** A line that stays above the picture. */
  say(text: string): void {
    if (this.#terminal) this.#draw.clear();
    console.log(text);
  }

  read(event: BootEvent): void {
    this.timelines.read(event);
    const level = levelOf(event);
    // The demo has no way out, so its DNS upstream is down: that is no news.
    if ((level === "warn" || level === "error") && event.type !== "dns.upstream")
      this.say(`  ! ${"machine" in event && event.machine ? `${event.machine}: ` : ""}${describe(event)}`);
    const machine = "machine" in event ? this.#machines.get(event.machine ?? "") : undefined;
    if (machine && !this.#terminal) this.#tellLines(machine);
  }

  end(): void {
    if (this.#timer) clearInterval(this.#timer);
    if (this.#terminal) {
      this.#redraw();
      this.#draw.done();
    }
  }

  /** The stages of the machine's newest boot. */
  stages(id: string): readonly Stage[] {
    return this.timelines.get(id, Date.now())?.boots.at(-1)?.stages ?? [];
  }

  isDone(id: string): boolean {
    return this.stages(id).some(({ name }) => name === "done");
  }

  #redraw(): void {
    const lines = this.#machines.size === 1 ? [...this.#machines.values()].flatMap((machine) => this.#whole(machine)) : this.#rack();
    this.#draw([...lines, "", this.#footer].join("\n"));
  }

  /** One machine: a line for each stage, also those to come. */
  #whole(machine: Watched): string[] {
    const stages = this.stages(machine.id);
    const lines = STAGES.map(({ name, label }) => {
      const stage = stages.find((candidate) => candidate.name === name);
      if (!stage) return `      ·        ${label}`;
      return `${since(machine, stage.startedAt)} ${mark(stage)} ${label}${detail(stage)}`;
    });
    return [
      "",
      `  ${machine.id}, ${machine.poweredOn === null ? "off" : `${((Date.now() - machine.poweredOn) / 1000).toFixed(0)} s since power-on`}`,
      ...lines,
    ];
  }

  /** Many machines: a line each, and how many are at which stage. */
  #rack(): string[] {
    const machines = [...this.#machines.values()];
    const counts = STAGES.map(({ name }) => [name, machines.filter(({ id }) => this.stages(id).at(-1)?.name === name).length] as const);
    const lines = machines.slice(0, LIST_LIMIT).map((machine) => {
      const last = this.stages(machine.id).at(-1);
      if (!last) return `      ·        ${machine.id}`;
      return `${since(machine, last.startedAt)} ${mark(last)} ${machine.id.padEnd(10)} ${last.name.padEnd(10)}${detail(last)}`;
    });
    const more = machines.length > LIST_LIMIT ? [`               and ${machines.length - LIST_LIMIT} more`] : [];
    return [
      "",
      `  ${machines.length} machines: ${
        counts
          .filter(([, n]) => n > 0)
          .map(([name, n]) => `${n} ${name}`)
          .join(", ") || "switched on"
      }`,
      ...lines,
      ...more,
    ];
  }

  #tellLines(machine: Watched): void {
    const prefix = this.#machines.size === 1 ? "" : `${machine.id} `;
    for (const stage of this.stages(machine.id)) {
      const label = STAGES.find(({ name }) => name === stage.name)?.label ?? stage.name;
      const key = `${machine.id} ${stage.name} ${stage.startedAt}`;
      if (!this.#told.has(key)) {
        this.#told.add(key);
        if (stage.endedAt === null && stage.size > 0)
          console.log(`${since(machine, stage.startedAt)} … ${prefix}${label}, ${formatBytes(stage.size)}`);
        else if (stage.endedAt === null) console.log(`${since(machine, stage.startedAt)} … ${prefix}${label}`);
      }
      if (stage.endedAt !== null && !this.#told.has(`${key} end`)) {
        this.#told.add(`${key} end`);
        console.log(`${since(machine, stage.endedAt)} ${mark(stage)} ${prefix}${label}${detail(stage)}`);
      }
      if (stage.endedAt === null && stage.size > 0 && Date.now() - this.#toldProgress > PROGRESS_EVERY_MS) {
        this.#toldProgress = Date.now();
        console.log(`${since(machine, Date.now())} … ${prefix}${label}${detail(stage)}`);
      }
    }
  }
}

const since = (machine: Watched, at: number): string => `${((at - (machine.poweredOn ?? at)) / 1000).toFixed(1).padStart(9)} s`;
const mark = (stage: Stage): string => (stage.failed !== null ? "✗" : stage.endedAt === null ? "…" : "✓");

function detail(stage: Stage): string {
  if (stage.failed !== null) return `: ${stage.failed}`;
  if (stage.size === 0) return "";
  if (stage.endedAt !== null) {
    const seconds = Math.max(0.001, (stage.endedAt - stage.startedAt) / 1000);
    return stage.size < 1e5 ? "" : `: ${formatBytes(stage.size)} in ${seconds.toFixed(1)} s`;
  }
  const filled = Math.round((BAR_WIDTH * stage.sent) / stage.size);
  return ` ${"█".repeat(filled)}${"░".repeat(BAR_WIDTH - filled)} ${formatBytes(stage.sent)} of ${formatBytes(stage.size)}`;
}
