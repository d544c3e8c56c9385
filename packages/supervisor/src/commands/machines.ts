/** `netboot6 machines` and `netboot6 machine`. */
import type { MachineView, TimelineView } from "@netboot6/console";
import { type ApiClient, machinePath, withApi } from "../api-client.ts";
import { formatTable } from "../table.ts";
import { ago, bold, formatDuration, green, red, stageWord } from "../words.ts";

export interface ListOptions {
  readonly config: string;
  readonly json?: true;
  readonly network?: string;
  readonly stage?: string;
  readonly stuck?: true;
  readonly search?: string;
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

export function machineTable(machines: readonly MachineView[], width?: number): string {
  const rows = machines.map((machine) => [
    machine.id,
    stageWord(machine),
    machine.boots.profile,
    machine.address ?? "-",
    ago(machine.lastSeen),
    machine.verdict === null ? "" : machine.verdict.text,
  ]);
  return formatTable(["MACHINE", "STAGE", "PROFILE", "ADDRESS", "HEARD", "STANDS STILL"], rows, [0, 5], width);
}

export const MACHINE_ACTIONS = ["profile", "boot-again", "forget"] as const;
type Action = (typeof MACHINE_ACTIONS)[number];

/** Shows it, or changes something. Exit codes: 0; 1 it stands still, is not there, or the change is refused; 2 wrong use, or no appliance. */
export function machine(name: string, action: Action | undefined, value: string | undefined, options: ListOptions): Promise<number> {
  if ((action === "profile") !== (value !== undefined)) {
    console.error(`netboot6: ${action === "profile" ? "name the profile, or `-` for the configuration's" : `${action} takes no ${value}`}`);
    return Promise.resolve(2);
  }
  return withApi(options.config, async (api) => {
    if (action === undefined) return show(api, name, options.json === true);
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

async function show(api: ApiClient, name: string, json: boolean): Promise<number> {
  const found = await api.machine(name);
  const timeline = await api.get<TimelineView>(`${machinePath(name)}/timeline`);
  if (json) console.log(JSON.stringify({ machine: found, timeline }));
  else print(found, timeline);
  return found.verdict ? 1 : 0;
}

function print(machine: MachineView, { boots }: TimelineView): void {
  const row = (key: string, value: string): void => console.log(`${key.padEnd(10)} ${value}`);
  console.log(bold(machine.id));
  row("profile", `${machine.boots.profile} (${machine.boots.why})`);
  row("state", machine.boot.stage);
  if (machine.network !== null) row("network", machine.network);
  row("address", machine.address ?? "-");
  row("leases", machine.addresses.join(", ") || "-");
  row("MAC", machine.macs.join(", ") || "-");
  if (machine.uuid !== null) row("UUID", machine.uuid);
  row("heard", ago(machine.lastSeen));
  const boot = boots.at(-1);
  if (boot) {
    console.log(`\n${boots.length > 1 ? `the newest of ${boots.length} boots, ` : "its boot, "}begun ${ago(boot.startedAt)}:`);
    const now = Date.now();
    const steps = [...boot.stages, ...boot.beside].toSorted((a, b) => a.startedAt - b.startedAt);
    const rows = steps.map(({ name, startedAt, endedAt, detail, failed }) => [
      failed === null ? (name === "done" ? green(name) : name) : red(name),
      `+${((startedAt - boot.startedAt) / 1000).toFixed(1)} s`,
      endedAt === null ? formatDuration((now - startedAt) / 1000) : `${((endedAt - startedAt) / 1000).toFixed(1)} s`,
      detail,
    ]);
    console.log(formatTable(["STAGE", "BEGAN", "TOOK", "WHAT"], rows, [3]));
  }
  if (machine.verdict) console.log(`\n${red("stands still:")} ${machine.verdict.text}\n${machine.verdict.mend} (${machine.verdict.rule})`);
}
