/** What `netboot6 machine NAME` says of a boot: each stage with its tries and bytes, each decision with its reasons, the boots before. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { stripVTControlCharacters } from "node:util";
import type { MachineView, TimelineView } from "@netboot6/console";
import { EventBus, Timelines } from "@netboot6/events";
import { machineText } from "./machine-text.ts";

const MACHINE = {
  id: "node-01",
  macs: ["52:54:00:00:00:01"],
  uuid: null,
  address: "2001:db8:0:1::5",
  addresses: [],
  network: "prov",
  boots: { profile: "rescue", why: "the default profile" },
  boot: { stage: "installing", since: 0 },
  lastSeen: Date.now(),
  verdict: null,
} as unknown as MachineView;

/** A machine that booted once before, and now asks for a kernel that is not there. */
function timeline(): TimelineView {
  const bus = new EventBus(() => ({}));
  const timelines = new Timelines();
  bus.subscribe(timelines.read);
  const asker = { client: "fe80::1", machine: "node-01", network: "prov" };
  const firmware = {
    type: "dhcpv6.answered",
    duid: "0003",
    clientKind: "firmware-http",
    addresses: ["2001:db8:0:1::5"],
    ...asker,
  } as const;
  const finished = { type: "http.finished", id: 1, method: "GET", seconds: 0, userAgent: "iPXE", complete: true, ...asker } as const;
  const boot = (): void => {
    bus.emit({ ...firmware, message: "Solicit", answer: "Advertise", why: ["network prov on prov0", "an address of its MAC"] });
    bus.emit({ ...firmware, message: "Request", answer: "Reply", why: ["it was offered that", "boot rule 2: its arch is 16"] });
    bus.emit({ ...finished, path: "/boot.ipxe", status: 200, sent: 300, size: 300 });
    bus.emit({
      type: "machine.rendered",
      path: "/boot.ipxe",
      profile: "rescue",
      profileKind: "kernel",
      why: "it is leased to it; the default profile",
      ...asker,
    });
  };
  boot();
  bus.emit({ ...finished, path: "/linux", status: 200, sent: 8_000_000, size: 8_000_000 });
  boot();
  for (let i = 0; i < 3; i++)
    bus.emit({ ...finished, path: "/rescue/linux", status: 404, sent: 27, size: 27, why: "no such file under boot-assets" });
  const found = timelines.get("node-01", Date.now());
  assert.ok(found);
  return found as TimelineView;
}

const textAt = (boot: number, width?: number): string =>
  stripVTControlCharacters(machineText(MACHINE, timeline(), { boot, now: Date.now(), ...(width === undefined ? {} : { width }) }));

test("stages have their tries and bytes, decisions their reasons, and the boots before come after", () => {
  const text = textAt(1);
  assert.match(text, /^the newest of 2 boots, begun 0s ago:$/m);
  assert.match(text, /^firmware +\+0\.0 s +0\.0 s +2 +- +DHCPv6 Request/m);
  assert.match(text, /^script +\+0\.0 s +\S+ s? +1 +300 B +rendered/m);
  assert.match(text, /^kernel +\+0\.0 s +\S+ +3 +- +HTTP GET \/rescue\/linux: 404.*no such file/m);
  assert.match(text, /^DHCPv6 Request \(firmware-http\) +\+0\.0 s +it was offered that\n +boot rule 2: its arch is 16$/m);
  assert.match(text, /^rendered \/boot\.ipxe for profile rescue +\+0\.0 s +it is leased to it; the default profile$/m);
  assert.match(text, /^1 earlier boot .*\n.*\n2 +0s ago +0s +kernel +HTTP GET \/linux: 200, 8\.0 MB/m);
});

test("what began a moment before what began the boot is told to begin with it", () => {
  const { boots, ...rest } = timeline();
  const early = boots.map((boot) => ({ ...boot, startedAt: boot.startedAt + 40 }));
  const text = stripVTControlCharacters(machineText(MACHINE, { ...rest, boots: early }, { boot: 1, now: Date.now() }));
  assert.match(text, /^firmware +\+0\.0 s /m);
});

test("an earlier boot is shown as the newest is", () => {
  const text = textAt(2);
  assert.match(text, /^boot 2 of 2, the newest is 1, begun/m);
  assert.match(text, /^kernel +\+0\.0 s +0\.0 s +1 +8\.0 MB +HTTP GET \/linux/m);
  assert.doesNotMatch(text, /rescue\/linux|earlier boot/);
});

