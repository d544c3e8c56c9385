import assert from "node:assert/strict";
import { test } from "node:test";
import type { BootEvent, StageName } from "@netboot6/events";
import { BootClock } from "./boot-clock.ts";

function clock(): { tick: (stage: StageName, second: number) => void; stages: [string, number][]; boots: number[] } {
  const stages: [string, number][] = [];
  const boots: number[] = [];
  const of = new BootClock(
    (stage, seconds) => stages.push([stage, seconds]),
    (seconds) => boots.push(seconds),
  );
  return {
    stages,
    boots,
    tick: (stage, second) => of.tick("m", stage, { at: second * 1000, type: "machine.done" } as unknown as BootEvent),
  };
}

test("a stage takes from its first event to the next stage's; a boot from the first stage to done", () => {
  const { tick, stages, boots } = clock();
  for (const [stage, second] of [
    ["firmware", 10],
    ["firmware", 12],
    ["program", 14],
    ["script", 15],
    ["done", 60],
  ] as const)
    tick(stage, second);
  assert.deepEqual(stages, [
    ["firmware", 4],
    ["program", 1],
    ["script", 45],
  ]);
  assert.deepEqual(boots, [50]);
});

test("a boot that begins anew ends no stage; one that began before the process did counts neither as boot nor its first stage", () => {
  const { tick, stages, boots } = clock();
  tick("kernel", 10);
  tick("initrd", 20);
  tick("firmware", 30);
  tick("program", 33);
  assert.deepEqual(stages, [["firmware", 3]]);
  tick("done", 40);
  assert.deepEqual(boots, [10]);
});

test("a stage that is told of first at its end began earlier by its seconds; one that began before the process did ends no boot", () => {
  const stages: [string, number][] = [];
  const boots: number[] = [];
  const of = new BootClock(
    (stage, seconds) => stages.push([stage, seconds]),
    (seconds) => boots.push(seconds),
  );
  const tick = (stage: StageName | null, type: string, second: number, seconds = 0): void =>
    of.tick("m", stage, { at: second * 1000, type, seconds } as unknown as BootEvent);
  tick(null, "ra.solicited", 1);
  tick("firmware", "dhcpv6.answered", 10);
  tick("program", "tftp.finished", 20, 4);
  tick("ipxe", "http.finished", 30, 3);
  assert.deepEqual(stages, [
    ["firmware", 6],
    ["program", 11],
  ]);
  of.tick("another", "answers", { at: 0, type: "machine.rendered" } as unknown as BootEvent);
  of.tick("another", "done", { at: 0, type: "machine.done" } as unknown as BootEvent);
  assert.deepEqual(boots, []);
});
