/** The console's HTTP: guard, headers, routes and their description. */
import helmet from "@fastify/helmet";
import swagger from "@fastify/swagger";
import fastify, { type FastifyInstance } from "fastify";
import { refusal } from "./guard.ts";
import { isPage, pageRoutes } from "./page.ts";
import { BARE_HEADERS, problem, problemOf, refuseRequest } from "./problem.ts";
import { described } from "./routes.ts";
import { applianceRoutes, leaseRoutes, status } from "./routes-appliance.ts";
import { dnsRoutes } from "./routes-dns.ts";
import { eventRoutes } from "./routes-events.ts";
import { explainRoutes } from "./routes-explain.ts";
import { machineRoutes } from "./routes-machines.ts";
import { healthView, statusView, textView } from "./schemas.ts";
import type { Context } from "./sources.ts";
import { VERSION } from "./version.ts";

const MAX_BODY_BYTES = 64 * 1024;
/** Longer than any name: a DUID has 130 bytes at most. */
const MAX_PARAM_LENGTH = 1024;

export async function buildApp(context: Context): Promise<FastifyInstance> {
  const { settings, readings, registry } = context;
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    bodyLimit: MAX_BODY_BYTES,
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    // What does not come as far as a route is told as RFC 9457 says too; the guard refuses a request without a Host.
    http: { requireHostHeader: false },
    frameworkErrors: (error, _request, reply) => problemOf(reply.headers(BARE_HEADERS), error),
    clientErrorHandler: refuseRequest,
    return503OnClosing: false,
    // What a schema does not know is told, not ignored; null is no empty text.
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  app.removeContentTypeParser("text/plain");
  // The schemas describe; the types behind them are checked when this is compiled.
  app.setSerializerCompiler(() => (value) => JSON.stringify(value));
  app.setErrorHandler((error: { statusCode?: number; message: string }, _request, reply) => problemOf(reply, error));
  // Who expects anything but 100-continue is answered like everybody else (RFC 9110 §10.1.1).
  app.server.on("checkExpectation", (request, response) => app.server.emit("request", request, response));
  app.setNotFoundHandler((request, reply) => problem(reply, 404, "Not found", `${request.method} ${request.url}`));
  await app.register(helmet, {
    // Plain HTTP on an address literal: no host to pin, nothing to upgrade.
    strictTransportSecurity: false,
    referrerPolicy: { policy: "no-referrer" },
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        scriptSrc: ["'self'"],
        styleSrc: ["'self'"],
        imgSrc: ["'self'", "data:"],
        fontSrc: ["'self'"],
        connectSrc: ["'self'"],
        baseUri: ["'none'"],
        formAction: ["'none'"],
        frameAncestors: ["'none'"],
      },
    },
  });
  app.addHook("onRequest", async ({ method, headers, url }, reply) => {
    const { host, authorization, origin, "sec-fetch-site": site } = headers;
    const { console } = settings();
    const refused = refusal(
      { method, host, authorization, origin, site: typeof site === "string" ? site : undefined },
      { token: isPage(url) ? null : console.token, loopback: console.host === "::1" },
    );
    return refused ? problem(reply, refused.status, refused.title, refused.detail) : undefined;
  });
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "netboot6",
        version: VERSION,
        description: "What netboot6 knows, and what an operator may tell it.",
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      components: { securitySchemes: { token: { type: "http", scheme: "bearer", description: "console.token" } } },
    },
  });
  await app.register(
    async (api) => {
      machineRoutes(api, context);
      leaseRoutes(api, context);
      applianceRoutes(api, context);
      dnsRoutes(api, context);
      explainRoutes(api, context);
      eventRoutes(api, context);
      api.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
    },
    { prefix: "/api/v1" },
  );
  await app.register(pageRoutes);
  app.get("/healthz", described({ tag: "appliance", summary: "The process answers", gives: healthView }), async () => ({ status: "ok" }));
  const ready = described({ tag: "appliance", summary: "Whether each service answers", gives: statusView, mayBeBusy: true });
  app.get("/readyz", ready, async (_request, reply) => {
    const now = status(context);
    const failing = now.services.filter(({ ready }) => !ready).map(({ service, why }) => `${service}: ${why}`);
    if (now.ready) return now;
    return problem(reply, 503, "Not ready", failing.length > 0 ? failing.join("; ") : (now.waiting ?? "it starts"));
  });
  const metrics = described({ tag: "appliance", summary: "Metrics for Prometheus", gives: textView, as: "text/plain" });
  app.get("/metrics", metrics, async (_request, reply) => {
    const networks = settings().networks.map(({ name }) => name);
    const text = await readings.metrics.text({ machines: registry.machines, leases: registry.leases, networks });
    return reply.type(readings.metrics.contentType).send(text);
  });
  return app;
}
