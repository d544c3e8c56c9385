/** What is kept of machines: events as they came, put into words only when somebody looks. Times are Unix milliseconds. */
import { type Address, isLinkLocal } from "@netboot6/codec";
import { isScript, type StageName } from "./stages.ts";
import type { Asker, BootEvent } from "./types.ts";

export interface StageRecord {
  readonly name: StageName;
  readonly startedAt: number;
  endedAt: number | null;
  last: BootEvent;
  sent: number;
  size: number;
  attempts: number;
  failed: boolean;
  /** Those asked for last. */
  files: FileRecord[];
}

export interface FileRecord {
  readonly path: string;
  /** Requests for it that were answered. */
  asked: number;
  size: number;
  /** By requests that ended, and with the one that is under way. */
  had: number;
  sent: number;
}

export interface BootRecord {
  readonly startedAt: number;
  readonly stages: StageRecord[];
  readonly entries: { event: BootEvent; count: number }[];
  /** When the machine was heard last, of this boot. */
  heardAt: number;
}

/** Where and when a machine was heard last. */
export interface Seen {
  /** Unix milliseconds; null where none of its events told of a client. */
  readonly at: number | null;
  readonly network: string | null;
  /** The address that it spoke from, other than a link-local one; null while there was none. */
  readonly address: Address | null;
}

export type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

export function see(seen: Writable<Seen>, { at, network, client }: BootEvent & Asker): void {
  if (client === undefined) return;
  seen.at = at;
  if (network !== undefined) seen.network = network;
  if (!isLinkLocal(client)) seen.address = client;
}

/** A repetition, of which the newest tells all. */
export function isAgain(a: BootEvent, b: BootEvent): boolean {
  if (a.type === "dhcpv6.answered" && b.type === "dhcpv6.answered")
    return a.message === b.message && a.answer === b.answer && a.clientKind === b.clientKind && a.duid === b.duid;
  if (a.type === "machine.rendered" && b.type === "machine.rendered")
    return a.path === b.path && a.profile === b.profile && a.stopped === b.stopped && a.why === b.why;
  if (a.type === "http.finished" && b.type === "http.finished")
    return a.method === b.method && a.path === b.path && a.status === b.status && a.why === b.why && isPolled(b);
  return false;
}

/** What iPXE asks for again and again while it waits, or is refused. */
const isPolled = ({ path, status }: Extract<BootEvent, { type: "http.finished" }>): boolean => isScript(path) || status >= 400;
