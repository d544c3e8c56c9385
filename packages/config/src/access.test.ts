import assert from "node:assert/strict";
import { test } from "node:test";
import { prefixOf } from "@netboot6/codec";
import { accessList } from "./access.ts";
import type { Network } from "./appliance.ts";

const networks = [
  { prefix: prefixOf("2001:db8:0:1::", 64), link: { name: "eth1" } },
  { prefix: prefixOf("2001:db8:0:2::", 64), link: null },
] as unknown as Network[];

test("the networks may ask: from their prefixes, and from link-local addresses on their interfaces alone", () => {
  const allowed = accessList("networks", networks);
  for (const client of ["2001:db8:0:1::5", "2001:db8:0:2:ffff::1", "fe80::1%eth1", "febf:ffff::1%eth1", "::1"])
    assert.ok(allowed(client), client);
  for (const client of ["fe80::1%eth0", "fe80::1%eth10", "fe80::1", "fe80::1%", "2001:db8:0:3::1", "fec0::1%eth1", "::"])
    assert.ok(!allowed(client), client);
});

test("a list of prefixes stands for itself: link-local addresses too, wherever they are", () => {
  const allowed = accessList([prefixOf("fe80::", 64), prefixOf("2001:db8:5::", 48)], networks);
  for (const client of ["fe80::1%eth0", "2001:db8:5::1"]) assert.ok(allowed(client), client);
  for (const client of ["2001:db8:0:1::5", "::1", "fe80:1::1%eth1"]) assert.ok(!allowed(client), client);
});
