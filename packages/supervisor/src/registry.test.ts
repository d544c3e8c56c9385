/** What an operator does to a machine: each holds at once, and after a restart. */
import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { test } from "node:test";
import type { BootState } from "@netboot6/boot";
import { prefixOf } from "@netboot6/codec";
import { type Appliance, loadAppliance, type MachineConfig, type Network } from "@netboot6/config";
import type { EventBody } from "@netboot6/events";
import type { Lease } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import { readStored } from "@netboot6/store";
import { Registry } from "./registry.ts";

const CONFIGURATION = `
networks: [{ name: prov, interface: lo, prefix: "2001:db8:0:1::/64", address: "2001:db8:0:1::1" }]
profiles:
  debian: { kernel: linux, once: true }
  rescue: { kernel: rescue }
  always: { kernel: linux, once: false }
  mine: { script: mine.ipxe }
  local: { disk: true }
  pause: { poll: 30s }
defaultProfile: debian
machines: [{ name: node-01, mac: "52:54:00:00:00:01", vars: { root_password: geheim } }]
`;

async function appliance(t: { after: (f: () => void) => void }): Promise<Appliance> {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-registry-"));
  t.after(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "appliance.yaml"), CONFIGURATION);
  const loaded = await loadAppliance(join(dir, "appliance.yaml"));
  if (!("appliance" in loaded)) throw new Error(loaded.problems.map(({ what }) => what).join());
  return loaded.appliance;
}

test("a profile that an operator chose is kept; one that is not there is refused, and a machine too", async (t) => {
  const settings = await appliance(t);
  const first = await Registry.open(settings);
  first.machines.identify({ relayMac: "52:54:00:00:00:01" }, 1);
  assert.equal(await first.chooseProfile("node-01", "resque"), "no such profile");
  assert.equal(await first.chooseProfile("node-02", "rescue"), "no such machine");
  await first.chooseProfile("node-01", "rescue");
  await first.close();
  const second = await Registry.open(settings);
  assert.equal(second.machines.byId("node-01")?.profile, "rescue");
  await second.chooseProfile("node-01", null);
  assert.equal(second.machines.byId("node-01")?.profile, null);
  await second.close();
});

test("a machine that reported done boots its profile again where an operator says so", async (t) => {
  const settings = await appliance(t);
  const registry = await Registry.open(settings);
  registry.machines.identify({ relayMac: "52:54:00:00:00:01" }, 1);
  registry.machines.setBoot("node-01", "installed", 2);
  assert.equal((await registry.bootAgain("node-01"))?.boot.stage, "new");
  assert.equal(await registry.bootAgain("node-02"), undefined);
  await registry.close();
  const second = await Registry.open(settings);
  assert.equal(second.machines.byId("node-01")?.boot.stage, "new", "after a restart, too");
  await second.close();
});

const MAC_1 = "52:54:00:00:00:01";
const MAC_2 = "52:54:00:00:00:02";
const UUID_1 = "11223344-5566-7788-99aa-bbccddeeff01";
const UUID_2 = "11223344-5566-7788-99aa-bbccddeeff02";

/** The address that node-01 forms itself. */
const ITSELF = "2001:db8:0:1:5054:ff:fe00:1";

/** On a link whose neighbour table is `neighbours`. */
async function onLink(t: { after: (f: () => void) => void }, neighbours: Readonly<Record<string, string>> = {}, again?: Appliance) {
  const settings = again ?? (await appliance(t));
  const registry = await Registry.open(settings);
  const link = { name: "lo", index: 1, mac: "02:1a:b0:00:00:01", mtu: 1500, linkLocal: "fe80::1" };
  const networks = settings.networks.map((network) => ({ ...network, link }) as Network);
  registry.configure(settings, networks);
  registry.neighbourOf = async (address) => neighbours[address] ?? null;
  const ask = async (path: string, client: string, claims = {}): Promise<BootState> =>
    (await registry.answer({ ask: "machine", path, client, claims }, () => {})) as BootState;
  /** Firmware of a machine, as it speaks DHCPv6. */
  const meet = (mac: string, uuid: string): string =>
    registry.machines.identify({ relayMac: mac, duid: `0004${uuid.replaceAll("-", "")}`, uuidOrder: "text" }, 1)?.machine.id ?? "";
  return { registry, ask, meet, settings, networks };
}

