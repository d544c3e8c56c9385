import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBus } from "./bus.ts";
import { type Stage, Timelines } from "./timeline.ts";
import type { BootEvent, EventBody } from "./types.ts";

/** A stream with one reader, and a clock that moves a second with each event. */
function stream(): { timelines: Timelines; emit: (body: EventBody) => void } {
  let now = 0;
  const timelines = new Timelines();
  const bus = new EventBus(
    () => ({ machine: "node-01" }),
    () => (now += 1000),
  );
  bus.subscribe(timelines.read);
  return { timelines, emit: bus.emit };
}

const client = "2001:db8::5";
const dhcp = (message: string, answer: string, clientKind: string): EventBody => ({
  type: "dhcpv6.answered",
  message,
  answer,
  clientKind,
  duid: "00",
  addresses: [],
  why: ["a reason"],
  client,
});
const got = (path: string, userAgent: string, status = 200): EventBody => ({
  type: "http.finished",
  id: 1,
  method: "GET",
  path,
  status,
  sent: 5,
  size: 5,
  seconds: 0.5,
  userAgent,
  complete: true,
  client,
});
const rendered = (path: string): EventBody => ({ type: "machine.rendered", path, profile: "p", profileKind: "kernel", why: "w", client });

const lookup: EventBody = {
  type: "dns.answered",
  name: "m.example",
  qtype: "AAAA",
  rcode: "NOERROR",
  from: "upstream",
  seconds: 0,
  client,
};

const BOOT: EventBody[] = [
  dhcp("Solicit", "Advertise", "firmware-http"),
  dhcp("Request", "Reply", "firmware-http"),
  dhcp("Information-request", "Reply", "system"),
  got("/ipxe/x86_64/ipxe.efi", "UefiHttpBoot/1.0"),
  rendered("/ipxe/x86_64/autoexec.ipxe"),
  dhcp("Information-request", "Reply", "ipxe"),
  rendered("/boot.ipxe"),
  { type: "http.started", id: 2, path: "/d/linux", size: 5, userAgent: "iPXE/1", client },
  got("/d/linux", "iPXE/1"),
  { type: "http.started", id: 3, path: "/d/initrd.gz", size: 10, userAgent: "iPXE/1", client },
  { type: "http.progress", id: 3, path: "/d/initrd.gz", sent: 4, size: 10, client },
  got("/d/initrd.gz", "iPXE/1"),
  dhcp("Information-request", "Reply", "system"),
  rendered("/preseed/x.cfg"),
  { type: "machine.done", profile: "p", client },
];

test("a whole boot falls into its stages, in their order", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT) emit(event);
  const [boot, ...others] = timelines.get("node-01", 0)?.boots ?? [];
  assert.deepEqual(others, []);
  assert.deepEqual(
    boot?.stages.map(({ name }) => name),
    ["firmware", "program", "ipxe", "script", "kernel", "initrd", "installer", "answers", "done"],
  );
  assert.ok(boot?.stages.every(({ endedAt, failed }) => endedAt !== null && failed === null));
  assert.deepEqual(boot?.entries[0]?.why, ["a reason"]);
});

test("a firmware's Solicit after that is another boot; its repetition is not", () => {
  const { timelines, emit } = stream();
  emit(dhcp("Solicit", "Advertise", "firmware-http"));
  emit(dhcp("Solicit", "Advertise", "firmware-http"));
  assert.equal(timelines.get("node-01", 0)?.boots.length, 1);
  assert.equal(timelines.get("node-01", 0)?.boots[0]?.stages[0]?.attempts, 2);
  for (const event of BOOT.slice(1)) emit(event);
  emit(dhcp("Solicit", "Advertise", "firmware-pxe"));
  assert.equal(timelines.get("node-01", 0)?.boots.length, 2);
});

test("a file that is missing fails its stage, and progress is seen while it loads", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT.slice(0, 7)) emit(event);
  emit(got("/d/linux", "iPXE/1", 404));
  const newest = (): Stage | undefined => timelines.get("node-01", 0)?.boots[0]?.stages.at(-1);
  const failed = newest();
  assert.equal(failed?.name, "kernel");
  assert.match(failed?.failed ?? "", /\/d\/linux: 404/);
  emit(got("/d/linux", "iPXE/1"));
  assert.equal(newest()?.failed, null, "and is mended by a later one");
  for (const event of BOOT.slice(9, 11)) emit(event);
  const loading = newest();
  assert.deepEqual([loading?.name, loading?.sent, loading?.size, loading?.endedAt], ["initrd", 4, 10, null]);
});

