import { formatProblem, loadAppliance, readHost, resolveNetworks } from "@netboot6/config";

/** Prints what is wrong and what is missing; the exit code. */
export async function check(file: string): Promise<number> {
  const loaded = await loadAppliance(file);
  const problems = "appliance" in loaded ? loaded.warnings : loaded.problems;
  for (const problem of problems) console.log(formatProblem(problem));
  if (!("appliance" in loaded)) return 2;
  const { networks, waiting } = resolveNetworks(loaded.appliance, readHost());
  for (const line of waiting) console.log(`missing: ${line}`);
  for (const network of networks)
    console.log(`network ${network.name}: ${network.address} in ${network.prefix.address}/${network.prefix.length}`);
  if (waiting.length > 0) return 1;
  console.log(`${file}: good`);
  return 0;
}
