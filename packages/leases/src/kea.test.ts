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
    "expired or released": 1,
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

test("another file is refused; an unreadable row is counted", () => {
  assert.throws(() => readKeaLeases(["address,hwaddr,client_id\n"], 0), /no column duid.*kea-dhcp6/);
  assert.deepEqual([...readKeaLeases([`${HEADER}\nnonsense\n`], 0).skipped], [["not readable", 1]]);
  const typed = (type: number, length: string): string => `2001:db8::1,00:03:01,100,500,1,50,${type},5,${length},0,0,,,0,,,`;
  for (const [row, why] of [
    [typed(1, "128"), "temporary addresses (IA_TA)"],
    [typed(2, "64"), "not readable"],
    [typed(2, "x"), "not readable"],
  ] as const)
    assert.deepEqual([...readKeaLeases([`${HEADER}\n${row}\n`], 400).skipped], [[why, 1]]);
});
