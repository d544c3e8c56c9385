import { parseMac } from "@netboot6/codec";
import { isLive } from "@netboot6/leases";
import { type Machine, type Machines, NOBODY } from "@netboot6/machines";
import type { FastifyInstance, FastifyReply } from "fastify";
import { z } from "zod";
import { problem } from "./problem.ts";
import { byId, described } from "./routes.ts";
import { type MachineView, machineView, stageName, type TimelineView, timelineView } from "./schemas.ts";
import type { Context } from "./sources.ts";
import { strangersOf } from "./strangers.ts";

const filter = z.strictObject({
  network: z.string().max(256).optional(),
  stage: stageName.optional(),
  verdict: z.string().max(64).optional().describe("A verdict's rule; any: those that stand still; none: those that do not"),
  search: z.string().max(256).optional().describe("Part of its name, MAC, UUID, address, DUID, profile or network"),
});
type Filter = z.infer<typeof filter>;

interface Look {
  readonly views: readonly MachineView[];
  /** All of them as JSON, once somebody asked. */
  text: string | null;
  /** Of performance.now(). */
  freshUntil: number;
}

const choice = z.strictObject({
  profile: z.string().max(256).nullable().describe("The profile that it boots from now on; null: as the configuration says"),
});

export function machineRoutes(app: FastifyInstance, context: Context): void {
  const { registry, timelines, bus } = context;
  const { machines } = registry;
  const show = (machine: Machine): MachineView => viewOf(machine, context);
  const find = (id: string): Machine | undefined => machineCalled(id, machines);
  let looked: Look = { views: [], text: null, freshUntil: 0 };
  /** However many look, and at however many machines, it takes a tenth of the thread's time at most. */
  const all = (): Look => {
    const began = performance.now();
    if (began < looked.freshUntil) return looked;
    const views = [...[...machines.all()].map(show), ...strangers(context)];
    const ended = performance.now();
    looked = { views, text: null, freshUntil: ended + (ended - began) * 9 };
    return looked;
  };
  bus.subscribe(({ type }) => {
    if (type === "operator.acted") looked.freshUntil = 0;
  });
  const unknown = (reply: FastifyReply, id: string): FastifyReply => problem(reply, 404, "Not found", `no machine is called ${id}`);

  app.get<{ Querystring: Filter }>(
    "/machines",
    described({ tag: "machines", summary: "All machines, or those that fit", query: filter, gives: z.array(machineView) }),
    async ({ query }, reply) => {
      const found = all();
      if (Object.keys(query).length > 0) return found.views.filter((machine) => fits(machine, query));
      found.text ??= JSON.stringify(found.views);
      return reply.type("application/json; charset=utf-8").send(found.text);
    },
  );
  app.get<{ Params: { id: string } }>(
    "/machines/:id",
    described({ tag: "machines", summary: "One machine", params: byId, gives: machineView }),
    async ({ params }, reply) => {
      const machine = find(params.id);
      if (machine) return show(machine);
      return strangers(context).find(({ id }) => id === params.id) ?? unknown(reply, params.id);
    },
  );
  app.get<{ Params: { id: string } }>(
    "/machines/:id/timeline",
    described({ tag: "machines", summary: "What it did, boot by boot and stage by stage", params: byId, gives: timelineView }),
    async ({ params }, reply) => {
      const id = find(params.id)?.id ?? params.id;
      const timeline: TimelineView | undefined = timelines.get(id, Date.now());
      if (timeline) return timeline;
      return machines.byId(id) ? { machine: id, boots: [], verdict: null } : unknown(reply, params.id);
    },
  );
  app.put<{ Params: { id: string }; Body: z.infer<typeof choice> }>(
    "/machines/:id/profile",
    described({ tag: "machines", summary: "Choose what it boots", params: byId, body: choice, gives: machineView }),
    async ({ params, body: { profile } }, reply) => {
      const machine = find(params.id);
      const chosen = machine ? await registry.chooseProfile(machine.id, profile) : "no such machine";
      if (chosen === "no such machine") return unknown(reply, params.id);
      if (chosen === "no such profile") {
        const there = Object.keys(context.settings().appliance.profiles).join(", ");
        return problem(reply, 422, "No such profile", `no profile is called ${profile}; there are: ${there || "none"}`);
      }
      const what = profile === null ? "let its profile follow from the configuration again" : `chose profile ${profile} for it`;
      bus.emit({ type: "operator.acted", what, machine: chosen.id });
      return show(chosen);
    },
  );
  app.post<{ Params: { id: string } }>(
    "/machines/:id/boot-again",
    described({ tag: "machines", summary: "Let it boot its profile once more, though it is installed", params: byId, gives: machineView }),
    async ({ params }, reply) => {
      const machine = find(params.id);
      const again = machine && (await registry.bootAgain(machine.id));
      if (!again) return unknown(reply, params.id);
      bus.emit({ type: "operator.acted", what: "let it boot its profile again", machine: again.id });
      return show(again);
    },
  );
  app.delete<{ Params: { id: string } }>(
    "/machines/:id",
    described({ tag: "machines", summary: "Forget it, and release its leases", params: byId, gives: null }),
    async ({ params }, reply) => {
      const id = find(params.id)?.id ?? params.id;
      const outcome = await registry.forget(id);
      if (outcome === "no such machine") return unknown(reply, params.id);
      if (outcome === "the configuration names it")
        return problem(reply, 409, "It is configured", `the configuration names ${id}: delete its entry under machines, and reload`);
      // It names no machine: it would be met again by that.
      bus.emit({ type: "operator.acted", what: `forgot machine ${id}` });
      return reply.code(204).send();
    },
  );
}