test("a machine that asks for its script and a kernel that is not there for days keeps what came before", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT.slice(0, 6)) emit(event);
  for (let round = 0; round < 1000; round++)
    for (const event of [rendered("/boot.ipxe"), got("/boot.ipxe", "iPXE/1"), got("/d/linux", "iPXE/1", 404)]) emit(event);
  const { entries = [], stages = [] } = timelines.get("node-01", 0)?.boots[0] ?? {};
  assert.match(entries[0]?.text ?? "", /DHCPv6 Solicit/);
  assert.deepEqual(
    entries.slice(-3).map(({ type, count }) => [type, count]),
    [
      ["machine.rendered", 1000],
      ["http.finished", 1000],
      ["http.finished", 1000],
    ],
  );
  assert.equal(stages.at(-1)?.attempts, 1000);
});

test("an exchange that begins again is no repetition of the first one's offer", () => {
  const { timelines, emit } = stream();
  for (const event of [...BOOT.slice(0, 2), BOOT[0]]) if (event) emit(event);
  assert.deepEqual(
    timelines.get("node-01", 0)?.boots[0]?.entries.map(({ count }) => count),
    [1, 1, 1],
  );
});

test("what a client repeats is one entry with its count", () => {
  const { timelines, emit } = stream();
  for (let i = 0; i < 1000; i++) emit(dhcp("Renew", "Reply", "system"));
  emit(dhcp("Release", "Reply", "system"));
  const entries = timelines.get("node-01", 0)?.boots[0]?.entries.map(({ at, text, count }) => [at, text, count]);
  assert.deepEqual(entries, [
    [1_000_000, "DHCPv6 Renew (system) answered with Reply", 1000],
    [1_001_000, "DHCPv6 Release (system) answered with Reply", 1],
  ]);
});

test("it is bounded: five boots, 200 entries each", () => {
  const { timelines, emit } = stream();
  for (let i = 0; i < 8; i++) for (const event of BOOT) emit(event);
  for (let i = 0; i < 500; i++) emit(rendered(`/${i}.ipxe`));
  const boots = timelines.get("node-01", 0)?.boots ?? [];
  assert.equal(boots.length, 5);
  assert.equal(boots.at(-1)?.entries.length, 200);
});

test("boots are the same after they were stored and taken back; an old one is deleted, and plain systems store nothing", () => {
  const { timelines, emit } = stream();
  for (let i = 0; i < 6; i++) for (const event of BOOT) emit({ ...event });
  const disk = new Map(timelines.takeUnstored(2));
  assert.equal(disk.size, 2);
  for (const [key, boot] of timelines.takeUnstored(100)) disk.set(key, boot);
  assert.deepEqual(timelines.takeUnstored(100), []);
  const stored = [...disk.values()].filter((boot) => boot !== null);
  assert.deepEqual([disk.size, stored.length], [6, 5]);
  const again = new Timelines();
  again.restore(JSON.parse(JSON.stringify(stored.toReversed())));
  assert.deepEqual(again.get("node-01", 0), timelines.get("node-01", 0));
  const plain = stream();
  plain.emit(dhcp("Request", "Reply", "system"));
  assert.deepEqual(plain.timelines.takeUnstored(10), []);
});

test("three boots within five minutes that come no further than the first are a loop for the next; slower, farther or earlier ones are none", () => {
  const loop = (boots: readonly (readonly EventBody[])[], since = 0): string | null => {
    const { timelines, emit } = stream();
    for (const events of boots) for (const event of events) emit({ ...event });
    return timelines.loop("node-01", since, boots.flat().length * 1000);
  };
  const kernel = BOOT.slice(0, 9);
  const again = BOOT.slice(0, 7);
  assert.equal(loop([kernel, kernel, kernel, again]), "it began 3 boots within 5 minutes and came no further than kernel");
  assert.equal(loop([kernel, kernel, again]), null);
  assert.equal(loop([kernel, BOOT, kernel, again]), null);
  assert.equal(loop([BOOT, BOOT, BOOT, again]), null, "installed three times");
  assert.match(loop([BOOT, kernel, again, kernel, again]) ?? "", /^it began 3 boots .* no further than kernel$/, "and not so far once");
  assert.equal(loop([again, again, kernel, again]), null, "it came further");
  assert.equal(loop([kernel, kernel, kernel, again], 5_000), null, "an operator let it go on since the first");
  const slow = [...kernel, ...Array(120).fill({ type: "machine.learned", what: "", client })];
  assert.equal(loop([slow, slow, slow, again]), null);
});

