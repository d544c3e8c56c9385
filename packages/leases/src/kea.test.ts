import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { readKeaLeases } from "./kea.ts";

// What kea-dhcp6 2.2.0 wrote: three leases, one by DUID-UUID, a delegated prefix, one declined, one released, one renewed.
const file = readFileSync(new URL("./fixtures/kea-leases6.csv", import.meta.url), "utf8");
const WRITTEN = 1795465259;
const HEADER = file.slice(0, file.indexOf("\n"));

test("the leases that kea-dhcp6 wrote; what is left out is counted", () => {
  const { leases, skipped } = readKeaLeases([file], WRITTEN);
  assert.deepEqual(
    leases.map(({ address }) => address),
    ["2001:db8:0:1::1000", "2001:db8:0:1::1001", "2001:db8:0:1::1002", "2001:db8:0:1::1004", "2001:db8:8000::/64"],
  );
  assert.deepEqual(leases[3], {
    address: "2001:db8:0:1::1004",
    duid: "000400112233445566778899aabbccddeeff",
    iaid: 0x52540001,
    since: WRITTEN,
    validUntil: WRITTEN + 4000,
  });
  assert.deepEqual(Object.fromEntries(skipped), {
    declined: 1,
    released: 1,
  });
});

test("the last row of an address holds, across files too", () => {
  const row = (duid: string, expire: number): string => `2001:DB8::1,${duid},100,${expire},1,50,0,5,128,0,0,,02:00:00:00:00:01,0,,1,8`;
  const { leases } = readKeaLeases([`${HEADER}\n${row("00:03:01", 500)}\n`, `${HEADER}\n${row("00:03:02", 600)}\n`], 400);
  assert.deepEqual(leases, [
    { address: "2001:db8::1", duid: "000302", iaid: 5, since: 500, validUntil: 600, relayMac: "02:00:00:00:00:01" },
  ]);
  assert.equal(readKeaLeases([`${HEADER}\n${row("00:03:01", 500)}\n`], 500).leases.length, 0);
});

test("a MAC is evidence of where Kea had it from", () => {
  const evidence = (source: number) =>
    readKeaLeases([`${HEADER}\n2001:db8::1,00:03:01,100,500,1,50,0,5,128,0,0,,02:00:00:00:00:01,0,,1,${source}\n`], 400).leases[0];
  assert.equal(evidence(4)?.peer, "fe80::ff:fe00:1");
  for (const source of [2, 16]) assert.deepEqual([evidence(source)?.peer, evidence(source)?.relayMac], [undefined, undefined]);
});

const ROW = { address: "2001:db8::1", duid: "00:03:01", lifetime: 100, expire: 500, type: 0, iaid: 5, length: 128, hostname: "", state: 0 };

const fileOf = (row: Partial<Record<keyof typeof ROW, string | number>>): string => {
  const { address, duid, lifetime, expire, type, iaid, length, hostname, state } = { ...ROW, ...row };
  return `${HEADER}\n${address},${duid},${lifetime},${expire},1,50,${type},${iaid},${length},0,0,${hostname},,${state},,,\n`;
};

test("what is left out is counted by its true name", () => {
  assert.equal(readKeaLeases([fileOf({})], 400).leases.length, 1);
  const rows: readonly (readonly [Parameters<typeof fileOf>[0], string])[] = [
    [{ type: 1 }, "temporary addresses (IA_TA)"],
    [{ state: 1 }, "declined"],
    [{ state: 2 }, "expired"],
    [{ expire: 400 }, "expired"],
    [{ state: 3 }, "released"],
    [{ lifetime: 0 }, "released"],
    [{ state: 4 }, "registered by clients that formed them themselves (RFC 9686)"],
    [{ state: 5 }, "not readable"],
    [{ state: "" }, "not readable"],
    [{ type: "" }, "not readable"],
    [{ type: 3 }, "not readable"],
    [{ type: 2, length: 64, address: "2001:db8::1" }, "not readable"],
    [{ type: 2, length: "x" }, "not readable"],
    [{ expire: "" }, "not readable"],
    [{ lifetime: "" }, "not readable"],
    [{ iaid: "" }, "not readable"],
    [{ duid: "" }, "not readable"],
    [{ address: "x" }, "not readable"],
  ];
  for (const [row, why] of rows) {
    const { leases, skipped } = readKeaLeases([fileOf(row)], 400);
    assert.deepEqual([leases, ...skipped], [[], [why, 1]], JSON.stringify(row));
  }
});

test("a row that was cut off is not readable, and ends no lease", () => {
  const text = fileOf({});
  for (let end = HEADER.length + 2; end < text.length - 1; end++) {
    const { leases, skipped } = readKeaLeases([text, text.slice(0, end)], 400);
    assert.deepEqual([leases.length, ...skipped], [1, ["not readable", 1]], text.slice(HEADER.length, end));
  }
});

test("the name of a client comes with its lease", () => {
  assert.equal(readKeaLeases([fileOf({ hostname: "Web.rack.example." })], 400).leases[0]?.hostname, "Web.rack.example.");
});

test("another file is refused", () => {
  assert.throws(() => readKeaLeases(["address,hwaddr,client_id\n"], 0), /no column duid.*kea-dhcp6/);
});
