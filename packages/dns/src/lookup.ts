/** One question, asked upstream until it is answered: whom, when, how often, and which datagram is the answer (RFC 5452). */
import type { Upstream } from "@netboot6/config";
import { type Answer, readResponse } from "./answer.ts";
import { rcodeText } from "./text.ts";
import type { UpstreamHealth, Upstreams } from "./upstreams.ts";
import { Flag, HEADER_LENGTH, Rcode, readUint16, writeQuery } from "./wire.ts";

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Returns what cancels it. */
  after(milliseconds: number, act: () => void): () => void;
}

export interface Heard {
  /** Whatever came from the upstream's address and port. */
  message(bytes: Buffer): void;
  failed(why: string): void;
}

export interface Surroundings {
  readonly clock: Clock;
  /** A random id. */
  id(): number;
  /** Sends from a fresh port and listens there until the returned function is called. */
  exchange(upstream: Upstream, overTcp: boolean, bytes: Buffer, heard: Heard): () => void;
  /** Counts a packet that was dropped. */
  drop(why: string): void;
}

export interface Question {
  /** Name, type and class as they are asked. */
  readonly wire: Buffer;
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
}

/** `answer` is an upstream's: where none was usable, at most a SERVFAIL that says why. */
export interface Outcome {
  readonly answer: Answer | null;
  readonly why: string;
}

/** Long enough for most names, short enough that the next upstream still answers within a client's five seconds. */
const PATIENCE_MS = 800;
const MAX_TURNS = 6;
const DEADLINE_MS = 4_800;
const MAX_FORGERIES = 10;

interface Attempt {
  readonly to: UpstreamHealth;
  readonly began: number;
  /** Whether the next one waits for it. */
  readonly turn: boolean;
  overTcp: boolean;
  edns: boolean;
  /** Ended: answered, failed or closed. */
  over: boolean;
  impatient: boolean;
  forgeries: number;
  close: () => void;
  cancel: () => void;
}

export class Lookup {
  readonly #question: Question;
  readonly #upstreams: Upstreams;
  readonly #around: Surroundings;
  readonly #done: (outcome: Outcome) => void;
  readonly #ranked: readonly UpstreamHealth[];
  /** Upstreams that cannot answer this question: no use to ask again. */
  readonly #useless = new Map<UpstreamHealth, string>();
  readonly #attempts = new Set<Attempt>();
  readonly #cancelDeadline: () => void;
  #turns = 0;
  #finished = false;
  #servFail: Answer | null = null;

  constructor(question: Question, upstreams: Upstreams, around: Surroundings, done: (outcome: Outcome) => void) {
    this.#question = question;
    this.#upstreams = upstreams;
    this.#around = around;
    this.#done = done;
    this.#ranked = upstreams.ranked();
    this.#cancelDeadline = around.clock.after(DEADLINE_MS, () => this.#fail(`no upstream answered within ${DEADLINE_MS / 1000} s`));
    const due = upstreams.due(around.clock.now());
    this.#nextTurn();
    for (const upstream of due) if (upstream !== this.#ranked[0] && !this.#finished) this.#ask(upstream, false);
  }

  #nextTurn(): void {
    const left = this.#ranked.filter((each) => !this.#useless.has(each));
    const upstream = left[this.#turns % left.length];
    if (upstream && this.#turns++ < MAX_TURNS) this.#ask(upstream, true);
  }

  #ask(to: UpstreamHealth, turn: boolean): void {
    const now = this.#around.clock.now();
    const edns = to.withoutEdnsUntil <= now;
    const nothing = (): void => {};
    const attempt: Attempt = {
      to,
      began: now,
      turn,
      overTcp: false,
      edns,
      over: false,
      impatient: false,
      forgeries: 0,
      close: nothing,
      cancel: nothing,
    };
    this.#attempts.add(attempt);
    this.#send(attempt);
  }

  #send(attempt: Attempt): void {
    const { clock, id: randomId, exchange } = this.#around;
    const { to, edns, overTcp } = attempt;
    const id = randomId();
    attempt.close();
    attempt.cancel();
    // Connecting takes a round trip more.
    attempt.cancel = clock.after(overTcp ? PATIENCE_MS * 2 : PATIENCE_MS, () => this.#impatient(attempt));
    let open = true;
    const close = exchange(to.upstream, overTcp, writeQuery(id, this.#question.wire, { ...this.#question, edns }), {
      message: (bytes) => open && this.#heard(attempt, id, bytes),
      failed: (why) => {
        if (!open || attempt.over) return;
        open = false;
        this.#upstreams.missed(to, clock.now(), why);
        this.#turnDown(attempt, why);
      },
    });
    attempt.close = () => {
      open = false;
      close();
    };
    if (attempt.over) close();
  }

  /** It is not waited for any longer, but may answer still. */
  #impatient(attempt: Attempt): void {
    attempt.impatient = true;
    this.#upstreams.missed(attempt.to, this.#around.clock.now(), `no answer within ${PATIENCE_MS} ms`);
    if (this.#finished) this.#end(attempt);
    else if (attempt.turn) this.#nextTurn();
  }

  #heard(attempt: Attempt, id: number, bytes: Buffer): void {
    const { wire } = this.#question;
    const end = HEADER_LENGTH + wire.length;
    const isAnswer =
      bytes.length >= HEADER_LENGTH && readUint16(bytes, 0) === id && (readUint16(bytes, 2) & (Flag.qr | 0x7800)) === Flag.qr;
    const echoes = isAnswer && readUint16(bytes, 4) === 1 && bytes.length >= end && wire.equals(bytes.subarray(HEADER_LENGTH, end));
    const rcode = (bytes[3] as number) & 15;
    const noEdns = isAnswer && attempt.edns && (rcode === Rcode.formErr || rcode === Rcode.notImp);
    // An old server may answer what it cannot read with no more than a header.
    if (!echoes && !(noEdns && bytes.length === HEADER_LENGTH)) this.#forged(attempt);
    else if (noEdns) {
      this.#upstreams.hasNoEdns(attempt.to, this.#around.clock.now());
      attempt.edns = false;
      this.#send(attempt);
    } else if (readUint16(bytes, 2) & Flag.tc && !attempt.overTcp) this.#overTcp(attempt);
    else this.#judge(attempt, readResponse(bytes, end));
  }