test("iPXE that is given itself three times within five minutes and gets no script loops; a download that is repeated, or slow, does not", () => {
  const path = "/ipxe/x86_64/ipxe.efi";
  const loop = (events: readonly EventBody[], since = 0): string | null => {
    const { timelines, emit } = stream();
    for (const event of events) emit({ ...event });
    return timelines.programLoop("node-01", since, events.length * 1000)?.why ?? null;
  };
  const fetches = got(path, "iPXE/1");
  const sent: EventBody = { type: "tftp.finished", id: 1, path, status: "sent", sent: 5, size: 5, seconds: 1, client };
  const asks = dhcp("Information-request", "Reply", "ipxe");
  const firmware = [dhcp("Solicit", "Advertise", "firmware-pxe"), dhcp("Request", "Reply", "firmware-pxe"), sent];
  const says = `it was given ${path} 3 times within 5 minutes and asked for no script`;
  const script = [rendered("/boot.ipxe"), got("/boot.ipxe", "iPXE/1")];
  assert.equal(loop([...firmware, asks, fetches]), null);
  assert.equal(loop([...firmware, asks, sent, asks, fetches]), says);
  assert.equal(loop([...firmware, sent, sent, asks, fetches]), null, "a download that is repeated");
  assert.equal(loop([...firmware, asks, got(path, "iPXE/1", 404), asks, fetches]), null, "one that failed");
  assert.equal(loop([...firmware, asks, got("/a.efi", "iPXE/1"), asks, fetches]), null, "a chain of programs");
  assert.equal(loop([...firmware, asks, sent, ...script, asks, fetches]), null, "it got a script");
  const stopped: EventBody = { ...rendered("/boot.ipxe"), stopped: says } as EventBody;
  assert.equal(loop([...firmware, asks, sent, asks, sent, asks, stopped, got("/boot.ipxe", "iPXE/1")]), says, "the script that stops it");
  assert.equal(loop([...firmware, asks, sent, asks, sent], 3_000), null, "an operator let it go on since the first");
  const slow: EventBody[] = Array(150).fill({ type: "machine.learned", what: "", client });
  assert.equal(loop([...firmware, ...slow, asks, sent, ...slow, asks, sent]), null);
});

test("a machine that is forgotten has no timeline, and none is left of it on disk", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT) emit({ ...event });
  const [stored] = timelines.takeUnstored(10);
  timelines.forget("node-01");
  assert.equal(timelines.get("node-01", 0), undefined);
  assert.deepEqual(timelines.takeUnstored(10), [[stored?.[0], null]]);
});

test("a script that is asked for again while a machine waits took as long as the first time", () => {
  const { timelines, emit } = stream();
  for (const event of [...BOOT.slice(0, 7), ...Array(5).fill(rendered("/boot.ipxe"))]) emit({ ...event });
  const script = timelines.get("node-01", 0)?.boots[0]?.stages.at(-1);
  assert.deepEqual([script?.name, script?.endedAt], ["script", script?.startedAt]);
});

test("a router solicited just before firmware's Solicit belongs to the boot that it begins", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT) emit({ ...event });
  for (let i = 0; i < 20; i++) emit({ type: "machine.learned", what: "", client });
  emit({ type: "ra.solicited", interface: "eth1", client });
  emit({ type: "ra.sent", interface: "eth1", to: client, why: "solicited", client });
  emit(dhcp("Solicit", "Advertise", "firmware-http"));
  const boots = timelines.get("node-01", 0)?.boots;
  const types = boots?.map(({ entries }) => entries.map(({ type }) => type));
  assert.equal(boots?.[1]?.startedAt, boots?.[1]?.entries[0]?.at);
  assert.deepEqual(types?.[1], ["ra.solicited", "ra.sent", "dhcpv6.answered"]);
  assert.ok(!types?.[0]?.includes("ra.solicited"));
});

