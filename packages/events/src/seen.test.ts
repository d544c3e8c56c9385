/** Where and when a machine was heard last. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type StoredBoot, Timelines } from "./timeline.ts";
import type { BootEvent } from "./types.ts";

function timelinesOf(...events: object[]): Timelines {
  const timelines = new Timelines();
  for (const [i, event] of events.entries()) timelines.read({ seq: i + 1, at: i + 1, ...event } as BootEvent);
  return timelines;
}
const solicited = (machine: string | undefined, client: string | undefined, more: object = {}): object => ({
  type: "ra.solicited",
  interface: "eth1",
  machine,
  client,
  ...more,
});

test("a machine was seen where it spoke last; a link-local address tells no other, and what nobody said is nobody's", () => {
  const seen = (...events: object[]): unknown => {
    const { at, network, address } = timelinesOf(...events).seen("a") ?? {};
    return [at, network, address];
  };
  const spoke = solicited("a", "2001:db8::5", { network: "prov" });
  const acted = { type: "operator.acted", what: "forgot it", machine: "a" };
  assert.deepEqual(seen(spoke), [1, "prov", "2001:db8::5"]);
  assert.deepEqual(seen(spoke, solicited("a", "fe80::5")), [2, "prov", "2001:db8::5"]);
  assert.deepEqual(seen(spoke, solicited("a", "2001:db8::6", { network: "rack" })), [2, "rack", "2001:db8::6"]);
  assert.deepEqual(seen(spoke, acted), [1, "prov", "2001:db8::5"]);
  assert.deepEqual(seen(acted), [null, null, null]);
  assert.deepEqual(seen(solicited(undefined, "2001:db8::5")), [undefined, undefined, undefined]);
});

test("after a restart it was seen where the newest of its boots has it, entry or stage", () => {
  const event = (at: number, client: string): BootEvent => ({ seq: 1, at, type: "ra.solicited", interface: "eth1", client }) as BootEvent;
  const stored = (startedAt: number, entries: BootEvent[], stages: BootEvent[]): StoredBoot =>
    ({
      machine: "a",
      boot: {
        startedAt,
        heardAt: startedAt,
        entries: entries.map((each) => ({ event: each, count: 1 })),
        stages: stages.map((last) => ({ last })),
      },
    }) as unknown as StoredBoot;
  const seen = (...boots: StoredBoot[]): unknown => {
    const timelines = timelinesOf();
    timelines.restore(boots);
    return timelines.seen("a")?.address;
  };
  assert.equal(seen(stored(1, [event(3, "2001:db8::3")], [event(2, "2001:db8::2")])), "2001:db8::3");
  assert.equal(seen(stored(1, [event(3, "2001:db8::3")], [event(4, "2001:db8::4")])), "2001:db8::4");
  assert.equal(seen(stored(10, [event(11, "2001:db8::b")], []), stored(1, [event(2, "2001:db8::2")], [])), "2001:db8::b");
});

test("10,000 machines have a timeline, those that spoke last", () => {
  const many = Array.from({ length: 10_000 }, (_, i) => solicited(`m-${i}`, "fe80::1"));
  const timelines = timelinesOf(...many, solicited("m-0", "fe80::1"), solicited("m-new", "fe80::1"));
  assert.deepEqual([timelines.seen("m-0")?.at, timelines.seen("m-1"), timelines.seen("m-2")?.at], [10_001, undefined, 3]);
});
