import { checkBootFiles } from "@netboot6/boot";
import { checkAppliance, formatProblem, loadAppliance, readHost, resolveNetworks } from "@netboot6/config";

/** Prints what is wrong and what is missing. Exit codes: 0 good; 1 the host is not ready for it; 2 the file is wrong. */
export async function check(file: string): Promise<number> {
  const loaded = await loadAppliance(file);
  const problems = "appliance" in loaded ? loaded.warnings : loaded.problems;
  for (const problem of problems) console.log(formatProblem(problem));
  if (!("appliance" in loaded)) return 2;
  const { appliance, locate } = loaded;
  const { networks, waiting } = resolveNetworks(appliance, readHost());
  // Once the host told its prefixes, more contradictions can be seen.
  const seen = new Set(problems.map(({ id, key }) => `${id} ${key}`));
  const findings = [...(waiting.length === 0 ? checkAppliance({ ...appliance, networks }) : []), ...checkBootFiles(appliance)];
  const later = findings.map(locate).filter(({ id, key }) => !seen.has(`${id} ${key}`));
  for (const problem of later) console.log(formatProblem(problem));
  for (const line of waiting) console.log(`missing: ${line}`);
  for (const network of networks)
    console.log(
      `network ${network.name}: our address is ${network.address}, the prefix ${network.prefix.address}/${network.prefix.length}`,
    );
  if (later.some(({ severity }) => severity === "error")) return 2;
  if (waiting.length > 0) return 1;
  console.log(problems.length + later.length === 0 ? `${file}: good` : `${file}: it would start; see above`);
  return 0;
}