test("an installer that needs no DHCPv6 is known by the first name that it looks up; iPXE's between two files is none", () => {
  const last = (...events: EventBody[]): string | undefined => {
    const { timelines, emit } = stream();
    for (const event of [...BOOT.slice(0, 12), ...events]) emit({ ...event });
    return timelines.stage("node-01") ?? undefined;
  };
  assert.equal(last(lookup), "initrd");
  assert.equal(last(...Array(3).fill({ type: "machine.learned", what: "", client }), lookup), "installer");
});

test("machines are bounded: the one that was silent longest goes, from the disk too", () => {
  let machine = 0;
  const timelines = new Timelines();
  const bus = new EventBus(
    () => ({ machine: `m-${machine}` }),
    () => machine,
  );
  bus.subscribe(timelines.read);
  for (machine = 0; machine < 10_000; machine++) bus.emit(dhcp("Solicit", "Advertise", "firmware-http"));
  timelines.takeUnstored(Number.POSITIVE_INFINITY);
  for (; machine < 10_003; machine++) bus.emit(dhcp("Solicit", "Advertise", "firmware-http"));
  assert.equal([...timelines.ids()].length, 10_000);
  assert.equal(timelines.get("m-2", 0), undefined);
  const gone = timelines.takeUnstored(100).filter(([, boot]) => boot === null);
  assert.deepEqual(
    gone.map(([key]) => key),
    ["m-0 0", "m-1 1", "m-2 2"],
  );
});

test("a stage's bytes are those of its files: one fetched again counts once, pieces are added up, a refusal's text is none", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT.slice(0, 9)) emit(event);
  const bytes = (path: string, more: Record<string, unknown>): readonly unknown[] => {
    emit({ ...got(path, "iPXE/1"), ...more } as EventBody);
    const stage = timelines.get("node-01", 0)?.boots[0]?.stages.at(-1);
    return [stage?.name, stage?.sent, stage?.size, stage?.attempts];
  };
  assert.deepEqual(bytes("/d/initrd.gz", { sent: 30, size: 100, complete: false }), ["initrd", 30, 100, 1]);
  assert.deepEqual(bytes("/d/initrd.gz", { type: "http.progress", sent: 20, size: 100 }), ["initrd", 30, 100, 1]);
  assert.deepEqual(bytes("/d/initrd.gz", { type: "http.progress", sent: 60, size: 100 }), ["initrd", 60, 100, 1]);
  assert.deepEqual(bytes("/d/initrd.gz", { sent: 100, size: 100 }), ["initrd", 100, 100, 2]);
  assert.deepEqual(bytes("/d/initrd.gz", { sent: 100, size: 100 }), ["initrd", 100, 100, 3]);
  assert.deepEqual(bytes("/d/none.cpio", { status: 404, sent: 27, size: 27 }), ["initrd", 100, 100, 3]);
  assert.deepEqual(bytes("/d/extra.cpio", { status: 206, sent: 3, size: 7 }), ["initrd", 103, 107, 3]);
  assert.deepEqual(bytes("/d/extra.cpio", { type: "http.progress", sent: 2, size: 7 }), ["initrd", 103, 107, 3]);
  assert.deepEqual(bytes("/d/extra.cpio", { status: 206, sent: 4, size: 7 }), ["initrd", 107, 107, 3]);
});

test("beside the stages: each stretch of asking for routers, and the names that the installer looks up", () => {
  const { timelines, emit } = stream();
  const asks: EventBody[] = [
    { type: "ra.solicited", interface: "eth1", client },
    { type: "ra.solicited", interface: "eth1", client },
    { type: "ra.sent", interface: "eth1", to: client, why: "solicited", client },
  ];
  const silence: EventBody[] = Array(20).fill({ type: "machine.learned", what: "", client });
  const [before, after] = [BOOT.slice(0, 5), BOOT.slice(5, 13)];
  for (const event of [...before, ...asks, lookup, ...after, ...silence, ...asks, lookup, lookup]) emit({ ...event });
  const beside = timelines
    .get("node-01", 0)
    ?.boots[0]?.beside.map(({ name, startedAt, endedAt, attempts }) => [name, startedAt, endedAt, attempts]);
  assert.deepEqual(beside, [
    ["router", 6_000, 8_000, 2],
    ["router", 38_000, 40_000, 2],
    ["names", 41_000, 42_000, 2],
  ]);
});

