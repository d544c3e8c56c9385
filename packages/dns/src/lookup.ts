/** One question, asked upstream until it is answered: whom, when, how often, and which datagram is the answer (RFC 5452). */
import type { Upstream } from "@netboot6/config";
import { type Answer, readResponse } from "./answer.ts";
import { isRespelled, spell } from "./spelling.ts";
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
  /** 32 random bits that nobody can guess. */
  random(): number;
  /** Sends, by UDP from a fresh port, and listens there until the returned function is called. An upstream with a name is asked by TLS. */
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

/** When the next upstream is asked as well: four usual round trips, within these bounds, and longer each time around. */
const LEAST_PATIENCE_MS = 200;
const PATIENCE_MS = 800;
const MOST_PATIENCE_MS = 1_600;
/** From when on an upstream counts as one that did not answer: long enough for most names. */
const MISSED_MS = 800;
const MAX_TURNS = 6;
/** Within a client's five seconds; less where no upstream has answered lately. */
export const DEADLINE_MS = 4_800;
const DEADLINE_DOWN_MS = 2_000;
const MAX_FORGERIES = 10;
const NONE: ReadonlyMap<UpstreamHealth, string> = new Map();

interface Attempt {
  readonly to: UpstreamHealth;
  readonly began: number;
  /** Milliseconds that the next one waits for it; null: nobody does. */
  patience: number | null;
  overTcp: boolean;
  edns: boolean;
  /** It could not be read with EDNS: the answer to it without will tell whether that was the reason. */
  ednsRefused: boolean;
  /** Its datagram came back in another spelling: TCP will tell whether it was the upstream's. */
  respelled: boolean;
  /** Ended: answered, failed or closed. */
  over: boolean;
  missed: boolean;
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
  #useless: ReadonlyMap<UpstreamHealth, string> = NONE;
  readonly #attempts: Attempt[] = [];
  readonly #cancelDeadline: () => void;
  #turns = 0;
  #finished = false;
  #servFail: Answer | null = null;

