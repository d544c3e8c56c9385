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
