/** What the console keeps of the stream beside timelines: readers, bounded in memory. */
import type { BootEvent, ServiceName, Timelines } from "@netboot6/events";
import { DnsReadings } from "./dns-readings.ts";
import { Metrics } from "./metrics.ts";
import { EventRing } from "./ring.ts";

/** Another router, as it was heard last. */
export type Rival = Extract<BootEvent, { type: "ra.heard" }>;
export type Warning = Extract<BootEvent, { type: "ra.warned" }>;

export interface ServiceState {
  readonly service: ServiceName;
  readonly ready: boolean;
  /** Why it is not; null where it is. */
  readonly why: string | null;
  readonly listens: readonly string[];
}

const MAX_RIVALS = 256;

export class Readings {
  readonly ring = new EventRing();
  readonly metrics: Metrics;
  readonly dns = new DnsReadings();
  /** Unix milliseconds. */
  readonly startedAt = Date.now();
  /** What was waited for last; null: nothing. */
  waiting: string | null = null;
  readonly #services = new Map<ServiceName, ServiceState>();
  /** The services of the configuration; empty until all of them came up once. */
  #expected: readonly ServiceName[] = [];
  readonly #rivals = new Map<string, Rival>();
  /** By network and rule. */
  readonly #warnings = new Map<string, Warning>();

  constructor(timelines: Timelines) {
    this.metrics = new Metrics(timelines);
  }

  /** A reader for the bus, after the timelines. */
  readonly read = (event: BootEvent): void => {
    this.ring.read(event);
    this.metrics.read(event);
    this.dns.read(event);
    switch (event.type) {
      case "appliance.ready":
        this.#expected = event.services;
        break;
      case "appliance.reloaded":
        this.#expected = event.changed as readonly ServiceName[];
        break;
      case "appliance.waiting":
        this.waiting = event.why;
        break;
      case "appliance.resumed":
        this.waiting = null;
        break;
      case "service.ready":
        this.#services.set(event.service, { service: event.service, ready: true, why: null, listens: event.listens });
        break;
      case "service.failed":
        this.#services.set(event.service, { service: event.service, ready: false, why: event.why, listens: [] });
        break;
      case "ra.heard":
        this.#hear(event);
        break;
      case "ra.warned":
        this.#warnings.set(`${event.network} ${event.rule}`, event);
        break;
      case "ra.mended":
        this.#warnings.delete(`${event.network} ${event.rule}`);
        break;
    }
  };

  /** The other routers that are heard on a network at present. */
  rivals(network: string): Rival[] {
    return [...this.#rivals.values()].filter((each) => each.network === network);
  }

  /** What costs the machines on a network something at present. */
  warnings(network: string): Warning[] {
    return [...this.#warnings.values()].filter((each) => each.network === network);
  }

  /** Whether all that is configured answers; `services` in the order they start. */
  readiness(): { readonly ready: boolean; readonly services: readonly ServiceState[] } {
    const services =
      this.#expected.length === 0
        ? [...this.#services.values()]
        : this.#expected.map((service) => this.#services.get(service) ?? { service, ready: false, why: "it did not start", listens: [] });
    return { ready: this.#expected.length > 0 && services.every(({ ready }) => ready), services };
  }

  #hear(event: Rival): void {
    const key = `${event.interface} ${event.router}`;
    this.#rivals.delete(key);
    if (event.state === "silent") return;
    this.#rivals.set(key, event);
    if (this.#rivals.size > MAX_RIVALS) this.#rivals.delete(this.#rivals.keys().next().value as string);
  }
}
