/** `netboot6 status`: the whole of it in a few lines. */
import type { MachineView, NetworkView, StatusView } from "@netboot6/console";
import { STAGES } from "@netboot6/events";
import { withApi } from "../api-client.ts";
import { formatTable } from "../table.ts";
import { bold, count, formatDuration, green, red, stageCounts } from "../words.ts";

/** Exit codes: 0; 1 a machine stands still or a service does not answer; 2 wrong use, or no appliance. */
export function status(options: { config: string; json?: true }): Promise<number> {
  return withApi(options.config, async (api) => {
    const [status, networks, machines] = await Promise.all([
      api.get<StatusView>("/status"),
      api.get<NetworkView[]>("/networks"),
      api.get<MachineView[]>("/machines"),
    ]);
    const stuck = machines.filter(({ verdict }) => verdict !== null);
    if (options.json) console.log(JSON.stringify({ status, networks, machines: counted(machines), stuck: stuck.map(({ id }) => id) }));
    else print(status, networks, machines, stuck);
    return status.ready && stuck.length === 0 ? 0 : 1;
  });
}

function counted(machines: readonly MachineView[]): { readonly all: number; readonly stages: Readonly<Record<string, number>> } {
  const stages: Record<string, number> = {};
  for (const { stage } of machines) stages[stage ?? "none"] = (stages[stage ?? "none"] ?? 0) + 1;
  return { all: machines.length, stages };
}

function print(
  status: StatusView,
  networks: readonly NetworkView[],
  machines: readonly MachineView[],
  stuck: readonly MachineView[],
): void {
  const { site, version, ready, services, waiting, startedAt } = status;
  const up = formatDuration((Date.now() - startedAt) / 1000);
  console.log(`${bold(site)}: netboot6 ${version}, ${ready ? green("ready") : red("not ready")}, up ${up}`);
  if (waiting !== null) console.log(`${red("waiting:")} ${waiting}`);
  console.log(`services  ${services.map(({ service, ready, why }) => (ready ? service : red(`${service} (${why})`))).join(", ")}`);
  const stages = STAGES.map(({ name }) => name);
  console.log(`machines  ${machines.length === 0 ? "none yet" : `${machines.length}: ${stageCounts(machines, stages)}`}\n`);
  const rows = networks.map(({ name, prefix, interface: on, leases, routers }) => [
    name,
    prefix,
    on ?? "relayed",
    String(leases),
    routers.map(({ router, differences }) => (differences.length > 0 ? red(router) : router)).join(", ") || "-",
  ]);
  console.log(formatTable(["NETWORK", "PREFIX", "INTERFACE", "LEASES", "OTHER ROUTERS"], rows, [4]));
  if (stuck.length > 0) console.log(`\n${red(`${count(stuck.length, "machine stands", "machines stand")} still:`)}`);
  for (const { id, verdict } of stuck) console.log(`  ${id}: ${verdict?.text} ${verdict?.mend}`);
  for (const { name, routers } of networks)
    for (const { router, why, differences } of routers)
      if (differences.length > 0) console.log(`\n${red(`router ${router} on ${name}:`)} ${why}`);
}
