import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { encodeIa, encodeStatus, OptionCode } from "@netboot6/codec";
import { ARCH_NAMES, type HostInterface, loadAppliance, resolveNetworks } from "@netboot6/config";
import { Registry } from "../registry.ts";
import { type AskedFor, explainTo } from "./ask.ts";
import { Explainer } from "./explain.ts";
import { optionsInWords } from "./options.ts";
import { messageOf } from "./question.ts";

const CONFIGURATION = `
domain: rack.example
networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", relays: ["2001:db8:0:2::fe"] }
profiles: { debian: { kernel: debian/linux, cmdline: "disk={{ machine.vars.disk }}" } }
machines: [{ name: node-01, mac: "52:54:00:00:00:01", vars: { disk: /dev/vda } }]
`;
const address = (text: string) => ({ address: text, length: 64, tentative: false, duplicate: false, deprecated: false, permanent: true });
const HOST: HostInterface = {
  name: "prov0",
  index: 2,
  mac: "02:1a:b0:00:00:01",
  mtu: 1500,
  up: true,
  ipv6: true,
  addresses: [address("fe80::1a:b0ff:fe00:1"), address("2001:db8:0:1::1")],
};

async function explainer(t: { after: (f: () => void) => void }, configuration = CONFIGURATION) {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-explain-"));
  t.after(() => rmSync(dir, { recursive: true }));
  mkdirSync(join(dir, "boot-assets/ipxe/x86_64"), { recursive: true });
  writeFileSync(join(dir, "boot-assets/ipxe/x86_64/ipxe.efi"), "");
  writeFileSync(join(dir, "appliance.yaml"), configuration);
  const loaded = await loadAppliance(join(dir, "appliance.yaml"));
  if (!("appliance" in loaded)) throw new Error(loaded.problems.map(({ what }) => what).join());
  const { appliance } = loaded;
  const { networks } = resolveNetworks(appliance, [HOST]);
  const [onLink, relayed] = networks;
  assert.ok(onLink && relayed);
  const place = () => ({ appliance, networks, registry: Registry.inMemory(appliance, networks) });
  return { appliance, onLink, relayed, place, make: () => new Explainer(appliance, networks, Registry.inMemory(appliance, networks)) };
}

const question = { mac: "52:54:00:00:00:01", uuid: null, arch: 16, userClass: null, relay: null };

test("firmware is told its boot program, by the rule that matches; why the others do not is said", async (t) => {
  const { onLink, make } = await explainer(t);
  const { machine, answer, addresses, options, rules } = make().explain(messageOf(question, onLink), "prov0");
  assert.deepEqual([machine, answer, addresses], ["node-01", "Advertise", ["2001:db8:0:1:5054:ff:fe00:1"]]);
  assert.deepEqual(
    options.filter(([name]) => name === "bootfile-url"),
    [["bootfile-url", "http://[2001:db8:0:1::1]/ipxe/x86_64/ipxe.efi"]],
  );
  assert.deepEqual(
    rules.map(({ whyNot }) => whyNot),
    ["its userClass is none", null, "its arch is 16"],
  );
});

test("a relay that is not allowed is told, and a machine behind one that is", async (t) => {
  const { relayed, make } = await explainer(t);
  const refused = make().explain(messageOf({ ...question, relay: "2001:db8::9" }, relayed), null);
  assert.deepEqual([refused.answer, refused.why], [null, ["relay 2001:db8::9 is not among the relays of network rack-2"]]);
  const { machine, why } = make().explain(messageOf(question, relayed), null);
  assert.equal(machine, "node-01");
  assert.ok(why.some((line) => line.includes("configured MAC 52:54:00:00:00:01 of node-01")));
});

test("a board is known by its UUID whichever way its sender writes it", async (t) => {
  const { onLink, make } = await explainer(t);
  const uuid = "4c4c4544-0044-4810-8031-b4c04f4e3732";
  for (const userClass of [null, "iPXE"]) {
    const { machine } = make().explain(messageOf({ ...question, mac: null, uuid, userClass }, onLink), "prov0");
    assert.equal(machine, `m-${uuid}`);
  }
});

