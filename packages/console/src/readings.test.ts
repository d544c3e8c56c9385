/** What the console keeps of the stream beside timelines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BootEvent, type StoredBoot, Timelines } from "@netboot6/events";
import { Readings } from "./readings.ts";

function readingsOf(...events: object[]): Readings {
  const readings = new Readings(new Timelines());
  for (const [i, event] of events.entries()) readings.read({ seq: i + 1, at: i + 1, ...event } as BootEvent);
  return readings;
}
const solicited = (machine: string | undefined, client: string | undefined, more: object = {}): object => ({
  type: "ra.solicited",
  interface: "eth1",
  machine,
  client,
  ...more,
});

test("what is waited for is told until it is there", () => {
  const waits = { type: "appliance.waiting", why: "eth1 is not there" };
  assert.equal(readingsOf(waits).waiting, "eth1 is not there");
  assert.equal(readingsOf(waits, { type: "appliance.resumed" }).waiting, null);
});

test("before all are up those that are up are shown, and it is not ready; then each that is configured is to be", () => {
  const ready = (service: string): object => ({ type: "service.ready", service, listens: [] });
  const shown = (...events: object[]): unknown => {
    const { ready: all, services } = readingsOf(...events).readiness();
    return [all, ...services.map((each) => [each.service, each.ready, each.why])];
  };
  assert.deepEqual(shown(ready("dns")), [false, ["dns", true, null]]);
  const up = [ready("dns"), ready("http"), { type: "appliance.ready", services: ["http", "dns"] }];
  assert.deepEqual(shown(...up), [true, ["http", true, null], ["dns", true, null]]);
  const failed = { type: "service.failed", service: "dns", why: "its thread ended", retry: 1 };
  assert.deepEqual(shown(...up, failed), [false, ["http", true, null], ["dns", false, "its thread ended"]]);
  const reloaded = { type: "appliance.reloaded", changed: ["http", "tftp"] };
  assert.deepEqual(shown(...up, reloaded), [false, ["http", true, null], ["tftp", false, "it did not start"]]);
});

test("a machine was seen where it spoke last; a link-local address tells no other, and what nobody said is nobody's", () => {
  const seen = (...events: object[]): unknown => {
    const { at, network, address } = readingsOf(...events).seen("a") ?? {};
    return [at, network, address];
  };
  const spoke = solicited("a", "2001:db8::5", { network: "prov" });
  assert.deepEqual(seen(spoke), [1, "prov", "2001:db8::5"]);
  assert.deepEqual(seen(spoke, solicited("a", "fe80::5")), [2, "prov", "2001:db8::5"]);
  assert.deepEqual(seen(spoke, solicited("a", "2001:db8::6", { network: "rack" })), [2, "rack", "2001:db8::6"]);
  assert.deepEqual(seen(spoke, { type: "operator.acted", what: "forgot it", machine: "a" }), [1, "prov", "2001:db8::5"]);
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
    const readings = readingsOf();
    readings.restore(boots);
    return readings.seen("a")?.address;
  };
  assert.equal(seen(stored(1, [event(3, "2001:db8::3")], [event(2, "2001:db8::2")])), "2001:db8::3");
  assert.equal(seen(stored(1, [event(3, "2001:db8::3")], [event(4, "2001:db8::4")])), "2001:db8::4");
  assert.equal(seen(stored(10, [event(11, "2001:db8::b")], []), stored(1, [event(2, "2001:db8::2")], [])), "2001:db8::b");
});

test("rivals are those that are heard; 256 of them, heard last", () => {
  const heard = (router: string, more: object = {}): object => ({
    type: "ra.heard",
    interface: "eth1",
    network: "prov",
    router,
    state: "advertises",
    ...more,
  });
  const rivals = (...events: object[]): string[] =>
    readingsOf(...events)
      .rivals("prov")
      .map(({ router }) => router);
  assert.deepEqual(rivals(heard("fe80::1"), heard("fe80::2"), heard("fe80::3", { network: "other" })), ["fe80::1", "fe80::2"]);
  assert.deepEqual(rivals(heard("fe80::1"), heard("fe80::1", { state: "silent" })), []);
  const many = Array.from({ length: 256 }, (_, i) => heard(`fe80::${i + 1}`));
  assert.equal(rivals(...many).length, 256);
  const more = rivals(...many, heard("fe80::1"), heard("fe80::ffff"));
  assert.deepEqual([more.length, more.includes("fe80::1"), more.includes("fe80::2")], [256, true, false]);
});

test("20,000 machines were seen, those that spoke last", () => {
  const many = Array.from({ length: 20_001 }, (_, i) => solicited(`m-${i}`, "fe80::1"));
  const readings = readingsOf(...many);
  assert.deepEqual([readings.seen("m-0"), readings.seen("m-1")?.at], [undefined, 2]);
});
