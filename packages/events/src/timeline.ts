/** What each machine did, boot by boot and stage by stage: a reader of the stream, bounded in memory. Times are Unix milliseconds. */
import { Chain, type Linked } from "@netboot6/codec";
import { LOOP_SECONDS, loopOf, type ProgramLoop, programLoopOf } from "./boot-loop.ts";
import { describe } from "./describe.ts";
import { type BootRecord, type FileRecord, isAgain, type Seen, type StageRecord, see, type Writable } from "./records.ts";
import { isOptional, isProgram, isScript, stageOrder as order, type StageName, scriptStage } from "./stages.ts";
import { Systems } from "./systems.ts";
import type { BootEvent } from "./types.ts";
import { judge, lastAsked, type Verdict } from "./verdict.ts";
import { World } from "./world.ts";

export interface Stage {
  readonly name: StageName;
  readonly startedAt: number;
  /** Null while it is under way. */
  readonly endedAt: number | null;
  /** The newest of what happened in it, in words. */
  readonly detail: string;
  /**
   * Downloads: bytes sent so far and the size of what they are of, over the stage's files. A file that is asked for again counts once,
   * by the request that came farthest; pieces of it (Range) are added up to its size. Text in place of a file that is refused is not counted.
   */
  readonly sent: number;
  readonly size: number;
  /** How often what it asks for was asked; of several files, the one that was asked for most often. */
  readonly attempts: number;
  /** Why it failed; null where it did not. */
  readonly failed: string | null;
}

/** What goes on beside the stages: asking for routers (each stretch of it), and the names that the installer looks up. */
interface Beside extends Omit<Stage, "name"> {
  readonly name: "router" | "names";
}

export interface Entry {
  /** The newest time. */
  readonly at: number;
  readonly type: string;
  readonly text: string;
  readonly why?: readonly string[];
  /** How often it happened one after another. */
  readonly count: number;
}

export interface Boot {
  readonly startedAt: number;
  readonly stages: readonly Stage[];
  readonly beside: readonly Beside[];
  /** What happened, the newest last. */
  readonly entries: readonly Entry[];
}

export interface MachineTimeline {
  readonly machine: string;
  /** The newest last. */
  readonly boots: readonly Boot[];
  /** Why it stands still; null where it does not. */
  readonly verdict: Verdict | null;
}

/** Firmware's solicitations of routers begin so long before its first Solicit at most. */
const SOLICITED_MS = 15_000;
/** A kernel is not up sooner; iPXE looks up the name in the next file's URL at once. */
const KERNEL_MS = 3_000;

/** Firmware that is not answered asks again sooner. */
const APART_MS = 600_000;

/** A machine that asks for its script and kernel again and again: each is one entry with its count, as what it does in a round is so much. */
const ROUND = 4;
/** DHCPv6 is an exchange: an offer that comes after a lease is another. */
const roundOf = ({ type }: BootEvent): number => (type === "dhcpv6.answered" ? 1 : ROUND);

const MAX_MACHINES = 10_000;
const MAX_BOOTS = 5;
const MAX_ENTRIES = 200;
/** Of a stage: an installer may fetch its packages here. */
const MAX_FILES = 32;
/** Of all machines together; those that were silent longest lose theirs first. An entry takes about half a kilobyte. */
const MAX_ALL_ENTRIES = 200_000;

/** One boot as it is stored. Plain systems, which boot nothing here, have none. */
export interface StoredBoot {
  readonly machine: string;
  readonly boot: BootRecord;
}

interface Known extends Writable<Seen>, Linked<Known> {
  readonly machine: string;
  readonly boots: BootRecord[];
}

const newKnown = (machine: string, boots: BootRecord[]): Known => ({
  machine,
  boots,
  at: null,
  network: null,
  address: null,
  older: null,
  newer: null,
});