test("a plain system that is switched on again, and a machine that asked in vain long ago, begin a boot with their firmware", () => {
  const begins = (...before: EventBody[]): number[] | undefined => {
    const { timelines, emit } = stream();
    for (const event of [...before, ...BOOT.slice(0, 2)]) emit({ ...event });
    return timelines.get("node-01", 0)?.boots.map(({ startedAt }) => startedAt);
  };
  const renews = dhcp("Renew", "Reply", "system");
  const solicits: EventBody = { type: "ra.solicited", interface: "eth1", client };
  const dropped: EventBody = { type: "dhcpv6.dropped", message: "Solicit", why: "no network", client };
  const elsewhere: EventBody = { type: "dns.upstream", upstream: "::1", state: "up", why: "" };
  assert.deepEqual(begins(renews, renews), [1_000, 3_000]);
  assert.deepEqual(begins(renews, solicits), [1_000, 2_000], "it asks for a router first");
  assert.deepEqual(begins(solicits, dropped), [1_000], "it asks again");
  assert.deepEqual(begins(solicits, dropped, ...Array(700).fill(elsewhere), solicits), [1_000, 703_000]);
});

test("no stage begins before the one it follows, though seconds are counted in another thread", () => {
  const { timelines, emit } = stream();
  for (const event of BOOT.slice(0, 8)) emit({ ...event });
  emit({ ...got("/debian-12/linux", "iPXE/1"), seconds: 20 } as EventBody);
  const starts = timelines.get("node-01", 0)?.boots[0]?.stages.map(({ startedAt }) => startedAt) ?? [];
  assert.deepEqual(
    starts,
    starts.toSorted((a, b) => a - b),
  );
});

const wait = (seconds: number): EventBody[] => Array(seconds).fill({ type: "dns.upstream", upstream: "::1", state: "up", why: "" });
const after = (...events: EventBody[]): Timelines => {
  const { timelines, emit } = stream();
  for (const event of events) emit({ ...event });
  return timelines;
};
const boots = (...events: EventBody[]): number | undefined => after(...events).get("node-01", 0)?.boots.length;
const [PROGRAM, IPXE, SCRIPT, KERNEL, INITRD, INSTALLER] = [4, 6, 7, 9, 12, 13].map((end) => BOOT.slice(0, end)) as [
  EventBody[],
  EventBody[],
  EventBody[],
  EventBody[],
  EventBody[],
  EventBody[],
];

test("what a machine asks for belongs to a stage by how far it has come", () => {
  const stage = (before: readonly EventBody[], ...events: EventBody[]): string | null => after(...before, ...events).stage("node-01");
  const head = (status: number): EventBody =>
    ({ ...got("/ipxe/x86_64/ipxe.efi", "UefiHttpBoot/1.0", status), method: "HEAD" }) as EventBody;
  assert.equal(stage(BOOT.slice(0, 2), head(200)), "firmware", "it asks for the size");
  assert.equal(stage(BOOT.slice(0, 2), head(404)), "program", "and goes no further");
  assert.equal(stage(SCRIPT, got("/grub/x86_64-efi/fs.lst", "GRUB 2.12", 404)), "script", "GRUB does without it");
  assert.equal(stage(IPXE, got("/d/linux", "iPXE/1")), "kernel", "by a script in it");
  assert.equal(stage(KERNEL, got("/d/initrd", "GRUB 2.12")), "initrd");
  assert.equal(stage(KERNEL, got("/d/initrd", "UefiHttpBoot/1.0")), "initrd");
  assert.equal(stage(KERNEL, got("/d/filesystem.squashfs", "Wget")), "installer");
  assert.equal(stage(INITRD, got("/d/filesystem.squashfs", "Wget")), "installer");
  assert.equal(stage(KERNEL, dhcp("Information-request", "Reply", "system")), "installer", "a kernel that needs no initrd");
  assert.equal(stage(KERNEL, ...wait(1), lookup), "kernel");
  assert.equal(stage(KERNEL, ...wait(2), lookup), "installer");
  for (const file of ["d.iso", "d.img", "d.squashfs", "d.gz", "d.xz"])
    assert.equal(stage(INSTALLER, got(`/${file}`, "Wget")), "installer", file);
  assert.equal(stage(INSTALLER, got("/preseed.cfg", "Wget")), "answers");
  assert.equal(stage(INSTALLER, got("/done/0123", "Wget")), "installer");
  assert.equal(stage(PROGRAM, got("/readme", "curl")), "program");
});

