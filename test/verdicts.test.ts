/** Faults staged with simulated machines: what the appliance says of each, and that its API says the same. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { encodeIa, encodeMessage, MessageType, OptionCode } from "@netboot6/codec";
import { type Appliance, type LogLine, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { bootAssets, makeVlan, startAppliance } from "./setup.ts";

const MACHINE = (n: number) => ({
  name: `n${n}`,
  mac: `52:54:00:0c:00:0${n}`,
  uuid: `11223344-5566-7788-99aa-bbccddeeff0${n}`,
});

/** An iPXE and what else is put under boot-assets, by path. */
async function assets(vlan: ProvisioningVlan, files: Readonly<Record<string, string>>, ipxe = true): Promise<void> {
  const root = join(vlan.dir, "boot-assets");
  const programs = await bootAssets();
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  if (ipxe) copyFileSync(join(programs, "ipxe/x86_64/ipxe.efi"), join(root, "ipxe/x86_64/ipxe.efi"));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

interface Said {
  readonly rule: string;
  readonly text: string;
  readonly mend: string;
}

/** The verdict as the log tells it and the API gives it. */
async function verdict(appliance: Appliance, machine: string, rule: string, within = 20, from = 0): Promise<string> {
  const line = await appliance.waitFor(
    (each) => each.event === "machine.stuck" && each.machine === machine && each.rule === rule,
    within,
    from,
  );
  const { verdict: told } = await appliance.get<{ verdict: Said }>(`/machines/${machine}/timeline`);
  assert.equal(told.rule, rule);
  assert.equal(line.msg, `stands still: ${line.text} ${line.mend}`);
  return `${told.text} ${told.mend}`;
}

const rack = (vlan: ProvisioningVlan, ...machines: number[]): SimulatedRack => new SimulatedRack(vlan, { machines: machines.map(MACHINE) });

test("files that are missing, templates that are wrong, a profile that waits: each machine is told its own", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {
    "debian12/linux": "kernel",
    "broken.ipxe": "#!ipxe\necho {{ machine.vars.nothing }}\n",
  });
  const profile = (name: string, rest: string): string => `  ${name}: { ${rest} }\n`;
  const machine = (n: number, name: string): string => `  - { name: n${n}, mac: "${MACHINE(n).mac}", profile: ${name} }\n`;
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
profiles:
${profile("kernel", "kernel: debian-12/linux")}${profile("initrd", "kernel: debian12/linux, initrd: [debian12/initrd.gz]")}${profile("template", "script: broken.ipxe")}${profile("waits", "poll: 30s")}${profile("answers", 'kernel: debian12/linux, cmdline: "preseed/url={{ http }}/none.cfg"')}machines:
${machine(1, "kernel")}${machine(2, "initrd")}${machine(3, "template")}${machine(4, "waits")}${machine(5, "answers")}`,
  });
  rack(vlan, 1, 2, 3, 4, 5);
  assert.match(
    await verdict(appliance, "n1", "kernel-missing"),
    /\/debian-12\/linux.*no such file under boot-assets\. Did you mean debian12\/linux\?/,
  );
  assert.match(await verdict(appliance, "n2", "initrd-missing"), /\/debian12\/initrd\.gz.*no such file under boot-assets/);
  assert.match(await verdict(appliance, "n3", "template-error"), /broken\.ipxe:2:\d+: .*nothing/);
  assert.match(await verdict(appliance, "n4", "profile-waits"), /its profile waits keeps it waiting/);
  assert.match(await verdict(appliance, "n5", "answers-missing"), /the installer asked for \/none\.cfg: no such file/);
});

test("no boot program for its architecture; then a rule that names one that is not there; then an access list that leaves it out", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {}, false);
  const settings = "networks: [{ interface: prov0 }]\n";
  const appliance = await startAppliance(t, vlan, { configuration: settings });
  rack(vlan, 1);
  assert.match(await verdict(appliance, "m-5254000c0001", "no-boot-file"), /no boot rule for architecture 16.*netboot6 assets add ipxe/);
  const become = async (configuration: string): Promise<number> => {
    writeFileSync(appliance.file, configuration);
    const from = appliance.lines.length;
    appliance.signal("SIGHUP");
    await appliance.waitFor((line) => line.event === "appliance.reloaded", 10, from);
    return from;
  };
  const rule = 'boot: { rules: [{ url: "{{ http }}/ipxe/none.efi" }] }\n';
  await become(settings + rule);
  rack(vlan, 2);
  assert.match(await verdict(appliance, "m-5254000c0002", "program-missing"), /firmware asked for \/ipxe\/none\.efi: no such file/);
  await become(`${settings}${rule}http: { allow: ["2001:db8:9::/64"] }\n`);
  rack(vlan, 3);
  assert.match(await verdict(appliance, "m-5254000c0003", "not-allowed"), /was refused: .*Add its prefix to http\.allow/);
});

test("a pool that is full, and a network that leases nothing", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const network = (pool: string): string => `networks: [{ interface: prov0, advertise: { autonomous: false }, dhcp: { pool: ${pool} } }]\n`;
  const appliance = await startAppliance(t, vlan, { configuration: network('"2001:db8:0:1::1000-2001:db8:0:1::1000"') });
  await rack(vlan, 1).exit;
  rack(vlan, 2, 3);
  const full = await appliance.waitFor((line) => line.event === "machine.stuck" && line.rule === "pool-full", 20);
  assert.match(full.msg, /the pool of network prov0 is full\. Make dhcp\.pool larger/);
  writeFileSync(appliance.file, network("none"));
  appliance.signal("SIGHUP");
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 10);
  rack(vlan, 4);
  assert.match(
    await verdict(appliance, "m-5254000c0004", "no-addresses-leased"),
    /leases no addresses\. UEFI boots with a leased address only/,
  );
});

test("a relay whose link-address belongs to no network, and one that may not relay", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", relays: ["2001:db8:0:1::fe"] }\n`,
  });
  const agent = vlan.client("agent");
  agent.up();
  agent.namespace.ip("addr add 2001:db8:0:1::99/64 dev eth0");
  const solicit = encodeMessage({
    type: MessageType.solicit,
    transactionId: 1,
    options: [
      { code: OptionCode.clientId, data: Buffer.from("000300015254000c0001", "hex") },
      { code: OptionCode.iaNa, data: encodeIa({ iaid: 1, t1: 0, t2: 0, options: [] }) },
    ],
  });
  const relay = async (linkAddress: string, peerAddress: string): Promise<void> => {
    const options = [{ code: OptionCode.relayMessage, data: solicit }];
    const bytes = encodeMessage({ type: MessageType.relayForward, hopCount: 0, linkAddress, peerAddress, options });
    const program = `const s = require("node:dgram").createSocket("udp6");
      s.send(Buffer.from("${Buffer.from(bytes).toString("hex")}", "hex"), 547, "2001:db8:0:1::1", () => s.close());`;
    assert.equal((await agent.namespace.exec([process.execPath, "-e", program])).code, 0);
  };
  await relay("2001:db8:0:7::fe", "fe80::5054:ff:fe0c:1");
  const line = await appliance.waitFor((each) => each.rule === "not-served" && each.machine === "m-5254000c0001", 10);
  assert.match(line.msg, /the relay's link-address 2001:db8:0:7::fe belongs to no network\. Add a relayed network/);
  await relay("2001:db8:0:2::fe", "fe80::5054:ff:fe0c:2");
  const refused = await appliance.waitFor((each) => each.rule === "not-served" && each.machine === "m-5254000c0002", 10);
  assert.match(refused.msg, /relay 2001:db8:0:1::99 is not among the relays of network rack-2\. Add the relay to `relays`/);
});

test("a machine that boots again and again is stopped by its script", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, { "debian12/linux": "kernel" });
  const appliance = await startAppliance(t, vlan, {
    configuration: "networks: [{ interface: prov0 }]\nprofiles: { debian: { kernel: debian12/linux, initrd: [debian12/none.gz] } }\n",
  });
  const asks = (path: string) => (line: LogLine) =>
    (line.event === "machine.rendered" || line.event === "http.finished") && line.path === path;
  for (let boot = 1; boot <= 3; boot++) {
    const from = appliance.lines.length;
    const running = rack(vlan, 1);
    await appliance.waitFor(asks("/debian12/none.gz"), 20, from);
    await running.stop();
  }
  const from = appliance.lines.length;
  const last = rack(vlan, 1);
  await appliance.waitFor(asks("/boot.ipxe"), 20, from);
  // The simulated iPXE does not sleep: stopped, it comes back for its script at once, and asks for no kernel.
  await appliance.waitFor(asks("/boot.ipxe"), 20, appliance.lines.length);
  assert.equal(appliance.lines.slice(from).find(asks("/debian12/linux")), undefined);
  await last.stop();
});