test("stages come in their order, what goes on beside them where it began", () => {
  const stage = { endedAt: null, detail: "", sent: 0, size: 0, attempts: 1, failed: null };
  const boot = {
    startedAt: 1000,
    // By a worker's clock the kernel was begun a little before the script was told of.
    stages: [
      { ...stage, name: "script", startedAt: 2001 },
      { ...stage, name: "kernel", startedAt: 2000 },
    ],
    beside: [
      { ...stage, name: "router", startedAt: 1000 },
      { ...stage, name: "names", startedAt: 3000 },
    ],
    entries: [],
  } as unknown as TimelineView["boots"][number];
  const text = stripVTControlCharacters(
    machineText(MACHINE, { machine: "node-01", boots: [boot], verdict: null }, { boot: 1, now: 4000, width: 80 }),
  );
  assert.deepEqual(
    [...text.matchAll(/^(\w+) +\+/gm)].map(([, name]) => name),
    ["router", "script", "kernel", "names"],
  );
});

test("it fits a terminal of 80 columns; no reason is cut", () => {
  const tables = textAt(1, 80).split("\n\n").slice(1);
  for (const line of tables.flatMap((table) => table.split("\n"))) assert.ok(line.length <= 80, line);
  assert.match(tables[1]?.replace(/\s+/g, " ") ?? "", /it was offered that .*boot rule 2: its arch is 16/);
});

/** What is said of a machine with these boots. */
function textOf(boots: readonly object[], machine: object = {}, boot = 1): string {
  const told = { machine: "node-01", boots, verdict: null } as unknown as TimelineView;
  return stripVTControlCharacters(machineText({ ...MACHINE, ...machine } as MachineView, told, { boot, now: 100_000 }));
}
const stage = { startedAt: 0, endedAt: null, detail: "", sent: 0, size: 0, attempts: 1, failed: null };
const boot = { startedAt: 0, stages: [{ ...stage, name: "kernel" }], beside: [], entries: [] };

test("a machine is told by all that it is known by; who never booted has no boot, who did once has one", () => {
  const known = { addresses: ["2001:db8:0:1::7", "2001:db8:0:1::8"], uuid: "4c4c4544-0044-4810-8031-b4c04f4e3732", lastSeen: 95_000 };
  const text = textOf([], known);
  assert.match(text, /^leases +2001:db8:0:1::7, 2001:db8:0:1::8$/m);
  assert.match(text, /^UUID +4c4c4544-0044-4810-8031-b4c04f4e3732$/m);
  assert.match(text, /^heard +5s ago$/m);
  assert.doesNotMatch(text, /begun|STAGE/);
  assert.match(textOf([boot]), /^its boot, begun 1m 40s ago:$/m);
  assert.doesNotMatch(textOf([boot]), /^UUID|earlier/m);
});

test("why it stands still is the newest boot's; a stage that an earlier one broke off in goes on no more", () => {
  const verdict = { rule: "kernel-missing", text: "no kernel", mend: "Put it there." };
  const stuck = (number: number) => textOf([boot, boot], { verdict }, number);
  assert.match(stuck(1), /\n\nstands still: no kernel\nPut it there\. \(kernel-missing\)$/);
  assert.match(stuck(1), /^kernel +\+0\.0 s +1m 40s /m);
  assert.doesNotMatch(stuck(2), /stands still/);
  assert.match(stuck(2), /^kernel +\+0\.0 s +- /m);
});

test("of a file that is under way it is said how much of it was sent", () => {
  assert.match(textOf([{ ...boot, stages: [{ ...stage, name: "kernel", sent: 2_000_000, size: 8_000_000 }] }]), / 2\.0 MB of 8\.0 MB/);
});

test("of each kind the newest decision stands, where it was made; why nothing was answered is one", () => {
  const entries = [
    { at: 1000, type: "dhcpv6.answered", text: "DHCPv6 Solicit answered with x", why: ["first"] },
    { at: 2000, type: "dhcpv6.dropped", text: "DHCPv6 Solicit dropped: no pool: none left", why: [] },
    { at: 3000, type: "dhcpv6.answered", text: "DHCPv6 Solicit answered with x", why: ["second"] },
    { at: 9000, type: "http.finished", text: "HTTP GET /x: 200", why: [] },
  ];
  const earlier = textOf([
    { ...boot, entries },
    { ...boot, startedAt: 50_000 },
  ]);
  assert.match(earlier, /^2 +1m 40s ago +9s +kernel/m);
  const [, decisions] = /^DECISION.*?\n(.*)$/ms.exec(textOf([{ ...boot, entries }])) ?? [];
  assert.deepEqual(decisions?.trim().split(/ *\n/), [
    "DHCPv6 Solicit dropped  +2.0 s  no pool: none left",
    "DHCPv6 Solicit          +3.0 s  second",
  ]);
});