/** By its name, MAC or UUID. */
export function machineCalled(id: string, machines: Machines): Machine | undefined {
  const mac = parseMac(id);
  return machines.byId(id) ?? (mac === null ? machines.byUuid(id.toLowerCase()) : machines.byMac(mac));
}

const strangers = (context: Context): MachineView[] =>
  strangersOf(context.registry.machines, context.timelines, Date.now()).map((id) => ({
    ...viewOf({ ...NOBODY, id }, context),
    served: false,
  }));

function viewOf(machine: Machine, { registry, timelines }: Context): MachineView {
  const now = Date.now();
  // The token in boot state lets its bearer report the machine as done: it is not shown.
  const { id, macs, uuid, duids, ports, profile, boot, shared, met, firstSeen } = machine;
  const leases = registry.leases.ofMachine(id).filter((lease) => isLive(lease, now / 1000));
  const seen = timelines.seen(id);
  const network = seen?.network ?? leases.at(-1)?.network ?? null;
  const { name, why } = registry.profileFor(id, network);
  return {
    id,
    configured: registry.machines.config(id) !== undefined,
    macs,
    uuid,
    duids,
    ports,
    address: seen?.address ?? leases.at(-1)?.address ?? null,
    addresses: leases.map(({ address }) => address),
    network,
    profile,
    boots: { profile: name, why },
    boot: { stage: boot.stage, since: boot.since },
    shared,
    met,
    served: true,
    firstSeen,
    lastSeen: seen?.at ?? null,
    stage: timelines.stage(id),
    verdict: timelines.verdict(id, now),
  };
}

function fits(machine: MachineView, { network, stage, verdict, search }: Filter): boolean {
  if (network !== undefined && machine.network !== network) return false;
  if (stage !== undefined && machine.stage !== stage) return false;
  if (verdict === "any" ? machine.verdict === null : verdict === "none" ? machine.verdict !== null : false) return false;
  if (verdict !== undefined && verdict !== "any" && verdict !== "none" && machine.verdict?.rule !== verdict) return false;
  if (search === undefined) return true;
  const part = search.toLowerCase();
  const { id, uuid, address, macs, addresses, duids, boots } = machine;
  return [id, uuid, address, ...macs, ...addresses, ...duids, boots.profile, machine.network].some((each) =>
    each?.toLowerCase().includes(part),
  );
}
