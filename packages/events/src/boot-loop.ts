/** A machine that boots again and again and comes no further. */
import { type StageName, stageOrder } from "./stages.ts";
import type { BootRecord } from "./timeline.ts";

/** So many boots within so many seconds, none of which comes further than the first of them, are a loop. */
const LOOP_BOOTS = 3;
export const LOOP_SECONDS = 300;

export interface Loop {
  /** The newest last. */
  readonly boots: readonly BootRecord[];
  /** How far they came. */
  readonly stage: StageName;
}

/** Of the boots, the newest last, that began in the time before `now` (milliseconds); null where they are none. */
export function loopOf(boots: readonly BootRecord[], now: number): Loop | null {
  const lately = boots.filter(({ startedAt }) => now - startedAt <= LOOP_SECONDS * 1000);
  const reached = lately.map(({ stages }) => stages.at(-1)?.name);
  for (let first = 0; lately.length - first >= LOOP_BOOTS; first++) {
    const stage = reached[first];
    if (stage === undefined || stage === "done") continue;
    if (reached.slice(first).every((name) => name !== undefined && stageOrder(name) <= stageOrder(stage)))
      return { boots: lately.slice(first), stage };
  }
  return null;
}