test("a kernel or initrd that is asked for again counts where it was asked for first", () => {
  const asked = (...events: EventBody[]): unknown =>
    after(...INSTALLER, ...events)
      .get("node-01", 0)
      ?.boots[0]?.stages.map(({ name, attempts }) => [name, attempts])
      .slice(4);
  assert.deepEqual(asked(got("/d/linux", "iPXE/1"), got("/d/initrd.gz", "iPXE/1"), got("/d/initrd.gz", "iPXE/1")), [
    ["kernel", 2],
    ["initrd", 3],
    ["installer", 1],
  ]);
});

test("a stage begins when its download did, and ends where the next one begins if it did not before", () => {
  const { stages } = after(BOOT[0] as EventBody, ...wait(3), { ...(BOOT[3] as EventBody), seconds: 2 } as EventBody).get("node-01", 0)
    ?.boots[0] ?? { stages: [] };
  assert.deepEqual(
    stages.map(({ name, startedAt, endedAt }) => [name, startedAt, endedAt]),
    [
      ["firmware", 1_000, 5_000],
      ["program", 3_000, 5_000],
    ],
  );
});

test("iPXE from a ROM begins a boot where the last one had come past its script, or a system was there; a Request begins none", () => {
  const ipxe = dhcp("Solicit", "Advertise", "ipxe");
  assert.equal(boots(...SCRIPT, ipxe), 1);
  assert.equal(boots(...KERNEL, ipxe), 2);
  assert.equal(boots(dhcp("Renew", "Reply", "system"), ipxe), 2);
  assert.equal(boots(...KERNEL, dhcp("Request", "Reply", "firmware-http")), 1);
  assert.equal(boots(...KERNEL, dhcp("Solicit", "Advertise", "firmware-http")), 2);
  const dropped: EventBody = { type: "dhcpv6.dropped", message: "Solicit", why: "no network", client };
  assert.equal(boots(dropped, ...wait(500), dhcp("Solicit", "Advertise", "firmware-http")), 1, "it asks on");
});

test("a search for routers longer before firmware's Solicit is the last boot's; what moves is stored in both", () => {
  const solicits: EventBody = { type: "ra.solicited", interface: "eth1", client };
  const firmware = BOOT[0] as EventBody;
  const moved = (seconds: number): number | undefined =>
    after(...BOOT, ...wait(1), solicits, ...wait(seconds), firmware).get("node-01", 0)?.boots[1]?.entries.length;
  assert.equal(moved(10), 2);
  assert.equal(moved(20), 1);
  const { timelines, emit } = stream();
  for (const event of [...BOOT, solicits]) emit({ ...event });
  timelines.takeUnstored(10);
  emit({ ...firmware });
  const stored = timelines
    .takeUnstored(10)
    .map(([, boot]) => boot?.boot.entries.filter(({ event }) => event.type === "ra.solicited").length);
  assert.deepEqual(stored, [0, 1]);
});

test("what differs is no repetition, and has an entry of its own", () => {
  const entries = (a: EventBody, b: EventBody): number | undefined => after(a, b).get("node-01", 0)?.boots[0]?.entries.length;
  const pairs = (event: EventBody, others: readonly object[]): void => {
    assert.equal(entries(event, event), 1);
    for (const other of others) assert.equal(entries(event, { ...event, ...other } as EventBody), 2, JSON.stringify(other));
  };
  pairs(dhcp("Rebind", "Reply", "ipxe"), [{ message: "Renew" }, { clientKind: "firmware-pxe" }, { duid: "01" }]);
  pairs(dhcp("Solicit", "Advertise", "ipxe"), [{ answer: "Reply" }]);
  pairs(rendered("/boot.ipxe"), [{ path: "/a.ipxe" }, { profile: "q" }, { stopped: "loop" }, { why: "v" }]);
  pairs({ ...got("/d/linux", "iPXE/1", 404), why: "no such file" } as EventBody, [
    { path: "/d/x" },
    { status: 403 },
    { why: "not ready" },
    { method: "HEAD" },
  ]);
  assert.equal(entries(got("/d/linux", "iPXE/1"), got("/d/linux", "iPXE/1")), 2, "a download that is whole is one each time");
});

