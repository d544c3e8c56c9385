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
    hasPreparedLeft: () => clock.hasLeft,
  };
  const clock = { now: 0, hasLeft: false };
  const waiting = new WaitingAnswers(edge);
  const add = (source: string, stored: Promise<void>, prepared = false) =>
    waiting.add({ outcome: OUTCOME, source, since: clock.now, outOf: "", scope: 2, prepared }, stored);
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

test("an answer that the store's thread has sent is told of and not sent again; one that it could not send is sent", async () => {
  for (const hasLeft of [true, false]) {
    const { done, clock, add } = setUp();
    const disk = Promise.withResolvers<void>();
    add("alone", disk.promise, true);
    clock.now = hasLeft ? 5_001 : 5_000; // one that left in time is not late where this thread hears of it late
    clock.hasLeft = hasLeft;
    disk.resolve();
    await new Promise(setImmediate);
    assert.deepEqual(done, hasLeft ? ["tell alone"] : ["send alone", "tell alone"]);
  }
});

test("one more will leave alone where none waits, and the last left alone", async () => {
  const { waiting, add } = setUp();
  const leave = async (count: number): Promise<void> => {
    const stored = Promise.resolve();
    for (let n = 0; n < count; n++) add(`${n}`, stored);
    assert.equal(waiting.areFew, false);
    await new Promise(setImmediate);
  };
  assert.equal(waiting.areFew, true);
  await leave(1);
  assert.equal(waiting.areFew, true);
  await leave(2);
  assert.equal(waiting.areFew, false);
  await leave(1);
  assert.equal(waiting.areFew, true);
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
