import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import type { MachineConfig } from "@netboot6/config";
import { type Lease, Leases } from "@netboot6/leases";
import { Machines } from "@netboot6/machines";
import { type NameChange, namesOf, watchNames } from "./names.ts";

const DOMAIN = "rack.example";
const lease = (address: string, machine: string, more: Partial<Lease> = {}): Lease => ({
  address,
  network: "prov",
  machine,
  duid: machine,
  iaid: 1,
  state: "bound",
  validUntil: 2000,
  since: 1000,
  ...more,
});
const configured = [{ name: "node-01", macs: [], duid: "01", uuid: null, port: null, address: "2001:db8::a", prefix: null }] as const;
const machines = new Machines(configured as unknown as MachineConfig[]);
const names = (leases: readonly Lease[], now = 1500, domain = DOMAIN) =>
  Object.fromEntries(namesOf(machines, new Leases(leases), domain, now));

test("machines have their names: those of the configuration with the reserved and the leased addresses, others with a lease", () => {
  assert.deepEqual(names([lease("2001:db8::b", "node-01"), lease("2001:db8::c", "m-520000000001")]), {
    "node-01.rack.example": ["2001:db8::a", "2001:db8::b"],
    "m-520000000001.rack.example": ["2001:db8::c"],
  });
});

test("a claimed name is its addresses' while their leases last; a machine's own name is not claimed away", () => {
  const leases = [
    lease("2001:db8::c", "m-1", { hostname: "web.rack.example" }),
    lease("2001:db8::d", "m-1", { iaid: 2, hostname: "web.rack.example", validUntil: 1600 }),
    lease("2001:db8::e", "m-2", { hostname: "node-01.rack.example" }),
    lease("2001:db8::f", "m-3", { hostname: "m-1.rack.example" }),
  ];
  assert.deepEqual(names(leases)["web.rack.example"], ["2001:db8::d", "2001:db8::c"]);
  assert.deepEqual(names(leases, 1700)["web.rack.example"], ["2001:db8::c"]);
  assert.deepEqual(names(leases)["node-01.rack.example"], ["2001:db8::a"]);
  assert.deepEqual(names(leases)["m-1.rack.example"], ["2001:db8::d", "2001:db8::c"]);
});

test("released, declined and ended leases, prefixes, and names that are no labels have none; nor has anyone without a domain", () => {
  const leases = [
    lease("2001:db8::b", "m-1", { state: "released", hostname: "web.rack.example" }),
    lease("2001:db8::c", "m-2", { state: "declined" }),
    lease("2001:db8::d", "m-3", { validUntil: 1500 }),
    lease("2001:db8:fff::/60", "m-4"),
    lease("2001:db8::e", `m-${"0".repeat(62)}`),
  ];
  assert.deepEqual(Object.keys(names(leases)), ["node-01.rack.example"]);
  assert.deepEqual(names([lease("2001:db8::b", "m-1")], 1500, ""), {});
});

test("the address that a machine forms itself keeps its name when the lease is released or over, as firmware leaves it", () => {
  const met = new Machines([]);
  const id = met.identify({ relayMac: "52:54:00:0b:00:01" }, 0)?.machine.id as string;
  const own = "2001:db8::5054:ff:fe0b:1";
  const namesNow = (...leases: Lease[]) => Object.fromEntries(namesOf(met, new Leases(leases), DOMAIN, 1500));
  const hostname = "web.rack.example";
  for (const more of [{ state: "released" }, { validUntil: 1400 }] as const)
    assert.deepEqual(namesNow(lease(own, id, { hostname, ...more })), { [`${id}.rack.example`]: [own] });
  assert.deepEqual(namesNow(lease(own, id, { state: "declined" })), {});
  assert.deepEqual(namesNow(lease(own, "m-2", { state: "released" })), {}, "another machine's MAC is in it");
});

test("an address is a name's once, and nobody claims the name of a machine that has none yet", () => {
  const without = { name: "node-02", macs: [], duid: "02", uuid: null, port: null, address: null, prefix: null };
  const all = new Machines([...configured, without] as unknown as MachineConfig[]);
  const leases = [lease("2001:db8::a", "node-01"), lease("2001:db8::c", "m-1", { hostname: "node-02.rack.example" })];
  assert.deepEqual(Object.fromEntries(namesOf(all, new Leases(leases), DOMAIN, 1500)), {
    "node-01.rack.example": ["2001:db8::a"],
    "m-1.rack.example": ["2001:db8::c"],
  });
});

/** Names that are watched, on a clock of the test's own. */
function watching(t: TestContext) {
  const leases = new Leases();
  const told: (readonly NameChange[])[] = [];
  const clock = { milliseconds: 0, unixSeconds: 1500, gathering: 0, gathered: 0 };
  t.mock.timers.enable({ apis: ["setInterval"] });
  t.mock.method(performance, "now", () => clock.milliseconds);
  const gather = () => {
    clock.gathered++;
    clock.milliseconds += clock.gathering;
    return namesOf(machines, leases, DOMAIN, clock.unixSeconds);
  };
  const pass = (milliseconds: number): void => {
    clock.milliseconds += milliseconds;
    t.mock.timers.tick(milliseconds);
  };
  const end = watchNames(
    gather,
    () => leases.changes,
    (changed) => told.push(changed),
  );
  assert.deepEqual(told.splice(0), [[{ name: "node-01.rack.example", addresses: ["2001:db8::a"] }]]);
  return { leases, told, clock, pass, end };
}

test("a change of the names is told once, a renewal is none", (t) => {
  const { leases, told, clock, pass, end } = watching(t);
  leases.put(lease("2001:db8::b", "m-1"));
  pass(250);
  leases.put(lease("2001:db8::b", "m-1", { validUntil: 3000 }));
  pass(250);
  assert.equal(clock.gathered, 2, "the renewal was not looked at");
  leases.put(lease("2001:db8::b", "m-1", { state: "released" }));
  leases.put(lease("2001:db8::c", "m-1"));
  pass(250);
  leases.put(lease("2001:db8::c", "m-1", { state: "released" }));
  pass(250);
  end();
  leases.put(lease("2001:db8::d", "m-1"));
  pass(250);
  assert.deepEqual(told, [
    [{ name: "m-1.rack.example", addresses: ["2001:db8::b"] }],
    [{ name: "m-1.rack.example", addresses: ["2001:db8::c"] }],
    [{ name: "m-1.rack.example", addresses: [] }],
  ]);
});

test("a lease that ended is told within a minute, though nothing else changes", (t) => {
  const { leases, told, clock, pass, end } = watching(t);
  leases.put(lease("2001:db8::b", "m-1"));
  pass(250);
  clock.unixSeconds = 2001;
  pass(59_000);
  assert.equal(told.length, 1);
  pass(1_000);
  assert.deepEqual(told.slice(1), [[{ name: "m-1.rack.example", addresses: [] }]]);
  end();
});

test("names are gathered for a twentieth of the time at most", (t) => {
  const { leases, told, clock, pass, end } = watching(t);
  clock.gathering = 100;
  leases.put(lease("2001:db8::b", "m-1"));
  pass(250);
  leases.put(lease("2001:db8::c", "m-1"));
  pass(1_750);
  assert.equal(told.length, 1);
  pass(250);
  assert.equal(told.length, 2);
  end();
});

test("a wall clock that is set back holds no name up", (t) => {
  const { leases, told, pass, end } = watching(t);
  t.mock.method(Date, "now", () => 0);
  leases.put(lease("2001:db8::b", "m-1"));
  pass(250);
  assert.equal(told.length, 1);
  end();
});
