import { checkBootFiles } from "@netboot6/boot";
import { formatPrefix } from "@netboot6/codec";
import { checkAppliance, formatProblem, loadAppliance, type Network, type Problem, readHost, resolveNetworks } from "@netboot6/config";
import { checkPortsInUse, checkRouting, checkUpstreams } from "../host-checks.ts";

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
  const unready = missing.length > 0 || problems.some(({ id }) => id === "port-in-use");
  const code = problems.some(({ severity }) => severity === "error") ? 2 : unready ? 1 : 0;
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
  const [routing, upstreams] = await Promise.all([checkRouting(appliance, networks), checkUpstreams(appliance)]);
  const findings = [
    ...routing,
    ...(waiting.length === 0 ? [...checkAppliance({ ...appliance, networks }), ...checkPortsInUse({ ...appliance, networks })] : []),
    ...checkBootFiles(appliance),
    ...upstreams,
  ];
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
