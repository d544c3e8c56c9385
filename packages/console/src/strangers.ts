import type { Timelines } from "@netboot6/events";
import type { Machines } from "@netboot6/machines";

/** Those that are not served, while they have a verdict that says why: a relay that is not allowed, a network that nobody configured. */
export const strangersOf = (machines: Machines, timelines: Timelines, now: number): string[] =>
  [...timelines.ids()].filter((id) => machines.byId(id) === undefined && timelines.verdict(id, now) !== null);
