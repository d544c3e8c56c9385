/** What is known beside one machine's own boot, and may be why it stands still: a reader of the stream, bounded in memory. */
import type { Address } from "@netboot6/codec";
import { isScript, type StageName } from "./stages.ts";
import type { BootEvent, ServiceName } from "./types.ts";

export interface Router {
  readonly router: Address;
  readonly managed: boolean;
  readonly other: boolean;
  /** Seconds; 0: it is no default router. */
  readonly lifetime: number;
}

/** An address that is no known machine's, and the answers file that it asked for. */
export interface Stranger {
  readonly client: Address;
  readonly path: string;
  /** Unix milliseconds. */
  readonly at: number;
}

const MAX_ROUTERS = 64;
const MAX_DUIDS = 10_000;
/** Two machines that show one DUID within this time are two that are on. */
const SAME_DUID_MS = 600_000;
const MAX_DURATIONS = 100;

/** Rendered for a machine, or one of the names that distributions give theirs. */
const isAnswers = (event: Extract<BootEvent, { type: "machine.rendered" | "http.finished" }>): boolean =>
  event.type === "machine.rendered"
    ? !isScript(event.path)
    : event.status < 400 && /\.(?:seed|preseed|ks|ign|bu)$|\/(?:preseed|ks)\.cfg$|\/(?:user|meta)-data$/.test(event.path);

export class World {
  /** Other routers, by network and address. */
  readonly #routers = new Map<string, Map<Address, Router>>();
  /** Networks on which we advertise. */
  readonly #advertised = new Set<string>();
  /** When a service ended, or was started, last, in Unix milliseconds, and why: what it was sending until then is broken off. */
  readonly #began = new Map<ServiceName, { readonly at: number; readonly why: string }>();
  readonly #upstreamsDown = new Map<string, string>();
  /** The firmware and iPXE that showed a DUID last, and another machine that did before. */
  readonly #duids = new Map<string, { machine: string; at: number; other: { machine: string; at: number } | null }>();
  /** By network. */
  readonly #strangers = new Map<string, Stranger>();
  /** Seconds that the last machines took for a stage. */
  readonly #durations = new Map<StageName, number[]>();

  /** A reader for the bus. */
  readonly read = (event: BootEvent): void => {
    switch (event.type) {
      case "ra.sent":
        if (event.network !== undefined)
          event.why === "final" ? this.#advertised.delete(event.network) : this.#advertised.add(event.network);
        break;
      case "service.failed":
        this.#began.set(event.service, { at: event.at, why: `${event.service} ended: ${event.why}` });
        break;
      case "service.ready":
        if (!this.#began.has(event.service)) this.#began.set(event.service, { at: event.at, why: "netboot6 was started again" });
        break;
      case "ra.heard":
        if (event.state === "advertises") this.#hear(event.network ?? "", event);
        else this.#routers.get(event.network ?? "")?.delete(event.router);
        break;
      case "machine.rendered":
      case "http.finished":
        if (event.machine === undefined && event.client !== undefined && isAnswers(event))
          this.#strangers.set(event.network ?? "", { client: event.client, path: event.path, at: event.at });
        break;
      case "dhcpv6.answered":
        // A system's is its disk's, and disks are cloned: the MAC tells those apart.
        if (event.clientKind !== "system" && event.machine !== undefined) this.#show(event.duid, event.machine, event.at);
        break;
      case "dns.upstream":
        if (event.state === "down") this.#upstreamsDown.set(event.upstream, event.why);
        else this.#upstreamsDown.delete(event.upstream);
        break;
    }
  };

  routers(network: string | undefined): Router[] {
    return [...(this.#routers.get(network ?? "")?.values() ?? [])];
  }

  /** Whether machines on the network hear any router at all. */
  hasRouter(network: string | undefined): boolean {
    return network === undefined || this.#advertised.has(network) || this.routers(network).length > 0;
  }

  /** Why what the service was sending then is broken off; null where it may go on. */
  brokeOff(service: ServiceName, at: number): string | null {
    const began = this.#began.get(service);
    return began && at <= began.at ? began.why : null;
  }

  /** The last one on the network that asked for an answers file. */
  stranger(network: string | undefined): Stranger | null {
    return this.#strangers.get(network ?? "") ?? null;
  }

  /** Another machine whose firmware or iPXE shows that DUID at the same time; null where there is none. */
  alsoShows(duid: string, machine: string): string | null {
    const shown = this.#duids.get(duid);
    if (!shown?.other || shown.at - shown.other.at > SAME_DUID_MS) return null;
    return shown.machine === machine ? shown.other.machine : shown.machine;
  }

  /** The upstream resolvers that do not answer, and why. */
  get upstreamsDown(): ReadonlyMap<string, string> {
    return this.#upstreamsDown;
  }

  tookSeconds(stage: StageName, seconds: number): void {
    const durations = this.#durations.get(stage) ?? [];
    this.#durations.set(stage, durations);
    durations.push(seconds);
    if (durations.length > MAX_DURATIONS) durations.shift();
  }

  /** The median of the seconds that machines took for a stage; null while fewer than three came through it. */
  usualSeconds(stage: StageName): number | null {
    const durations = this.#durations.get(stage) ?? [];
    return durations.length < 3 ? null : (durations.toSorted((a, b) => a - b)[durations.length >> 1] as number);
  }

  #show(duid: string, machine: string, at: number): void {
    const before = this.#duids.get(duid);
    this.#duids.delete(duid);
    const other = before === undefined ? null : before.machine === machine ? before.other : { machine: before.machine, at: before.at };
    this.#duids.set(duid, { machine, at, other });
    if (this.#duids.size > MAX_DUIDS) this.#duids.delete(this.#duids.keys().next().value as string);
  }

  #hear(network: string, { router, managed, other, lifetime }: Router): void {
    const routers = this.#routers.get(network) ?? new Map<Address, Router>();
    this.#routers.set(network, routers);
    if (routers.size < MAX_ROUTERS || routers.has(router)) routers.set(router, { router, managed, other, lifetime });
  }
}
