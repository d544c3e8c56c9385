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