test("its script is the one that it would be served; nothing is stored", async (t) => {
  const { appliance, onLink, make } = await explainer(t);
  const explaining = make();
  explaining.explain(messageOf(question, onLink), "prov0");
  const served = await explaining.script("node-01", "2001:db8:0:1:5054:ff:fe00:1");
  assert.equal(served?.profile, "debian");
  assert.match(served.script, /^#!ipxe\n.*kernel http:\/\/\[2001:db8:0:1::1\]\/debian\/linux .*disk=\/dev\/vda/s);
  assert.equal(explaining.advertisement(onLink)?.managed, false);
  const registry = await Registry.open(appliance);
  assert.deepEqual([...registry.machines.all(), ...registry.leases.all()], []);
  await registry.close();
});

test("what is asked is understood as the configuration would be, or refused: nothing is explained of another machine than was meant", async (t) => {
  const { place } = await explainer(t);
  const mac = "52:54:00:00:00:01";
  const ask = (asked: AskedFor) => explainTo(asked, place(), null);
  for (const [asked, why] of [
    [{}, "neither a MAC nor a UUID tells the machine"],
    [{ mac: "52:54" }, "MAC 52:54 is not understood"],
    [{ uuid: "1234" }, "UUID 1234 is not understood"],
    [{ mac, arch: "x99" }, "architecture x99 is not understood"],
    [{ mac, arch: "65536" }, "architecture 65536 is not understood"],
    [{ mac, relay: "10.0.0.1" }, "relay 10.0.0.1 is not understood"],
    [{ mac, network: "rack-3" }, "no network is called rack-3; there are: prov0, rack-2"],
  ] as const)
    await assert.rejects(ask(asked), { name: "QuestionError", message: why });
  for (const arch of ["16", "x64-uefi-http", "X64-UEFI-HTTP"]) {
    const { network, explanations } = await ask({ mac: mac.toUpperCase(), arch });
    assert.deepEqual([network, explanations[0]?.machine, explanations[0]?.rules[1]?.whyNot], ["prov0", "node-01", null]);
  }
  const relayed = await ask({ mac, arch: "16", relay: "2001:db8:0:2::fe" });
  assert.deepEqual([relayed.network, relayed.explanations[0]?.answer, relayed.advertisement], ["rack-2", "Advertise", null]);
  const ipxe = await ask({ mac, arch: "7", userClass: "iPXE" });
  assert.equal(ipxe.explanations[0]?.rules[0]?.whyNot, null);
});

test("of a capture the newest message that is answered with an address has its script shown", async (t) => {
  const { onLink, place } = await explainer(t);
  const other = messageOf({ ...question, mac: "52:54:00:00:00:02" }, onLink);
  const { explanations, served } = await explainTo({}, place(), [other, messageOf(question, onLink)]);
  assert.deepEqual(
    explanations.map(({ machine }) => machine),
    ["m-525400000002", "node-01"],
  );
  assert.match(served?.script ?? "", /disk=\/dev\/vda/);
});

test("a machine behind a relay is asked for by the link-address and the relay that its network names", async (t) => {
  const { relayed } = await explainer(
    t,
    CONFIGURATION.replace('relays: ["2001:db8:0:2::fe"]', 'relays: ["2001:db8:0:2::fe"], linkAddresses: ["2001:db8:ff::1"]'),
  );
  const { bytes, source, destination } = messageOf(question, relayed);
  assert.deepEqual([Buffer.from(bytes.subarray(2, 18)).toString("hex"), source], ["20010db800ff00000000000000000001", "2001:db8:0:2::fe"]);
  assert.equal(destination, "2001:db8:0:1::1");
  const { bytes: plain } = messageOf(question, { ...relayed, linkAddresses: null });
  assert.equal(Buffer.from(plain.subarray(2, 18)).toString("hex"), "20010db8000000020000000000000000");
});

test("firmware of each architecture that boots by HTTP says HTTPClient, all other PXEClient; a system says neither, and no rule is for it", async (t) => {
  const { onLink, make } = await explainer(t);
  const says = (arch: number | null) =>
    /(HTTP|PXE)Client:Arch:\d{5}/.exec(Buffer.from(messageOf({ ...question, arch }, onLink).bytes).toString("latin1"))?.[0];
  for (const [arch, name] of ARCH_NAMES.entries())
    assert.equal(says(arch), `${name.endsWith("-http") ? "HTTP" : "PXE"}Client:Arch:${String(arch).padStart(5, "0")}`);
  assert.equal(says(null), undefined);
  const { answer, rules } = make().explain(messageOf({ ...question, arch: null }, onLink), "prov0");
  assert.deepEqual([answer, rules], ["Advertise", []]);
});

test("where HTTP is off the script is TFTP's; where GRUB is the boot program it is GRUB's", async (t) => {
  for (const [configuration, script] of [
    [`${CONFIGURATION}http: false\n`, /^#!ipxe\n/],
    [CONFIGURATION.replace("{ kernel: debian/linux,", "{ bootProgram: grub, kernel: debian/linux,"), /if linux .\/debian\/linux/],
  ] as const) {
    const { onLink, make } = await explainer(t, configuration);
    const explaining = make();
    const { addresses } = explaining.explain(messageOf(question, onLink), "prov0");
    assert.match((await explaining.script("node-01", addresses[0] ?? ""))?.script ?? "", script);
  }
});

test("options are told by their names, and what is in them in words", () => {
  const u32 = (value: number) => Uint8Array.of(0, 0, value >> 8, value & 0xff);
  const iaNa = encodeIa({ iaid: 1, t1: 2, t2: 3, options: [{ code: OptionCode.statusCode, data: encodeStatus(2, "none left") }] });
  assert.deepEqual(
    optionsInWords([
      { code: OptionCode.iaNa, data: iaNa },
      { code: OptionCode.preference, data: Uint8Array.of(255) },
      { code: OptionCode.solMaxRt, data: u32(3600) },
      { code: 65000, data: Uint8Array.of(1, 0xab) },
    ]),
    [
      ["ia-na", "IAID 1, T1 2 s, T2 3 s; status 2 none left"],
      ["preference", "255"],
      ["sol-max-rt", "3600 s"],
      ["option 65000", "01ab"],
    ],
  );
});
