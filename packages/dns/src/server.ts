/** What becomes of a query: refused, answered from here or from what is kept, or asked upstream. */
import type { Address } from "@netboot6/codec";
import type { Upstream } from "@netboot6/config";
import type { Emit, EventBody } from "@netboot6/events";
import { answer as record } from "dns-packet";
import { type Answer, ExtendedError, extendedError, makeAnswer, type TtlNow, writeAnswer } from "./answer.ts";
import type { Cache } from "./cache.ts";
import type { LocalNames } from "./local.ts";
import { Lookup, type Outcome, type Surroundings } from "./lookup.ts";
import { nameText, rcodeText, typeText } from "./text.ts";
import { Upstreams } from "./upstreams.ts";
import { CLASS_IN, Flag, HEADER_LENGTH, type Query, questionOf, Rcode, readQuery, readUint16, Type, writeRefusal } from "./wire.ts";

export interface Policy {
  /** The address is without a zone. */
  allowed(client: Address): boolean;
  readonly names: LocalNames;
  readonly cache: Cache;
  readonly upstreams: readonly Upstream[];
  /** Why there is no upstream, where there is none. */
  readonly without: string;
}

/** Clients that wait for an upstream. More of them would only wait for nothing. */
const MAX_WAITING = 4_000;
/** How long a failure stands before the question is asked upstream again (RFC 9520 §3.2). */
const FAILURE_SECONDS = 1;
/** RFC 8767 §5: when a stale answer goes out, and how long it may be kept. */
const STALE_AFTER_MS = 1_800;
const STALE_TTL = 30;
const COUNT_MS = 1_000;
const MAX_REFUSED_TOLD = 100;

type Source = Extract<EventBody, { type: "dns.answered" }>["from"];

interface Asking {
  readonly query: Query;
  readonly client: Address;
  readonly overTcp: boolean;
  readonly began: number;
  readonly reply: (bytes: Buffer) => void;
}

export class DnsServer {
  readonly #around: Surroundings;
  readonly #emit: Emit;
  readonly #upstreams: Upstreams;
  /** Who waits for the answer to a question that is being asked. */
  readonly #waiting = new Map<string, Asking[]>();
  #waitingCount = 0;
  readonly #dropped = new Map<string, number>();
  readonly #refused = new Set<Address>();
  #policy: Policy;

  constructor(policy: Policy, around: Omit<Surroundings, "drop">, emit: Emit) {
    this.#policy = policy;
    this.#around = { ...around, drop: (why) => this.drop(why) };
    this.#emit = emit;
    this.#upstreams = new Upstreams(emit);
    this.follow(policy);
  }

  get policy(): Policy {
    return this.#policy;
  }

  follow(policy: Policy): void {
    this.#policy = policy;
    this.#upstreams.set(policy.upstreams);
  }