test("an installation begins with the script that a machine boots, and with what a boot rule names; not with what leads to it", async (t) => {
  const { registry, ask, meet, settings, networks } = await onLink(t);
  const any = { userClass: null, vendorClass: null, arch: null, mac: null, uuid: null, network: null, params: [] };
  registry.configure({ ...settings, boot: { ...settings.boot, rules: [{ ...any, url: "{{ http }}/own/os.ks" }] } }, networks);
  meet(MAC_1, UUID_1);
  const becomes = async (profile: string, stage: Machine["boot"]["stage"], path: string): Promise<string | undefined> => {
    await registry.chooseProfile("node-01", profile);
    registry.machines.setBoot("node-01", stage, 2);
    await ask(path, ITSELF);
    return registry.machines.byId("node-01")?.boot.stage;
  };
  for (const path of ["/boot.ipxe", "/grub/grub.cfg", "/preseed/a.cfg"])
    assert.equal(await becomes("debian", "new", path), "installing", path);
  for (const profile of ["mine", "always"]) assert.equal(await becomes(profile, "new", "/boot.ipxe"), "installing", profile);
  for (const profile of ["pause", "local"]) assert.equal(await becomes(profile, "new", "/boot.ipxe"), "new", profile);
  for (const path of ["/autoexec.ipxe", "/ipxe/autoexec.ipxe"]) assert.equal(await becomes("debian", "new", path), "new", path);
  assert.equal(await becomes("pause", "new", "/own/os.ks"), "installing", "whatever the profile says");
  for (const path of ["/boot.ipxe", "/grub/grub.cfg", "/own.ipxe", "/own/os.ks"])
    assert.equal(await becomes("always", "installed", path), "installing", path);
  for (const [profile, path] of [
    ["debian", "/boot.ipxe"],
    ["always", "/preseed/a.cfg"],
  ] as const)
    assert.equal(await becomes(profile, "installed", path), "installed", path);
  await becomes("debian", "installing", "/boot.ipxe");
  assert.equal(registry.machines.byId("node-01")?.boot.since, 2, "it goes on");
  await registry.close();
});

test("a machine reports done by the URL of its installation, also after a restart, and boots its disk from then on", async (t) => {
  const first = await onLink(t);
  first.meet(MAC_1, UUID_1);
  const { done } = (await first.ask("/boot.ipxe", ITSELF)).values;
  await first.registry.close();
  const second = await onLink(t, {}, first.settings);
  assert.equal((await second.ask("/preseed/a.cfg", ITSELF)).values.done, done);
  const events: EventBody[] = [];
  const report = (token: string) => second.registry.answer({ ask: "done", token, client: ITSELF }, (event) => events.push(event));
  assert.equal(await report("0".repeat(32)), false);
  assert.deepEqual(events, []);
  assert.equal(await report((done ?? "").slice(-32)), true);
  assert.deepEqual(events, [{ type: "machine.done", profile: "debian", client: ITSELF, machine: "node-01" }]);
  await second.registry.close();
  const { registry, ask } = await onLink(t, {}, first.settings);
  const boots = async (profile: string): Promise<"disk" | "profile"> => {
    await registry.chooseProfile("node-01", profile);
    return (await ask("/boot.ipxe", ITSELF)).installed ? "disk" : "profile";
  };
  assert.equal(await boots("debian"), "disk");
  assert.equal(await boots("mine"), "disk");
  assert.equal(await boots("always"), "profile", "it is not to be installed once");
  await registry.close();
});

