import { type Appliance, formatProblem, loadAppliance } from "@netboot6/config";

/** The configuration; null, and its mistakes told, where it is wrong. */
export async function readConfiguration(file: string): Promise<Appliance | null> {
  const loaded = await loadAppliance(file);
  if ("appliance" in loaded) return loaded.appliance;
  for (const problem of loaded.problems) console.error(formatProblem(problem));
  return null;
}
