import assert from "node:assert/strict";
import { test } from "node:test";
import { afterMulticast, afterSolicitation, begin } from "./schedule.ts";

const INTERVAL = [5, 60] as const;
const start = (now: number) => begin(null, now, "initial");

test("the first three are at most 16 s apart, later ones within the interval", () => {
  for (const random of [() => 0, () => 0.5, () => 0.999999]) {
    let schedule = start(0);
    const gaps: number[] = [];
    const whys: string[] = [];
    for (let i = 0; i < 6; i++) {
      const now = schedule.next;
      whys.push(schedule.nextWhy);
      schedule = afterMulticast(schedule, INTERVAL, now, random);
      gaps.push(schedule.next - now);
    }
    assert.deepEqual(whys, ["initial", "initial", "initial", "periodic", "periodic", "periodic"]);
    for (const gap of gaps.slice(0, 2)) assert.ok(gap <= 16_000, `${gap}`);
    for (const gap of gaps.slice(2)) assert.ok(gap >= 5_000 && gap < 60_000, `${gap}`);
  }
});

test("an interval is uniformly random between the least and the greatest (RFC 4861 §6.2.4)", () => {
  const gap = (random: number) => afterMulticast({ ...start(0), sent: 9 }, INTERVAL, 0, () => random).next;
  assert.deepEqual([0, 0.25, 0.5, 0.75].map(gap), [5_000, 18_750, 32_500, 46_250]);
});

test("solicitations from :: share one multicast, 3 s after the last one at the earliest", () => {
  let schedule = afterMulticast(start(0), INTERVAL, 0, () => 0.9);
  for (let i = 0; i < 200; i++) schedule = afterSolicitation(schedule, 100 + i, () => 0.5);
  assert.deepEqual([schedule.next, schedule.nextWhy], [3000, "solicited"]);
  schedule = afterMulticast(schedule, INTERVAL, schedule.next, () => 0.9);
  assert.equal(schedule.lastMulticast, 3000);
  const quiet = afterSolicitation({ ...schedule, next: 100_000 }, 50_000, () => 0.5);
  assert.ok(quiet.next - 50_000 <= 500, "with none sent lately, within MAX_RA_DELAY_TIME");
});

test("solicitations put off no advertisement that is due sooner: a flood of them from :: is answered as well", () => {
  const due = { ...start(0), lastMulticast: 0, next: 3_100 };
  assert.deepEqual(
    afterSolicitation(due, 3_000, () => 0.5),
    due,
  );
  let schedule: ReturnType<typeof start> = { ...due, next: 60_000 };
  for (let now = 4_000; now < schedule.next && now < 60_000; now += 100) schedule = afterSolicitation(schedule, now, () => 0.9);
  assert.deepEqual([schedule.next, schedule.nextWhy], [4_450, "solicited"]);
});

test("a solicited one does not count among the first three", () => {
  const solicited = afterSolicitation({ ...start(0), next: 9_000, sent: 1 }, 0, () => 0);
  assert.equal(afterMulticast(solicited, INTERVAL, 0, () => 0.9).sent, 1);
});

test("a change is told at once, but not within 3 s of the last multicast advertisement", () => {
  assert.equal(begin(10_000, 11_000, "changed").next, 13_000);
  assert.equal(begin(10_000, 20_000, "changed").next, 20_000);
  assert.equal(begin(null, 20_000, "changed").next, 20_000);
});
