/** What each machine did, boot by boot and stage by stage: a reader of the stream, bounded in memory. Times are Unix milliseconds. */
import { describe } from "./describe.ts";
import type { BootEvent } from "./types.ts";

export type StageName = "firmware" | "program" | "ipxe" | "script" | "kernel" | "initrd" | "installer" | "answers" | "done";

/** In the order of a boot. */
export const STAGES: readonly { readonly name: StageName; readonly label: string }[] = [
  { name: "firmware", label: "firmware asks for an address and a boot file" },
  { name: "program", label: "boot program" },
  { name: "ipxe", label: "iPXE asks for its script" },
  { name: "script", label: "script" },
  { name: "kernel", label: "kernel" },
  { name: "initrd", label: "initrd" },
  { name: "installer", label: "installer is up" },
  { name: "answers", label: "answers file" },
  { name: "done", label: "reports back" },
];

export interface Stage {
  readonly name: StageName;
  readonly startedAt: number;
  /** Null while it is under way. */
  endedAt: number | null;
  /** The newest of what happened in it, in words. */
  detail: string;
  /** Downloads: bytes sent so far and their size. */
  sent: number;
  size: number;
  /** How often what it asks for was asked. */
  attempts: number;
  /** Why it failed; null where it did not. */
  failed: string | null;
}

export interface Boot {
  readonly startedAt: number;
  readonly stages: Stage[];
  /** What happened, the newest last. */
  readonly entries: { readonly at: number; readonly type: string; readonly text: string; readonly why?: readonly string[] }[];
}

export interface MachineTimeline {
  readonly machine: string;
  /** The newest last. */
  readonly boots: Boot[];
}

const MAX_MACHINES = 10_000;
const MAX_BOOTS = 5;
const MAX_ENTRIES = 200;

const order = (name: StageName): number => STAGES.findIndex((stage) => stage.name === name);

export class Timelines {
  readonly #machines = new Map<string, MachineTimeline>();

  get(machine: string): MachineTimeline | undefined {
    return this.#machines.get(machine);
  }

  all(): IterableIterator<MachineTimeline> {
    return this.#machines.values();
  }

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    const machine = "machine" in event ? event.machine : undefined;
    if (machine === undefined || machine === "") return;
    const boot = this.#bootOf(machine, event);
    if (!event.type.endsWith(".progress") && !event.type.endsWith(".started")) {
      const why = "why" in event && Array.isArray(event.why) ? { why: event.why as readonly string[] } : {};
      boot.entries.push({ at: event.at, type: event.type, text: describe(event), ...why });
      if (boot.entries.length > MAX_ENTRIES) boot.entries.shift();
    }
    advance(boot, event);
  };

  #bootOf(machine: string, event: BootEvent): Boot {
    let timeline = this.#machines.get(machine);
    if (!timeline) {
      timeline = { machine, boots: [] };
      this.#machines.set(machine, timeline);
      if (this.#machines.size > MAX_MACHINES) this.#machines.delete(this.#machines.keys().next().value as string);
    }
    const last = timeline.boots.at(-1);
    if (last && !beginsBoot(last, event)) return last;
    const boot: Boot = { startedAt: event.at, stages: [], entries: [] };
    timeline.boots.push(boot);
    if (timeline.boots.length > MAX_BOOTS) timeline.boots.shift();
    return boot;
  }
}

/** Firmware solicits only after a reset; iPXE from a ROM begins a boot where the last one had come past its script. */
function beginsBoot(last: Boot, event: BootEvent): boolean {
  if (event.type !== "dhcpv6.answered") return false;
  const come = last.stages.at(-1);
  if (!come) return false;
  if (event.clientKind.startsWith("firmware")) return event.message === "Solicit" && order(come.name) > order("firmware");
  return event.clientKind === "ipxe" && order(come.name) > order("script");
}

/** Which stage an event belongs to; null: none of its own. */
function stageOf(boot: Boot, event: BootEvent): StageName | null {
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
      return event.path.endsWith(".ipxe") ? scriptStage(event.path) : "answers";
    case "machine.done":
      return "done";
    default:
      return null;
  }
}

function fileStage(boot: Boot, event: Extract<BootEvent, { path: string; sent?: number }>, come: StageName | null): StageName | null {
  const { path } = event;
  if (event.type === "http.finished" && event.method === "HEAD") return null;
  if (path.endsWith(".ipxe")) return scriptStage(path);
  if (/\.(efi|lkrn|k?k?pxe)$/.test(path)) return "program";
  if (path.startsWith("/done/")) return null;
  const known = boot.stages.find((stage) => (stage.name === "kernel" || stage.name === "initrd") && stage.detail.includes(path));
  if (known) return known.name;
  if (come === "script" || come === "ipxe") return "kernel";
  if (come === "kernel" || come === "initrd") return isInstaller(event) ? "installer" : "initrd";
  return null;
}

/** autoexec.ipxe only leads iPXE to its script. */
const scriptStage = (path: string): StageName => (path.endsWith("/autoexec.ipxe") ? "ipxe" : "script");

const isInstaller = (event: BootEvent): boolean => "userAgent" in event && !/iPXE|UefiHttpBoot|GRUB/.test(event.userAgent);

function advance(boot: Boot, event: BootEvent): void {
  const name = stageOf(boot, event);
  if (name === null) return;
  let stage = boot.stages.find((candidate) => candidate.name === name);
  if (!stage) {
    const last = boot.stages.at(-1);
    if (last && last.endedAt === null) last.endedAt = event.at;
    const startedAt = event.type === "http.finished" || event.type === "tftp.finished" ? event.at - event.seconds * 1000 : event.at;
    stage = { name, startedAt, endedAt: null, detail: "", sent: 0, size: 0, attempts: 0, failed: null };
    boot.stages.push(stage);
  }
  stage.detail = describe(event);
  switch (event.type) {
    case "http.started":
    case "http.progress":
    case "tftp.started":
    case "tftp.progress":
      stage.size = event.size;
      if ("sent" in event) stage.sent = event.sent;
      break;
    case "http.finished":
    case "tftp.finished": {
      stage.attempts++;
      stage.sent = event.sent;
      stage.size = event.size;
      const good = event.type === "http.finished" ? event.status < 400 && event.why === undefined : event.status === "sent";
      stage.failed = good ? null : stage.detail;
      if (good) stage.endedAt = event.at;
      break;
    }
    case "dhcpv6.answered":
      stage.attempts++;
      if (event.answer === "Reply") stage.endedAt = event.at;
      break;
    default:
      stage.endedAt = event.at;
  }
}
