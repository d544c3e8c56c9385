/** `netboot6 events`: the stream, a line each. */
import { type BootEvent, describe, levelOf } from "@netboot6/events";
import { withApi } from "../api-client.ts";
import { dim, red } from "../words.ts";

export interface EventsOptions {
  readonly config: string;
  readonly json?: true;
  readonly machine?: string;
  readonly type?: readonly string[];
  readonly level?: string;
  readonly last?: string;
}

/** Follows until it is interrupted. Exit codes: 1 the request is refused; 2 wrong use, no appliance, or it ended. */
export function events({ config, json, machine, type = [], level, last }: EventsOptions): Promise<number> {
  return withApi(config, async (api) => {
    const query = new URLSearchParams(type.map((each): [string, string] => ["type", each]));
    for (const [key, value] of Object.entries({ machine, level, last })) if (value !== undefined) query.set(key, value);
    for await (const { event } of api.follow(`?${query}`)) if (event) console.log(json ? JSON.stringify(event) : eventLine(event));
    console.error("netboot6: the appliance ended the stream");
    return 2;
  });
}

function eventLine(event: BootEvent): string {
  const level = levelOf(event);
  const loud = level === "warn" || level === "error";
  const time = new Date(event.at);
  const clock = [time.getHours(), time.getMinutes(), time.getSeconds()].map((part) => String(part).padStart(2, "0")).join(":");
  const who = "machine" in event && event.machine ? `${event.machine}: ` : "";
  return `${dim(clock)} ${who}${loud ? red(describe(event)) : describe(event)}`;
}
