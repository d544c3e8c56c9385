import assert from "node:assert/strict";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { Writable } from "node:stream";
import { test } from "node:test";
import { inMemory, sendBody } from "./body.ts";
import { type Turn, Turns } from "./turns.ts";

const SLOTS = 2;
const address = (n: number): string => `2001:db8::${n.toString(16)}`;

/** `count` machines ask for a large file, one each millisecond. */
const storm = (turns: Turns, count: number, network = "rack", from = 0): Turn[] =>
  Array.from({ length: count }, (_, i) => turns.enter(network, `${network} ${address(i)}`, from + i));
const active = (all: readonly Turn[]): number[] => all.flatMap((turn, i) => (turn.active ? [i] : []));
const first = (count: number): number[] => [...Array(count).keys()];

test("the machines that came first go at full speed; each that ends wakes the oldest that waits", () => {
  const all = storm(new Turns(), 20);
  assert.deepEqual(active(all), first(SLOTS));
  const woken: number[] = [];
  all.forEach((turn, i) => {
    turn.wake = () => woken.push(i);
  });
  all[1]?.end();
  all[15]?.end();
  all[0]?.end();
  assert.deepEqual(woken, [2, 3]);
  assert.deepEqual(active(all), [2, 3]);
});

test("the initrd of a machine goes before the kernels of those that came later, and a machine keeps its place for a while", () => {
  const turns = new Turns();
  const kernels = storm(turns, 20);
  kernels[0]?.end();
  assert.ok(kernels[SLOTS]?.active);
  const initrd = turns.enter("rack", `rack ${address(0)}`, 500);
  assert.ok(initrd.active && !kernels[SLOTS]?.active);
  assert.ok(!turns.enter("rack", "a stranger", 500).active);
  initrd.end();
  turns.tick(70_000);
  const late = turns.enter("rack", `rack ${address(0)}`, 70_000);
  assert.ok(!late.active, "forgotten after a minute");
});

test("a machine whose kernel takes more than a minute keeps its place for the initrd", () => {
  const turns = new Turns();
  const kernels = storm(turns, 20);
  run(turns, kernels, 70_000, () => 10_000);
  kernels[0]?.end();
  assert.ok(turns.enter("rack", `rack ${address(0)}`, 70_000).active);
});

test("nobody waits long for machines that take nothing; one that goes on has its turn again", () => {
  const turns = new Turns();
  const all = storm(turns, 6);
  const others = all.slice(2);
  run(turns, others, 1_000, () => 10_000);
  assert.deepEqual(active(all.slice(0, 2)), []);
  assert.ok(all[2]?.active && all[3]?.active);
  for (const turn of others) turn.end();
  assert.deepEqual(active(all), [0, 1]);
});

test("of machines that come at the same moment the first to come goes first", () => {
  const turns = new Turns();
  const all = first(6).map((n) => turns.enter("rack", `rack ${address(n)}`, 0));
  assert.deepEqual(active(all), first(SLOTS));
});

test("a download that waits goes on as soon as it is its turn", { timeout: 20_000 }, async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] }); // what it gets now and then never comes
  const turn = { active: false, wake: () => {}, count: () => {}, end: () => {} };
  const body = Buffer.alloc(100_000);
  let got = 0;
  const response = new Writable({
    write(piece, _, done) {
      got += piece.length;
      done();
      setImmediate(() => {
        turn.active = true;
        turn.wake();
      });
    },
  });
  const progress = { sent: 0, reading: false, notReady: assert.ifError };
  sendBody(response as unknown as ServerResponse, inMemory(body), [{ start: 0, end: body.length - 1 }], turn, progress);
  await once(response, "finish");
  assert.equal(got, body.length);
});

test("networks do not wait for each other", () => {
  const turns = new Turns();
  storm(turns, 20);
  assert.deepEqual(active(storm(turns, 20, "another", 1000)), first(SLOTS));
});

/** Ticks until `end`; `rate` are bytes a millisecond with so many at full speed. */
function run(turns: Turns, all: readonly Turn[], end: number, rate: (active: number) => number): void {
  for (let now = 0; now < end; now += 50) {
    const running = all.filter((turn) => turn.active);
    for (const turn of running) turn.count((rate(running.length) / running.length) * 50);
    turns.tick(now);
  }
}

test("where the machines are slow and not the link, more of them go at once, until it is full", () => {
  const turns = new Turns();
  const all = storm(turns, 200);
  run(turns, all, 20_000, (running) => Math.min(running, 60) * 10);
  assert.equal(active(all).length, 64);
});

test("not all of a thousand slow machines go at once, and when all have ended few go again", () => {
  const turns = new Turns();
  const all = storm(turns, 3_000);
  run(turns, all, 40_000, (running) => running * 10);
  assert.equal(active(all).length, 1024);
  for (const turn of all) turn.end();
  assert.deepEqual(active(storm(turns, 20, "rack", 40_000)), first(SLOTS));
});

test("where the link is full, as many go as at first but for a look now and then", () => {
  const turns = new Turns();
  const all = storm(turns, 200);
  let more = 0;
  let looks = 0;
  run(turns, all, 60_000, (running) => {
    looks++;
    if (running > SLOTS) more++;
    return 250_000;
  });
  assert.ok(more > 0 && more < looks / 3, `${more} of ${looks}`);
  assert.ok(active(all).length <= 2 * SLOTS);
});

/** What a download puts into the kernel's buffers in its first second, beside what the link takes of it. */
const BUFFERED = 6_000_000;

const FILE = 40_000_000;

/** As `run`, with buffers that fill and downloads that end; the most that went at once. */
function runBuffered(turns: Turns, all: readonly Turn[], end: number, rate: (active: number) => number, fillMs: number): number {
  const since = new Map<Turn, number>();
  const sent = new Map<Turn, number>();
  let most = 0;
  for (let now = 0; now < end; now += 50) {
    const running = all.filter((turn) => turn.active);
    most = Math.max(most, running.length);
    for (const turn of running) {
      if (!since.has(turn)) since.set(turn, now);
      const fills = now - (since.get(turn) ?? 0) < fillMs;
      const bytes = (rate(running.length) / running.length + (fills ? BUFFERED / fillMs : 0)) * 50;
      turn.count(bytes);
      sent.set(turn, (sent.get(turn) ?? 0) + bytes);
      if ((sent.get(turn) ?? 0) >= FILE) turn.end();
    }
    turns.tick(now);
  }
  return most;
}

test("buffers that fill up when downloads begin are not taken for a link with room", () => {
  const turns = new Turns();
  const most = runBuffered(turns, storm(turns, 200), 60_000, () => 25_000, 1_000);
  assert.ok(most <= 4 * SLOTS, `${most}`);
});

test("nor do they make the first ones seem faster than they are: slow machines soon go in greater number", () => {
  const turns = new Turns();
  assert.equal(
    runBuffered(turns, storm(turns, 200), 2_000, (running) => running * 10_000, 200),
    4 * SLOTS,
  );
});
