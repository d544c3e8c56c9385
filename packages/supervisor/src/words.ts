/** Times and colours on the terminal. */
import { styleText } from "node:util";
import type { MachineView } from "@netboot6/console";

/** Seconds in the two largest units: `2m 5s`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60, whole % 60];
  const first = units.findIndex((count) => count > 0);
  if (first < 0) return "0s";
  return units
    .map((count, index) => `${count}${"dhms"[index]}`)
    .slice(first, first + 2)
    .join(" ");
}

/** Unix milliseconds; `-` for never. */
export const ago = (at: number | null, now = Date.now()): string => (at === null ? "-" : `${formatDuration((now - at) / 1000)} ago`);

export const count = (number: number, one: string, many = `${one}s`): string => `${number} ${number === 1 ? one : many}`;

/** Colours are for terminals alone (and not where NO_COLOR says so). */
export const red = (text: string): string => styleText("red", text);
export const green = (text: string): string => styleText("green", text);
export const bold = (text: string): string => styleText("bold", text);
export const dim = (text: string): string => styleText("dim", text);

export function stageWord({ stage, verdict }: Pick<MachineView, "stage" | "verdict">): string {
  const word = stage ?? "-";
  return verdict ? red(word) : stage === "done" ? green(word) : word;
}

/** `3 done, 1 kernel`, in the order of a boot. */
export function stageCounts(machines: readonly MachineView[], order: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const { stage } of machines) counts.set(stage ?? "never booted", (counts.get(stage ?? "never booted") ?? 0) + 1);
  return ["never booted", ...order]
    .filter((stage) => counts.has(stage))
    .map((stage) => `${counts.get(stage)} ${stage}`)
    .join(", ");
}