test("what goes on beside the stages says what was last; names are one, however long apart", () => {
  const solicits: EventBody = { type: "ra.solicited", interface: "eth1", client };
  const sent: EventBody = { type: "ra.sent", interface: "eth1", to: client, why: "solicited", client };
  const counted: EventBody = { type: "dns.counted", rcode: "NOERROR", from: "cache", count: 40, client };
  const beside = after(...INSTALLER, solicits, ...wait(20), solicits, sent, lookup, ...wait(20), lookup, counted).get("node-01", 0)
    ?.boots[0]?.beside;
  assert.deepEqual(
    beside?.map(({ name, attempts, endedAt }) => [name, attempts, endedAt === null]),
    [
      ["router", 1, true],
      ["router", 1, false],
      ["names", 42, false],
    ],
  );
  assert.ok(beside.every(({ detail }) => detail !== ""));
  assert.notEqual(beside[0]?.detail, beside[1]?.detail);
});

test("what happened to nobody, or to nobody known, is in no timeline; that a machine stands still is not heard of it", () => {
  const nobody = new Timelines();
  const bus = new EventBus(
    () => ({}),
    () => 1000,
  );
  bus.subscribe(nobody.read);
  bus.emit({ ...lookup });
  bus.emit({ ...lookup, machine: "" } as EventBody);
  assert.deepEqual([...nobody.ids()], []);
  const stuck: EventBody = { type: "machine.stuck", rule: "kernel-missing", text: "", mend: "", machine: "node-01" };
  const goesOn: EventBody = { type: "machine.goesOn", machine: "node-01" } as EventBody;
  assert.equal(after(...SCRIPT, ...wait(60), stuck, goesOn).verdict("node-01", 70_000)?.rule, "kernel-not-asked-for");
});

test("boots that came to their program alone stop no script; a machine that is met anew is told of anew", () => {
  assert.equal(after(...PROGRAM, ...PROGRAM, ...PROGRAM, ...PROGRAM).loop("node-01", 0, 16_000), null);
  const missing = { ...got("/d/linux", "iPXE/1", 404), why: "no such file" } as EventBody;
  const timelines = after(...SCRIPT, missing);
  const told = (): number => [...timelines.newVerdicts(9_000)].length;
  assert.deepEqual([told(), told()], [1, 0]);
  timelines.forget("node-01");
  for (const event of [...SCRIPT, missing]) timelines.read({ ...event, machine: "node-01", seq: 1, at: 9_000 } as BootEvent);
  assert.equal(told(), 1);
});

test("of a stage 32 files are remembered, those asked for last", () => {
  const files = Array.from({ length: 40 }, (_, i) => got(`/packages/${i}.gz`, "Wget"));
  const [, stored] = after(...INSTALLER, ...files).takeUnstored(1)[0] ?? [];
  const kept = stored?.boot.stages.at(-1)?.files.map(({ path }) => path);
  assert.deepEqual([kept?.length, kept?.[0], kept?.at(-1)], [32, "/packages/8.gz", "/packages/39.gz"]);
});

test("a stage ends with the last good download of it, a script's with the first; by TFTP as by HTTP", () => {
  const last = (...events: EventBody[]): readonly unknown[] => {
    const stage = after(...events)
      .get("node-01", 0)
      ?.boots[0]?.stages.at(-1);
    return [stage?.name, stage?.endedAt, stage?.sent, stage?.size, stage?.failed !== null];
  };
  const script = got("/boot.ipxe", "iPXE/1");
  assert.deepEqual(last(...IPXE, script, ...wait(5), script), ["script", 7_000, 5, 5, false]);
  assert.deepEqual(last(...KERNEL, got("/d/a.gz", "iPXE/1"), got("/d/b.gz", "iPXE/1")), ["initrd", 11_000, 10, 10, false]);
  assert.deepEqual(last(...KERNEL, got("/d/a.gz", "iPXE/1", 404)), ["initrd", null, 0, 0, true]);
  const tftp = (status: "sent" | "aborted" | "refused", sent: number): EventBody => ({
    type: "tftp.finished",
    id: 1,
    path: "/ipxe/x86_64/ipxe.efi",
    status,
    sent,
    size: 5,
    seconds: 0,
    client,
  });
  const firmware = BOOT.slice(0, 2);
  assert.deepEqual(last(...firmware, tftp("refused", 0)), ["program", null, 0, 0, true]);
  assert.deepEqual(last(...firmware, tftp("aborted", 3)), ["program", null, 3, 5, true]);
  assert.deepEqual(last(...firmware, tftp("aborted", 3), tftp("sent", 5)), ["program", 4_000, 5, 5, false]);
});
