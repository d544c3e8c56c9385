import assert from "node:assert/strict";
import { test } from "node:test";
import type { AdvertiseConfig, Link } from "@netboot6/config";
import type { Found } from "@netboot6/ra";
import { judgeRouting } from "./host-checks.ts";

const link: Link = { name: "eth1", index: 2, mac: "02:1a:b0:00:00:01", mtu: 1500, linkLocal: "fe80::1" };

/** What is found where `advertise` has this router lifetime, or is false or `observe`. */
function judge(advertise: number | "auto" | "observe" | false, forwarding: boolean, found: Found): string[] {
  const settings = advertise === false ? null : advertise === "observe" ? advertise : ({ routerLifetime: advertise } as AdvertiseConfig);
  const findings = judgeRouting({ link, advertise: settings, path: ["networks", 1], forwarding }, found);
  return findings.map(({ id, path, severity }) => `${severity} ${id} ${path.join(".")}`);
}

test("a link without a router is warned of, whatever the reason for which this host is none, and where the reason stands", () => {
  for (const forwarding of [false, true]) {
    assert.deepEqual(judge(false, forwarding, false), ["warning no-router networks.1.advertise"]);
    assert.deepEqual(judge("observe", forwarding, false), ["warning no-router networks.1.advertise"]);
    assert.deepEqual(judge(0, forwarding, false), ["warning no-router networks.1.advertise.routerLifetime"]);
    for (const advertise of [false, "observe", 0] as const) assert.deepEqual(judge(advertise, forwarding, true), []);
  }
  assert.deepEqual(judge("auto", false, false), ["warning no-router networks.1"]);
  assert.deepEqual(judge("auto", false, true), []);
});

test("it is said where nobody can tell whether there is a router", () => {
  const found = { why: "Operation not permitted" };
  assert.deepEqual(judge("auto", false, found), ["warning router-unknown networks.1"]);
  const [finding] = judgeRouting({ link, advertise: "observe", path: ["networks", 0], forwarding: false }, found);
  assert.match(`${finding?.what} ${finding?.mend}`, /eth1.*Operation not permitted.*root.*10 s/);
});

test("a router lifetime above 0 on a host that does not forward is warned of; a router that forwards is none to warn of", () => {
  for (const found of [true, false]) {
    assert.deepEqual(judge(1800, false, found), ["warning router-that-does-not-forward networks.1.advertise.routerLifetime"]);
    assert.deepEqual(judge(1800, true, found), []);
    assert.deepEqual(judge("auto", true, found), []);
  }
});

test("the warnings name the cost", () => {
  const [none] = judgeRouting({ link, advertise: null, path: [], forwarding: false }, false);
  assert.match(none?.what ?? "", /no router answers on eth1.*nothing beyond the link.*UEFI HTTP boot waits about 10 s/);
  const advertise = { routerLifetime: 1800 } as AdvertiseConfig;
  const [dead] = judgeRouting({ link, advertise, path: [], forwarding: false }, false);
  assert.match(dead?.what ?? "", /does not forward IPv6: nothing beyond the link answers/);
});
