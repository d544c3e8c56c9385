/** What becomes of a query: refused, answered from here or from what is kept, or asked upstream. */
import type { Upstream } from "@netboot6/config";
import type { Emit } from "@netboot6/events";
import { answer as record } from "dns-packet";
import { type Answer, ExtendedError, extendedError, isEmpty, makeAnswer, withTtl, writeAnswer } from "./answer.ts";
import type { Cache } from "./cache.ts";
import { type Client, Clients } from "./clients.ts";
import type { Ask, Dns64 } from "./dns64.ts";
import type { LocalNames } from "./local.ts";
import { DEADLINE_MS, Lookup, type Outcome, type Surroundings } from "./lookup.ts";
import { type Source, Telling } from "./telling.ts";
import { Upstreams } from "./upstreams.ts";
import {
  CLASS_IN,
  Flag,
  HEADER_LENGTH,
  POINTER_TO_QUESTION,
  Query,
  questionOf,
  Rcode,
  readQuery,
  readUint16,
  Type,
  writeRefusal,
} from "./wire.ts";

export interface Policy {
  /** `client` is a socket's text of its address; it may have a zone. */
  allowed(client: string): boolean;
  /** Queries a second from one client; null: any number. */
  readonly rateLimit: number | null;
  readonly names: LocalNames;
  readonly cache: Cache;
  readonly upstreams: readonly Upstream[];
  readonly dns64: Dns64 | null;
  /** Why there is no upstream, where there is none. */
  readonly without: string;
}

/** Clients that wait for an upstream. More of them would only wait for nothing. */
const MAX_WAITING = 4_000;
/** How long a failure stands before the question is asked upstream again (RFC 9520 §3.2). */
const FAILURE_SECONDS = 1;
/** RFC 8767 §5: when a stale answer goes out, and how long it may be kept. */
const STALE_AFTER_MS = 1_800;
const STALE_AFTER_DOWN_MS = 200;
const STALE_TTL = 30;
/** Answers of our own are made once. */
const LOCAL_SECONDS = 3_600;

interface Asking {
  readonly query: Query;
  readonly client: Client;
  readonly overTcp: boolean;
  readonly began: number;
  readonly reply: (bytes: Buffer) => void;
}

export class DnsServer {
  readonly #around: Surroundings;
  readonly #telling: Telling;
  readonly #upstreams: Upstreams;
  /** Who waits for the answer to a question that is being asked. */
  readonly #waiting = new Map<string, Asking[]>();
  #waitingCount = 0;
  #clients: Clients;
  #policy: Policy;

  constructor(policy: Policy, around: Omit<Surroundings, "drop">, emit: Emit) {
    this.#policy = policy;
    this.#clients = clientsOf(policy);
    this.#around = { ...around, drop: (why) => this.drop(why) };
    this.#telling = new Telling(emit, around.clock);
    this.#upstreams = new Upstreams(emit);
    this.follow(policy);
  }

  get policy(): Policy {
    return this.#policy;
  }

  follow(policy: Policy): void {
    this.#policy = policy;
    this.#clients = clientsOf(policy);
    this.#upstreams.set(policy.upstreams);
  }

  drop(why: string): void {
    this.#telling.dropped(why);
  }

  /**
   * Whether there is or will be an answer: `reply` is called with it once, perhaps before this returns. `from` is the client's
   * address as a socket gives it.
   */
  receive(bytes: Buffer, from: string, overTcp: boolean, reply: (bytes: Buffer) => void): boolean {
    const began = this.#around.clock.now();
    const client = this.#clients.of(from, began);
    const { rateLimit } = this.#policy;
    // Whoever is beyond the limit costs no more than this.
    if (rateLimit !== null && !client.take(rateLimit, began)) {
      this.#telling.dropped("faster than dns.rateLimit", client);
      return false;
    }
    if (bytes.length < HEADER_LENGTH || readUint16(bytes, 2) & Flag.qr) {
      this.drop(bytes.length < HEADER_LENGTH ? "shorter than a DNS header" : "an answer to no query");
      return false;
    }
    if (!client.allowed) this.#refuse(bytes, client, reply);
    else {
      const query = readQuery(bytes);
      if (typeof query === "number") {
        reply(writeRefusal(bytes, query));
        this.drop(query === Rcode.notImp ? "an operation other than QUERY" : "a malformed query");
      } else this.#handle({ query, client, overTcp, began, reply });
    }
    return true;
  }

