/** What the API gives and takes: types and JSON schemas in one. */
import { STAGES, type StageName } from "@netboot6/events";
import { z } from "zod";

const text = z.string();
const time = z.number().describe("Unix milliseconds");
const names = STAGES.map(({ name }) => name) as [StageName, ...StageName[]];
export const stageName = z.enum(names);
const addresses = z.array(text).readonly();

export const problemView = z.strictObject({
  type: text,
  title: text,
  status: z.int(),
  detail: text.describe("What is wrong, in an operator's words"),
});

const verdictView = z
  .strictObject({ rule: text.describe("docs/verdicts.md explains it"), text, mend: text })
  .describe("Why its boot goes no further, and what to do about it");

const port = z.strictObject({ relay: text, interfaceId: text.nullable(), remoteId: text.nullable() });

export const machineView = z.strictObject({
  id: text.describe("Its name; without one it is called after its MAC, UUID or DUID"),
  configured: z.boolean().describe("The configuration names it"),
  macs: addresses,
  uuid: text.nullable(),
  duids: addresses,
  ports: z.array(port).readonly().describe("The relays' ports it was seen at, the newest last"),
  address: text.nullable().describe("What it was heard from last, leased or formed by itself; else what it is leased"),
  addresses: addresses.describe("What it is leased now; a prefix has its length"),
  network: text.nullable(),
  profile: text.nullable().describe("What an operator chose for it; null: nothing"),
  boots: z.strictObject({ profile: text, why: text }).describe("The profile it boots by, and who says so"),
  boot: z.strictObject({ stage: z.enum(["new", "installing", "installed"]), since: time }),
  shared: z.boolean().describe("Several machines speak from its link-local address"),
  met: z.boolean(),
  served: z.boolean().describe("false: it is not answered, and nothing is kept of it but its verdict"),
  firstSeen: time,
  lastSeen: time.nullable().describe("Unix milliseconds; null: neither since the start nor in a boot that is stored"),
  stage: stageName.nullable().describe("How far its newest boot has come"),
  verdict: verdictView.nullable(),
});
export type MachineView = z.infer<typeof machineView>;

const stageView = z.strictObject({
  name: stageName,
  startedAt: time,
  endedAt: time.nullable().describe("Unix milliseconds; null while it is under way"),
  detail: text.describe("The newest of what happened in it"),
  sent: z.number().describe("Bytes"),
  size: z.number().describe("Bytes"),
  attempts: z.int(),
  failed: text.nullable().describe("Why it failed; null where it did not"),
});
const besideView = stageView.extend({ name: z.enum(["router", "names"]) });
const entryView = z.strictObject({
  at: time,
  type: text.describe("docs/log.md has them"),
  text,
  why: addresses.optional().describe("The reason of each decision"),
  count: z.int().describe("How often it happened one after another"),
});
const bootView = z.strictObject({
  startedAt: time,
  stages: z.array(stageView).readonly(),
  beside: z.array(besideView).readonly().describe("When it asked for routers, and when its installer looked names up"),
  entries: z.array(entryView).readonly().describe("The newest last"),
});
export const timelineView = z.strictObject({
  machine: text,
  boots: z.array(bootView).readonly().describe("The newest last"),
  verdict: verdictView.nullable(),
});
export type TimelineView = z.infer<typeof timelineView>;

export const leaseState = z.enum(["bound", "expired", "released", "declined"]);
export const leaseView = z.strictObject({
  address: text.describe("A delegated prefix has its length"),
  network: text,
  machine: text,
  duid: text,
  iaid: z.int(),
  state: leaseState,
  validUntil: z.number().describe("Unix seconds"),
  since: z.number().describe("Unix seconds"),
  hostname: text.nullable().describe("The name that its client claims"),
  mac: text.nullable().describe("The interface that it was leased to last"),
  superseded: z
    .array(z.strictObject({ duid: text, iaid: z.int() }))
    .readonly()
    .describe("The machine's earlier bindings of it, of other stages of its boots; the newest last"),
});
export type LeaseView = z.infer<typeof leaseView>;

