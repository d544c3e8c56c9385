/** The JSON API: readers' views of the stream. Runs in the main thread, beside what it shows. */
import { canonicalAddress, formatPrefix, parsePrefix } from "@netboot6/codec";
import type { ConsoleConfig, Network } from "@netboot6/config";
import { type EventBus, type RelayCounts, type Running, STAGES, type Timelines } from "@netboot6/events";
import type { Machine, Machines } from "@netboot6/machines";
import fastify, { type FastifyInstance, type FastifyReply } from "fastify";

export interface ConsoleSettings {
  readonly console: ConsoleConfig;
  readonly networks: readonly Network[];
}

export interface ConsoleSources {
  readonly bus: EventBus;
  readonly machines: Machines;
  readonly timelines: Timelines;
  readonly relays: RelayCounts;
  /** Resolves with whose it was once that is stored; undefined where the address or prefix is not leased. */
  releaseLease(address: string): Promise<{ readonly machine: string; readonly network: string } | undefined>;
}

const KEEP_ALIVE_MS = 15_000;
/** A reader that takes no more is cut off rather than held in memory. */
const MAX_BUFFERED_BYTES = 4 * 1024 * 1024;

export async function startConsole(settings: ConsoleSettings, sources: ConsoleSources): Promise<Running<ConsoleSettings>> {
  let current = settings;
  let app = await open(settings, sources, () => current);
  return {
    get listens() {
      return [listenText(current.console)];
    },
    async reload(next) {
      const moved = listenText(next.console) !== listenText(current.console);
      current = next;
      if (!moved) return;
      await app.close();
      app = await open(next, sources, () => current);
    },
    async stop() {
      await app.close();
    },
  };
}

const listenText = (config: ConsoleConfig): string => `[${config.host}]:${config.port}`;

async function open(
  { console: config }: ConsoleSettings,
  sources: ConsoleSources,
  current: () => ConsoleSettings,
): Promise<FastifyInstance> {
  const { bus, machines, timelines, relays, releaseLease } = sources;
  const app = fastify({ logger: false, forceCloseConnections: true });
  // A page elsewhere must not read this by a name that it lets point here (DNS rebinding): only literals and localhost are taken.
  app.addHook("onRequest", async (request, reply) => {
    const host = (request.headers.host ?? "").replace(/:\d+$/, "");
    if (host !== "localhost" && !/^\[[0-9a-f:.]+\]$/i.test(host))
      return problem(reply, 421, "Misdirected", `the Host header names ${host || "nobody"}; use the address`);
    const { token } = current().console;
    if (token !== null && request.headers.authorization !== `Bearer ${token}`)
      return problem(reply, 401, "Unauthorized", "send the console's token as `Authorization: Bearer ...`");
    if (token === null && request.method !== "GET" && request.method !== "HEAD")
      return problem(reply, 403, "Forbidden", "changes need the console's token, and none is configured: set console.token");
    return undefined;
  });
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) =>
    problem(reply, error.statusCode ?? 500, "It failed", error.message),
  );
  app.setNotFoundHandler((request, reply) => problem(reply, 404, "Not found", `${request.method} ${request.url}`));

  app.get("/healthz", async () => ({ status: "ok" }));
  app.get("/api/v1/stages", async () => STAGES);
  app.get("/api/v1/networks", async () =>
    current().networks.map(({ name, prefix, address, link }) => ({
      name,
      prefix: formatPrefix(prefix),
      address,
      interface: link?.name ?? null,
      relays: relays.of(name),
    })),
  );
  app.get("/api/v1/machines", async () => [...machines.all()].map((machine) => summary(machine, timelines)));
  app.get<{ Params: { id: string } }>("/api/v1/machines/:id", async ({ params }, reply) => {
    const machine = machines.byId(params.id);
    return machine ? summary(machine, timelines) : problem(reply, 404, "Not found", `no machine is called ${params.id}`);
  });
  app.get<{ Params: { id: string } }>("/api/v1/machines/:id/timeline", async ({ params }, reply) => {
    const timeline = timelines.get(params.id, Date.now());
    if (timeline) return timeline;
    return machines.byId(params.id)
      ? { machine: params.id, boots: [], verdict: null }
      : problem(reply, 404, "Not found", `no machine is called ${params.id}`);
  });
  app.delete<{ Params: { address: string } }>("/api/v1/leases/:address", async ({ params }, reply) => {
    const prefix = parsePrefix(params.address);
    const address = prefix ? formatPrefix(prefix) : canonicalAddress(params.address);
    const lease = address === null ? undefined : await releaseLease(address);
    if (address === null || !lease) return problem(reply, 404, "Not found", `${params.address} is not leased`);
    bus.emit({ type: "lease.released", address, why: "an operator released it", machine: lease.machine, network: lease.network });
    return reply.code(204).send();
  });
  app.get("/api/v1/events", (request, reply) => {
    reply.hijack();
    const { raw } = reply;
    raw.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    raw.write(": events as they happen\n\n");
    const end = bus.subscribe((event) => {
      if (raw.writableLength > MAX_BUFFERED_BYTES) raw.destroy();
      else raw.write(`id: ${event.seq}\ndata: ${JSON.stringify(event)}\n\n`);
    });
    const alive = setInterval(() => raw.write(": still here\n\n"), KEEP_ALIVE_MS);
    request.raw.once("close", () => {
      clearInterval(alive);
      end();
    });
  });
  await app.listen({ host: config.host, port: config.port, ipv6Only: true });
  return app;
}

function summary(machine: Machine, timelines: Timelines): object {
  // The token in boot state lets its bearer report the machine as done: it is not shown.
  const { token: _, ...boot } = machine.boot;
  return { ...machine, boot, stage: timelines.stage(machine.id), verdict: timelines.verdict(machine.id, Date.now()) };
}

/** RFC 9457 */
function problem(reply: FastifyReply, status: number, title: string, detail: string): FastifyReply {
  return reply
    .code(status)
    .type("application/problem+json")
    .send(JSON.stringify({ type: "about:blank", title, status, detail }));
}
