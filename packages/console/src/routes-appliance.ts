import { addressToBigInt, canonicalAddress, formatPrefix, parsePrefix } from "@netboot6/codec";
import { STAGES } from "@netboot6/events";
import { isLive, stateOf } from "@netboot6/leases";
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { listAssets } from "./assets.ts";
import { problem } from "./problem.ts";
import { byAddress, described } from "./routes.ts";
import {
  assetsView,
  type LeaseView,
  leaseState,
  leaseView,
  type NetworkView,
  networkView,
  type StatusView,
  statusView,
} from "./schemas.ts";
import { withoutSecrets } from "./secrets.ts";
import type { Context } from "./sources.ts";
import { VERSION } from "./version.ts";

const filter = z.strictObject({
  network: z.string().max(256).optional(),
  machine: z.string().max(256).optional(),
  state: leaseState.optional(),
});
type Filter = z.infer<typeof filter>;

export function applianceRoutes(app: FastifyInstance, context: Context): void {
  const { settings } = context;
  app.get("/status", described({ tag: "appliance", summary: "Whether all of it answers", gives: statusView }), async () => status(context));
  app.get(
    "/stages",
    described({
      tag: "appliance",
      summary: "The stages of a boot, in their order",
      gives: z.array(z.strictObject({ name: z.string(), label: z.string() })),
    }),
    async () => STAGES,
  );
  app.get(
    "/networks",
    described({ tag: "appliance", summary: "The networks, their relays and other routers", gives: z.array(networkView) }),
    async () => networks(context),
  );
  app.get(
    "/assets",
    described({ tag: "appliance", summary: "The files under boot-assets, who uses them, and what is missing", gives: assetsView }),
    async () => listAssets(settings().appliance),
  );
  app.get(
    "/config",
    described({
      tag: "appliance",
      summary: "The configuration as it is understood, secrets blanked",
      gives: z.record(z.string(), z.unknown()),
    }),
    async () => withoutSecrets({ ...settings().appliance, networks: settings().networks }),
  );
}

export function leaseRoutes(app: FastifyInstance, { registry, bus }: Context): void {
  app.get<{ Querystring: Filter }>(
    "/leases",
    described({ tag: "leases", summary: "All leases, or those that fit, by address", query: filter, gives: z.array(leaseView) }),
    async ({ query: { network, machine, state } }) => {
      const now = Math.floor(Date.now() / 1000);
      const found: { readonly view: LeaseView; readonly number: bigint }[] = [];
      for (const lease of registry.leases.all()) {
        if ((network !== undefined && lease.network !== network) || (machine !== undefined && lease.machine !== machine)) continue;
        const { hostname = null, mac = null, superseded = [] } = lease;
        const view = { ...lease, hostname, mac, superseded, state: stateOf(lease, now) };
        if (state === undefined || view.state === state) found.push({ view, number: addressToBigInt(lease.address.replace(/\/.*/, "")) });
      }
      return found.sort((a, b) => (a.number < b.number ? -1 : 1)).map(({ view }) => view);
    },
  );
  app.delete<{ Params: { address: string } }>(
    "/leases/:address",
    described({ tag: "leases", summary: "End a lease", params: byAddress, gives: null }),
    async ({ params }, reply) => {
      const prefix = parsePrefix(params.address);
      const address = prefix ? formatPrefix(prefix) : canonicalAddress(params.address);
      const lease = address === null ? undefined : await registry.releaseLease(address);
      if (address === null || !lease) return problem(reply, 404, "Not found", `${params.address} is not leased`);
      bus.emit({ type: "lease.released", address, why: "an operator released it", machine: lease.machine, network: lease.network });
      return reply.code(204).send();
    },
  );
}

/** What the status and `/readyz` say. */
export function status({ readings, settings }: Context): StatusView {
  const { startedAt, waiting } = readings;
  return { site: settings().appliance.site, version: VERSION, startedAt, waiting, ...readings.readiness() };
}

function networks({ settings, relays, readings, registry }: Context): NetworkView[] {
  const now = Date.now() / 1000;
  const live = new Map<string, number>();
  for (const lease of registry.leases.all()) if (isLive(lease, now)) live.set(lease.network, (live.get(lease.network) ?? 0) + 1);
  return settings().networks.map(({ name, prefix, address, link, relayed }) => ({
    name,
    prefix: formatPrefix(prefix),
    address,
    interface: link?.name ?? null,
    relayed,
    relays: relays.of(name),
    routers: readings.rivals(name).map(({ router, interface: on, managed, other, lifetime, state, why, differences, at }) => ({
      router,
      interface: on,
      managed,
      other,
      lifetime,
      state,
      why,
      differences,
      at,
    })),
    warnings: readings.warnings(name).map(({ rule, why, at }) => ({ rule, why, at })),
    leases: live.get(name) ?? 0,
  }));
}
