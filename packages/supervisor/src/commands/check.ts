import { checkBootFiles } from "@netboot6/boot";
import { formatPrefix } from "@netboot6/codec";
import {
  checkAppliance,
  type Finding,
  formatProblem,
  loadAppliance,
  type Network,
  type Problem,
  readHost,
  resolveNetworks,
} from "@netboot6/config";
import { forwards } from "@netboot6/ra";

interface Checked {
  readonly problems: readonly Problem[];
  /** What the host lacks. */
  readonly missing: readonly string[];
  readonly networks: readonly Network[];
}

/** Prints what is wrong and what is missing. Exit codes: 0 good; 1 the host is not ready for it; 2 the file is wrong. */
export async function check(file: string, json = false): Promise<number> {
  const checked = await look(file);
  const { problems, missing } = checked;
  const code = problems.some(({ severity }) => severity === "error") ? 2 : missing.length > 0 ? 1 : 0;
  if (json) printJson(checked);
  else print(file, checked, code);
  return code;
}

async function look(file: string): Promise<Checked> {
  const loaded = await loadAppliance(file);
  if (!("appliance" in loaded)) return { problems: loaded.problems, missing: [], networks: [] };
  const { appliance, locate, warnings } = loaded;
  const { networks, waiting } = resolveNetworks(appliance, readHost());
  // Once the host told its prefixes, more contradictions can be seen.
  const seen = new Set(warnings.map(({ id, key }) => `${id} ${key}`));
  const routing = networks.flatMap((network, index) => checkRouting(network, index));
  const findings = [...routing, ...(waiting.length === 0 ? checkAppliance({ ...appliance, networks }) : []), ...checkBootFiles(appliance)];
  const later = findings.map(locate).filter(({ id, key }) => !seen.has(`${id} ${key}`));
  return { problems: [...warnings, ...later], missing: waiting, networks };
}

function printJson({ problems, missing, networks }: Checked): void {
  const shown = networks.map(({ name, address, prefix }) => ({ name, address, prefix: formatPrefix(prefix) }));
  console.log(JSON.stringify({ problems, missing, networks: shown }));
}

function print(file: string, { problems, missing, networks }: Checked, code: number): void {
  for (const problem of problems) console.log(formatProblem(problem));
  for (const line of missing) console.log(`missing: ${line}`);
  for (const { name, address, prefix } of networks)
    console.log(`network ${name}: our address is ${address}, the prefix ${formatPrefix(prefix)}`);
  if (code === 0) console.log(problems.length === 0 ? `${file}: good` : `${file}: it would start; see above`);
}

/** A router lifetime that the host's forwarding contradicts, and what it costs. */
function checkRouting({ advertise, link }: Network, index: number): Finding[] {
  if (!link || advertise === null || advertise === "observe") return [];
  const path = ["networks", index];
  const forwarding = forwards(link.name);
  if (advertise.routerLifetime === "auto" && !forwarding)
    return [
      {
        id: "no-router",
        severity: "warning",
        path,
        what: "this host does not forward IPv6, so it advertises itself as no router; with no other one on the link every UEFI HTTP boot waits about 10 s",
        mend: `If there is no other router: sysctl -w net.ipv6.conf.all.forwarding=1, or routerLifetime: 30m.`,
      },
    ];
  if (advertise.routerLifetime !== "auto" && advertise.routerLifetime > 0 && !forwarding)
    return [
      {
        id: "router-that-does-not-forward",
        severity: "warning",
        path: [...path, "advertise", "routerLifetime"],
        what: "machines will take this host for their router, and it does not forward IPv6: nothing beyond the link answers them",
        mend: "sysctl -w net.ipv6.conf.all.forwarding=1, if it has a way out.",
      },
    ];
  return [];
}