  #handle(asking: Asking): void {
    const { query, began } = asking;
    if (query.edns && query.edns.version > 0) {
      this.#answer(asking, makeAnswer(query, Rcode.badVers), "refused");
      return;
    }
    const { cache, names, dns64 } = this.#policy;
    const kept = cache.get(query.key, began);
    if (kept && kept.version === names.version && began < kept.until) {
      const elapsed = Math.floor((began - kept.since) / 1000);
      this.#answer(asking, kept.answer, kept.from, elapsed);
      return;
    }
    const own = dns64?.isPointer(query) ? null : names.answer(query);
    if (own) {
      // Denials may be of any name: to keep them would drive out the others.
      if (own.rcode === Rcode.noError)
        cache.set(query.key, { answer: own, from: "local", since: began, until: began + LOCAL_SECONDS * 1000, version: names.version });
      this.#answer(asking, own, "local");
    } else if (kept?.from === "cache" && began < kept.until) {
      kept.version = names.version;
      this.#handle(asking);
    } else {
      const refusal = unasked(query);
      if (refusal) this.#answer(asking, refusal, refusal.rcode === Rcode.refused ? "refused" : "local");
      else this.#forward(asking, kept?.from === "cache" && kept.answer.rcode !== Rcode.servFail ? kept.answer : null);
    }
  }

  #refuse(bytes: Buffer, client: Client, reply: (bytes: Buffer) => void): void {
    reply(writeRefusal(bytes, Rcode.refused));
    this.#telling.refused(client, Rcode.refused, () => {
      const query = readQuery(bytes);
      return typeof query === "number" ? null : query;
    });
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
      if (stale) this.#answer(asking, expired(stale), "stale");
      else this.#answer(asking, failure(query, hindrance), "failed");
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
    const { dnssecOk, checkingDisabled } = query;
    const question = { wire: questionOf(query), dnssecOk, checkingDisabled };
    // While none answers nobody waits for long again and again (RFC 8767 §5, failure recheck timer).
    const staleAfter = this.#upstreams.allDown ? STALE_AFTER_DOWN_MS : STALE_AFTER_MS;
    const cancel = stale && this.#around.clock.after(staleAfter, () => this.#serveStale(query.key, stale));
    const policy = this.#policy;
    const { dns64, names } = policy;
    const until = asking.began + DEADLINE_MS;
    const ask: Ask = (each, done) => void new Lookup(each, until, this.#upstreams, this.#around, done);
    const settle = (outcome: Outcome): void => {
      cancel?.();
      this.#settle(query, outcome, stale, policy);
    };
    if (dns64) {
      // What it asks in place of the client's question may be one of ours.
      dns64.resolve(
        question,
        {
          ask: (each, done) => {
            const own = each.wire === question.wire ? null : names.answer(queryOf(each.wire));
            if (own) done({ answer: own, why: "local" });
            else ask(each, done);
          },
          after: this.#around.clock.after,
        },
        settle,
      );
    } else ask(question, settle);
  }

  /** What the upstreams of a policy say is kept where that one keeps it: there may be others by now. */
  #settle(query: Query, { answer, why }: Outcome, stale: Answer | null, { cache, names }: Policy): void {
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
    cache.set(query.key, { answer: told, from: "cache", since, until, version: names.version });
    for (const each of asking) this.#answer(each, told, failed ? "failed" : "upstream");
  }

  /** Upstreams go on being asked: who asks next may get a fresh answer. */
  #serveStale(key: string, stale: Answer): void {
    const answer = expired(stale);
    for (const each of this.#takeWaiting(key)) this.#answer(each, answer, "stale");
  }

  #takeWaiting(key: string): readonly Asking[] {
    const asking = this.#waiting.get(key)?.splice(0) ?? [];
    this.#waitingCount -= asking.length;
    return asking;
  }

  #answer(asking: Asking, answer: Answer, from: Source, elapsed = 0): void {
    const { query, client, began } = asking;
    asking.reply(writeAnswer(answer, query, asking.overTcp, elapsed));
    this.#telling.answered(client, query, answer.rcode, from, () => (this.#around.clock.now() - began) / 1000, isEmpty(answer));
  }
}

const queryOf = (question: Buffer): Query =>
  new Query(
    Buffer.concat([Buffer.alloc(HEADER_LENGTH), question]),
    `${question.toString("latin1")}\0`,
    HEADER_LENGTH + question.length,
    null,
  );

const clientsOf = ({ allowed, rateLimit }: Policy): Clients => new Clients((client) => allowed(client), rateLimit ?? 0);

const failure = (query: Query, why: string): Answer =>
  makeAnswer(query, Rcode.servFail, { options: extendedError(ExtendedError.noReachableAuthority, why) });

const expired = (answer: Answer): Answer => withTtl(answer, STALE_TTL, extendedError(ExtendedError.staleAnswer, ""));

/** What is never asked upstream. */
function unasked(query: Query): Answer | null {
  // RFC 8482: one small record instead of all of them.
  if (query.type === Type.any && query.class === CLASS_IN)
    return makeAnswer(query, Rcode.noError, { answers: [Buffer.concat([POINTER_TO_QUESTION, HINFO])] });
  const refuse = (why: string): Answer => makeAnswer(query, Rcode.refused, { options: extendedError(ExtendedError.notSupported, why) });
  if (query.class !== CLASS_IN) return refuse("only class IN");
  // Meta types and zone transfers (RFC 6895 §3.1) are between two neighbours.
  if (query.type === Type.opt || (query.type >= 128 && query.type <= 255)) return refuse("a type that is not forwarded");
  if (!(query.flags & Flag.rd)) return refuse("not kept here, and recursion is not desired");
  return null;
}

/** Without its owner's name. */
const HINFO = record.encode({ name: ".", type: "HINFO", ttl: 3600, data: { cpu: "RFC8482", os: "" } }).subarray(1);