  /** `until`: when it must have ended, at the latest. */
  constructor(question: Question, until: number, upstreams: Upstreams, around: Surroundings, done: (outcome: Outcome) => void) {
    this.#question = question;
    this.#upstreams = upstreams;
    this.#around = around;
    this.#done = done;
    this.#ranked = upstreams.ranked();
    const now = around.clock.now();
    const limit = Math.min(until - now, upstreams.allDown ? DEADLINE_DOWN_MS : DEADLINE_MS);
    this.#cancelDeadline = around.clock.after(limit, () => this.#fail(`no upstream answered within ${(limit / 1000).toFixed(1)} s`));
    const due = upstreams.due(now);
    this.#nextTurn();
    for (const upstream of due) if (upstream !== this.#ranked[0] && !this.#finished) this.#ask(upstream, null);
  }

  #nextTurn(): void {
    const left = this.#useless === NONE ? this.#ranked : this.#ranked.filter((each) => !this.#useless.has(each));
    const upstream = left[this.#turns % left.length];
    if (!upstream || this.#turns >= MAX_TURNS) return;
    const usual = Math.min(PATIENCE_MS, Math.max(LEAST_PATIENCE_MS, (upstream.roundTrip ?? PATIENCE_MS) * 4));
    const patience = Math.min(MOST_PATIENCE_MS, usual * 2 ** Math.floor(this.#turns / left.length));
    this.#turns++;
    this.#ask(upstream, patience);
  }

  #ask(to: UpstreamHealth, patience: number | null): void {
    const now = this.#around.clock.now();
    const nothing = (): void => {};
    const attempt: Attempt = {
      to,
      began: now,
      patience,
      overTcp: false,
      edns: to.withoutEdnsUntil <= now,
      ednsRefused: false,
      respelled: false,
      over: false,
      missed: false,
      forgeries: 0,
      close: nothing,
      cancel: nothing,
    };
    this.#attempts.push(attempt);
    this.#send(attempt);
  }

  #send(attempt: Attempt): void {
    const { clock, random, exchange } = this.#around;
    const { to, edns, overTcp } = attempt;
    const id = random() >>> 16;
    // Over TLS nobody can guess.
    const spelled = to.upstream.tlsName === null && to.flatUntil <= clock.now();
    const wire = spelled ? spell(this.#question.wire, random) : this.#question.wire;
    attempt.close();
    this.#wait(attempt);
    let open = true;
    const close = exchange(to.upstream, overTcp, writeQuery(id, wire, { ...this.#question, edns }), {
      message: (bytes) => open && this.#heard(attempt, id, wire, bytes),
      failed: (why) => {
        if (!open || attempt.over) return;
        open = false;
        this.#failed(attempt, why);
      },
    });
    attempt.close = () => {
      open = false;
      close();
    };
    if (attempt.over) close();
  }

  /** First the next upstream is asked as well; later this one counts as one that did not answer. */
  #wait(attempt: Attempt): void {
    const { clock } = this.#around;
    attempt.cancel();
    // Connecting takes round trips more.
    const scale = attempt.overTcp || attempt.to.upstream.tlsName !== null ? 2 : 1;
    const patience = Math.min(MISSED_MS, attempt.patience ?? MISSED_MS) * scale;
    attempt.cancel = clock.after(patience, () => {
      if (patience < MISSED_MS * scale) {
        attempt.cancel = clock.after(MISSED_MS * scale - patience, () => this.#missed(attempt));
        this.#passTurn(attempt);
      } else this.#missed(attempt);
    });
  }

  #passTurn(attempt: Attempt): void {
    if (attempt.patience === null || this.#finished) return;
    attempt.patience = null;
    this.#nextTurn();
  }

  /** It is not waited for any longer, but may answer still. */
  #missed(attempt: Attempt): void {
    if (attempt.respelled) {
      this.#askFlat(attempt);
      return;
    }
    attempt.missed = true;
    this.#upstreams.missed(attempt.to, this.#around.clock.now(), `no answer within ${MISSED_MS} ms`);
    if (this.#finished) this.#end(attempt);
    else this.#passTurn(attempt);
  }

  #failed(attempt: Attempt, why: string): void {
    if (attempt.respelled) {
      this.#askFlat(attempt);
      return;
    }
    this.#upstreams.missed(attempt.to, this.#around.clock.now(), why);
    this.#turnDown(attempt, why);
  }

  /** It spells names its own way, and has no TCP to show that it was itself. */
  #askFlat(attempt: Attempt): void {
    this.#upstreams.losesSpelling(attempt.to, this.#around.clock.now());
    attempt.overTcp = false;
    attempt.respelled = false;
    this.#send(attempt);
  }

  #heard(attempt: Attempt, id: number, wire: Buffer, bytes: Buffer): void {
    const end = HEADER_LENGTH + wire.length;
    const isAnswer =
      bytes.length >= HEADER_LENGTH && readUint16(bytes, 0) === id && (readUint16(bytes, 2) & (Flag.qr | 0x7800)) === Flag.qr;
    const exact = isAnswer && readUint16(bytes, 4) === 1 && bytes.length >= end && wire.equals(bytes.subarray(HEADER_LENGTH, end));
    const echoes = exact || (isAnswer && readUint16(bytes, 4) === 1 && isRespelled(wire, bytes));
    const rcode = (bytes[3] as number) & 15;
    const noEdns = isAnswer && attempt.edns && (rcode === Rcode.formErr || rcode === Rcode.notImp);
    // An old server may answer what it cannot read with no more than a header.
    if (!echoes && !(noEdns && bytes.length === HEADER_LENGTH)) this.#forged(attempt);
    else if (echoes && !exact && !this.#mayRespell(attempt)) {
      this.#around.drop("an answer in another spelling");
      attempt.respelled = true;
      this.#overTcp(attempt);
    } else if (noEdns) {
      attempt.edns = false;
      attempt.ednsRefused = true;
      this.#send(attempt);
    } else if (readUint16(bytes, 2) & Flag.tc && !attempt.overTcp) this.#overTcp(attempt);
    else this.#judge(attempt, readResponse(bytes, end));
  }

  /** Whether an answer whose question is spelled in another way than ours may be the upstream's. */
  #mayRespell({ to, overTcp }: Attempt): boolean {
    const now = this.#around.clock.now();
    if (overTcp) this.#upstreams.losesSpelling(to, now);
    return to.flatUntil > now || to.upstream.tlsName !== null;
  }

  #judge(attempt: Attempt, answer: Answer | null): void {
    const { to, began } = attempt;
    const now = this.#around.clock.now();
    if (!answer) {
      this.#around.drop("a malformed answer from an upstream");
      this.#turnDown(attempt, `${to.name} sent a malformed answer`);
    } else if (answer.rcode === Rcode.noError || answer.rcode === Rcode.nxDomain) {
      this.#upstreams.answered(to, now, now - began);
      if (attempt.ednsRefused) this.#upstreams.hasNoEdns(to, now);
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
    this.#useless = new Map([...this.#useless, [attempt.to, why]]);
    this.#end(attempt);
    if (this.#finished) return;
    // A name that is broken upstream is not asked of those that are down.
    const hopeless = (each: UpstreamHealth): boolean => this.#useless.has(each) || (this.#servFail !== null && each.down);
    if (this.#ranked.every(hopeless)) this.#fail([...this.#useless.values()].join("; "));
    else this.#passTurn(attempt);
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
    for (const attempt of this.#attempts.filter(({ missed }) => missed)) this.#end(attempt);
    this.#done(outcome);
  }

  #end(attempt: Attempt): void {
    if (attempt.over) return;
    attempt.over = true;
    attempt.cancel();
    attempt.close();
    this.#attempts.splice(this.#attempts.indexOf(attempt), 1);
  }
}
