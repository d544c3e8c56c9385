import { upstreamText } from "@netboot6/config";
import type { FastifyInstance } from "fastify";
import { INTERVAL_SECONDS } from "./dns-readings.ts";
import { described } from "./routes.ts";
import { type DnsView, dnsView } from "./schemas.ts";
import type { Context } from "./sources.ts";

export function dnsRoutes(app: FastifyInstance, context: Context): void {
  app.get("/dns", described({ tag: "appliance", summary: "What became of the machines' DNS questions", gives: dnsView }), async () =>
    view(context),
  );
}

function view({ settings, readings: { dns } }: Context): DnsView {
  const told = new Map(dns.upstreams().map((each) => [each.upstream, each]));
  const configured = settings().appliance.dns?.upstreams?.map(upstreamText) ?? [];
  const names = new Set([...configured, ...told.keys()]);
  return {
    upstreams: [...names].map((upstream) => told.get(upstream) ?? { upstream, up: true, why: null, at: null }),
    answers: dns.total,
    intervalSeconds: INTERVAL_SECONDS,
    intervals: dns.intervals(Date.now()),
    unserved: dns.unserved(),
  };
}
