/** A console for tests: a network, two machines, a stream of events; what an operator changes is kept in memory. */
import { parsePrefix } from "@netboot6/codec";
import type { Appliance, Network } from "@netboot6/config";
import { EventBus, RelayCounts, Timelines } from "@netboot6/events";
import { Leases } from "@netboot6/leases";
import { Machines } from "@netboot6/machines";
import type { FastifyInstance } from "fastify";
import { buildApp } from "./app.ts";
import { Readings } from "./readings.ts";
import type { AskedFor, ExplanationView } from "./schemas.ts";
import type { ConsoleRegistry } from "./sources.ts";

export const MAC = "52:54:00:00:00:01";
export const ADDRESS = "2001:db8:0:1::1000";
export const TOKEN = "a long random word";

export interface TestConsole {
  readonly app: FastifyInstance;
  readonly bus: EventBus;
  readonly registry: ConsoleRegistry;
  readonly readings: Readings;
  readonly timelines: Timelines;
}

export async function testConsole(settings: { token?: string; host?: string } = {}): Promise<TestConsole> {
  const prefix = parsePrefix("2001:db8:0:1::/64");
  if (!prefix) throw new Error("a prefix");
  const network = { name: "prov", prefix, address: "2001:db8:0:1::1", link: null, relayed: true } as unknown as Network;
  const console = { host: settings.host ?? "::1", port: 8067, token: settings.token ?? null };
  const appliance = {
    site: "lab",
    console,
    networks: [network],
    profiles: { debian: { kind: "script", script: "debian.ipxe" }, rescue: { kind: "disk" } },
    machines: [{ name: "node-01", vars: { disk: "/dev/vda", rootPassword: "geheim" } }],
    http: null,
    tftp: null,
    boot: { rules: null },
  } as unknown as Appliance;
  const machines = new Machines([]);
  const leases = new Leases();
  const timelines = new Timelines();
  const relays = new RelayCounts();
  const readings = new Readings(timelines);
  const bus = new EventBus(() => ({}));
  for (const reader of [timelines.read, relays.read, readings.read]) bus.subscribe(reader);
  machines.identify({ relayMac: MAC }, 1000);
  machines.identify({ relayMac: "52:54:00:00:00:02" }, 2000);
  const since = Math.floor(Date.now() / 1000);
  const bound = { duid: "0003", iaid: 1, network: "prov", state: "bound", since } as const;
  leases.put({ ...bound, address: ADDRESS, machine: "m-525400000001", validUntil: since + 4000 });
  leases.put({ ...bound, address: "2001:db8:0:1::20", machine: "m-525400000002", validUntil: since - 1, hostname: "b.rack.example" });
  const registry: ConsoleRegistry = {
    machines,
    leases,
    profileFor: (id) => ({ name: machines.byId(id)?.profile ?? "debian", why: "the default profile" }),
    async chooseProfile(id, profile) {
      if (profile !== null && !Object.hasOwn(appliance.profiles, profile)) return "no such profile";
      return machines.setProfile(id, profile) ?? "no such machine";
    },
    bootAgain: async (id) => machines.setBoot(id, "new", Date.now()),
    async forget(id) {
      if (!machines.byId(id)) return "no such machine";
      if (id === "m-525400000002") return "the configuration names it";
      machines.forget(id);
      return "forgotten";
    },
    async releaseLease(address) {
      const lease = leases.byAddress(address);
      return lease && leases.release(lease);
    },
  };
  const explain = async ({ mac }: AskedFor): Promise<ExplanationView> => {
    if (mac !== MAC) throw Object.assign(new Error(`MAC ${mac} is not understood`), { name: "QuestionError" });
    const served = { profile: "debian", why: "the default profile", script: "#!ipxe\nkernel linux password=geheim\n" };
    return { network: "prov", explanations: [], advertisement: null, served };
  };
  const settingsNow = { appliance, console, networks: [network] };
  const app = await buildApp({ bus, timelines, relays, readings, registry, explain, settings: () => settingsNow });
  return { app, bus, registry, readings, timelines };
}

/** A boot from firmware to its script. */
export function boot(bus: EventBus, machine = "m-525400000001"): void {
  const asker = { client: "fe80::1", machine, network: "prov" };
  const answered = { type: "dhcpv6.answered", duid: "0003", addresses: [ADDRESS], why: ["it asked"], ...asker } as const;
  bus.emit({ ...answered, message: "Solicit", answer: "Advertise", clientKind: "firmware-http" });
  bus.emit({ ...answered, message: "Request", answer: "Reply", clientKind: "firmware-http" });
  bus.emit({ type: "http.started", id: 1, path: "/ipxe/x86_64/ipxe.efi", size: 1000, userAgent: "UefiHttpBoot/1.0", ...asker });
  bus.emit({ type: "http.progress", id: 1, path: "/ipxe/x86_64/ipxe.efi", sent: 400, size: 1000, ...asker });
  const finished = { type: "http.finished", method: "GET", status: 200, seconds: 0, userAgent: "x", complete: true, ...asker } as const;
  bus.emit({ ...finished, id: 1, path: "/ipxe/x86_64/ipxe.efi", sent: 1000, size: 1000 });
  bus.emit({ ...answered, message: "Information-request", answer: "Reply", clientKind: "ipxe", addresses: [] });
  bus.emit({ ...finished, id: 2, path: "/boot.ipxe", sent: 300, size: 300 });
}