export class Timelines {
  readonly #world = new World();
  /** What changed since it was taken to be stored, by key; null: gone. */
  readonly #unstored = new Map<string, StoredBoot | null>();
  /** The rule of the verdict that was told of a machine last. */
  readonly #told = new Map<string, string>();
  readonly #machines = new Map<string, Known>();
  /** The machine that was silent longest comes first. */
  readonly #heard = new Chain<Known>();
  /** Those that did nothing yet but ask for addresses; they are among no machines above. */
  readonly #systems = new Systems();
  /** What was learned just now of a machine that is not met otherwise yet. */
  #learned: Extract<BootEvent, { readonly type: "machine.learned" }> | null = null;
  #entries = 0;

  /** Takes the boots of an earlier run. */
  restore(stored: readonly StoredBoot[]): void {
    for (const { machine, boot } of stored.toSorted((a, b) => a.boot.startedAt - b.boot.startedAt)) {
      const known = this.#machines.get(machine) ?? newKnown(machine, []);
      this.#machines.set(machine, known);
      this.#heard.append(known);
      // Stored by a version that kept no files.
      for (const stage of boot.stages) stage.files ??= [];
      known.boots.push(boot);
      this.#entries += boot.entries.length;
      const events = [...boot.entries.map(({ event }) => event), ...boot.stages.map(({ last }) => last)];
      for (const event of events.toSorted((a, b) => a.at - b.at)) see(known, event);
    }
  }

  /** As if the machine had never been met. */
  forget(machine: string): void {
    const known = this.#machines.get(machine);
    if (known) this.#drop(known);
    this.#systems.forget(machine);
  }

  /** Boots that are to be stored under their keys, null: deleted; at most so many, those that changed first. */
  takeUnstored(most: number): [key: string, boot: StoredBoot | null][] {
    const taken: [string, StoredBoot | null][] = [];
    for (const entry of this.#unstored) {
      if (taken.length >= most) break;
      this.#unstored.delete(entry[0]);
      taken.push(entry);
    }
    return taken;
  }

