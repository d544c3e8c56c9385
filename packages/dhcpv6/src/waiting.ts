/** Answers that wait until their leases are on disk: they leave together, in time, or not at all. */
import type { Address } from "@netboot6/codec";
import type { Outcome } from "./server.ts";

/** An answer that waits for its leases to be on disk. */
export interface Waiting {
  readonly outcome: Outcome;
  readonly source: Address;
  /** Unix milliseconds. */
  readonly since: number;
  /** Key of the socket that it goes out of. */
  readonly outOf: string;
  /** The interface of its link-local client; else 0. */
  readonly scope: number;
  /** The store's thread sends it. */
  readonly prepared: boolean;
}

export interface WaitingEdge {
  /** Whether the store's thread sent the one that is prepared. */
  hasPreparedLeft(): boolean;
  send(answer: Waiting): void;
  tell(answer: Waiting): void;
  /** It is dropped, as it is too late. */
  drop(why: string): void;
  /** Its leases could not be stored. */
  refuse(answer: Waiting, why: string): void;
  /** Unix milliseconds. */
  now(): number;
}

/** Beyond it messages are dropped and counted. */
const MAX_WAITING = 5_000;
/** By then a client has given this exchange up or asked again (RFC 9915 §7.6: a Request is repeated after 1, 2, 4 s). */
export const MAX_WAIT_SECONDS = 5;

export class WaitingAnswers {
  readonly #edge: WaitingEdge;
  #count = 0;
  #newest: { readonly stored: Promise<void> | null; readonly answers: Waiting[] } = { stored: null, answers: [] };

  constructor(edge: WaitingEdge) {
    this.#edge = edge;
  }

  /** Whether one more will likely leave alone: none waits, and so it was with the last. */
  get areFew(): boolean {
    return this.#count === 0 && this.#newest.answers.length <= 1;
  }

  get areTooMany(): boolean {
    return this.#count >= MAX_WAITING;
  }

  /** Answers that wait for the same promise leave together. */
  add(answer: Waiting, stored: Promise<void>): void {
    this.#count++;
    if (stored !== this.#newest.stored) {
      const answers: Waiting[] = [];
      this.#newest = { stored, answers };
      stored.then(
        () => this.#sendAll(answers),
        (error: Error) => this.#refuseAll(answers, error),
      );
    }
    this.#newest.answers.push(answer);
  }

  #sendAll(answers: readonly Waiting[]): void {
    this.#count -= answers.length;
    const now = this.#edge.now();
    const inTime: Waiting[] = [];
    for (const answer of answers) {
      if (answer.prepared && this.#edge.hasPreparedLeft()) {
        inTime.push(answer);
        continue;
      }
      const seconds = (now - answer.since) / 1000;
      if (seconds > MAX_WAIT_SECONDS) {
        this.#edge.drop(`an answer waited ${seconds.toFixed(0)} s for the disk: its client has asked again`);
        continue;
      }
      this.#edge.send(answer);
      inTime.push(answer);
    }
    // All of them leave before any is told of.
    for (const answer of inTime) this.#edge.tell(answer);
  }

  #refuseAll(answers: readonly Waiting[], { message }: Error): void {
    this.#count -= answers.length;
    for (const answer of answers) this.#edge.refuse(answer, `the lease could not be stored: ${message}`);
  }
}
