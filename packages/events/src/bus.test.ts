import assert from "node:assert/strict";
import { test } from "node:test";
import { type BootEvent, describe, EventBus } from "./index.ts";

test("what came over the wire is short and printable for every reader", () => {
  const bus = new EventBus(() => ({}));
  const events: BootEvent[] = [];
  bus.subscribe((event) => events.push(event));
  const path = "/\x1b]0;mine\x07\r\nready\u202e\x9b2J";
  bus.emit({ type: "tftp.finished", id: 1, path, status: "refused", sent: 0, size: 0, seconds: 0, client: "2001:db8::1" });
  bus.emit({
    type: "dhcpv6.answered",
    message: "Solicit",
    answer: "Advertise",
    clientKind: "system",
    duid: "00",
    addresses: [],
    why: ["x".repeat(60_000)],
    client: "fe80::1",
  });
  bus.emit({ type: "appliance.refused", why: "two\nlines" });
  const [first, second, third] = events;
  assert.match(describe(first as BootEvent), /^TFTP \/\\u\{1b\}\]0;mine\\u\{7\}\\u\{d\}\\u\{a\}ready\\u\{202e\}\\u\{9b\}2J: refused/);
  assert.ok(second?.type === "dhcpv6.answered" && (second.why[0]?.length ?? 0) < 600);
  assert.ok(third && describe(third).endsWith("two\nlines"));
});

test("events are numbered from 1 on and dated; the machine is looked up only where a service did not know it", () => {
  const asked: unknown[] = [];
  const bus = new EventBus(
    ({ client }) => {
      asked.push(client);
      return { machine: "node-01" };
    },
    () => 5,
  );
  const events: BootEvent[] = [];
  const end = bus.subscribe((event) => events.push(event));
  const solicited = { type: "ra.solicited", interface: "eth1" } as const;
  bus.emit({ ...solicited, client: "fe80::1" });
  bus.emit({ ...solicited, client: "fe80::2", machine: "node-02" });
  bus.emit({ type: "appliance.refused", why: "" });
  end();
  bus.emit({ ...solicited, client: "fe80::1" });
  assert.deepEqual(
    events.map((event) => [event.seq, event.at, "machine" in event ? event.machine : undefined]),
    [
      [1, 5, "node-01"],
      [2, 5, "node-02"],
      [3, 5, undefined],
    ],
  );
  assert.deepEqual(asked, ["fe80::1", "fe80::1"]);
});

test("a text of 512 characters is whole, of a longer one they are; in lists too, and what is no text stays", () => {
  const bus = new EventBus(() => ({}));
  let event: BootEvent | undefined;
  bus.subscribe((each) => {
    event = each;
  });
  bus.emit({ type: "dns.answered", name: "x".repeat(512), qtype: "A", rcode: "", from: "local", seconds: 0.5, client: "y".repeat(513) });
  assert.ok(event?.type === "dns.answered");
  assert.deepEqual([event.name, event.client, event.seconds], ["x".repeat(512), `${"y".repeat(512)}…`, 0.5]);
});