test("who asks is known by its address alone where that tells it, else by the host's neighbour table", async (t) => {
  const lookedUp: string[] = [];
  const { registry, ask, meet, settings, networks } = await onLink(t);
  await assert.rejects(async () => {
    registry.configure(settings, []);
    await ask("/boot.ipxe", ITSELF);
  }, /no network is ready yet/);
  const far = { ...(networks[0] as Network), name: "far", prefix: prefixOf("2001:db8:0:2::", 64), address: "2001:db8:0:2::1" };
  registry.neighbourOf = async (address) => {
    lookedUp.push(address);
    return address === "2001:db8:0:1:5054:ff:fe00:8" ? "52:54:00:00:00:09" : null;
  };
  registry.configure(settings, networks);
  assert.deepEqual(registry.whoIs({ client: "fe80::77" }), { network: "prov" }, "there is no other link");
  registry.configure(settings, [...networks, far]);
  assert.deepEqual(registry.whoIs({ client: "fe80::77" }), {}, "of either link");
  assert.deepEqual(registry.whoIs({ client: "2001:db8:0:2::77" }), { network: "far" });
  const machine = meet(MAC_1, UUID_1);
  registry.leases.put({ ...LEASE, address: "2001:db8:0:1::1000" });
  registry.leases.put({ ...LEASE, address: "2001:db8:0:1::1001", state: "declined" });
  for (const client of [ITSELF, "2001:db8:0:1::1000"]) assert.equal((await ask("/preseed/a.cfg", client)).machine, machine, client);
  assert.deepEqual(lookedUp, []);
  assert.deepEqual(registry.whoIs({ client: "2001:db8:0:1::77", mac: MAC_1 }), { machine, network: "prov" });
  assert.equal((await ask("/preseed/a.cfg", "2001:db8:0:1::1001")).machine, null, "whoever has a declined address is not its client");
  assert.equal((await ask("/preseed/a.cfg", "2001:db8:0:1:5054:ff:fe00:8")).machine, "m-525400000009", "its MAC, not the one it shows");
  assert.equal((await ask("/preseed/a.cfg", "2001:db8:0:1:5054:ff:fe00:b")).machine, "m-52540000000b", "the one it shows, if no other");
  const there = await ask("/preseed/a.cfg", "2001:db8:0:2:5054:ff:fe00:1");
  assert.deepEqual([there.machine, there.network, there.values.network.address], [machine, "far", "2001:db8:0:2::1"]);
  await registry.close();
});

test("the address that a template names is the one that the machine leases where it asks, else the one that it asks from", async (t) => {
  const { registry, ask, meet } = await onLink(t);
  meet(MAC_1, UUID_1);
  const named = async (): Promise<string> => (await ask("/preseed/a.cfg", ITSELF)).values.machine.address;
  registry.leases.put({ ...LEASE, address: "2001:db8:0:1::10", state: "released" });
  registry.leases.put({ ...LEASE, address: "2001:db8:0:2::10", network: "far" });
  registry.leases.put({ ...LEASE, address: "2001:db8:0:100::/56" });
  assert.equal(await named(), ITSELF);
  registry.leases.put({ ...LEASE, address: "2001:db8:0:1::11" });
  assert.equal(await named(), "2001:db8:0:1::11");
  await registry.close();
});

test("a machine that boots again and again is stopped where its profile installs something, until an operator lets it go on", async (t) => {
  const { registry, ask, meet } = await onLink(t);
  meet(MAC_1, UUID_1);
  registry.loopOf = (_, since) => (since === 0 ? "it began 3 boots" : null);
  const stopped = async (profile: string): Promise<string | null> => {
    await registry.chooseProfile("node-01", profile);
    return (await ask("/boot.ipxe", ITSELF)).stopped;
  };
  for (const profile of ["debian", "mine"]) assert.equal(await stopped(profile), "it began 3 boots", profile);
  for (const profile of ["pause", "local"]) assert.equal(await stopped(profile), null, profile);
  await registry.bootAgain("node-01");
  assert.equal(await stopped("debian"), null);
  await registry.close();
});

test("a claim is believed where nothing contradicts it: neither its other half nor the neighbour table", async (t) => {
  const at = "2001:db8:0:1::77";
  const { registry, ask, meet } = await onLink(t, { "2001:db8:0:1::78": MAC_2 });
  const other = meet(MAC_2, UUID_2);
  const both = await ask("/boot.ipxe", at, { mac: MAC_1, uuid: UUID_2 });
  assert.equal(both.machine, null, "the configuration names the one, the other was met");
  meet(MAC_1, UUID_1);
  for (const claims of [{ mac: MAC_1 }, { uuid: UUID_1 }, { mac: MAC_1, uuid: UUID_1 }, { mac: MAC_1, uuid: "another board's" }])
    assert.equal((await ask("/boot.ipxe", at, claims)).machine, "node-01", JSON.stringify(claims));
  const mixed = await ask("/boot.ipxe", at, { mac: MAC_1, uuid: UUID_2 });
  assert.equal(mixed.machine, null);
  assert.match(mixed.why, /^nobody is known at 2001:db8:0:1::77: \?mac= names node-01 and \?uuid= names m-525400000002; /);
  assert.equal((await ask("/boot.ipxe", "2001:db8:0:1::78", { mac: MAC_1, uuid: UUID_1 })).machine, other);
  await registry.close();
});

