import { checkBootFiles } from "@netboot6/boot";
import { formatProblem, loadAppliance } from "@netboot6/config";
import { RunningAppliance, StartError } from "../appliance.ts";
import { EventLog } from "../log.ts";
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
  const log = new EventLog(appliance.log, appliance.site);
  let registry: Registry;
  try {
    registry = await Registry.open(appliance);
  } catch (error) {
    console.error(`netboot6: ${(error as Error).message}`);
    process.exit(2);
  }
  const running = new RunningAppliance(appliance, registry);
  running.bus.subscribe(log.read);
  for (const problem of [...loaded.warnings, ...checkBootFiles(appliance).map(loaded.locate)])
    running.bus.emit({ type: "appliance.warned", why: formatProblem(problem).split("\n", 1)[0] ?? "" });

  // Once: npm passes on a Ctrl-C that its child has heard already, and a second signal must not cut the first one's work short.
  let ending: Promise<never> | null = null;
  const end = (why: string, code: number): Promise<never> => {
    ending ??= running.stop(why).then(() => process.exit(code));
    return ending;
  };
  process.on("SIGTERM", () => void end("SIGTERM", 0));
  process.on("SIGINT", () => void end("SIGINT", 0));

  const reload = async (): Promise<void> => {
    const next = await loadAppliance(file);
    if (!("appliance" in next)) {
      for (const problem of next.problems) running.bus.emit({ type: "appliance.refused", why: formatProblem(problem) });
      return;
    }
    await running.reload(next.appliance);
    log.level = next.appliance.log.level;
    const { state, log: logging } = next.appliance;
    for (const [key, stays] of Object.entries({
      "state.dir": state.dir === appliance.state.dir,
      "log.format": logging.format === appliance.log.format,
    }))
      if (!stays) running.bus.emit({ type: "appliance.warned", why: `${key} changes with the next start` });
  };
  const started = running.start();
  let reloaded = started;
  process.on("SIGHUP", () => {
    reloaded = reloaded.then(reload).catch((error: Error) => running.bus.emit({ type: "appliance.refused", why: error.message }));
  });
  try {
    await started;
  } catch (error) {
    if (!(error instanceof StartError)) throw error;
    if (ending === null) console.error(`netboot6: ${error.message}`);
    await end("it could not start", 2);
  }
}
