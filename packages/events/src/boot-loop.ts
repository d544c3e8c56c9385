/** A machine that boots again and again and comes no further. */
import type { BootRecord } from "./timeline.ts";

/** So many boots within so many seconds that end at the same stage are a loop. */
export const LOOP_BOOTS = 3;
export const LOOP_SECONDS = 300;

/** The newest boots that ended at the same stage, the newest first, of those that began in the time before `now`. Milliseconds. */
export function loopOf(boots: readonly BootRecord[], now: number): BootRecord[] {
  const end = boots.at(-1)?.stages.at(-1)?.name;
  const same: BootRecord[] = [];
  for (const boot of boots.toReversed()) {
    if (boot.stages.at(-1)?.name !== end || now - boot.startedAt > LOOP_SECONDS * 1000) break;
    same.push(boot);
  }
  return same;
}
