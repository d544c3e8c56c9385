/** What timelines keep is bounded, however many machines there are and however much each does. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Timelines } from "./timeline.ts";
import type { BootEvent, EventBody } from "./types.ts";

const MAX_ENTRIES = 200;
const MAX_ALL_ENTRIES = 200_000;
const MACHINES = 1_200;

test("a boot keeps its newest 200 entries, all machines together 200,000: those that were silent longest lose theirs", () => {
  const timelines = new Timelines();
  let seq = 0;
  const tell = (body: EventBody): void => timelines.read({ seq: ++seq, at: seq, ...body } as BootEvent);
  const id = (n: number): string => `m-${n}`;
  const kept = (n: number): number => timelines.get(id(n), seq)?.boots.reduce((sum, { entries }) => sum + entries.length, 0) ?? 0;
  const ask = (n: number, name: string): void =>
    tell({ type: "dns.answered", name, qtype: "AAAA", rcode: "NOERROR", from: "cache", seconds: 0, machine: id(n), client: "fe80::1" });

  for (let entry = 0; entry < MAX_ENTRIES + 50; entry++) ask(0, `q${entry}.example`);
  assert.equal(kept(0), MAX_ENTRIES);
  assert.match(timelines.get(id(0), seq)?.boots[0]?.entries.at(-1)?.text ?? "", /q249\.example/);

  for (let n = 1; n < MACHINES; n++) for (let entry = 0; entry < MAX_ENTRIES; entry++) ask(n, `q${entry}.example`);
  const all = [...timelines.ids()].reduce((sum, machine) => sum + kept(Number(machine.slice(2))), 0);
  assert.ok(all <= MAX_ALL_ENTRIES && all > MAX_ALL_ENTRIES - 2 * MAX_ENTRIES, `${all} entries`);
  assert.equal(kept(0), 0, "silent longest");
  assert.equal(kept(MACHINES - 1), MAX_ENTRIES);

  // What a machine that is forgotten had is free for others.
  const [oldest] = timelines.ids();
  timelines.forget(id(MACHINES - 1));
  for (let entry = 0; entry < MAX_ENTRIES; entry++) ask(MACHINES, `q${entry}.example`);
  assert.equal([...timelines.ids()][0], oldest);
});