  drop(why: string): void {
    if (this.#dropped.size === 0) this.#around.clock.after(COUNT_MS, () => this.#tellDropped());
    this.#dropped.set(why, (this.#dropped.get(why) ?? 0) + 1);
  }

  /** Whether there is or will be an answer: `reply` is called with it once, perhaps before this returns. */
  receive(bytes: Buffer, client: Address, overTcp: boolean, reply: (bytes: Buffer) => void): boolean {
    if (bytes.length < HEADER_LENGTH || readUint16(bytes, 2) & Flag.qr) {
      this.drop(bytes.length < HEADER_LENGTH ? "shorter than a DNS header" : "an answer to no query");
      return false;
    }
    if (!this.#policy.allowed(client)) this.#refuse(bytes, client, reply);
    else {
      const query = readQuery(bytes);
      if (typeof query === "number") {
        reply(writeRefusal(bytes, query));
        this.drop(query === Rcode.notImp ? "an operation other than QUERY" : "a malformed query");
      } else this.#handle({ query, client, overTcp, began: this.#around.clock.now(), reply });
    }
    return true;
  }

  #handle(asking: Asking): void {
    const { query, began } = asking;
    if (query.edns && query.edns.version > 0) {
      this.#answer(asking, makeAnswer(query, Rcode.badVers), "refused");
      return;
    }
    const kept = this.#policy.cache.get(query.key, began);
    if (kept && began < kept.until) {
      const elapsed = Math.floor((began - kept.since) / 1000);
      this.#answer(asking, kept.answer, "cache", (ttl) => Math.max(0, ttl - elapsed), kept);
      return;
    }
    const own = this.#policy.names.answer(query) ?? unasked(query);
    if (own) this.#answer(asking, own, own.rcode === Rcode.refused ? "refused" : "local");
    else this.#forward(asking, kept?.answer ?? null);
  }

  #refuse(bytes: Buffer, client: Address, reply: (bytes: Buffer) => void): void {
    reply(writeRefusal(bytes, Rcode.refused));
    this.drop("from an address that dns.allow does not name");
    // Each such client is told of once a second: a flood of them costs no more than its refusals.
    if (this.#refused.size >= MAX_REFUSED_TOLD || this.#refused.has(client)) return;
    this.#refused.add(client);
    const query = readQuery(bytes);
    if (typeof query === "number") return;
    const [name, qtype] = [nameText(query.name), typeText(query.type)];
    this.#emit({ type: "dns.answered", name, qtype, rcode: rcodeText(Rcode.refused), from: "refused", seconds: 0, client });
  }

  #forward(asking: Asking, stale: Answer | null): void {
    const { query } = asking;
    const hindrance =
      this.#policy.upstreams.length === 0
        ? this.#policy.without
        : this.#waitingCount >= MAX_WAITING
          ? "too many questions wait for upstreams"
          : null;
    if (hindrance !== null) {
      this.#answer(asking, failure(query, hindrance), "failed");
      return;
    }
    this.#waitingCount++;
    const waiting = this.#waiting.get(query.key);
    if (waiting) {
      const late = waiting.length === 0;
      waiting.push(asking);
      if (late && stale) this.#serveStale(query.key, stale);
      return;
    }
    this.#waiting.set(query.key, [asking]);
    const question = {
      wire: questionOf(query),
      dnssecOk: query.edns?.dnssecOk ?? false,
      checkingDisabled: (query.flags & Flag.cd) !== 0,
    };
    const cancel = stale && this.#around.clock.after(STALE_AFTER_MS, () => this.#serveStale(query.key, stale));
    new Lookup(question, this.#upstreams, this.#around, (outcome) => {
      cancel?.();
      this.#settle(query, outcome, stale);
    });
  }

  #settle(query: Query, { answer, why }: Outcome, stale: Answer | null): void {
    const failed = !answer || answer.rcode === Rcode.servFail;
    if (failed && stale) {
      this.#serveStale(query.key, stale);
      this.#waiting.delete(query.key);
      return;
    }
    const asking = this.#takeWaiting(query.key);
    this.#waiting.delete(query.key);
    const told = answer ?? failure(query, why);
    const since = this.#around.clock.now();
    const until = since + (failed ? FAILURE_SECONDS : told.lifetime) * 1000;
    this.#policy.cache.set(query.key, { name: nameText(query.name), qtype: typeText(query.type), answer: told, since, until });
    for (const each of asking) this.#answer(each, told, failed ? "failed" : "upstream");
  }

  /** Upstreams go on being asked: who asks next may get a fresh answer. */
  #serveStale(key: string, stale: Answer): void {
    const options = extendedError(ExtendedError.staleAnswer, "");
    for (const each of this.#takeWaiting(key)) this.#answer(each, { ...stale, options }, "stale", () => STALE_TTL);
  }

  #takeWaiting(key: string): readonly Asking[] {
    const asking = this.#waiting.get(key)?.splice(0) ?? [];
    this.#waitingCount -= asking.length;
    return asking;
  }

  #answer(asking: Asking, answer: Answer, from: Source, ttlNow: TtlNow | null = null, words?: { name: string; qtype: string }): void {
    const { query, client, overTcp, began } = asking;
    asking.reply(writeAnswer(answer, query, overTcp, ttlNow));
    this.#emit({
      type: "dns.answered",
      name: words?.name ?? nameText(query.name),
      qtype: words?.qtype ?? typeText(query.type),
      rcode: rcodeText(answer.rcode),
      from,
      seconds: (this.#around.clock.now() - began) / 1000,
      client,
    });
  }

  #tellDropped(): void {
    for (const [why, count] of this.#dropped) this.#emit({ type: "wire.dropped", service: "dns", why, count });
    this.#dropped.clear();
    this.#refused.clear();
  }
}

const failure = (query: Query, why: string): Answer =>
  makeAnswer(query, Rcode.servFail, { options: extendedError(ExtendedError.noReachableAuthority, why) });

/** What is never asked upstream. */
function unasked(query: Query): Answer | null {
  // RFC 8482: one small record instead of all of them.
  if (query.type === Type.any && query.class === CLASS_IN)
    return makeAnswer(query, Rcode.noError, { answers: [Buffer.concat([Buffer.of(0xc0, HEADER_LENGTH), HINFO])] });
  const refuse = (why: string): Answer => makeAnswer(query, Rcode.refused, { options: extendedError(ExtendedError.notSupported, why) });
  if (query.class !== CLASS_IN) return refuse("only class IN");
  // Meta types and zone transfers (RFC 6895 §3.1) are between two neighbours.
  if (query.type === Type.opt || (query.type >= 128 && query.type <= 255)) return refuse("a type that is not forwarded");
  if (!(query.flags & Flag.rd)) return refuse("not kept here, and recursion is not desired");
  return null;
}

/** Without its owner's name. */
const HINFO = record.encode({ name: ".", type: "HINFO", ttl: 3600, data: { cpu: "RFC8482", os: "" } }).subarray(1);
