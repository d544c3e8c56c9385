/** What a rule matches on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Appliance } from "@netboot6/config";
import { type BootAsker, chooseRule, explainRules, type Rule, rulesInForce } from "./rules.ts";

const UUID = "11223344-5566-7788-99aa-bbccddeeff00";
const SWAPPED = "44332211-6655-8877-99aa-bbccddeeff00";

const rule = (criteria: Partial<Rule>): Rule => ({
  userClass: null,
  vendorClass: null,
  arch: null,
  mac: null,
  uuid: null,
  network: null,
  params: [],
  url: "u",
  ...criteria,
});
const asker = ({ facts, ...more }: Partial<Omit<BootAsker, "facts">> & { facts?: Partial<BootAsker["facts"]> }): BootAsker => ({
  facts: { userClasses: [], vendorClass: null, architectures: [], ...facts },
  mac: null,
  uuid: null,
  network: "provisioning",
  bootProgram: "ipxe",
  ...more,
});
/** The chosen rule, and what the explanation says of it, agree. */
function matches(criteria: Partial<Rule>, who: Parameters<typeof asker>[0]): boolean {
  const rules = [rule(criteria)];
  const chosen = chooseRule(rules, asker(who)).rule !== null;
  assert.equal(explainRules(rules, asker(who))[0]?.whyNot === null, chosen);
  return chosen;
}

test("a rule's vendorClass is the beginning of any of the client's vendor classes", () => {
  const sends = (...classes: string[]) => ({ facts: { vendorClass: { classes } } });
  assert.equal(matches({ vendorClass: "HTTPClient" }, sends("HTTPClient:Arch:00016:UNDI:003000")), true);
  assert.equal(matches({ vendorClass: "HTTPClient" }, sends("MSFT 5.0", "HTTPClient:Arch:00016")), true);
  assert.equal(matches({ vendorClass: "HTTPClient" }, sends("PXEClient:Arch:00007:UNDI:003000")), false);
  assert.equal(matches({ vendorClass: "HTTPClient:Arch:00016" }, sends("HTTPClient")), false);
  assert.equal(matches({ vendorClass: "Client" }, sends("HTTPClient")), false);
  assert.equal(matches({ vendorClass: "HTTPClient" }, {}), false);
});

test("a rule's userClass is the whole of one of the client's user classes", () => {
  const sends = (...userClasses: string[]) => ({ facts: { userClasses } });
  assert.equal(matches({ userClass: "iPXE" }, sends("rack-7", "iPXE")), true);
  assert.equal(matches({ userClass: "iPXE" }, sends("iPXE-signed")), false);
  assert.equal(matches({ userClass: "iPXE" }, sends("iPX")), false);
  assert.equal(matches({ userClass: "iPXE" }, sends()), false);
});

test("a rule's uuid is matched in either byte order, and by no other UUID", () => {
  for (const uuid of [UUID, SWAPPED]) {
    assert.equal(matches({ uuid }, { uuid: UUID }), true);
    assert.equal(matches({ uuid }, { uuid: SWAPPED }), true);
    assert.equal(matches({ uuid }, { uuid: "11223344-5566-7788-99aa-bbccddeeff01" }), false);
    assert.equal(matches({ uuid }, { uuid: null }), false);
  }
});

test("a rule's mac and network are those of the interface that asks", () => {
  assert.equal(matches({ mac: "52:54:00:0b:00:01" }, { mac: "52:54:00:0b:00:01" }), true);
  assert.equal(matches({ mac: "52:54:00:0b:00:01" }, { mac: "52:54:00:0b:00:02" }), false);
  assert.equal(matches({ mac: "52:54:00:0b:00:01" }, {}), false);
  assert.equal(matches({ network: "provisioning" }, {}), true);
  assert.equal(matches({ network: "elsewhere" }, {}), false);
});

test("a rule's architectures are of the client's, and a client without any meets none", () => {
  assert.equal(matches({ arch: [7, 9] }, { facts: { architectures: [9] } }), true);
  assert.equal(matches({ arch: [7, 9] }, { facts: { architectures: [11] } }), false);
  assert.equal(matches({ arch: [7, 9] }, {}), false);
  assert.equal(matches({}, {}), true);
});

test("a rule matches where every criterion of it does", () => {
  const both = { vendorClass: "PXEClient", uuid: UUID };
  const facts = { vendorClass: { classes: ["PXEClient:Arch:00007"] } };
  assert.equal(matches(both, { facts, uuid: UUID }), true);
  assert.equal(matches(both, { facts }), false);
  assert.equal(matches(both, { uuid: UUID }), false);
});

test("configured rules take the place of the built-in ones; of each it is said why another was chosen", () => {
  const rules = [rule({ arch: [11] }), rule({ arch: [7] }), rule({ network: "elsewhere" }), rule({})];
  assert.equal(rulesInForce({ boot: { rules }, http: null, tftp: null } as unknown as Appliance), rules);
  const verdicts = explainRules(rules, asker({ facts: { architectures: [7] } }));
  assert.deepEqual(
    verdicts.map(({ whyNot }) => whyNot),
    ["its arch is 7", null, "its network is provisioning", "a rule before it matches"],
  );
});
