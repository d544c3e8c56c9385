import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBus, RelayCounts } from "./index.ts";

function setUp() {
  const counts = new RelayCounts();
  const bus = new EventBus(
    () => ({}),
    () => 7000,
  );
  bus.subscribe(counts.read);
  const answered = {
    type: "dhcpv6.answered",
    message: "Solicit",
    answer: "Advertise",
    clientKind: "system",
    duid: "01",
    addresses: [],
    why: [],
  } as const;
  return { counts, bus, answered };
}

test("answered and dropped messages are counted by network and relay; those of no relay are not, and those of no network where it was heard last", () => {
  const { counts, bus, answered } = setUp();
  for (const relay of ["2001:db8::1", "2001:db8::1", "2001:db8::2"]) bus.emit({ ...answered, relay, network: "rack-2" });
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "no reason", relay: "2001:db8::1", network: "rack-2" });
  bus.emit({ ...answered, network: "rack-2" });
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "of no network", relay: "2001:db8::1" });
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "of no network", relay: "2001:db8::3" });
  assert.deepEqual(counts.of("rack-2"), [
    { relay: "2001:db8::2", answered: 1, dropped: 0, lastAt: 7000, lastDropped: null },
    { relay: "2001:db8::1", answered: 2, dropped: 2, lastAt: 7000, lastDropped: "of no network" },
  ]);
  assert.deepEqual(counts.of("rack-3"), []);
});

test("relays without end are not all kept; the one that speaks is", () => {
  const { counts, bus, answered } = setUp();
  for (let n = 0; n < 3000; n++) {
    bus.emit({ ...answered, relay: `2001:db8::${n.toString(16)}`, network: "rack-2" });
    bus.emit({ ...answered, relay: "2001:db8:1::1", network: "rack-2" });
  }
  assert.equal(counts.of("rack-2").length, 1000);
  assert.equal(counts.of("rack-2").at(-1)?.answered, 3000);
});
