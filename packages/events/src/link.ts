/**
 * How a service hangs on the main thread. The same service runs in the main thread or in a worker: it is a `Start`
 * function, and `Link` is all it sees of the rest.
 */
import type { Address, Mac } from "@netboot6/codec";
import type { Emit } from "./types.ts";

/** What a worker asks the main thread, which alone owns machines, leases and boot state. */
export type Question =
  /** Who is at this source address, and what does it boot? `claims` come from the request's query: believed only where nothing contradicts. */
  | {
      readonly ask: "machine";
      readonly path: string;
      readonly client: Address;
      readonly claims: { readonly mac?: Mac; readonly uuid?: string };
    }
  /** A machine reports that its installation is done; the token was in `{{ done }}`. */
  | { readonly ask: "done"; readonly token: string; readonly client: Address };

export interface Link {
  readonly emit: Emit;
  /** Rejects after `deadline` milliseconds, or when main has no answer. The answer's type belongs to the question. */
  ask(question: Question, deadline?: number): Promise<unknown>;
}

export interface Running<Settings> {
  /** What it answers on, e.g. `[2001:db8:0:1::1]:80`. */
  readonly listens: readonly string[];
  /** Takes new settings without closing sockets that stay. Rejects, and keeps the old ones, where it cannot. */
  reload(settings: Settings): Promise<void>;
  /** Takes what changed since its settings were made; what that is, is the service's own affair. */
  tell?(news: unknown): void;
  /** `forGood`: the configuration turned it off; else it may be back in a moment. */
  stop(forGood?: boolean): Promise<void>;
}

/** Resolves once the service answers. */
export type Start<Settings> = (settings: Settings, link: Link) => Promise<Running<Settings>>;

/** What the main thread says to a worker. */
export type ToWorker =
  | { readonly say: "reload"; readonly settings: unknown; readonly id: number }
  | { readonly say: "news"; readonly news: unknown }
  | { readonly say: "stop" }
  | { readonly say: "ping"; readonly id: number }
  | { readonly say: "answer"; readonly id: number; readonly value?: unknown; readonly error?: string };

/** What a worker says to the main thread. */
export type FromWorker =
  | { readonly say: "ready"; readonly listens: readonly string[] }
  | { readonly say: "failed"; readonly why: string }
  | { readonly say: "reloaded"; readonly id: number; readonly error?: string }
  | { readonly say: "stopped" }
  | { readonly say: "pong"; readonly id: number }
  | {
      readonly say: "events";
      /** JSON of an array of them, which crosses threads in a third of the time that the objects take. */
      readonly events: string;
      /** Progress events that were dropped since the last batch. */
      readonly dropped: number;
    }
  | { readonly say: "ask"; readonly id: number; readonly question: Question };
