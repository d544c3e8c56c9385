import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { MachineView } from "@netboot6/console";
import { picture } from "./watch.ts";

const NOW = Date.now();
const machine = (id: string, more: Partial<MachineView>): MachineView =>
  ({ id, address: null, boots: { profile: "debian", why: "" }, lastSeen: NOW, stage: null, verdict: null, ...more }) as MachineView;
const STUCK = { rule: "kernel-missing", text: "kernel debian/linux was not found under boot-assets, nor anywhere else at all", mend: "" };

test("the screen has those that stand still first, then those under way; never more lines or columns than there are", () => {
  const machines = [
    machine("done-1", { stage: "done" }),
    machine("going-1", { stage: "kernel" }),
    machine("stuck-1", { stage: "script", verdict: STUCK }),
    ...Array.from({ length: 50 }, (_, i) => machine(`off-${i}`, {})),
  ];
  const lines = picture(machines, null, 10, 80).map(stripVTControlCharacters);
  assert.ok(lines.length <= 10);
  for (const line of lines) assert.ok(line.length <= 80, line);
  assert.equal(lines[0], "53 machines: 50 never booted, 1 script, 1 kernel, 1 done; 1 stands still");
  assert.deepEqual(
    lines.slice(3, 6).map((line) => line.split(" ")[0]),
    ["stuck-1", "going-1", "done-1"],
  );
  assert.equal(lines.at(-1), "and 47 machines more");
});

test("a narrow screen leaves addresses out rather than why a machine stands still", () => {
  const machines = [machine("m-525400000001", { stage: "script", address: "2001:db8:0:1:5054:ff:fe00:1", verdict: STUCK })];
  const narrow = picture(machines, null, 10, 80).map(stripVTControlCharacters).join("\n");
  assert.match(narrow, /kernel debian\/linux was not/);
  assert.doesNotMatch(narrow, /2001:db8/);
  assert.match(picture(machines, null, 10, 140).map(stripVTControlCharacters).join("\n"), /2001:db8:0:1:5054:ff:fe00:1/);
  const well = [machine("m-525400000001", { stage: "script", address: "2001:db8:0:1:5054:ff:fe00:1" })];
  assert.match(picture(well, null, 10, 80).map(stripVTControlCharacters).join("\n"), /2001:db8:0:1:5054:ff:fe00:1/);
});

test("of those that stand alike the last that was heard of comes first, who never booted after who is under way", () => {
  const machines = [
    machine("off", { lastSeen: NOW }),
    machine("before", { stage: "kernel", lastSeen: NOW - 9000 }),
    machine("now", { stage: "kernel", lastSeen: NOW - 1000 }),
  ];
  const lines = picture(machines, null, 10, 80).map(stripVTControlCharacters);
  assert.deepEqual(
    lines.slice(3).map((line) => line.split(" ")[0]),
    ["now", "before", "off"],
  );
});

test("it is said when all are done, and not before; and what is wrong with the stream stands above", () => {
  const head = (...machines: MachineView[]) => picture(machines, "it is gone", 10, 80).map(stripVTControlCharacters);
  assert.equal(head(machine("a", { stage: "done" }))[0], "1 machine: 1 done; all are done");
  assert.equal(head(machine("a", { stage: "done" }), machine("b", { stage: "kernel" }))[0], "2 machines: 1 kernel, 1 done");
  assert.equal(head()[1], "it is gone");
});