test("a lease that is over makes nobody its machine where the neighbour table has another's MAC; one that is held does", async (t) => {
  const at = "2001:db8:0:1::1000";
  const neighbours: Record<string, string> = {};
  const { registry, ask, meet } = await onLink(t, neighbours);
  const machine = meet(MAC_1, UUID_1);
  const other = meet(MAC_2, UUID_2);
  const lease = { address: at, network: "prov", machine, duid: "00", iaid: 1, since: 1 };
  const asked = async (state: "bound" | "released", validUntil: number, mac?: string): Promise<BootState> => {
    registry.leases.put({ ...lease, state, validUntil });
    delete neighbours[at];
    if (mac !== undefined) neighbours[at] = mac;
    return ask("/boot.ipxe", at);
  };
  assert.equal((await asked("bound", 4e9, MAC_2)).machine, machine, "it is its while it is held");
  for (const [state, until] of [
    ["released", 4e9],
    ["bound", 2],
  ] as const) {
    assert.equal((await asked(state, until)).machine, machine, "nothing contradicts it");
    const itself = await asked(state, until, MAC_1);
    assert.equal(itself.values.machine.vars.root_password, "geheim", "iPXE goes on with the address that firmware released");
    assert.equal((await asked(state, until, MAC_2)).machine, other);
    assert.equal((await asked(state, until, "52:54:00:00:00:09")).machine, "m-525400000009", "nobody's that was met");
  }
  const unmet = registry.machines.identify({ duid: "0002000000099999" }, 1)?.machine.id ?? "";
  registry.leases.put({ ...lease, machine: unmet, state: "released", validUntil: 4e9 });
  neighbours[at] = "52:54:00:00:00:0a";
  assert.equal((await ask("/boot.ipxe", at)).machine, unmet, "no MAC of its is known that this one could contradict");
  for (const duid of ["00030001525400000011", "00030001525400000012"])
    registry.machines.identify({ peer: "fe80::5054:ff:fe00:2", duid }, Date.now());
  assert.equal((await asked("released", 4e9, MAC_2)).machine, machine, "several machines speak by that MAC, it may be among them");
  await registry.close();
});

test("iPXE that loaded itself again and again is stopped by its script, unless it boots its disk, until an operator lets it go on", async (t) => {
  const { registry, ask, meet } = await onLink(t);
  meet(MAC_1, UUID_1);
  registry.programLoopOf = (_, since) => (since === 0 ? { path: "/ipxe.efi", why: "it loaded itself" } : null);
  const stopped = async (): Promise<string | null> => (await ask("/boot.ipxe", ITSELF)).stopped;
  assert.equal(await stopped(), "it loaded itself");
  assert.equal(registry.machines.byId("node-01")?.boot.stage, "new", "it begins no installation");
  assert.equal(registry.copy().programLoop("node-01")?.why, "it loaded itself");
  await registry.chooseProfile("node-01", "pause");
  assert.equal(await stopped(), "it loaded itself");
  await registry.chooseProfile("node-01", "local");
  assert.equal(await stopped(), null);
  await registry.chooseProfile("node-01", null);
  registry.machines.setBoot("node-01", "installed", 2);
  assert.equal(await stopped(), null);
  await registry.bootAgain("node-01");
  assert.equal(await stopped(), null);
  await registry.close();
});

