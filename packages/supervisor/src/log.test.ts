/** The log is standard output, so it is written by a process of its own. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { LogConfig } from "@netboot6/config";
import type { EventBody } from "@netboot6/events";

const AT = Date.UTC(2026, 0, 2, 3, 4, 5);
const EVENTS: readonly (EventBody & { readonly at: number })[] = [
  { at: AT + 7, type: "appliance.ready", services: ["dns"], seconds: 2 },
  { at: AT + 999, type: "appliance.warned", why: "the disk is old" },
  { at: AT + 1000, type: "service.failed", service: "dns", why: "its thread ended", retry: 0.5 },
];

function logged(config: LogConfig): string[] {
  const events = EVENTS.map((event, i) => ({ seq: i + 1, ...event }));
  const program = `import { EventLog } from ${JSON.stringify(new URL("./log.ts", import.meta.url))};
const log = new EventLog(${JSON.stringify(config)}, "lab");
for (const event of ${JSON.stringify(events)}) log.read(event);`;
  const text = execFileSync(process.execPath, ["--input-type=module", "-e", program], { encoding: "utf8" });
  return stripVTControlCharacters(text)
    .split("\n")
    .filter((line) => line !== "");
}

test("a line of JSON is an event with its time, its fields and what it means in words", () => {
  const lines = logged({ level: "info", format: "json" }).map((line) => JSON.parse(line) as object);
  const line = (level: string, time: string) => ({ level, time: `2026-01-02T03:04:${time}Z`, site: "lab" });
  assert.deepEqual(lines, [
    { ...line("info", "05.007"), event: "appliance.ready", services: ["dns"], seconds: 2, msg: "ready" },
    { ...line("warn", "05.999"), event: "appliance.warned", why: "the disk is old", msg: "the disk is old" },
    {
      ...line("error", "06.000"),
      ...{ event: "service.failed", service: "dns", why: "its thread ended", retry: 0.5 },
      msg: "dns failed: its thread ended; started again in 0.5 s",
    },
  ]);
});

test("what is quieter than the level is left out; silent is silent", () => {
  const count = (level: LogConfig["level"]) => logged({ level, format: null }).length;
  assert.deepEqual([count("trace"), count("warn"), count("error"), count("silent")], [3, 2, 1, 0]);
});

test("a line for people has the time, the level and the words alone", () => {
  assert.match(logged({ level: "warn", format: "pretty" })[0] ?? "", /^\[\d\d:\d\d:05\.999\] WARN: the disk is old$/);
});
