/** Durable before the Reply: what becomes of answers while the disk is slow. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Outcome } from "./server.ts";
import { type Waiting, WaitingAnswers } from "./waiting.ts";

const OUTCOME: Outcome = { send: null, leases: [], machines: [], events: [] };

function setUp() {
  const done: string[] = [];
  const edge = {
    send: ({ source }: Waiting) => void done.push(`send ${source}`),
    tell: ({ source }: Waiting) => void done.push(`tell ${source}`),
    drop: (why: string) => void done.push(why),
    refuse: ({ source }: Waiting, why: string) => void done.push(`${source}: ${why}`),
    now: () => clock.now,
  };
  const clock = { now: 0 };
  const waiting = new WaitingAnswers(edge);
  const add = (source: string, stored: Promise<void>) =>
    waiting.add({ outcome: OUTCOME, source, since: clock.now, outOf: "", scope: 2 }, stored);
  return { done, clock, waiting, add };
}

test("answers wait for the disk; those of one commit leave before any is told of", async () => {
  const { done, add } = setUp();
  const disk = Promise.withResolvers<void>();
  add("a", disk.promise);
  add("b", disk.promise);
  await new Promise(setImmediate);
  assert.deepEqual(done, []);
  disk.resolve();
  await new Promise(setImmediate);
  assert.deepEqual(done, ["send a", "send b", "tell a", "tell b"]);
});

test("an answer that waited more than 5 s for the disk is dropped and counted: its client has asked again", async () => {
  const { done, clock, add } = setUp();
  const disk = Promise.withResolvers<void>();
  add("early", disk.promise);
  clock.now = 1_000;
  add("late", disk.promise);
  clock.now = 6_000;
  disk.resolve();
  await new Promise(setImmediate);
  assert.deepEqual(done, ["an answer waited 6 s for the disk: its client has asked again", "send late", "tell late"]);
});

test("answers whose leases could not be stored are refused with the reason, and none of them leaves", async () => {
  const { done, add } = setUp();
  add("a", Promise.reject(new Error("disk full")));
  await new Promise(setImmediate);
  assert.deepEqual(done, ["a: the lease could not be stored: disk full"]);
});

test("no more than 5,000 answers wait; once they have left or were refused others may", async () => {
  const { waiting, add } = setUp();
  for (const isStored of [true, false]) {
    const disk = Promise.withResolvers<void>();
    for (let n = 0; n < 5_000; n++) {
      assert.equal(waiting.areTooMany, false);
      add(`${n}`, disk.promise);
    }
    assert.equal(waiting.areTooMany, true);
    if (isStored) disk.resolve();
    else disk.reject(new Error("disk full"));
    await new Promise(setImmediate);
    assert.equal(waiting.areTooMany, false);
  }
});
