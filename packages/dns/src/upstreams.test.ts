import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventBody } from "@netboot6/events";
import { type UpstreamHealth, Upstreams } from "./upstreams.ts";

const at = (address: string, port = 53) => ({ address, port, tlsName: null });

function two() {
  const events: EventBody[] = [];
  const upstreams = new Upstreams((event) => events.push(event));
  upstreams.set([at("2001:db8::1"), at("2001:db8::2", 5353)]);
  const [first, second] = upstreams.ranked() as [UpstreamHealth, UpstreamHealth];
  return { upstreams, events, first, second };
}

test("in their order until measured, then the fastest first, and those that are down last", () => {
  const { upstreams, first, second } = two();
  assert.deepEqual([first.name, second.name], ["2001:db8::1", "[2001:db8::2]:5353"]);
  upstreams.answered(first, 0, 300);
  upstreams.answered(second, 0, 100);
  assert.deepEqual(upstreams.ranked(), [second, first]);
  for (let n = 0; n < 3; n++) upstreams.missed(second, 0, "no answer");
  upstreams.answered(first, 0, 20_000);
  assert.deepEqual(upstreams.ranked(), [first, second], "slow is better than down");
});

test("three misses in a row make one down, an answer makes it up; each is told once", () => {
  const { upstreams, events, first } = two();
  for (let n = 0; n < 4; n++) {
    upstreams.missed(first, 0, "no answer");
    upstreams.missed(first, 0, "no answer");
    upstreams.answered(first, 0, 10);
  }
  assert.equal(events.length, 0);
  for (let n = 0; n < 5; n++) upstreams.missed(first, 0, "no answer");
  upstreams.answered(first, 0, 10);
  upstreams.answered(first, 0, 10);
  assert.deepEqual(
    events.map((event) => event.type === "dns.upstream" && [event.upstream, event.state]),
    [
      ["2001:db8::1", "down"],
      ["2001:db8::1", "up"],
    ],
  );
});

test("one that is down is tried after 2 s, 2 s more, then ever more rarely; one that answered needs no measuring for a minute", () => {
  const { upstreams, first, second } = two();
  assert.deepEqual(upstreams.due(0), [first, second]);
  upstreams.answered(second, 50_000, 10);
  for (let n = 0; n < 3; n++) upstreams.missed(first, 50_000, "no answer");
  const tried: number[] = [];
  for (let now = 51_000; now < 109_000; now += 1_000) if (upstreams.due(now).includes(first)) tried.push((now - 50_000) / 1000);
  assert.deepEqual(tried, [2, 4, 8, 16, 32]);
  assert.ok(!upstreams.due(109_999).includes(second));
  assert.ok(upstreams.due(110_000).includes(second));
  const later: number[] = [];
  for (let now = 111_000; now < 300_000; now += 1_000) if (upstreams.due(now).includes(first)) later.push((now - 50_000) / 1000);
  assert.deepEqual(later, [64, 124, 184, 244], "and once a minute at least");
  upstreams.answered(first, 300_000, 10);
  for (let n = 0; n < 3; n++) upstreams.missed(first, 300_000, "no answer");
  assert.ok(upstreams.due(302_000).includes(first), "down anew, anew after 2 s");
});

test("however often one missed, some good answers make it the fast one that it is", () => {
  const { upstreams, first, second } = two();
  upstreams.answered(second, 0, 100);
  for (let n = 0; n < 1_000; n++) upstreams.missed(first, 0, "no answer");
  for (let n = 0; n < 20; n++) upstreams.answered(first, 0, 10);
  assert.equal(upstreams.ranked()[0], first);
});

test("what is known of those that stay is kept; one named twice counts once", () => {
  const { upstreams, second } = two();
  upstreams.answered(second, 0, 10);
  upstreams.set([at("2001:db8::3"), at("2001:db8::2", 5353), at("2001:db8::3")]);
  assert.deepEqual(
    upstreams.ranked().map(({ name, roundTrip }) => [name, roundTrip]),
    [
      ["[2001:db8::2]:5353", 10],
      ["2001:db8::3", null],
    ],
  );
});

test("one that is asked no more is told so; what it does still is not", () => {
  const { upstreams, events, first, second } = two();
  for (let n = 0; n < 3; n++) upstreams.missed(first, 0, "no answer");
  upstreams.set([at("2001:db8::2", 5353)]);
  upstreams.answered(first, 0, 10);
  for (let n = 0; n < 3; n++) upstreams.missed(first, 0, "no answer");
  for (let n = 0; n < 3; n++) upstreams.missed(second, 0, "no answer");
  assert.deepEqual(
    events.map((event) => event.type === "dns.upstream" && [event.upstream, event.state]),
    [
      ["2001:db8::1", "down"],
      ["2001:db8::1", "gone"],
      ["[2001:db8::2]:5353", "down"],
    ],
  );
});
