import { checkBootFiles } from "@netboot6/boot";
import { formatProblem, loadAppliance } from "@netboot6/config";
import { RunningAppliance, StartError } from "../appliance.ts";
import { logEvent, openLog } from "../log.ts";
import { missingPrivileges, PRIVILEGE_MEND } from "../privileges.ts";
import { Registry } from "../registry.ts";

/** Runs until a signal ends it; ends the process itself. */
export async function run(file: string): Promise<void> {
  const loaded = await loadAppliance(file);
  if (!("appliance" in loaded)) {
    for (const problem of loaded.problems) console.error(formatProblem(problem));
    process.exit(2);
  }
  const { appliance } = loaded;
  const missing = missingPrivileges(appliance);
  if (missing.length > 0) {
    console.error(`netboot6: missing privileges:\n${missing.map((line) => `  ${line}\n`).join("")}Mend: ${PRIVILEGE_MEND}`);
    process.exit(2);
  }
  const log = openLog(appliance.log, appliance.site);
  let registry: Registry;
  try {
    registry = await Registry.open(appliance);
  } catch (error) {
    console.error(`netboot6: ${(error as Error).message}`);
    process.exit(2);
  }
  const running = new RunningAppliance(appliance, registry);
  running.bus.subscribe((event) => logEvent(log, event));
  for (const problem of [...loaded.warnings, ...checkBootFiles(appliance).map(loaded.locate)])
    running.bus.emit({ type: "appliance.warned", why: formatProblem(problem).split("\n", 1)[0] ?? "" });

  const stop = (signal: string): void => void running.stop(signal).then(() => process.exit(0));
  process.on("SIGTERM", () => stop("SIGTERM"));
  process.on("SIGINT", () => stop("SIGINT"));
  process.on("SIGHUP", async () => {
    const next = await loadAppliance(file);
    if ("appliance" in next)
      await running.reload(next.appliance).catch((error: Error) => running.bus.emit({ type: "appliance.refused", why: error.message }));
    else for (const problem of next.problems) running.bus.emit({ type: "appliance.refused", why: formatProblem(problem) });
  });
  try {
    await running.start();
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    console.error(`netboot6: ${error.message}`);
    await running.stop("it could not start");
    process.exit(2);
  }
}
