/** `netboot6 watch`: every machine's boot as it goes on, in the terminal; a line for each event where there is none. */
import type { MachineView } from "@netboot6/console";
import { STAGES } from "@netboot6/events";
import { type ApiClient, NoApplianceError, withApi } from "../api-client.ts";
import { bold, count, green, red, stageCounts } from "../words.ts";
import { events } from "./events.ts";
import { machineTable } from "./machines.ts";

const REDRAW_MS = 250;
const AGAIN_MS = 1_000;
/** Reading all machines may take the appliance so much of its time: a storm must not feel who watches. */
const READING_SHARE = 20;
const SCREEN = { enter: "\x1b[?1049h\x1b[?25l", leave: "\x1b[?25h\x1b[?1049l", home: "\x1b[H", clearLine: "\x1b[K", clearRest: "\x1b[J" };

/** Exit codes: 0 it was ended; 1 refused; 2 wrong use, or no appliance. */
export function watch(options: { config: string; json?: true }): Promise<number> {
  const terminal = process.stdout.isTTY === true && !options.json;
  if (!terminal) return events({ ...options, ...(options.json ? {} : { level: "info" }) });
  return withApi(options.config, async (api) => {
    await api.get("/status");
    const ending = new AbortController();
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => ending.abort());
    process.stdout.write(SCREEN.enter);
    try {
      await draw(api, ending.signal);
    } finally {
      process.stdout.write(SCREEN.leave);
    }
    return 0;
  });
}

async function draw(api: ApiClient, ended: AbortSignal): Promise<void> {
  let machines: readonly MachineView[] = [];
  let trouble: string | null = null;
  let changed = true;
  let rest = Number.NEGATIVE_INFINITY;
  void follow(api, ended, (why) => {
    trouble = why;
    changed = true;
  });
  let drawn = Number.NEGATIVE_INFINITY;
  while (!ended.aborted) {
    await pause(REDRAW_MS, ended);
    // Times go on though nothing happens.
    if ((!changed && performance.now() - drawn < AGAIN_MS) || performance.now() < rest) continue;
    if (changed) {
      changed = false;
      const began = performance.now();
      machines = await api.get<MachineView[]>("/machines").catch((error: Error) => {
        trouble = error.message;
        changed = true;
        return machines;
      });
      rest = performance.now() + (performance.now() - began) * READING_SHARE;
    }
    drawn = performance.now();
    const { rows = 24, columns = 80 } = process.stdout;
    const lines = picture(machines, trouble, rows, columns);
    process.stdout.write(`${SCREEN.home}${lines.map((line) => `${line}${SCREEN.clearLine}`).join("\r\n")}${SCREEN.clearRest}`);
  }
}

/** Tells of each event; of what is wrong, where the stream ends; and joins it again. */
async function follow(api: ApiClient, ended: AbortSignal, tell: (trouble: string | null) => void): Promise<void> {
  while (!ended.aborted) {
    try {
      tell(null);
      for await (const _ of api.follow("", undefined, ended)) tell(null);
      tell("the appliance ended the stream");
    } catch (error) {
      if (!ended.aborted) tell(error instanceof NoApplianceError ? error.message : `the stream broke off: ${(error as Error).message}`);
    }
    await pause(AGAIN_MS, ended);
  }
}

const pause = (ms: number, ended: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });

const HEAD_LINES = 4;

/** The lines of the screen: those that stand still first, then those that were heard last. */
export function picture(machines: readonly MachineView[], trouble: string | null, rows: number, columns: number): string[] {
  const stuck = machines.filter(({ verdict }) => verdict !== null).length;
  const done = machines.filter(({ stage }) => stage === "done").length;
  const stages = stageCounts(
    machines,
    STAGES.map(({ name }) => name),
  );
  const state =
    stuck > 0 ? red(`${count(stuck, "stands", "stand")} still`) : done === machines.length && done > 0 ? green("all are done") : "";
  const head = [
    `${bold(count(machines.length, "machine"))}${stages === "" ? "" : `: ${stages}`}${state === "" ? "" : `; ${state}`}`,
    trouble ? red(trouble) : "",
  ];
  if (machines.length === 0) return [...head, "nobody has asked for anything yet"];
  const weight = ({ verdict, stage }: MachineView): number => (verdict ? 0 : stage === "done" || stage === null ? 2 : 1);
  const sorted = machines.toSorted((a, b) => weight(a) - weight(b) || (b.lastSeen ?? 0) - (a.lastSeen ?? 0));
  const shown = sorted.slice(0, Math.max(1, rows - HEAD_LINES));
  const more = machines.length - shown.length;
  return [...head, ...machineTable(shown, columns).split("\n"), ...(more > 0 ? [`and ${count(more, "machine")} more`] : [])];
}
