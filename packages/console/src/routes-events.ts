/** The stream of events to whoever follows it: server-sent, from where a reader left off. */
import { type BootEvent, isEventType, type Level, levelOf } from "@netboot6/events";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { Followers } from "./followers.ts";
import { problem } from "./problem.ts";
import { described } from "./routes.ts";
import { machineCalled } from "./routes-machines.ts";
import type { Context } from "./sources.ts";

const KEEP_ALIVE_MS = 15_000;
const MAX_FOLLOWERS = 64;

const LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly Level[];
const filter = z.strictObject({
  machine: z.string().max(256).optional().describe("Of this machine alone: its name, MAC or UUID"),
  type: z
    .union([z.string().max(64), z.array(z.string().max(64)).max(32)])
    .optional()
    .describe("Of this type, or of these; dhcpv6 is all that begin with it"),
  level: z.enum(LEVELS).optional().describe("As loud as this in the log, or louder"),
  last: z
    .string()
    .regex(/^\d{1,4}$/)
    .optional()
    .describe("So many of those that were, first"),
});
type Filter = z.infer<typeof filter>;

export function eventRoutes(app: FastifyInstance, { bus, readings, registry }: Context): void {
  // Numbers begin anew with the process: those of another one mean nothing here.
  const run = readings.startedAt.toString(36);
  const followers = new Followers(bus, run);
  app.get<{ Querystring: Filter }>(
    "/events",
    described({
      tag: "events",
      summary: "Events as they happen, server-sent; after Last-Event-ID where that is given. `event: lost` tells that some are gone",
      query: filter,
      gives: z
        .string()
        .describe("`id:` and `data:`, the event as JSON: seq, at (Unix milliseconds), type, and what docs/log.md says of the type"),
      as: "text/event-stream",
      mayBeBusy: true,
    }),
    (request, reply) => {
      if (followers.size >= MAX_FOLLOWERS) return problem(reply, 503, "Too many", `${followers.size} already follow the stream`);
      const { machine } = request.query;
      const unknown = typesOf(request.query)?.find((type) => !isEventType(type));
      if (unknown !== undefined) return problem(reply, 422, "No such event", `no event is called ${unknown}: docs/log.md has them`);
      const query =
        machine === undefined ? request.query : { ...request.query, machine: machineCalled(machine, registry.machines)?.id ?? machine };
      reply.hijack();
      const { raw } = reply;
      for (const [name, value] of Object.entries(reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
      raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      raw.write(": events as they happen\n\n");
      const missed = missedSince(request.headers["last-event-id"], run, readings.ring, query);
      if (missed === null) raw.write(`event: lost\ndata: {"why":"events before these are gone: read what you show anew"}\n\n`);
      const all = query.machine === undefined && query.type === undefined && query.level === undefined;
      const end = followers.add(
        raw,
        all ? null : (event) => isWanted(event, query),
        (missed ?? []).filter((event) => isWanted(event, query)),
      );
      const alive = setInterval(() => raw.write(": still here\n\n"), KEEP_ALIVE_MS);
      request.raw.once("close", () => {
        clearInterval(alive);
        end();
      });
      return undefined;
    },
  );
}

/** Null where some of them are gone. */
function missedSince(id: string | string[] | undefined, run: string, ring: Context["readings"]["ring"], query: Filter): BootEvent[] | null {
  if (typeof id !== "string" || id === "") {
    const last = Number(query.last ?? 0);
    const wanted = last > 0 ? ring.all().filter((event) => isWanted(event, query)) : [];
    return wanted.slice(-last);
  }
  const [of, seq] = id.split("-");
  return of === run && /^\d{1,15}$/.test(seq ?? "") ? ring.after(Number(seq)) : null;
}

const typesOf = ({ type }: Filter): string[] | undefined => (typeof type === "string" ? [type] : type);

function isWanted(event: BootEvent, query: Filter): boolean {
  const { machine, level } = query;
  if (machine !== undefined && !("machine" in event && event.machine === machine)) return false;
  const types = typesOf(query);
  if (types !== undefined && !types.some((each) => event.type === each || event.type.startsWith(`${each}.`))) return false;
  if (level === undefined) return true;
  const own = levelOf(event);
  return own !== null && LEVELS.indexOf(own) >= LEVELS.indexOf(level);
}
