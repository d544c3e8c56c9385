/** What the console keeps of the stream beside timelines. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BootEvent, Timelines } from "@netboot6/events";
import { Readings } from "./readings.ts";

function readingsOf(...events: object[]): Readings {
  const readings = new Readings(new Timelines());
  for (const [i, event] of events.entries()) readings.read({ seq: i + 1, at: i + 1, ...event } as BootEvent);
  return readings;
}
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
