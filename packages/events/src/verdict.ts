/** Why a boot stands still, in an operator's words, and what to do about it. Pure: of the boots, the world and the time. */

import type { BootRecord, StageRecord } from "./records.ts";
import type { BootEvent, EventType } from "./types.ts";
import { FILE_RULES } from "./verdict-files.ts";
import { INSTALL_RULES } from "./verdict-install.ts";
import { LINK_RULES } from "./verdict-link.ts";
import type { World } from "./world.ts";

export interface Verdict {
  /** The rule's name, by which docs/verdicts.md explains it. */
  readonly rule: string;
  readonly text: string;
  readonly mend: string;
}

/** What a rule looks at. */
export interface Case {
  /** Of one machine, the newest last. */
  readonly boots: readonly BootRecord[];
  /** The newest one. */
  readonly boot: BootRecord;
  readonly stage: StageRecord | null;
  readonly world: World;
  /** The network of its newest event that names one. */
  readonly network: string | undefined;
  /** Seconds since it was heard last. */
  readonly silent: number;
}

/** Null where the rule says nothing of it. */
export type Rule = (is: Case) => { readonly text: string; readonly mend: string } | null;

/** Who runs its script, or asks for it. */
export const loaderOf = ({ stages }: BootRecord): "GRUB" | "iPXE" =>
  stages.some(({ last }) => "path" in last && /\/((shim|grub)\w*\.efi|grub\.cfg)$/.test(last.path)) ? "GRUB" : "iPXE";

/** The surest first: the first that says something is the verdict. */
export const VERDICTS: Readonly<Record<string, Rule>> = { ...FILE_RULES, ...LINK_RULES, ...INSTALL_RULES };

/** A machine that was not heard for so long is off, and waits for nothing. */
const OFF_MS = 24 * 3600_000;

export function judge(boots: readonly BootRecord[], world: World, now: number): Verdict | null {
  const boot = boots.at(-1);
  if (!boot) return null;
  const stage = boot.stages.at(-1) ?? null;
  if (stage?.name === "done" || (stage === null && lastAsked(boot)?.type !== "dhcpv6.dropped")) return null;
  if (now - boot.heardAt > OFF_MS) return null;
  const is: Case = { boots, boot, stage, world, network: networkOf(boot), silent: (now - boot.heardAt) / 1000 };
  for (const rule in VERDICTS) {
    const said = (VERDICTS[rule] as Rule)(is);
    if (said) return { rule, ...said };
  }
  return null;
}

function networkOf({ entries }: BootRecord): string | undefined {
  for (let i = entries.length - 1; i >= 0; i--) {
    const event = entries[i]?.event;
    if (event && "network" in event && event.network !== undefined) return event.network;
  }
  return undefined;
}

/** The last that happened to it beside its search for routers, which may come between two Solicits that nobody answers. */
export const lastAsked = ({ entries }: BootRecord): BootEvent | undefined =>
  entries.findLast(({ event }) => !event.type.startsWith("ra."))?.event;

/** The newest event of a type in the boot, and how often it came one after another. */
export function newest<Type extends EventType>(
  { entries }: BootRecord,
  type: Type,
  matches: (event: Extract<BootEvent, { type: Type }>) => boolean = () => true,
): { readonly event: Extract<BootEvent, { type: Type }>; readonly count: number } | null {
  for (let i = entries.length - 1; i >= 0; i--) {
    const entry = entries[i];
    if (entry?.event.type !== type) continue;
    const event = entry.event as Extract<BootEvent, { type: Type }>;
    if (matches(event)) return { event, count: entry.count };
  }
  return null;
}

export const seconds = (value: number): string => (value < 120 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`);
