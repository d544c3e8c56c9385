/** `netboot6 machines` and `netboot6 machine`. */
import type { MachineView, TimelineView } from "@netboot6/console";
import { type ApiClient, machinePath, withApi } from "../api-client.ts";
import { machineText } from "../machine-text.ts";
import { formatTable } from "../table.ts";
import { ago, count, stageWord } from "../words.ts";

export interface ListOptions {
  readonly config: string;
  readonly json?: true;
  readonly network?: string;
  readonly stage?: string;
  readonly stuck?: true;
  readonly search?: string;
}

export interface MachineOptions {
  readonly config: string;
  readonly json?: true;
  /** As it was written; 1: the newest. */
  readonly boot?: string;
}

/** Exit codes: 0; 1 one of them stands still; 2 wrong use, or no appliance. */
export function listMachines({ config, json, network, stage, stuck, search }: ListOptions): Promise<number> {
  return withApi(config, async (api) => {
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries({ network, stage, verdict: stuck && "any", search }))
      if (value !== undefined) query.set(key, value);
    const machines = await api.get<MachineView[]>(`/machines?${query}`);
    machines.sort((a, b) => a.id.localeCompare(b.id, "en", { numeric: true }));
    if (json) console.log(JSON.stringify(machines));
    else console.log(machines.length === 0 ? "no machines" : machineTable(machines));
    return machines.some(({ verdict }) => verdict !== null) ? 1 : 0;
  });
}

/** A terminal that is narrower has no room for addresses beside the reasons of those that stand still. */
const ROOM_FOR_ADDRESSES = 120;

export function machineTable(machines: readonly MachineView[], width = process.stdout.columns ?? Number.POSITIVE_INFINITY): string {
  const addresses = width >= ROOM_FOR_ADDRESSES || machines.every(({ verdict }) => verdict === null);
  const rows = machines.map((machine) => [
    machine.id,
    stageWord(machine),
    machine.boots.profile,
    ...(addresses ? [machine.address ?? "-"] : []),
    ago(machine.lastSeen),
    machine.verdict === null ? "" : machine.verdict.text,
  ]);
  const head = ["MACHINE", "STAGE", "PROFILE", ...(addresses ? ["ADDRESS"] : []), "HEARD", "STANDS STILL"];
  return formatTable(head, rows, [0, head.length - 1], width);
}

export const MACHINE_ACTIONS = ["profile", "boot-again", "forget"] as const;
type Action = (typeof MACHINE_ACTIONS)[number];

/** Shows it, or changes something. Exit codes: 0; 1 it stands still, is not there, or the change is refused; 2 wrong use, or no appliance. */
export function machine(name: string, action: Action | undefined, value: string | undefined, options: MachineOptions): Promise<number> {
  if ((action === "profile") !== (value !== undefined)) {
    console.error(`netboot6: ${action === "profile" ? "name the profile, or `-` for the configuration's" : `${action} takes no ${value}`}`);
    return Promise.resolve(2);
  }
  return withApi(options.config, async (api) => {
    if (action === undefined) return show(api, name, options);
    const path = machinePath(name);
    if (action === "forget") await api.change("DELETE", path);
    else if (action === "boot-again") await api.change("POST", `${path}/boot-again`);
    else await api.change("PUT", `${path}/profile`, { profile: value === "-" ? null : value });
    if (options.json) console.log(JSON.stringify(action === "forget" ? { forgotten: name } : await api.machine(name)));
    else console.log(action === "forget" ? `${name} is forgotten` : bootsLine(await api.machine(name)));
    return 0;
  });
}

const bootsLine = ({ id, boots, boot }: MachineView): string =>
  `${id} boots ${boots.profile} (${boots.why})${boot.stage === "installed" ? "; it is installed, so it boots its disk: see boot-again" : ""}`;

async function show(api: ApiClient, name: string, { json, boot = "1" }: MachineOptions): Promise<number> {
  const found = await api.machine(name);
  const timeline = await api.get<TimelineView>(`${machinePath(name)}/timeline`);
  const number = Number(boot);
  if (!(Number.isInteger(number) && number >= 1 && number <= Math.max(1, timeline.boots.length))) {
    console.error(`netboot6: --boot ${boot}: ${found.id} has ${count(timeline.boots.length, "boot")}; 1 is the newest`);
    return 2;
  }
  if (json) console.log(JSON.stringify({ machine: found, timeline }));
  else console.log(machineText(found, timeline, { boot: number, now: Date.now() }));
  return found.verdict ? 1 : 0;
}
