/** The log is a reader of the stream of events: one line for each decision an operator would ask about. */
import type { LogConfig } from "@netboot6/config";
import { type BootEvent, describe, levelOf } from "@netboot6/events";
import pino, { type Logger } from "pino";
import pretty from "pino-pretty";

export function openLog(config: LogConfig, site: string): Logger {
  const asPretty = config.format === "pretty" || (config.format === null && process.stdout.isTTY);
  const options: pino.LoggerOptions = {
    level: config.level,
    base: { site },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  };
  if (!asPretty) return pino(options, perTurn());
  return pino(
    options,
    pretty({
      colorize: process.stdout.isTTY,
      ignore: "site,event,machine,network",
      translateTime: "SYS:HH:MM:ss.l",
      hideObject: true,
      messageFormat: "{if machine}{machine}: {end}{msg}",
    }),
  );
}

/** The lines of one turn of the event loop are one write, so that a rack's storm is not a system call a line. */
function perTurn(): pino.DestinationStream {
  const out = pino.destination({ sync: true });
  let held = "";
  const flush = (): void => {
    const lines = held;
    held = "";
    if (lines !== "") out.write(lines);
  };
  process.on("exit", flush);
  return {
    write(line) {
      if (held === "") setImmediate(flush);
      held += line;
    },
  };
}

export function logEvent(log: Logger, event: BootEvent): void {
  const level = levelOf(event);
  if (level === null || !log.isLevelEnabled(level)) return;
  const { seq, at, type, ...fields } = event;
  log[level]({ event: type, ...fields }, describe(event));
}
