/** One machine and one of its boots, for the terminal. */
import type { MachineView, TimelineView } from "@netboot6/console";
import { formatBytes } from "@netboot6/events";
import { formatTable } from "./table.ts";
import { ago, bold, count, formatDuration, green, red } from "./words.ts";

type Boot = TimelineView["boots"][number];
type Step = Boot["stages"][number] | Boot["beside"][number];

interface Look {
  /** 1: the newest. */
  readonly boot: number;
  readonly now: number;
  /** Columns of the terminal; undefined: as many as it takes. */
  readonly width?: number;
}

export function machineText(machine: MachineView, { boots }: TimelineView, look: Look): string {
  const boot = boots.at(-look.boot);
  return [
    identityText(machine, look.now),
    ...(boot ? [bootText(boot, look, boots.length), decisionsText(boot, look)] : []),
    look.boot === 1 && boots.length > 1 ? earlierText(boots.slice(0, -1), look) : "",
    look.boot === 1 && machine.verdict
      ? `${red("stands still:")} ${machine.verdict.text}\n${machine.verdict.mend} (${machine.verdict.rule})`
      : "",
  ]
    .filter((part) => part !== "")
    .join("\n\n");
}

function identityText(machine: MachineView, now: number): string {
  const rows: [string, string | null][] = [
    ["profile", `${machine.boots.profile} (${machine.boots.why})`],
    ["state", machine.boot.stage],
    ["network", machine.network],
    ["address", machine.address ?? "-"],
    ["leases", machine.addresses.join(", ") || "-"],
    ["MAC", machine.macs.join(", ") || "-"],
    ["UUID", machine.uuid],
    ["heard", ago(machine.lastSeen, now)],
  ];
  return [bold(machine.id), ...rows.flatMap(([key, value]) => (value === null ? [] : [`${key.padEnd(10)} ${value}`]))].join("\n");
}

function bootText(boot: Boot, { boot: number, now, width }: Look, all: number): string {
  const which = all === 1 ? "its boot" : number === 1 ? `the newest of ${all} boots` : `boot ${number} of ${all}, the newest is 1`;
  // An earlier boot's last stage goes on no more.
  const rows = stepsOf(boot).map((step) => [
    stepWord(step),
    after(boot, step.startedAt),
    tookText(step, number === 1 ? now : null),
    step.attempts === 0 ? "-" : String(step.attempts),
    sentText(step),
    step.detail,
  ]);
  return `${which}, begun ${ago(boot.startedAt, now)}:\n${formatTable(["STAGE", "BEGAN", "TOOK", "TRIES", "SENT", "WHAT"], rows, [5], width)}`;
}

/** Stages in their order, what goes on beside them where it began. */
function stepsOf({ stages, beside }: Boot): Step[] {
  const steps: Step[] = [...stages];
  for (const each of beside) {
    const next = steps.findIndex(({ startedAt }) => startedAt > each.startedAt);
    steps.splice(next < 0 ? steps.length : next, 0, each);
  }
  return steps;
}

/** What took a moment is told of at its end, and may have begun before what began the boot. */
const after = (boot: Boot, at: number): string => `+${(Math.max(0, at - boot.startedAt) / 1000).toFixed(1)} s`;

const stepWord = ({ name, failed }: Step): string => (failed === null ? (name === "done" ? green(name) : name) : red(name));

function tookText({ startedAt, endedAt }: Step, now: number | null): string {
  if (endedAt !== null) return `${((endedAt - startedAt) / 1000).toFixed(1)} s`;
  return now === null ? "-" : formatDuration((now - startedAt) / 1000);
}

function sentText({ sent, size }: Step): string {
  if (size === 0 && sent === 0) return "-";
  return sent === size ? formatBytes(sent) : `${formatBytes(sent)} of ${formatBytes(size)}`;
}

/** The newest decision of each kind, with all its reasons. */
function decisionsText(boot: Boot, { width }: Look): string {
  const newest = new Map<string, { readonly at: number; readonly why: readonly string[] }>();
  for (const entry of boot.entries) {
    const [kind, why] = decisionOf(entry) ?? [];
    if (kind === undefined || why === undefined) continue;
    newest.delete(kind);
    newest.set(kind, { at: entry.at, why });
  }
  if (newest.size === 0) return "";
  const rows = [...newest].flatMap(([kind, { at, why }]) =>
    why.map((reason, i) => (i === 0 ? [kind, after(boot, at), reason] : ["", "", reason])),
  );
  return formatTable(["DECISION", "AT", "BECAUSE"], rows, [0, 2], width, true);
}

/** What was decided, and why; null: nothing was. */
function decisionOf({ type, text, why = [] }: Boot["entries"][number]): [kind: string, why: readonly string[]] | null {
  if (why.length > 0) return [text.replace(/ answered with.*/, ""), why];
  if (type !== "machine.rendered" && type !== "dhcpv6.dropped") return null;
  const [what = "", ...reasons] = text.split(": ");
  return [what, [reasons.join(": ")]];
}

/** The newest first. */
function earlierText(boots: readonly Boot[], { now, width }: Look): string {
  const rows = boots.toReversed().map((boot, i) => {
    const come = boot.stages.at(-1);
    const end = Math.max(boot.startedAt, ...boot.entries.map(({ at }) => at));
    return [
      String(i + 2),
      ago(boot.startedAt, now),
      formatDuration((end - boot.startedAt) / 1000),
      come ? stepWord(come) : "-",
      come?.detail ?? "",
    ];
  });
  return `${count(boots.length, "earlier boot")} (--boot shows one):\n${formatTable(["BOOT", "BEGUN", "LASTED", "CAME TO", "WHAT"], rows, [4], width)}`;
}