  get(machine: string, now: number): MachineTimeline | undefined {
    const boots = this.#bootsOf(machine);
    return boots.length === 0 ? undefined : { machine, boots: boots.map(bootOf), verdict: judge(boots, this.#world, now) };
  }

  /** Where and when it was heard last, in this run or in a boot that an earlier one stored. */
  seen(machine: string): Seen | undefined {
    return this.#machines.get(machine) ?? this.#systems.seen(machine);
  }

  #bootsOf(machine: string): readonly BootRecord[] {
    return this.#machines.get(machine)?.boots ?? this.#systems.boots(machine);
  }

  /** The machines that something happened to, also those that are not served. */
  ids(): readonly string[] {
    return [...this.#machines.keys(), ...this.#systems.ids()];
  }

  /** Why it stands still; null where it does not. */
  verdict(machine: string, now: number): Verdict | null {
    return judge(this.#bootsOf(machine), this.#world, now);
  }

  /** The machines whose verdict is another than at the last look, with the one they have now. */
  *newVerdicts(now: number): Generator<{ readonly machine: string; readonly verdict: Verdict | null }> {
    for (const { machine, boots } of [...this.#machines.values()]) {
      const verdict = judge(boots, this.#world, now);
      if (verdict?.rule === this.#told.get(machine)) continue;
      if (verdict) this.#told.set(machine, verdict.rule);
      else this.#told.delete(machine);
      yield { machine, verdict };
    }
  }

  /**
   * Why a machine that asks for its script again should be stopped: its boots before this one, of those that began after `since`,
   * are a loop. Null where they are not.
   */
  loop(machine: string, since: number, now: number): string | null {
    const before = this.#bootsOf(machine)
      .slice(0, -1)
      .filter(({ startedAt }) => startedAt > since);
    const loop = loopOf(before, now);
    if (!loop || order(loop.stage) < order("script")) return null;
    return `it began ${loop.boots.length} boots within ${LOOP_SECONDS / 60} minutes and came no further than ${loop.stage}`;
  }

  /** The program that iPXE was given again and again in place of a script, after `since`; null where it was not. */
  programLoop(machine: string, since: number, now: number): ProgramLoop | null {
    const boot = this.#bootsOf(machine).at(-1);
    return boot ? programLoopOf(boot, since, now) : null;
  }

  /** How far its newest boot has come; null where it has not begun one. */
  stage(machine: string): StageName | null {
    return this.#machines.get(machine)?.boots.at(-1)?.stages.at(-1)?.name ?? null;
  }

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    this.#world.read(event);
    const machine = "machine" in event ? event.machine : undefined;
    if (machine === undefined || machine === "" || event.type === "machine.stuck" || event.type === "machine.goesOn") return;
    const known = this.#machines.get(machine);
    if (!known && (this.#systems.read(machine, event) || this.#putOff(event))) return;
    const boot = this.#bootFor(machine, known, event);
    // That a download stands is not heard of the machine.
    if (event.type !== "http.progress" || event.heldUpBy === undefined) boot.heardAt = event.at;
    if (isEntry(event)) this.#add(boot, event);
    advance(boot, event, this.#world);
    if (boot.stages.length > 0) this.#unstored.set(keyOf(machine, boot), { machine, boot });
  };

  #add({ entries }: BootRecord, event: BootEvent): void {
    const round = Math.min(entries.length, roundOf(event));
    for (let i = 1; i <= round; i++) {
      const before = entries.at(-i);
      if (!before || !isAgain(before.event, event)) continue;
      if (i > 1) entries.push(...entries.splice(-i, 1));
      before.event = event;
      before.count++;
      return;
    }
    entries.push({ event, count: 1 });
    if (entries.length > MAX_ENTRIES) entries.shift();
    else if (++this.#entries > MAX_ALL_ENTRIES) this.#drop(this.#heard.oldest as Known);
  }

  /** What is learned of a machine comes before what it was learned from, which tells whether it is a plain system. */
  #putOff(event: BootEvent): boolean {
    if (event.type !== "machine.learned") return false;
    this.#learned = event;
    return true;
  }

  #bootFor(machine: string, known: Known | undefined, event: BootEvent): BootRecord {
    if (!known) return this.#meet(machine, event);
    this.#heard.append(known);
    see(known, event);
    const last = known.boots.at(-1) as BootRecord;
    if (!beginsBoot(last, event)) return last;
    const entries = solicitedBefore(last, event.at);
    if (entries.length > 0 && last.stages.length > 0) this.#unstored.set(keyOf(machine, last), { machine, boot: last });
    const boot: BootRecord = { startedAt: entries[0]?.event.at ?? event.at, stages: [], entries, heardAt: event.at };
    known.boots.push(boot);
    if (known.boots.length > MAX_BOOTS) this.#forget(machine, known.boots.shift() as BootRecord);
    return boot;
  }

  /** Of a machine whose first event this is, or the first that tells more of it than that it is a plain system. */
  #meet(machine: string, event: BootEvent): BootRecord {
    const system = this.#systems.take(machine);
    const known = newKnown(machine, [system?.boot ?? { startedAt: event.at, stages: [], entries: [], heardAt: event.at }]);
    if (system) Object.assign(known, system.seen);
    this.#machines.set(machine, known);
    if (this.#machines.size > MAX_MACHINES) this.#drop(this.#heard.oldest as Known);
    const boot = this.#bootFor(machine, known, event);
    this.#entries += system?.boot.entries.length ?? 0;
    if (this.#learned?.machine === machine) this.#add(boot, this.#learned);
    this.#learned = null;
    return boot;
  }

  #forget(machine: string, boot: BootRecord): void {
    this.#entries -= boot.entries.length;
    if (boot.stages.length > 0) this.#unstored.set(keyOf(machine, boot), null);
  }

  #drop(known: Known): void {
    const { machine, boots } = known;
    for (const boot of boots) this.#forget(machine, boot);
    this.#machines.delete(machine);
    this.#heard.delete(known);
    this.#told.delete(machine);
  }
}

const keyOf = (machine: string, { startedAt }: BootRecord): string => `${machine} ${startedAt}`;

function isEntry(event: BootEvent): boolean {
  switch (event.type) {
    case "http.started":
    case "tftp.started":
    case "http.progress":
    case "tftp.progress":
      return false;
    case "dhcpv6.answered":
      return event.answer !== "Advertise" || event.clientKind !== "system";
    default:
      return true;
  }
}

function besideOf({ stages, entries }: BootRecord): Beside[] {
  const beside: { -readonly [Key in keyof Beside]: Beside[Key] }[] = [];
  const step = (name: Beside["name"], event: BootEvent): { -readonly [Key in keyof Beside]: Beside[Key] } => {
    const last = beside.findLast((each) => each.name === name);
    if (last && (name === "names" || event.at - (last.endedAt ?? last.startedAt) < SOLICITED_MS)) return last;
    const begun = { name, startedAt: event.at, endedAt: null, detail: "", sent: 0, size: 0, attempts: 0, failed: null };
    beside.push(begun);
    return begun;
  };
  const installer = stages.find(({ name }) => name === "installer")?.startedAt ?? Number.POSITIVE_INFINITY;
  for (const { event } of entries) {
    if (event.type === "ra.solicited") {
      const asked = step("router", event);
      asked.attempts++;
      asked.detail ||= describe(event);
    } else if (event.type === "ra.sent") {
      const answered = step("router", event);
      answered.endedAt = event.at;
      answered.detail = describe(event);
    } else if ((event.type === "dns.answered" || event.type === "dns.counted") && event.at >= installer) {
      const looked = step("names", event);
      looked.attempts += event.type === "dns.counted" ? event.count : 1;
      looked.endedAt = event.at;
      looked.detail = describe(event);
    }
  }
  return beside;
}

const bootOf = (boot: BootRecord): Boot => ({
  startedAt: boot.startedAt,
  beside: besideOf(boot),
  stages: boot.stages.map(({ last, failed, files, ...stage }) => ({
    ...stage,
    detail: describe(last),
    failed: failed ? describe(last) : null,
  })),
  entries: boot.entries.map(({ event, count }) => ({
    at: event.at,
    type: event.type,
    text: describe(event),
    ...("why" in event && Array.isArray(event.why) ? { why: event.why as readonly string[] } : {}),
    count,
  })),
});

/** Firmware solicits only after a reset, answered or not; iPXE from a ROM begins a boot where the last one had come past its script. */
function beginsBoot(last: BootRecord, event: BootEvent): boolean {
  if ((event.type !== "dhcpv6.answered" && event.type !== "dhcpv6.dropped") || event.clientKind === undefined) return false;
  const come = last.stages.at(-1);
  const isFirmware = event.clientKind.startsWith("firmware");
  const isIpxe = event.clientKind === "ipxe";
  if (!come) {
    const asked = lastAsked(last);
    return (isFirmware || isIpxe) && ((asked && isOfSystem(asked)) || event.at - (asked?.at ?? last.startedAt) > APART_MS);
  }
  if (isFirmware) return event.message === "Solicit" && order(come.name) > order("firmware");
  return isIpxe && order(come.name) > order("script");
}

const isOfSystem = (event: BootEvent): boolean => "clientKind" in event && event.clientKind === "system";

/** Takes the solicitations of a machine that was switched on just now out of its last boot: firmware solicits routers first. */
function solicitedBefore({ entries }: BootRecord, at: number): BootRecord["entries"] {
  const from = entries.findLastIndex(({ event }) => !event.type.startsWith("ra.") || at - event.at > SOLICITED_MS) + 1;
  return entries.splice(from);
}

/** Which stage an event belongs to; null: none of its own. */
function stageOf(boot: BootRecord, event: BootEvent): StageName | null {
  const come = boot.stages.at(-1)?.name ?? null;
  switch (event.type) {
    case "dhcpv6.answered":
      if (event.clientKind.startsWith("firmware")) return "firmware";
      if (event.clientKind === "ipxe") return "ipxe";
      return come === "initrd" || come === "kernel" ? "installer" : null;
    case "http.started":
    case "http.progress":
    case "http.finished":
    case "tftp.started":
    case "tftp.progress":
    case "tftp.finished":
      return fileStage(boot, event, come);
    case "machine.rendered":
      return isScript(event.path) ? scriptStage(event.path) : "answers";
    case "machine.done":
      return "done";
    case "dns.answered": {
      // An installer that has its resolver from the router's advertisement may need no DHCPv6.
      const ended = come === "initrd" || come === "kernel" ? boot.stages.at(-1)?.endedAt : null;
      return ended != null && event.at - ended >= KERNEL_MS ? "installer" : null;
    }
    default:
      return null;
  }
}

function fileStage(boot: BootRecord, event: Extract<BootEvent, { path: string; sent?: number }>, come: StageName | null): StageName | null {
  const { path } = event;
  // Firmware asks for the size first, and goes no further where that is refused.
  if (event.type === "http.finished" && event.method === "HEAD" && event.status < 400) return null;
  if (isOptional(path)) return null;
  if (isScript(path)) return scriptStage(path);
  if (isProgram(path)) return "program";
  if (path.startsWith("/done/")) return null;
  const known = boot.stages.find(
    (stage) => (stage.name === "kernel" || stage.name === "initrd") && "path" in stage.last && stage.last.path === path,
  );
  if (known) return known.name;
  if (come === "script" || come === "ipxe") return "kernel";
  if (come === "kernel" || come === "initrd") return isInstaller(event) ? "installer" : "initrd";
  // Installers fetch their second stage first, then their answers.
  if (come === "installer") return /\.(iso|img|squashfs|gz|xz)$/.test(path) ? "installer" : "answers";
  return null;
}

const isInstaller = (event: BootEvent): boolean => "userAgent" in event && !/iPXE|UefiHttpBoot|GRUB/.test(event.userAgent);

function fileOf(stage: StageRecord, path: string): FileRecord {
  const known = stage.files.find((file) => file.path === path);
  if (known) return known;
  const file: FileRecord = { path, asked: 0, size: 0, had: 0, sent: 0 };
  if (stage.files.push(file) > MAX_FILES) stage.files.shift();
  return file;
}

/** Counts into the stage what its file has by now. */
function count(stage: StageRecord, file: FileRecord, sent: number, size: number): void {
  const farthest = Math.min(size, Math.max(file.had, sent));
  stage.sent += farthest - file.sent;
  stage.size += size - file.size;
  file.sent = farthest;
  file.size = size;
}

function advance(boot: BootRecord, event: BootEvent, world: World): void {
  const name = stageOf(boot, event);
  if (name === null) return;
  let stage = boot.stages.find((candidate) => candidate.name === name);
  if (!stage) {
    const last = boot.stages.at(-1);
    if (last) world.tookSeconds(last.name, (event.at - last.startedAt) / 1000);
    if (last && last.endedAt === null) last.endedAt = event.at;
    const began = event.type === "http.finished" || event.type === "tftp.finished" ? event.at - event.seconds * 1000 : event.at;
    // Seconds are counted in another thread than the one that takes the time.
    const startedAt = Math.max(began, last?.startedAt ?? 0);
    stage = { name, startedAt, endedAt: null, last: event, sent: 0, size: 0, attempts: 0, failed: false, files: [] };
    boot.stages.push(stage);
  }
  stage.last = event;
  switch (event.type) {
    case "http.started":
    case "http.progress":
    case "tftp.started":
    case "tftp.progress":
      count(stage, fileOf(stage, event.path), "sent" in event ? event.sent : 0, event.size);
      break;
    case "http.finished":
    case "tftp.finished": {
      const file = fileOf(stage, event.path);
      stage.attempts = Math.max(stage.attempts, ++file.asked);
      if (event.type === "http.finished" ? event.status < 300 : event.status !== "refused") {
        const before = event.type === "http.finished" && event.status === 206 ? file.had : 0;
        count(stage, file, before + event.sent, event.size);
        file.had = file.sent;
      }
      // An error's script goes out as any script does, with a reason.
      const good = event.why === undefined && (event.type === "http.finished" ? event.status < 400 : event.status === "sent");
      stage.failed = !good;
      // A script is asked for again by a machine that waits; of several initrds the last one ends the stage.
      if (good && (stage.endedAt === null || name !== "script")) stage.endedAt = event.at;
      break;
    }
    case "dhcpv6.answered":
      stage.attempts++;
      if (event.answer === "Reply") stage.endedAt ??= event.at;
      break;
    default:
      stage.endedAt ??= event.at;
  }
}