  #judge(attempt: Attempt, answer: Answer | null): void {
    const { to, began } = attempt;
    const now = this.#around.clock.now();
    if (!answer) {
      this.#around.drop("a malformed answer from an upstream");
      this.#turnDown(attempt, `${to.name} sent a malformed answer`);
    } else if (answer.rcode === Rcode.noError || answer.rcode === Rcode.nxDomain) {
      this.#upstreams.answered(to, now, now - began);
      this.#finish(attempt, { answer, why: to.name });
    } else {
      const said = rcodeText(answer.rcode);
      if (answer.rcode === Rcode.servFail) {
        // It is alive; this name is not.
        this.#upstreams.answered(to, now, now - began);
        this.#servFail = answer;
      } else this.#upstreams.missed(to, now, `it says ${said}`);
      this.#turnDown(attempt, `${to.name} said ${said}`);
    }
  }

  #forged(attempt: Attempt): void {
    this.#around.drop("an answer that matches no query");
    // Somebody is guessing: TCP cannot be guessed (RFC 5452 §9).
    if (++attempt.forgeries === MAX_FORGERIES && !attempt.overTcp) this.#overTcp(attempt);
  }

  #overTcp(attempt: Attempt): void {
    attempt.overTcp = true;
    this.#send(attempt);
  }

  /** This upstream has no answer to this question: the next at once. */
  #turnDown(attempt: Attempt, why: string): void {
    this.#useless.set(attempt.to, why);
    this.#end(attempt);
    if (this.#finished) return;
    // A name that is broken upstream is not asked of those that are down.
    const hopeless = (each: UpstreamHealth): boolean => this.#useless.has(each) || (this.#servFail !== null && each.down);
    if (this.#ranked.every(hopeless)) this.#fail([...this.#useless.values()].join("; "));
    else if (attempt.turn && !attempt.impatient) this.#nextTurn();
  }

  #fail(why: string): void {
    this.#finish(null, { answer: this.#servFail, why });
  }

  /** Attempts that are still waited for go on, to learn how their upstreams do. */
  #finish(by: Attempt | null, outcome: Outcome): void {
    if (by) this.#end(by);
    if (this.#finished) return;
    this.#finished = true;
    this.#cancelDeadline();
    for (const attempt of this.#attempts) if (attempt.impatient) this.#end(attempt);
    this.#done(outcome);
  }

  #end(attempt: Attempt): void {
    attempt.over = true;
    attempt.cancel();
    attempt.close();
    this.#attempts.delete(attempt);
  }
}
