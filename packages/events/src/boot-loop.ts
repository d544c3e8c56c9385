/** A machine that boots again and again and comes no further. */

import type { BootRecord } from "./records.ts";
import { isProgram, isScript, type StageName, scriptStage, stageOrder } from "./stages.ts";
import type { BootEvent } from "./types.ts";

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

export interface ProgramLoop {
  readonly path: string;
  readonly why: string;
}

/**
 * iPXE that is given itself: the program that the boot fetched last, where it was fetched so many times within so many seconds before
 * `now`, all after `since`, by iPXE that asked DHCPv6 each time and got no script in between. The script that stops it is none.
 */
export function programLoopOf({ entries }: BootRecord, since: number, now: number): ProgramLoop | null {
  let path = "";
  let fetched = 0;
  let asked = false;
  let stopped = false;
  for (const { event } of entries) {
    if (event.at <= since || now - event.at > LOOP_SECONDS * 1000) continue;
    if (event.type === "dhcpv6.answered" && event.clientKind === "ipxe") asked = true;
    else if (event.type === "machine.rendered") stopped = event.stopped !== undefined;
    else if (isWhole(event) && isProgram(event.path)) {
      if (event.path !== path) fetched = 0;
      if (fetched === 0 || asked) fetched++;
      path = event.path;
      asked = false;
    } else if (isWhole(event) && isScript(event.path) && scriptStage(event.path) === "script" && !stopped) fetched = 0;
  }
  if (fetched < LOOP_BOOTS) return null;
  return { path, why: `it was given ${path} ${fetched} times within ${LOOP_SECONDS / 60} minutes and asked for no script` };
}

const isWhole = (event: BootEvent): event is Extract<BootEvent, { type: "http.finished" | "tftp.finished" }> =>
  event.type === "http.finished"
    ? event.method === "GET" && event.status === 200
    : event.type === "tftp.finished" && event.status === "sent";