test("secrets go to the machine itself while it installs: not for a claim, not before it begins, not once it is done", async (t) => {
  const { registry, ask } = await onLink(t);
  const claim = { mac: "52:54:00:00:00:01" };

  const claimed = await ask("/boot.ipxe", "2001:db8:0:1::77", claim);
  assert.equal(claimed.machine, "node-01");
  assert.equal(registry.machines.byId("node-01")?.boot.stage, "new", "a claim begins nothing");
  assert.equal(claimed.values.machine.vars.root_password, undefined);

  const installing = await ask("/boot.ipxe", ITSELF);
  assert.equal(installing.values.machine.vars.root_password, "geheim");
  assert.match(installing.values.done ?? "", /\/done\/[0-9a-f]{32}$/);
  const shown = await registry.copy().answer({ ask: "machine", path: "/boot.ipxe", client: ITSELF, claims: {} }, () => {});
  assert.deepEqual((shown as BootState).values.machine.vars, { root_password: "***" }, "what an operator is shown");
  const other = await ask("/preseed/a.cfg", "2001:db8:0:1::77", { ...claim, uuid: "x" });
  assert.deepEqual(other.values.withheld, {
    names: ["machine.vars.root_password", "done"],
    why: "only ?mac= or ?uuid= says that it is node-01 who asks",
  });
  assert.doesNotMatch(JSON.stringify(other), /geheim|\/done\//);

  await registry.chooseProfile("node-01", "local");
  assert.equal((await ask("/preseed/a.cfg", ITSELF)).values.withheld?.why, "the profile of node-01 boots its disk");
  await registry.chooseProfile("node-01", "pause");
  assert.equal((await ask("/preseed/a.cfg", ITSELF)).values.withheld?.why, "the profile of node-01 waits");
  await registry.chooseProfile("node-01", null);

  registry.machines.setBoot("node-01", "installed", 2);
  const done = await ask("/preseed/a.cfg", ITSELF);
  assert.equal(done.values.withheld?.why, "node-01 is not installing");
  assert.equal(registry.machines.byId("node-01")?.boot.stage, "installed", "whoever asks for its answers begins no installation");
  assert.doesNotMatch(JSON.stringify(done), /geheim/);
  await registry.close();
});

test("a machine that is forgotten is not there after a restart, and its leases are released; a configured one stays", async (t) => {
  const settings = await appliance(t);
  const first = await Registry.open(settings);
  const identified = first.machines.identify({ relayMac: "52:54:00:00:00:02" }, 1);
  assert.ok(identified);
  await first.storeMachine(identified.machine);
  const { id: machine } = identified.machine;
  const address = "2001:db8:0:1:5054:ff:fe00:2";
  const lease = { address, network: "prov", machine, duid: "00", iaid: 1, state: "bound", validUntil: 4e9, since: 1 } as const;
  first.leases.put(lease);
  await first.storeLeases([lease]);
  assert.equal(await first.forget("node-01"), "no such machine", "it was not met yet");
  first.machines.identify({ relayMac: "52:54:00:00:00:01" }, 1);
  assert.equal(await first.forget("node-01"), "the configuration names it");
  const forgotten: string[] = [];
  first.forgetBoots = (id) => forgotten.push(id);
  assert.equal(await first.forget(machine), "forgotten");
  assert.deepEqual(forgotten, [machine]);
  assert.equal(first.machines.byMac("52:54:00:00:00:02"), undefined);
  await first.close();
  const second = await Registry.open(settings);
  assert.equal(second.machines.byId(machine), undefined);
  assert.equal(second.leases.byAddress(address)?.state, "released");
  await second.close();
});

test("a lease that an operator releases, and the name that a machine is given, are kept over a restart", async (t) => {
  const settings = await appliance(t);
  const first = await Registry.open(settings);
  const met = first.machines.identify({ relayMac: MAC_2 }, 1)?.machine as Machine;
  await first.storeMachine(met);
  const lease = { ...LEASE, address: "2001:db8:0:1::10", machine: met.id };
  first.leases.put(lease);
  await first.storeLeases([lease]);
  const [named] = settings.machines;
  first.configure({ ...settings, machines: [{ ...(named as MachineConfig), name: "node-02", macs: [MAC_2] }] }, []);
  assert.equal((await first.releaseLease(lease.address))?.state, "released");
  assert.equal(await first.releaseLease(lease.address), undefined, "it is released");
  await first.close();
  const second = await Registry.open(settings);
  assert.equal(second.machines.byId(met.id), undefined);
  assert.deepEqual(second.machines.byId("node-02")?.macs, [MAC_2]);
  const { machine, state } = second.leases.byAddress(lease.address) ?? {};
  assert.deepEqual([machine, state], ["node-02", "released"]);
  await second.close();
});

test("the server's DUID is the same at each start, and a new one where it was damaged", async (t) => {
  const settings = await appliance(t);
  const duid = async (): Promise<string> => {
    const registry = await Registry.open(settings);
    await registry.close();
    return Buffer.from(registry.serverDuid).toString("hex");
  };
  const first = await duid();
  assert.match(first, /^0004[0-9a-f]{32}$/);
  assert.equal(await duid(), first);
  damage(settings, "serverDuid", '"none"');
  const second = await duid();
  assert.match(second, /^0004[0-9a-f]{32}$/);
  assert.notEqual(second, first);
});

const STRANGER: Lease = {
  address: "2001:db8:0:1::77",
  network: "prov",
  machine: "m-525400000077",
  duid: "00010001313cda0a525400000077",
  iaid: 1,
  state: "bound",
  validUntil: 4_000_000_000,
  since: 1000,
};

/** A machine that was met by its DUID, and what is stored of it once it has that lease. */
async function stranger(t: { after: (f: () => void) => void }) {
  const settings = await appliance(t);
  const registry = await Registry.open(settings);
  const meet = (): Machine => {
    const identified = registry.machines.identify({ duid: STRANGER.duid }, 1_000_500);
    registry.rememberMachines(identified?.changed ?? []);
    return identified?.machine as Machine;
  };
  const lease = async (more: Partial<Lease> = {}): Promise<void> => {
    const leased = { ...STRANGER, ...more };
    registry.leases.put(leased);
    await registry.storeLeases([leased]);
  };
  /** The machines that have rows. */
  const rows = (): string[] => readStored(settings.state.dir, "machine").map(({ key }) => key);
  const again = async (): Promise<Registry> => {
    await registry.close();
    const next = await Registry.open(settings);
    t.after(() => next.close());
    return next;
  };
  return { registry, meet, lease, rows, again, dir: settings.state.dir };
}

test("a machine that its lease tells all of has no row beside it, and is the same after a restart", async (t) => {
  const { meet, lease, rows, again } = await stranger(t);
  const machine = meet();
  await lease();
  const next = await again();
  assert.deepEqual(rows(), []);
  const known = next.machines.byId(STRANGER.machine);
  assert.deepEqual(known, { ...machine, firstSeen: 1_000_000, boot: { ...machine.boot, since: 1_000_000 } });
  assert.equal(next.machines.identify({ duid: STRANGER.duid }, 2)?.machine, known);
});

test("a machine that took no lease has a row, and so has one whose lease tells less of it, or is over", async (t) => {
  const asked = await stranger(t);
  asked.meet();
  await asked.again();
  assert.deepEqual(asked.rows(), [STRANGER.machine]);

  const other = await stranger(t);
  other.meet();
  await other.lease({ duid: "00030001525400000077" });
  await other.again();
  assert.deepEqual(other.rows(), [STRANGER.machine]);

  const onLink = await stranger(t);
  onLink.registry.rememberMachines(
    onLink.registry.machines.identify({ duid: STRANGER.duid, peer: "fe80::5054:ff:fe00:77" }, 1)?.changed ?? [],
  );
  await onLink.lease();
  await onLink.again();
  assert.deepEqual(onLink.rows(), [STRANGER.machine], "that its card was met is not told by a lease without its MAC");

  const released = await stranger(t);
  released.meet();
  await released.lease();
  await released.lease({ state: "released" });
  await released.again();
  assert.deepEqual(released.rows(), [STRANGER.machine]);
});

test("a machine that had no row and is forgotten is not there after a restart", async (t) => {
  const { registry, meet, lease, rows, again } = await stranger(t);
  meet();
  await lease();
  assert.equal(await registry.forget(STRANGER.machine), "forgotten");
  const next = await again();
  assert.equal(next.machines.byId(STRANGER.machine), undefined);
  assert.deepEqual(rows(), []);
});

test("that its card was met on the link is told by its lease, though its row is from before", async (t) => {
  const { registry, meet, lease, rows, again } = await stranger(t);
  await registry.storeMachine(meet());
  const met = registry.machines.identify({ duid: STRANGER.duid, peer: "fe80::5054:ff:fe00:77" }, 2);
  registry.rememberMachines(met?.changed ?? []);
  await lease({ mac: "52:54:00:00:00:77" });
  const next = await again();
  assert.deepEqual([rows(), next.machines.byId(STRANGER.machine)?.met], [[STRANGER.machine], true]);
});

test("where its lease could not be stored, a machine has a row", async (t) => {
  const { registry, meet, rows, again, dir } = await stranger(t);
  meet();
  registry.leases.put(STRANGER);
  const other = new DatabaseSync(join(dir, "netboot6.db"));
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(registry.storeLeases([STRANGER]), /locked/);
  other.close();
  await again();
  assert.deepEqual(rows(), [STRANGER.machine]);
});

test("a lease that could not be stored is none any more", async (t) => {
  const settings = await appliance(t);
  const registry = await Registry.open(settings);
  t.after(() => registry.close());
  const lease = { ...LEASE, address: "2001:db8:0:1::10" };
  const other = new DatabaseSync(join(settings.state.dir, "netboot6.db"));
  other.exec("BEGIN IMMEDIATE");
  registry.leases.put(lease);
  const refused = await registry.storeLeases([lease]).catch((error: Error) => error.message);
  other.close();
  assert.match(refused ?? "", /locked/);
  assert.equal(registry.leases.byAddress(lease.address), undefined);
  registry.leases.put(lease);
  await registry.storeLeases([lease]);
  assert.equal(registry.leases.byAddress(lease.address), lease);
});

test("an installation that could not be stored as it began is stored with what comes next: its URL holds over a restart", async (t) => {
  const { registry, ask, meet, settings } = await onLink(t);
  meet(MAC_1, UUID_1);
  const other = new DatabaseSync(join(settings.state.dir, "netboot6.db"));
  other.exec("BEGIN IMMEDIATE");
  await assert.rejects(ask("/boot.ipxe", ITSELF), /locked/);
  other.close();
  const { done } = (await ask("/boot.ipxe", ITSELF)).values;
  assert.match(done ?? "", /\/done\/[0-9a-f]{32}$/);
  await registry.close();
  const again = await onLink(t, {}, settings);
  assert.equal((await again.ask("/preseed/a.cfg", ITSELF)).values.done, done);
  await again.registry.close();
});

const LEASE = { network: "prov", machine: "node-01", duid: "00", iaid: 1, state: "bound", validUntil: 4e9, since: 1 } as const;

function damage({ state }: Appliance, key: string, value: string): void {
  const db = new DatabaseSync(join(state.dir, "netboot6.db"));
  assert.equal(db.prepare("UPDATE entry SET value = ? WHERE key = ?").run(value, key).changes, 1);
  db.close();
}

test("a damaged row is told of and put aside; the others hold", async (t) => {
  const settings = await appliance(t);
  const first = await Registry.open(settings);
  const leases = ["2001:db8:0:1::10", "2001:db8:0:1::11"].map((address) => ({ ...LEASE, address }));
  for (const lease of leases) first.leases.put(lease);
  await first.storeLeases(leases);
  await first.storeMachine(first.machines.identify({ relayMac: MAC_1 }, 1)?.machine as Machine);
  first.rememberBoots([["node-01 1", { machine: "node-01", boot: { startedAt: 1, stages: [], entries: [], heardAt: 1 } }]]);
  await first.close();
  const lease = JSON.stringify(leases[1]);
  const garbage: readonly (readonly [key: string, ...values: string[]])[] = [
    [
      "2001:db8:0:1::11",
      ...[
        "null",
        "{}",
        "[]",
        '"x"',
        '{"address',
        lease.replace("::11", "::12"),
        lease.replace("::11", "::1x"),
        lease.replace("bound", "x"),
      ],
      ...[lease.replace("4000000000", "null"), lease.replace('"00"', "0"), lease.replace('"iaid":1', '"iaid":"1"')],
    ],
    ["node-01", "null", "{}", '{"id":"node-01","macs":[1],"uuid":null,"duids":[],"profile":null,"boot":{"stage":"new","token":null}}'],
    ["node-01", '{"id":"node-01","macs":[],"uuid":null,"duids":[],"profile":null,"boot":null}'],
    ["node-01 1", "null", "{}", '{"machine":"node-01","boot":{"startedAt":1,"stages":[1],"entries":[]}}'],
  ];
  for (const [key, ...values] of garbage)
    for (const value of values) {
      const copy = { ...settings, state: { ...settings.state, dir: mkdtempSync(join(settings.state.dir, "copy-")) } };
      copyFileSync(join(settings.state.dir, "netboot6.db"), join(copy.state.dir, "netboot6.db"));
      damage(copy, key, value);
      const registry = await Registry.open(copy);
      assert.match(
        registry.setAside ?? "",
        new RegExp(`had 1 damaged row \\(\\w+ ${key}\\); what is damaged is deleted, and .* kept as .*damaged-`),
        value,
      );
      assert.ok(registry.leases.byAddress("2001:db8:0:1::10"));
      await registry.close();
      const again = await Registry.open(copy);
      assert.equal(again.setAside, null);
      await again.close();
    }
});