const relayView = z.strictObject({
  relay: text,
  answered: z.int(),
  dropped: z.int(),
  lastAt: time,
  lastDropped: text.nullable().describe("Why the last message that was dropped was"),
});
const routerView = z.strictObject({
  router: text,
  interface: text,
  managed: z.boolean(),
  other: z.boolean(),
  lifetime: z.number().describe("Seconds; 0: no default router"),
  state: z.enum(["advertises", "withdrawn", "silent"]),
  why: text,
  differences: addresses.describe("What of it contradicts our advertisements"),
  at: time.describe("Unix milliseconds since when it says so"),
});
export const networkView = z.strictObject({
  name: text,
  prefix: text,
  address: text.describe("Our own"),
  interface: text.nullable().describe("null: relayed"),
  relayed: z.boolean(),
  relays: z.array(relayView).readonly(),
  routers: z.array(routerView).readonly().describe("Other routers that are heard at present"),
  warnings: z
    .array(z.strictObject({ rule: text, why: text, at: time.describe("Unix milliseconds since when") }))
    .readonly()
    .describe("What costs the machines on it something at present: no router, or one that does not forward"),
  leases: z.int().describe("Addresses and prefixes that are leased now"),
});
export type NetworkView = z.infer<typeof networkView>;

const count = z.int();
const answersBySource = {
  cache: count,
  upstream: count,
  local: count.describe("Names of machines, leases and records, and those that are never asked upstream"),
  stale: count.describe("Out of date, as no upstream answered (RFC 8767)"),
  refused: count,
  failed: count.describe("SERVFAIL"),
};
export const dnsView = z.strictObject({
  upstreams: z
    .array(
      z.strictObject({
        upstream: text.describe("As the configuration writes it"),
        up: z.boolean(),
        why: text.nullable().describe("null: no fault of it was seen since the start"),
        at: time.nullable().describe("Unix milliseconds since when; null: since the start"),
      }),
    )
    .readonly(),
  answers: z.strictObject(answersBySource).describe("Since the start, by where they came from"),
  intervalSeconds: z.int(),
  intervals: z
    .array(z.strictObject({ at: time, ...answersBySource }))
    .readonly()
    .describe("The last hour, the newest last"),
  unserved: z
    .array(z.strictObject({ client: text, machine: text.nullable(), count, why: text, at: time }))
    .readonly()
    .describe("Clients that were refused, asked too often or got no answer; the newest first"),
});
export type DnsView = z.infer<typeof dnsView>;

const written = z.string().max(256).optional();
export const askedFor = z.strictObject({
  mac: written,
  uuid: written,
  arch: written.describe("Client architecture: IANA's name or number; none: a system"),
  userClass: written.describe("iPXE: as iPXE asks"),
  relay: written.describe("The address of the relay that it asks through"),
  network: written.describe("The network that it is on; default: the first"),
});
export type AskedFor = z.infer<typeof askedFor>;

const words = z.tuple([text, text]).readonly();
export const explanationView = z.strictObject({
  network: text,
  explanations: z
    .array(
      z.strictObject({
        message: text,
        machine: text.nullable(),
        answer: text.nullable().describe("null: no answer leaves"),
        why: addresses,
        addresses: addresses.describe("What it would be leased"),
        options: z.array(words).readonly().describe("Name and value"),
        rules: z
          .array(
            z.strictObject({
              rule: count.describe("Counted from 1"),
              matches: text,
              url: text,
              whyNot: text.nullable().describe("null: it is the one that decides"),
            }),
          )
          .readonly(),
      }),
    )
    .readonly(),
  advertisement: z.unknown().describe("The router advertisement that it hears from us; null: none"),
  served: z.strictObject({ profile: text, why: text, script: text }).nullable().describe("Its /boot.ipxe"),
});
export type ExplanationView = z.infer<typeof explanationView>;

export const assetsView = z.strictObject({
  root: text.nullable().describe("null: no files are served"),
  files: z.array(
    z.strictObject({
      path: text,
      size: z.number().describe("Bytes"),
      modified: time,
      usedBy: addresses.describe("Profiles and boot rules"),
    }),
  ),
  truncated: z.boolean().describe("There are more files than are listed"),
  missing: z.array(z.strictObject({ key: text.describe("The key that names it"), what: text, mend: text })),
});
export type AssetsView = z.infer<typeof assetsView>;

const serviceView = z.strictObject({
  service: text,
  ready: z.boolean(),
  why: text.nullable().describe("Why it is not ready"),
  listens: addresses,
});
export const statusView = z.strictObject({
  site: text,
  version: text,
  startedAt: time,
  ready: z.boolean(),
  waiting: text.nullable().describe("What of the host is waited for"),
  services: z.array(serviceView).readonly(),
});
export type StatusView = z.infer<typeof statusView>;

export const healthView = z.strictObject({ status: z.literal("ok") });
export const textView = z.string();

/** For a route's `schema`. */
export function jsonSchema(schema: z.ZodType, io: "input" | "output" = "output"): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { target: "draft-7", io });
  return rest;
}
