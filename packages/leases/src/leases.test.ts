/** Who gets which address; the server's own tests are in dhcpv6. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { type Lease, type LeaseRequest, Leases } from "./index.ts";

const prefix = parsePrefix("2001:db8:0:1::/64");
const network = (first: string, last: string): Network =>
  ({
    name: "prov",
    prefix,
    address: "2001:db8:0:1::1",
    advertise: null,
    relayed: false,
    dhcp: { pool: { kind: "range", first: `2001:db8:0:1::${first}`, last: `2001:db8:0:1::${last}` } },
  }) as unknown as Network;

const SMALL = network("1000", "1003");
const ask = (machine: string, more: Partial<LeaseRequest> = {}): LeaseRequest => ({
  kind: "address",
  network: SMALL,
  machine,
  mac: null,
  interfaceMac: more.mac ?? null,
  duid: machine,
  iaid: 1,
  bootClient: false,
  reserved: null,
  hints: [],
  hostname: null,
  taken: new Set(),
  now: 1000,
  ...more,
});

function take(leases: Leases, request: LeaseRequest): string {
  const { address, why } = leases.choose(request);
  assert.ok(address, why);
  leases.bind(address, request, 100);
  return address;
}

test("a full pool of many addresses is seen to be full without a look at all of it, and a crowded one is found a place in", () => {
  const large = network("1000", "ffff");
  const leases = new Leases();
  for (let n = 0x1000; n <= 0xffff; n++)
    leases.offer(`2001:db8:0:1::${n.toString(16)}`, { machine: "flood", interfaceMac: null, now: 1000 });
  const started = performance.now();
  for (let n = 0; n < 20; n++) assert.equal(leases.choose(ask(`m${n}`, { network: large })).address, null);
  assert.ok(performance.now() - started < 1000, `${performance.now() - started} ms`);
  leases.offer("2001:db8:0:1::7777", { machine: "flood", interfaceMac: null, now: 0 });
  const found = Array.from({ length: 61 }, () => leases.choose(ask("late", { network: large })).address);
  assert.ok(found.includes("2001:db8:0:1::7777"));
});

test("an address that is reserved is its machine's: another gives it up when it renews, and one that had it once does not keep it", () => {
  const leases = new Leases();
  const had = take(leases, ask("other"));
  leases.reserve(new Map([[had, "node"]]));
  const mine = { reserved: had };
  assert.notEqual(leases.choose(ask("node", mine)).address, had, "while another has it");
  const next = take(leases, ask("other", { now: 1010 }));
  assert.notEqual(next, had);
  assert.equal(take(leases, ask("node", { ...mine, now: 1011 })), had, "given up, though its time was not over");
  leases.reserve(new Map([[next, "late"]]));
  assert.equal(take(leases, ask("late", { reserved: next, now: 5000 })), next, "expired");
});

test("a binding that moved stays where it went after a restart", () => {
  const leases = new Leases();
  const had = take(leases, ask("node"));
  for (const reserved of ["2001:db8:0:1::aaa", "2001:db8:0:1::1fff"].filter((each) => each !== had)) {
    leases.reserve(new Map([[reserved, "node"]]));
    assert.equal(take(leases, ask("node", { reserved, now: 1010 })), reserved);
    const stored = [...leases.all()].toSorted((a, b) => (a.address < b.address ? -1 : 1));
    for (const order of [stored, stored.toReversed()]) assert.equal(new Leases(order).choose(ask("node", { now: 1020 })).address, reserved);
  }
});

test("the first address of a prefix, which is every router's, is nobody's", () => {
  const leases = new Leases();
  const given = Array.from({ length: 4 }, (_, n) => leases.choose(ask(`m${n}`, { network: network("", "1") })).address);
  assert.deepEqual(new Set(given), new Set([null]));
});

test("a machine that was given a name keeps its address", () => {
  const leases = new Leases();
  const had = take(leases, ask("m-525400000001"));
  assert.deepEqual(
    leases.rename("m-525400000001", "node").map(({ address, machine }) => [address, machine]),
    [[had, "node"]],
  );
  assert.equal(leases.choose(ask("node", { duid: "m-525400000001", now: 1010 })).address, had);
  assert.deepEqual(leases.ofMachine("m-525400000001"), []);
});

const delegating = (length: number): Network =>
  ({ ...SMALL, dhcp: { ...SMALL.dhcp, delegate: { prefix: parsePrefix("2001:db8:fff::/56"), length } } }) as unknown as Network;
const askPrefix = (machine: string, length: number, more: Partial<LeaseRequest> = {}): LeaseRequest =>
  ask(machine, { kind: "prefix", network: delegating(length), ...more });

test("every prefix of a small delegation is given, each once, whatever the identities hash to", () => {
  const leases = new Leases();
  const given = Array.from({ length: 16 }, (_, n) => take(leases, askPrefix(`m${n}`, 60)));
  assert.deepEqual(
    given.toSorted(),
    Array.from({ length: 16 }, (_, n) => `2001:db8:fff${n === 0 ? "" : `:${n.toString(16)}0`}::/60`).toSorted(),
  );
  assert.equal(leases.choose(askPrefix("late", 60)).address, null);
});

test("a prefix that lies across another machine's of the length before a change of the configuration is nobody's until that ends", () => {
  const leases = new Leases();
  const had = take(leases, askPrefix("m1", 57));
  const others = Array.from({ length: 16 }, (_, n) => leases.choose(askPrefix(`m${n + 2}`, 60, { iaid: n })).address ?? "");
  const low = (prefix: string): boolean => Number.parseInt(prefix.split(":")[3] || "0", 16) < 0x80;
  assert.ok(
    others.every((prefix) => low(prefix) !== low(had)),
    `${had}: ${others}`,
  );
  assert.ok(leases.choose(askPrefix("m1", 60)).address, "its own");
  const later = Array.from({ length: 16 }, (_, n) => leases.choose(askPrefix(`m${n + 2}`, 60, { now: 1100 })).address ?? "");
  assert.ok(later.some((prefix) => low(prefix) === low(had)));
});

test("a prefix that it had is not its own while another's of another length lies across it", () => {
  const leases = new Leases();
  take(leases, askPrefix("m1", 60));
  for (const other of ["m2", "m3"]) take(leases, askPrefix(other, 57, { now: 2000 }));
  assert.equal(leases.choose(askPrefix("m1", 60, { now: 2010 })).address, null);
});

test("what an older version stored is read: addresses alone", () => {
  const stored = {
    address: "2001:db8:0:1::1000",
    network: "prov",
    machine: "m",
    duid: "01",
    iaid: 1,
    state: "bound",
    validUntil: 2000,
    since: 1,
  };
  const leases = new Leases([JSON.parse(JSON.stringify(stored))]);
  assert.equal(leases.byBinding(ask("m", { kind: "address", duid: "01" }))?.address, stored.address);
  assert.equal(leases.byBinding(ask("m", { kind: "prefix", duid: "01" })), undefined);
});

test("what could not be stored is as it was: a new binding is gone, a moved one is back, and a newer one that was stored stays", () => {
  const leases = new Leases();
  const bind = (reserved: string | null, now: number): readonly Lease[] => {
    const request = ask("node", { reserved, now });
    const { address } = leases.choose(request);
    assert.ok(address);
    return leases.bind(address, request, 100);
  };
  const all = () => [...leases.all()].map(({ address, state, validUntil }) => `${address} ${state} ${validUntil}`).toSorted();

  const first = bind(null, 1000);
  leases.takeBack(first);
  assert.deepEqual(all(), []);
  assert.deepEqual(leases.ofMachine("node"), []);

  const held = bind(null, 1000);
  leases.stored(held);
  const before = all();
  leases.takeBack(bind("2001:db8:0:1::aaa", 1010));
  assert.deepEqual(all(), before);
  assert.equal(leases.byBinding(ask("node"))?.address, held[0]?.address);

  const [renewed, again] = [bind(null, 1020), bind(null, 1030)];
  leases.takeBack(renewed);
  leases.stored(again);
  assert.equal(leases.byAddress(held[0]?.address ?? "")?.validUntil, 1130);
  const [lost, lostToo] = [bind(null, 1040), bind(null, 1050)];
  leases.takeBack(lost);
  leases.takeBack(lostToo);
  assert.equal(leases.byAddress(held[0]?.address ?? "")?.validUntil, 1130, "what is on disk holds");
});

test("a repetition that is not stored leaves what is still on its way to the disk: nobody else is given the address", () => {
  const leases = new Leases();
  const request = ask("node");
  const { address } = leases.choose(request);
  assert.ok(address);
  const first = leases.bind(address, request, 100);
  const again = leases.bind(address, { ...request, now: 1001 }, 100);
  leases.takeBack(again);
  assert.equal(leases.byAddress(address)?.validUntil, 1100);
  leases.stored(first);
  assert.equal(leases.byAddress(address)?.validUntil, 1100);
  assert.notEqual(leases.choose(ask("other", { hints: [address] })).address, address);
  leases.takeBack(leases.bind(address, { ...request, now: 1002 }, 100));
  assert.equal(leases.byAddress(address)?.validUntil, 1100, "what is on disk holds");
});

const [ONE, TWO] = ["52:54:00:00:00:01", "52:54:00:00:00:02"] as const;

test("two interfaces of one machine have two addresses, whoever asks from them: systems, boot clients, one DUID and IAID on both", () => {
  for (const [first, second] of [
    [{ duid: "01" }, { duid: "02" }],
    [
      { duid: "01", iaid: 1, bootClient: true },
      { duid: "01", iaid: 2, bootClient: true },
    ],
    [{ duid: "01" }, { duid: "01" }],
  ] as const)
    for (let n = 0; n < 30; n++) {
      const leases = new Leases();
      const macs = [`${ONE.slice(0, -2)}${n + 10}`, `${TWO.slice(0, -2)}${n + 50}`] as const;
      const had = take(leases, ask("node", { ...first, mac: macs[0] }));
      const other = take(leases, ask("node", { ...second, mac: macs[1], now: 1001 }));
      assert.notEqual(other, had);
      for (const [mac, more, address] of [
        [macs[0], first, had],
        [macs[1], second, other],
      ] as const)
        assert.equal(take(leases, ask("node", { ...more, mac, now: 1002 })), address, "and keep them");
    }
});

test("two interfaces of one machine are offered two addresses", () => {
  const leases = new Leases();
  for (const mac of [ONE, TWO]) {
    const request = ask("node", { mac, hints: ["2001:db8:0:1::1002"] });
    const { address } = leases.choose(request);
    assert.equal(address === "2001:db8:0:1::1002", mac === ONE);
    leases.offer(address ?? "", request);
  }
});

test("a reserved address is that interface's which asked first, and the other one's once it is over; the answer says who has it", () => {
  const leases = new Leases();
  const reserved = "2001:db8:0:1::aaa";
  leases.reserve(new Map([[reserved, "node"]]));
  const asks = (mac: typeof ONE | typeof TWO, more = {}) => ask("node", { mac, duid: mac, reserved, ...more });
  assert.equal(take(leases, asks(ONE)), reserved);
  const { address, why } = leases.choose(asks(TWO));
  assert.notEqual(address, reserved);
  assert.match(why, /; 2001:db8:0:1::aaa is reserved for it, and its interface 52:54:00:00:00:01 has it$/);
  assert.equal(take(leases, asks(TWO, { now: 2000 })), reserved, "expired");
});

test("a binding that its client names stays with it, whichever card it speaks from: a bond does so", () => {
  const leases = new Leases();
  const had = take(leases, ask("node", { mac: ONE }));
  assert.equal(take(leases, ask("node", { mac: TWO, hints: [had], now: 1010 })), had);
});

test("what another interface of the machine had before goes to this one only when nothing else is free", () => {
  const leases = new Leases();
  const had = take(leases, ask("node", { mac: ONE }));
  leases.release(leases.byAddress(had) as Lease);
  assert.notEqual(leases.choose(ask("node", { mac: TWO, duid: "02", hints: [had] })).address, had, "though it asks for it");
  for (const other of ["a", "b", "c"]) assert.notEqual(take(leases, ask(other)), had);
  assert.equal(take(leases, ask("node", { mac: TWO, duid: "02" })), had);
});

test("a lease remembers the bindings whose place it took, the newest last, and none of another machine", () => {
  const leases = new Leases();
  const reserved = "2001:db8:0:1::aaa";
  const bind = (duid: string, iaid: number, more: Partial<LeaseRequest> = {}) => {
    const request = ask("node", { duid, iaid, reserved, bootClient: true, ...more });
    leases.bind(reserved, request, 100);
    return leases.byAddress(reserved)?.superseded;
  };
  assert.equal(bind("f1", 1), undefined);
  assert.deepEqual(bind("f1", 2), [{ duid: "f1", iaid: 1 }]);
  assert.deepEqual(bind("f1", 2), [{ duid: "f1", iaid: 1 }], "renewed");
  assert.deepEqual(bind("1b", 3), [
    { duid: "f1", iaid: 1 },
    { duid: "f1", iaid: 2 },
  ]);
  assert.deepEqual(bind("f1", 1)?.at(-1), { duid: "1b", iaid: 3 }, "one that is back is superseded no more");
  for (let iaid = 10; iaid < 30; iaid++) bind("f1", iaid);
  assert.equal(bind("f1", 99)?.length, 8);
  assert.equal(bind("aa", 1, { machine: "other", now: 5000 }), undefined);
});

test("an address that the machine forms itself is leased only where it does so: SLAAC on, and no range as pool", () => {
  const auto = (autonomous: boolean): Network =>
    ({ ...SMALL, advertise: { autonomous }, dhcp: { pool: { kind: "auto" } } }) as unknown as Network;
  const formed = "2001:db8:0:1:5054:ff:fe00:1";
  assert.equal(new Leases().choose(ask("node", { mac: ONE, network: auto(true) })).address, formed);
  for (const network of [auto(false), { ...SMALL, advertise: { autonomous: true } } as unknown as Network])
    assert.match(new Leases().choose(ask("node", { mac: ONE, network })).address ?? "", /^2001:db8:0:1::[0-9a-f]{4}$/);
  const leases = new Leases();
  take(leases, ask("imported", { network: auto(true), reserved: formed }));
  assert.equal(take(leases, ask("node", { mac: ONE, network: auto(true), now: 5000 })), formed, "though another machine had it");
});

test("a binding outside of its network's prefix is given up", () => {
  const leases = new Leases();
  const had = take(leases, ask("node"));
  const moved = { ...SMALL, prefix: parsePrefix("2001:db8:0:9::/64"), dhcp: { pool: { kind: "auto" } } } as unknown as Network;
  const next = leases.choose(ask("node", { network: moved, now: 1010 })).address ?? "";
  assert.notEqual(next, had);
  assert.match(next, /^2001:db8:0:9::/);
});

test("the same machine hashes to the same prefix after the leases were lost", () => {
  const wide = (machine: string): LeaseRequest => askPrefix(machine, 64);
  const given = Array.from({ length: 10 }, (_, n) => new Leases().choose(wide(`m${n}`)).address);
  assert.deepEqual(
    Array.from({ length: 10 }, (_, n) => new Leases().choose(wide(`m${n}`)).address),
    given,
  );
  assert.ok(new Set(given).size > 5, `${given}`);
});

test("where only a DUID tells a MAC, which may be the other card's, the address is the machine's", () => {
  const leases = new Leases();
  const had = take(leases, ask("node", { mac: ONE, bootClient: true }));
  const system = { duid: "system", mac: TWO, interfaceMac: null, reserved: had };
  assert.equal(take(leases, ask("node", { ...system, now: 1010 })), had);
  assert.equal(leases.byAddress(had)?.mac, undefined);
  assert.equal(take(leases, ask("node", { ...system, interfaceMac: ONE, now: 1020 })), had);
  assert.equal(take(leases, ask("node", { ...system, now: 1030 })), had);
  assert.equal(leases.byAddress(had)?.mac, ONE, "kept while the binding is the same");
});

test("what is stored is what a later one that cannot be stored goes back to, whichever of them is told of first", () => {
  const address = "2001:db8:0:1::1000";
  const put = (leases: Leases, validUntil: number): Lease => {
    const lease: Lease = { address, network: "prov", machine: "node", duid: "node", iaid: 1, state: "bound", since: 0, validUntil };
    leases.put(lease);
    return lease;
  };
  const holds = (steps: (leases: Leases, first: Lease, second: Lease) => void): number | undefined => {
    const leases = new Leases();
    steps(leases, put(leases, 1), put(leases, 2));
    return leases.byAddress(address)?.validUntil;
  };
  const each = {
    "both are stored": holds((leases, first, second) => {
      leases.stored([first]);
      leases.stored([second]);
    }),
    "the second is stored, and with it the first": holds((leases, first, second) => {
      leases.stored([second]);
      leases.takeBack([first]);
    }),
    "the first alone": holds((leases, first, second) => {
      leases.stored([first]);
      leases.takeBack([second]);
    }),
    "the second alone": holds((leases, first, second) => {
      leases.takeBack([first]);
      leases.stored([second]);
    }),
    "neither, the first failed first": holds((leases, first, second) => {
      leases.takeBack([first]);
      leases.takeBack([second]);
    }),
    "neither, the second failed first": holds((leases, first, second) => {
      leases.takeBack([second]);
      leases.takeBack([first]);
    }),
    "both, and then a third that is not": holds((leases, first, second) => {
      leases.stored([first, second]);
      leases.takeBack([put(leases, 3)]);
    }),
    "what is told of twice counts once": holds((leases, first, second) => {
      leases.stored([first, second]);
      leases.takeBack([first, second]);
    }),
  };
  assert.deepEqual(each, {
    "both are stored": 2,
    "the second is stored, and with it the first": 2,
    "the first alone": 1,
    "the second alone": 2,
    "neither, the first failed first": undefined,
    "neither, the second failed first": undefined,
    "both, and then a third that is not": 2,
    "what is told of twice counts once": 2,
  });
});

test("why a machine is not given what is reserved for it is told: who or what has it", () => {
  const reserved = "2001:db8:0:1::aaa";
  const why = (before: (leases: Leases) => void, more: Partial<LeaseRequest> = {}): string => {
    const leases = new Leases();
    before(leases);
    leases.reserve(new Map([[reserved, "node"]]));
    return leases.choose(ask("node", { reserved, ...more })).why;
  };
  const bind = (leases: Leases, machine: string, more: Partial<LeaseRequest> = {}): Lease =>
    leases.bind(reserved, ask(machine, { reserved, ...more }), 100)[0] as Lease;
  const nothing = (): void => {};
  const held = (text: string): RegExp => new RegExp(`; ${reserved} is reserved for it, and ${text}$`);
  assert.doesNotMatch(why(nothing), /; .* is reserved/);
  assert.match(why(nothing, { taken: new Set([reserved]) }), held("another IA of the message has it"));
  assert.match(
    why((leases) => void leases.decline(bind(leases, "node"), 1000)),
    held("it rests, as a client found another host on it"),
  );
  assert.match(
    why((leases) => void bind(leases, "other")),
    held("machine other has it"),
  );
  assert.match(
    why((leases) => void bind(leases, "node", { iaid: 2 })),
    held("another IA of it has it"),
  );
  const [mac, other] = ["52:54:00:00:00:01", "52:54:00:00:00:02"];
  assert.match(
    why((leases) => void bind(leases, "node", { mac, duid: "d" }), { mac: other }),
    held(`its interface ${mac} has it`),
  );
  const offered = (leases: Leases): void => leases.offer(reserved, { machine: "node", interfaceMac: mac, now: 1000 });
  assert.match(why(offered, { mac: other }), held("another of its interfaces is offered it"));
  assert.doesNotMatch(why(offered, { mac: other, now: 1031 }), /; .* is reserved/, "30 s later it is not");
});

test("a name is its machine's while a lease that claims it lasts; of several the first's", () => {
  const leases = new Leases();
  const hostname = "a.rack.example";
  take(leases, ask("one", { hostname }));
  take(leases, ask("two", { hostname, now: 1050 }));
  assert.equal(leases.claimant(hostname, 1060), "one");
  assert.equal(leases.claimant(hostname, 1120), "two", "the first one's is over");
  assert.equal(leases.claimant(hostname, 1200), undefined);
  assert.equal(leases.claimant("b.rack.example", 1060), undefined);
  const before = leases.changes;
  take(leases, ask("two", { hostname: "b.rack.example", now: 1061 }));
  assert.ok(leases.changes > before);
  assert.deepEqual([leases.claimant("b.rack.example", 1062), leases.claimant(hostname, 1120)], ["two", undefined]);
});
