/** Systems that do nothing but ask for their address. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Timelines } from "./timeline.ts";
import type { BootEvent } from "./types.ts";

let at = 0;
const answered = (machine: string, message: string, answer: string, more: object = {}): object => ({
  type: "dhcpv6.answered",
  message,
  answer,
  clientKind: "system",
  duid: "0001",
  addresses: ["2001:db8::5"],
  why: [],
  client: "fe80::5",
  network: "prov",
  machine,
  ...more,
});
const learned = (machine: string): object => ({ type: "machine.learned", what: "DUID 0001", client: "fe80::5", machine });

function timelinesOf(...events: object[]): Timelines {
  at = 0;
  const timelines = new Timelines();
  for (const event of events) timelines.read({ seq: ++at, at, ...event } as BootEvent);
  return timelines;
}
const shown = (timelines: Timelines, machine = "a"): unknown =>
  timelines
    .get(machine, at)
    ?.boots.map(({ startedAt, entries }) => [startedAt, ...entries.map((each) => `${each.type} ${each.at} x${each.count}`)]);

test("a system has what it asked for, the newest of it with its count, and stands where it was heard last", () => {
  const timelines = timelinesOf(
    learned("a"),
    answered("a", "Solicit", "Advertise"),
    answered("a", "Request", "Reply"),
    answered("a", "Solicit", "Advertise"),
    answered("a", "Request", "Reply"),
    answered("a", "Solicit", "Advertise", { client: "2001:db8::7" }),
  );
  assert.deepEqual(shown(timelines), [[2, "dhcpv6.answered 5 x2"]]);
  const seen = timelines.seen("a");
  assert.deepEqual([seen?.at, seen?.network, seen?.address], [6, "prov", "2001:db8::7"]);
  assert.deepEqual([timelines.ids(), timelines.stage("a"), timelines.verdict("a", 1e12)], [["a"], null, null]);
  timelines.forget("a");
  assert.deepEqual([timelines.ids(), timelines.get("a", at), timelines.seen("a")], [[], undefined, undefined]);
});

test("of the same answer the time is new, of another its words; what other readers have of it stays as it was", () => {
  const timelines = new Timelines();
  const events = ["first", "first", "second"].map(
    (why, i) => ({ seq: i + 1, at: i + 1, ...answered("a", "Request", "Reply", { why: [why] }) }) as BootEvent,
  );
  const told = events.map((event) => {
    timelines.read(event);
    const entry = timelines.get("a", 9)?.boots[0]?.entries[0];
    return [entry?.at, entry?.why?.join(), entry?.count];
  });
  assert.deepEqual(told, [
    [1, "first", 1],
    [2, "first", 2],
    [3, "second", 3],
  ]);
  assert.deepEqual(
    events.map((event) => [event.seq, event.at]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
});

test("an offer alone is heard of, and is no entry", () => {
  assert.deepEqual(shown(timelinesOf(answered("a", "Solicit", "Advertise"))), [[1]]);
});

test("where it does more, what it did before stays: another message, another DUID, a boot", () => {
  const reply = answered("a", "Request", "Reply");
  assert.deepEqual(shown(timelinesOf(reply, answered("a", "Renew", "Reply"))), [[1, "dhcpv6.answered 1 x1", "dhcpv6.answered 2 x1"]]);
  assert.deepEqual(shown(timelinesOf(reply, answered("a", "Request", "Reply", { duid: "0002" }))), [
    [1, "dhcpv6.answered 1 x1", "dhcpv6.answered 2 x1"],
  ]);
  const refused = { type: "dhcpv6.dropped", message: "Request", why: "no", client: "fe80::5", machine: "a" };
  assert.deepEqual(shown(timelinesOf(reply, refused)), [[1, "dhcpv6.answered 1 x1", "dhcpv6.dropped 2 x1"]]);
  const boot = answered("a", "Solicit", "Advertise", { clientKind: "firmware-http" });
  const timelines = timelinesOf(reply, { ...learned("a"), client: "2001:db8::9" }, boot);
  assert.deepEqual(shown(timelines), [
    [1, "dhcpv6.answered 1 x1"],
    [3, "machine.learned 2 x1", "dhcpv6.answered 3 x1"],
  ]);
  assert.equal(timelines.stage("a"), "firmware");
  assert.deepEqual(timelines.ids(), ["a"]);
});

test("what was learned of a machine that boots stands in its boot; of another machine it does not", () => {
  const boot = (machine: string): object => answered(machine, "Solicit", "Advertise", { clientKind: "firmware-http" });
  const timelines = timelinesOf(learned("a"), boot("b"), boot("a"), learned("c"), boot("c"));
  assert.deepEqual(shown(timelines, "a"), [[3, "dhcpv6.answered 3 x1"]]);
  assert.deepEqual(shown(timelines, "c"), [[5, "machine.learned 4 x1", "dhcpv6.answered 5 x1"]]);
});

test("100,000 systems are remembered, those that spoke last", () => {
  const many = Array.from({ length: 100_000 }, (_, i) => answered(`s-${i}`, "Request", "Reply"));
  const timelines = timelinesOf(...many, answered("s-0", "Request", "Reply"), answered("s-new", "Request", "Reply"));
  assert.deepEqual([timelines.seen("s-0")?.at, timelines.seen("s-1"), timelines.seen("s-2")?.at], [100_001, undefined, 3]);
  assert.equal(timelines.ids().length, 100_000);
});
