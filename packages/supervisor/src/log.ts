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
  if (!asPretty) return pino(options);
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

export function logEvent(log: Logger, event: BootEvent): void {
  const level = levelOf(event);
  if (level === null || !log.isLevelEnabled(level)) return;
  const { seq, at, type, ...fields } = event;
  log[level]({ event: type, ...fields }, describe(event));
}
