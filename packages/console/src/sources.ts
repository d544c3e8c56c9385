/** What the console shows, and what it may change. */
import type { Appliance, ConsoleConfig, Network } from "@netboot6/config";
import type { EventBus, RelayCounts, Timelines } from "@netboot6/events";
import type { Lease, Leases } from "@netboot6/leases";
import type { Machine, Machines } from "@netboot6/machines";
import type { Readings } from "./readings.ts";
import type { AskedFor, ExplanationView } from "./schemas.ts";

export interface ConsoleSettings {
  readonly appliance: Appliance;
  readonly console: ConsoleConfig;
  readonly networks: readonly Network[];
}

/** Who owns machines and leases. All changes resolve once they are stored, and reject where they cannot be. */
export interface ConsoleRegistry {
  readonly machines: Machines;
  readonly leases: Leases;
  /** The profile that a machine boots by now, and who says so. */
  profileFor(machine: string, network: string | null): { readonly name: string; readonly why: string };
  chooseProfile(machine: string, profile: string | null): Promise<"no such machine" | "no such profile" | Machine>;
  bootAgain(machine: string): Promise<Machine | undefined>;
  forget(machine: string): Promise<"no such machine" | "the configuration names it" | "forgotten">;
  /** What it was; undefined where the address or prefix is not leased. */
  releaseLease(address: string): Promise<Lease | undefined>;
}

export interface ConsoleSources {
  readonly bus: EventBus;
  readonly timelines: Timelines;
  readonly relays: RelayCounts;
  readonly readings: Readings;
  readonly registry: ConsoleRegistry;
  /** What a machine would get, and why; sends nothing. Rejects with what is wrong with the question. */
  explain(asked: AskedFor): Promise<ExplanationView>;
}

/** What every route is given; `settings` as they are now. */
export interface Context extends ConsoleSources {
  settings(): ConsoleSettings;
}
