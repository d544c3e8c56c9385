import type { Emit, ServiceName } from "./types.ts";

const MAX_REASONS = 32;
export const TELL_DROPS_MS = 1000;

/** What is not answered is counted by its reason, and told by whoever calls `tell`, once a second: a flood is a few events. */
export class Drops {
  readonly #service: ServiceName;
  readonly #counts = new Map<string, number>();

  constructor(service: ServiceName) {
    this.#service = service;
  }

  count(why: string): void {
    const reason = this.#counts.size < MAX_REASONS || this.#counts.has(why) ? why : "of many reasons";
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }

  tell(emit: Emit, network?: string): void {
    for (const [why, count] of this.#counts)
      emit({ type: "wire.dropped", service: this.#service, why, count, ...(network === undefined ? {} : { network }) });
    this.#counts.clear();
  }
}
