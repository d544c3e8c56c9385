/** Each rule on the events that a machine with that fault brings about. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { EventBus } from "./bus.ts";
import { Timelines } from "./timeline.ts";
import type { EventBody, HeldUpBy } from "./types.ts";
import { VERDICTS, type Verdict } from "./verdict.ts";

const machine = "node-01";
const network = "provisioning";
const client = "2001:db8::5";
const who = { machine, network, client };
const dhcp = (message: string, answer: string, clientKind: string, more: Record<string, unknown> = {}): EventBody =>
  ({
    type: "dhcpv6.answered",
    message,
    answer,
    clientKind,
    duid: "00",
    addresses: [client],
    bootfileUrl: "http://[2001:db8::1]/ipxe/x86_64/ipxe.efi",
    why: [],
    ...who,
    ...more,
  }) as EventBody;
const got = (path: string, more: Record<string, unknown> = {}): EventBody =>
  ({
    type: "http.finished",
    id: 1,
    method: "GET",
    path,
    status: 200,
    sent: 5,
    size: 5,
    seconds: 0.5,
    userAgent: "iPXE/1",
    complete: true,
    ...who,
    ...more,
  }) as EventBody;
const missing = (path: string, why = "no such file under boot-assets"): EventBody => got(path, { status: 404, why });
const rendered = (path: string, profileKind: "kernel" | "wait" | "disk" = "kernel"): EventBody => ({
  type: "machine.rendered",
  path,
  profile: "debian-12",
  profileKind,
  why: "the default profile",
  ...who,
});
const advertised: EventBody = { type: "ra.sent", interface: "eth1", to: "ff02::1", why: "periodic", network };
const SOLICITED: EventBody = { type: "ra.solicited", interface: "eth1", ...who };
const STRANGER: EventBody = {
  type: "machine.rendered",
  path: "/preseed/x.cfg",
  profile: "debian-12",
  profileKind: "kernel",
  why: "",
  client: "2001:db8::77",
  network,
};
const dropped = (why: string): EventBody => ({ type: "dhcpv6.dropped", message: "Solicit", why, ...who });

const FIRMWARE = [advertised, dhcp("Solicit", "Advertise", "firmware-http"), dhcp("Request", "Reply", "firmware-http")];
const PROGRAM = [...FIRMWARE, got("/ipxe/x86_64/ipxe.efi", { userAgent: "UefiHttpBoot/1.0" })];
const IPXE = [...PROGRAM, dhcp("Information-request", "Reply", "ipxe")];
const SCRIPT = [...IPXE, rendered("/boot.ipxe"), got("/boot.ipxe")];
const KERNEL = [...SCRIPT, got("/debian-12/linux")];
const INITRD = [...KERNEL, got("/debian-12/initrd.gz")];
const INSTALLER = [...INITRD, dhcp("Information-request", "Reply", "system")];
const ANSWERS = [...INSTALLER, rendered("/preseed/debian-12.cfg"), got("/preseed/debian-12.cfg", { userAgent: "Wget" })];
const named = (qtype: string, more: Record<string, unknown>): EventBody =>
  ({
    type: "dns.answered",
    name: "deb.example",
    qtype,
    rcode: "NOERROR",
    from: "upstream",
    seconds: 0.1,
    ...more,
    ...who,
  }) as EventBody;
const DONE: EventBody = { type: "machine.done", profile: "debian-12", ...who };

/** The verdict after these events, a second apart or so many seconds as stand between them, and so many seconds of silence. */
function verdict(events: readonly (EventBody | number)[], silent: number): Verdict | null {
  let now = 0;
  const timelines = new Timelines();
  const bus = new EventBus(
    () => ({}),
    () => (now += 1000),
  );
  bus.subscribe(timelines.read);
  for (const event of events)
    if (typeof event === "number") now += (event - 1) * 1000;
    else bus.emit({ ...event });
  return timelines.verdict(machine, now + silent * 1000);
}

interface Fault {
  readonly events: readonly EventBody[];
  /** Seconds of silence after them. */
  readonly silent?: number;
  /** Seconds of silence after which it is not said yet. */
  readonly notYet?: number;
  readonly says: RegExp;
}

const FAULTS: Readonly<Record<string, Fault>> = {
  "certificate-refused": {
    events: [...FIRMWARE, { type: "http.tlsFailed", why: "unknown ca", ...who }, dhcp("Solicit", "Advertise", "firmware-pxe")],
    says: /asked by HTTPS, and there was no session: unknown ca\. Enrol the authority/,
  },
  "template-error": {
    events: [...IPXE, got("/boot.ipxe", { why: "boot.ipxe:3:7: nodename is unknown" })],
    says: /\/boot\.ipxe could not be rendered: boot\.ipxe:3:7: nodename is unknown\. Mend the template/,
  },
  "not-allowed": {
    events: [...FIRMWARE, got("/ipxe/x86_64/ipxe.efi", { status: 403, why: "2001:db8::5 is not among those whom http.allow names" })],
    says: /firmware asked for \/ipxe\/x86_64\/ipxe\.efi and was refused: .*http\.allow/,
  },
  "file-empty": {
    events: [...KERNEL, got("/debian-12/initrd.gz", { sent: 0, size: 0 }), got("/debian-12/more.gz")],
    says: /it asked for \/debian-12\/initrd\.gz, and that file is empty\. A download of it failed/,
  },
  "program-missing": {
    events: [...FIRMWARE, missing("/ipxe/x86_64/ipxe.efi"), missing("/ipxe/x86_64/ipxe.efi")],
    says: /firmware asked for \/ipxe\/x86_64\/ipxe\.efi 2 times: no such file under boot-assets\. .*netboot6 assets add ipxe/,
  },
  "script-missing": { events: [...IPXE, missing("/scripts/mine.ipxe")], says: /iPXE asked for \/scripts\/mine\.ipxe: no such file/ },
  "kernel-missing": {
    events: [...SCRIPT, missing("/debian-12/linux", "no such file under boot-assets. Did you mean debian12/linux?")],
    says: /iPXE asked for \/debian-12\/linux: no such file under boot-assets\. Did you mean debian12\/linux\? Put the kernel there, or correct `kernel`/,
  },
  "initrd-missing": { events: [...KERNEL, missing("/debian-12/initrd")], says: /iPXE asked for \/debian-12\/initrd: no such file/ },
  "answers-missing": {
    events: [...INSTALLER, got("/preseed/x.cfg", { status: 404, why: "no such file under boot-assets", userAgent: "Wget" })],
    says: /the installer asked for \/preseed\/x\.cfg: no such file/,
  },
  "not-ready": {
    events: [...IPXE, got("/boot.ipxe", { status: 503, why: 'the main thread did not answer "machine" within 4000 ms' })],
    says: /^iPXE asked for \/boot\.ipxe and did not get it: netboot6 was too busy \(the main thread did not answer "machine" .*load/,
  },
  "cut-off-by-netboot6": {
    events: [...SCRIPT, got("/debian-12/linux", { sent: 3, complete: false, why: "netboot6 stopped" })],
    says: /^\/debian-12\/linux was cut off by this side at 3 B of 5 B: netboot6 stopped\. .*boot the machine again/,
  },
  "file-unreadable": {
    events: [...SCRIPT, missing("/debian-12/linux", "EACCES: permission denied")],
    says: /\/debian-12\/linux and it could not be read: EACCES/,
  },
  "program-refused": {
    events: [...PROGRAM, ...PROGRAM, ...PROGRAM],
    says: /firmware fetched \/ipxe\/x86_64\/ipxe\.efi 3 times in 10 s and did not run it\. Secure Boot/,
  },
  "boot-loop": { events: [...SCRIPT, ...SCRIPT, ...SCRIPT], says: /began 3 boots within 5 min and came no further than script/ },
  "download-stalled": {
    events: [
      ...KERNEL,
      { type: "http.started", id: 2, path: "/debian-12/initrd.gz", size: 40e6, userAgent: "iPXE/1", ...who },
      { type: "http.progress", id: 2, path: "/debian-12/initrd.gz", sent: 12e6, size: 40e6, ...who },
    ],
    silent: 20,
    notYet: 10,
    says: /\/debian-12\/initrd\.gz stands at 12\.0 MB of 40\.0 MB for 20 s/,
  },
  "download-broken-off": {
    events: [...SCRIPT, got("/debian-12/linux", { sent: 3, complete: false })],
    silent: 20,
    notYet: 10,
    says: /\/debian-12\/linux was broken off at 3 B of 5 B/,
  },
  "no-router": {
    events: FIRMWARE.slice(1),
    silent: 12,
    notYet: 6,
    says: /no router is heard on network provisioning: .* 10 s/,
  },
  "rival-router": {
    events: [
      {
        type: "ra.heard",
        interface: "eth1",
        network,
        router: "fe80::9",
        managed: false,
        other: false,
        lifetime: 1800,
        state: "advertises",
        why: "",
        differences: [],
      },
      ...PROGRAM,
      SOLICITED,
    ],
    silent: 40,
    notYet: 25,
    says: /router fe80::9 advertises M=0 O=0/,
  },
  "advertisements-lost": {
    events: [
      ...PROGRAM,
      ...Array(6)
        .fill([SOLICITED, { type: "ra.sent", interface: "eth1", to: client, why: "solicited", ...who }])
        .flat(),
    ],
    silent: 10,
    notYet: 6,
    says: /asked for a router 6 times, was answered each time, and goes no further.*RA guard/,
  },
  "pool-full": {
    events: [
      advertised,
      dhcp("Solicit", "Advertise", "firmware-http", { addresses: [], why: ["the pool of network provisioning is full"] }),
    ],
    says: /given no address: the pool of network provisioning is full\. Make dhcp\.pool larger/,
  },
  "no-addresses-leased": {
    events: [
      advertised,
      dhcp("Solicit", "Advertise", "firmware-http", { addresses: [], why: ["network provisioning leases no addresses"] }),
    ],
    says: /firmware asks for an address, and network provisioning leases no addresses/,
  },
  "no-boot-file": {
    events: [
      advertised,
      dhcp("Solicit", "Advertise", "firmware-http", { bootfileUrl: undefined, why: ["no boot rule for architecture 19, no user class"] }),
    ],
    says: /firmware was given no boot file: no boot rule for architecture 19/,
  },
  "http-url-for-pxe": {
    events: [advertised, dhcp("Solicit", "Advertise", "firmware-pxe")],
    says: /PXE, which speaks TFTP only, and was given http:/,
  },
  "tftp-instead-of-http": {
    events: [
      ...FIRMWARE,
      dhcp("Solicit", "Advertise", "firmware-pxe", { bootfileUrl: "tftp://[2001:db8::1]/x.efi" }),
      dhcp("Request", "Reply", "firmware-pxe", { bootfileUrl: "tftp://[2001:db8::1]/x.efi" }),
    ],
    silent: 10,
    notYet: 6,
    says: /gave up HTTP boot, went on with PXE by TFTP/,
  },
  "two-servers": {
    events: [advertised, dhcp("Solicit", "Advertise", "firmware-http"), dropped("it is for another server")],
    says: /took the offer of another DHCPv6 server/,
  },
  "offer-not-taken": {
    events: [advertised, ...Array(3).fill(dhcp("Solicit", "Advertise", "firmware-http", { vendorClass: "HTTPClient:Arch:00019" }))],
    says: /got 3 offers and requested none: its vendor class is HTTPClient:Arch:00019, the last named http/,
  },
  "program-not-asked-for": {
    events: FIRMWARE,
    silent: 40,
    notYet: 25,
    says: /was told http:.*ipxe\.efi 40 s ago, and has not asked for it/,
  },
  "address-taken": {
    events: [advertised, dhcp("Decline", "Reply", "firmware-http", { addresses: [] })],
    says: /another host on the address/,
  },
  "not-served": {
    events: [dropped("the relay's link-address 2001:db8:0:2::fe belongs to no network")],
    says: /Solicit is not answered: the relay's link-address 2001:db8:0:2::fe belongs to no network\. Add a relayed network/,
  },
  "dns-failed": {
    events: [
      ...INSTALLER,
      { type: "dns.upstream", upstream: "[2001:db8::53]:53", state: "down", why: "no answer" },
      { type: "dns.answered", name: "deb.example", qtype: "AAAA", rcode: "SERVFAIL", from: "failed", seconds: 4.8, ...who },
    ],
    says: /deb\.example could not be resolved: \[2001:db8::53\]:53: no answer/,
  },
  "duplicate-duid": {
    events: [...FIRMWARE.map((event) => ({ ...event, machine: "node-02" }) as EventBody), ...FIRMWARE],
    silent: 10,
    notYet: 6,
    says: /node-02 shows the same DUID, 00: two boards have one UUID/,
  },
  "name-without-address": {
    events: [...INSTALLER, named("AAAA", { empty: true }), named("A", {})],
    says: /asked for deb\.example, which has no IPv6 address\. .*dns64/,
  },
  "mirror-unreachable": {
    events: [...ANSWERS, ...Array(40).fill(named("AAAA", {}))],
    says: /looked deb\.example up 40 times in 39 s: that has an address and is not reached/,
  },
  "lease-expired": {
    events: [...FIRMWARE.slice(0, 2), dhcp("Request", "Reply", "firmware-http", { valid: 60 }), ...INITRD.slice(FIRMWARE.length)],
    silent: 100,
    notYet: 40,
    says: /its lease of 2001:db8::5 ended 4\d s ago, and it did not ask again/,
  },
  "answers-by-stranger": {
    events: [...INITRD, STRANGER],
    silent: 30,
    notYet: 15,
    says: /2001:db8::77 asked for \/preseed\/x\.cfg, and is no known machine's address/,
  },
  "clock-wrong": {
    // One second after 2000 began, by its clock; the test's is one of 1970.
    events: [...INITRD, dhcp("Information-request", "Reply", "system", { duid: "000100010000000152540000000b" })],
    silent: 70,
    notYet: 45,
    says: /its clock says 2000-01-01/,
  },
  "program-not-efi": {
    events: [...FIRMWARE, got("/boot/program", { method: "HEAD", sent: 0, userAgent: "UefiHttpBoot/1.0" })],
    silent: 10,
    notYet: 6,
    says: /asked for the size of \/boot\/program and did not fetch it: its name does not end in \.efi/,
  },
  "profile-waits": { events: [...IPXE, rendered("/boot.ipxe", "wait")], says: /its profile debian-12 keeps it waiting/ },
  "ipxe-waits-for-dhcpv4": { events: PROGRAM, silent: 10, notYet: 4, says: /says nothing for 10 s: .*15 s for DHCPv4/ },
  "ipxe-silent": { events: PROGRAM, silent: 50, notYet: 40, says: /in since 50 s, and nothing was heard of it\. Secure Boot/ },
  "script-not-asked-for": { events: IPXE, silent: 40, notYet: 25, says: /has not asked for its script/ },
  "kernel-not-asked-for": { events: SCRIPT, silent: 40, notYet: 25, says: /has the script of profile debian-12 since 40 s/ },
  "installer-silent": {
    events: INITRD,
    silent: 200,
    notYet: 170,
    says: /kernel and initrd are in since 3 min, and the installer was not heard/,
  },
  "answers-not-asked-for": { events: INSTALLER, silent: 200, notYet: 170, says: /has not asked for its answers file/ },
  "not-reported-done": { events: ANSWERS, silent: 4000, notYet: 3500, says: /did not report/ },
};

for (const [rule, { events, silent = 0, notYet, says }] of Object.entries(FAULTS))
  test(`verdict ${rule}`, () => {
    const said = verdict(events, silent);
    assert.equal(said?.rule, rule);
    assert.match(`${said.text} ${said.mend}`, says);
    if (notYet !== undefined) assert.notEqual(verdict(events, notYet)?.rule, rule, `after ${notYet} s`);
  });

test("verdict slower-than-its-peers: silent four times as long as others take there, and half a minute at least", () => {
  const verdictOf = (usual: number, silent: number): Verdict | null => {
    let now = 0;
    const timelines = new Timelines();
    const bus = new EventBus(
      () => ({}),
      () => now,
    );
    bus.subscribe(timelines.read);
    const boot = (id: string, events: readonly EventBody[]): void => {
      for (const event of events) {
        now += event.type === "dhcpv6.answered" && event.clientKind === "system" ? usual * 1000 : 1000;
        bus.emit({ ...event, ...("machine" in event ? { machine: id } : {}), ...("duid" in event ? { duid: id } : {}) } as EventBody);
      }
    };
    for (const id of ["a", "b", "c"]) boot(id, [...ANSWERS, DONE]);
    boot("late", INITRD);
    return timelines.verdict("late", now + silent * 1000);
  };
  assert.equal(verdictOf(1, 20), null);
  assert.equal(verdictOf(1, 40)?.rule, "slower-than-its-peers");
  assert.equal(verdictOf(20, 70), null);
  assert.match(verdictOf(20, 90)?.text ?? "", /^silent at initrd for 90 s; other machines take 2[01] s there/);
});

/** As firmware fetches its boot program by TFTP, when the client ends that or is not allowed to begin. */
const tftp = (status: "refused" | "aborted" | "timeout", why: string): EventBody => ({
  type: "tftp.finished",
  id: 1,
  path: "/ipxe/x86_64/ipxe.efi",
  status,
  sent: 0,
  size: 5,
  seconds: 0,
  why,
  ...who,
});

test("a TFTP transfer that the client ends is broken off, not refused; one that it may not begin is not allowed", () => {
  const aborted = [...FIRMWARE, tftp("aborted", "User aborted the transfer")];
  assert.equal(verdict(aborted, 2), null);
  assert.equal(verdict(aborted, 20)?.rule, "download-broken-off");
  assert.equal(verdict([...FIRMWARE, tftp("timeout", "no answer after 6 repetitions")], 20)?.rule, "download-broken-off");
  assert.equal(verdict([...FIRMWARE, tftp("refused", "EIO: i/o error")], 0)?.rule, "file-unreadable");
  assert.equal(verdict([...FIRMWARE, tftp("refused", "http.allow does not name this address")], 0)?.rule, "not-allowed");
});

test("a template that is wrong is told over TFTP too: a script that prints it, and any other file that is refused for it", () => {
  const sent = (path: string, status: "sent" | "refused", why: string): EventBody =>
    ({ ...tftp("refused", why), path, status, sent: 5 }) as EventBody;
  for (const path of ["/boot.ipxe", "/grub/grub.cfg"])
    assert.match(
      verdict([...IPXE, rendered(path), sent(path, "sent", "cmdline:1:3: undefined")], 0)?.text ?? "",
      new RegExp(`^${path} could not be rendered: cmdline:1:3: undefined\\.$`),
    );
  assert.equal(verdict([...INSTALLER, sent("/preseed/a.cfg", "refused", "preseed/a.cfg:2:4: undefined")], 0)?.rule, "template-error");
  assert.equal(verdict([...SCRIPT, sent("/debian-12/linux", "refused", "EACCES: permission denied")], 0)?.rule, "file-unreadable");
});

test("a profile's script that is not there is missing, though /boot.ipxe goes out in its place and prints that", () => {
  const why = "no such file under boot-assets: mine.ipxe, the script of profile own";
  const over = (event: EventBody): Verdict | null => verdict([...IPXE, event], 0);
  const tftpSent = { ...tftp("refused", why), path: "/boot.ipxe", status: "sent", sent: 5 } as EventBody;
  for (const event of [got("/boot.ipxe", { why }), tftpSent]) {
    const said = over(event);
    assert.equal(said?.rule, "script-missing");
    assert.equal(said.text, `iPXE asked for /boot.ipxe: ${why}.`);
    assert.match(said.mend, /correct `script` of its profile/);
  }
  assert.match(
    over(got("/boot.ipxe", { why: `${why}. Did you mean scripts/mine.ipxe?` }))?.mend ?? "",
    /^Did you mean scripts\/mine\.ipxe\? Put the script there/,
  );
});

test("a file that is being written is told so, over HTTP, over TFTP and where it was on its way", () => {
  const why = "/srv/boot-assets/debian-12/linux is being written";
  const path = "/debian-12/linux";
  const over = { ...tftp("refused", why), path } as EventBody;
  const onItsWay = { ...tftp("aborted", why), path } as EventBody;
  for (const event of [got(path, { status: 503, why }), got(path, { sent: 3, complete: false, why }), over, onItsWay]) {
    const said = verdict([...SCRIPT, event], 20);
    assert.equal(said?.rule, "not-ready");
    assert.match(
      `${said.text} ${said.mend}`,
      /debian-12\/linux and did not get it: it is being written, .* is being written\)\. Wait for that/,
    );
  }
  const script = got("/boot.ipxe", { status: 503, why: "EACCES: permission denied, open '/srv/boot-assets/boot.ipxe'" });
  assert.equal(verdict([...IPXE, script], 0)?.rule, "file-unreadable");
});

test("a download that a service's end cut off is not blamed on the machine, and one that began after it is", () => {
  const started = { type: "http.started", id: 2, path: "/debian-12/linux", size: 40e6, userAgent: "iPXE/1", ...who } as const;
  const stands: EventBody[] = [started, { type: "http.progress", id: 2, path: "/debian-12/linux", sent: 12e6, size: 40e6, ...who }];
  const ready: EventBody = { type: "service.ready", service: "http", listens: [] };
  const failed: EventBody = { type: "service.failed", service: "http", why: "its thread ended", retry: 0.5 };
  const cut = (why: string): RegExp => new RegExp(`^/debian-12/linux was cut off by this side at 12\\.0 MB of 40\\.0 MB: ${why}\\.$`);
  assert.match(verdict([ready, ...SCRIPT, ...stands, failed], 0)?.text ?? "", cut("http ended: its thread ended"));
  assert.match(verdict([ready, ...SCRIPT, ...stands, failed, ready], 0)?.text ?? "", cut("http ended: its thread ended"));
  assert.match(verdict([...SCRIPT, ...stands, ready], 0)?.text ?? "", cut("netboot6 was started again"));
  assert.equal(verdict([...SCRIPT, ...stands, { ...ready, service: "tftp" }], 20)?.rule, "download-stalled");
  const overTftp = { type: "tftp.progress", id: 2, path: "/x.efi", sent: 3, size: 5, ...who } as EventBody;
  assert.equal(verdict([...FIRMWARE, overTftp, { ...failed, service: "tftp" }], 0)?.rule, "cut-off-by-netboot6");
  assert.equal(verdict([ready, ...SCRIPT, failed, ready, ...stands], 20)?.rule, "download-stalled");
});

test("a machine that its script stops, as it boots again and again, is told so", () => {
  const stopped = { ...rendered("/boot.ipxe"), stopped: "it began 3 boots within 5 minutes and came no further than initrd" } as EventBody;
  const said = verdict([...IPXE, stopped, got("/boot.ipxe")], 40);
  assert.match(`${said?.text} ${said?.mend}`, /^its script stops it: it began 3 boots .* initrd\. Look at its screen .*boot-again/);
  assert.equal(said?.rule, "boot-loop");
  assert.equal(verdict([...IPXE, stopped, got("/boot.ipxe"), rendered("/boot.ipxe"), got("/boot.ipxe")], 2), null, "it goes on");
});

test("iPXE that its script stops, as a rule gave it itself again and again, is told which rule to move", () => {
  const round = [got("/ipxe/x86_64/ipxe.efi"), dhcp("Information-request", "Reply", "ipxe")];
  const stopped = { ...rendered("/boot.ipxe"), stopped: "it was given itself" } as EventBody;
  const said = verdict([...IPXE, ...round, ...round, ...round, stopped, got("/boot.ipxe")], 40);
  assert.match(`${said?.text} ${said?.mend}`, /^its script stops it: it was given itself\. .* `userClass: iPXE` before it\. .*boot-again/);
});

test("a download that stands: by this host's disk, by the machine, by the network", () => {
  const started = { type: "http.started", id: 2, path: "/debian-12/initrd.gz", size: 40e6, userAgent: "iPXE/1", ...who } as const;
  const said = verdict([...KERNEL, { ...started, heldUpBy: "disk" }], 20);
  assert.match(
    `${said?.text} ${said?.mend}`,
    /stands at 0 B of 40\.0 MB for 20 s: this host's disk gives no more of it\. Look at the disk/,
  );
  const goesOn: EventBody = { type: "http.progress", id: 2, path: started.path, sent: 12e6, size: 40e6, ...who };
  assert.match(verdict([...KERNEL, { ...started, heldUpBy: "disk" }, goesOn], 20)?.mend ?? "", /^The machine or the network/);
  const stands = (heldUpBy: HeldUpBy): string => {
    const is = verdict([...KERNEL, started, goesOn, { ...goesOn, heldUpBy }], 20);
    return `${is?.text} ${is?.mend}`;
  };
  const since = "/debian-12/initrd.gz stands at 12.0 MB of 40.0 MB for 21 s";
  assert.ok(stands("machine").startsWith(`${since}: the machine answers, and takes no more. Look at its screen`), stands("machine"));
  assert.ok(stands("network").startsWith(`${since}: nothing comes back from it. The network between lost it`), stands("network"));
});

test("a boot that a version without files in its stages stored goes on", () => {
  const timelines = new Timelines();
  const bus = new EventBus(
    () => ({}),
    () => 1000,
  );
  bus.subscribe(timelines.read);
  for (const event of KERNEL) bus.emit({ ...event });
  const [stored] = timelines.takeUnstored(1);
  const again = new Timelines();
  again.restore([JSON.parse(JSON.stringify(stored?.[1], (key, value) => (key === "files" ? undefined : value)))]);
  bus.subscribe(again.read);
  bus.emit(missing("/debian-12/linux"));
  assert.match(again.verdict(machine, 1000)?.text ?? "", /^iPXE asked for \/debian-12\/linux: no such file/);
});

test("an empty file is told of from the request for its size on, and no more once it came whole, or where the installer is up", () => {
  const empty = (path: string, more: Record<string, unknown> = {}): EventBody => got(path, { sent: 0, size: 0, ...more });
  const sized = empty("/ipxe/x86_64/ipxe.efi", { method: "HEAD", userAgent: "UefiHttpBoot/1.0" });
  assert.equal(verdict([...FIRMWARE, sized], 1)?.rule, "file-empty");
  assert.equal(verdict([...SCRIPT, empty("/debian-12/linux"), got("/debian-12/linux")], 1), null);
  assert.equal(verdict([...SCRIPT, empty("/favicon.ico")], 1), null);
  assert.equal(verdict([...INSTALLER, empty("/meta-data", { userAgent: "Cloud-Init" })], 1), null);
});

test("how often a file was asked for is counted of that file alone", () => {
  const second = [...INITRD, missing("/debian-12/firmware.cpio")];
  assert.match(verdict(second, 0)?.text ?? "", /^iPXE asked for \/debian-12\/firmware\.cpio: no such file/);
  const again = [...second, missing("/debian-12/firmware.cpio")];
  assert.match(verdict(again, 0)?.text ?? "", /^iPXE asked for \/debian-12\/firmware\.cpio 2 times: no such file/);
});

test("a router behind a relay is not missed, as its advertisements are not heard", () => {
  const relayed = FIRMWARE.slice(1).map((event) => ({ ...event, relay: "2001:db8:0:2::fe" }) as EventBody);
  assert.equal(verdict(relayed, 12), null);
});

test("a lease that was released does not end, whatever its machine does then", () => {
  const leased = [...FIRMWARE.slice(0, 2), dhcp("Request", "Reply", "firmware-http", { valid: 60 })];
  const released = [...leased, dhcp("Release", "Reply", "system", { addresses: [] }), ...INITRD.slice(FIRMWARE.length)];
  assert.equal(verdict(released, 100), null);
});

test("an installer's clock is as wrong once it has its answers; an installed system's DUID is as old as its disk", () => {
  const system = dhcp("Information-request", "Reply", "system", { duid: "000100010000000152540000000b" });
  assert.equal(verdict([...INITRD, system, ...ANSWERS.slice(INSTALLER.length)], 70)?.rule, "clock-wrong");
  assert.equal(verdict([system, ...ANSWERS], 70), null);
});

test("answers asked for by a stranger on another network, or before the machine needed any, are nobody's here", () => {
  assert.notEqual(verdict([...INITRD, { ...STRANGER, network: "another" } as EventBody], 30)?.rule, "answers-by-stranger");
  assert.notEqual(verdict([STRANGER, ...INITRD], 30)?.rule, "answers-by-stranger");
  const file = got("/ks/node.ks", { client: "2001:db8::77", machine: undefined });
  assert.match(verdict([...INITRD, file], 30)?.text ?? "", /^2001:db8::77 asked for \/ks\/node\.ks/);
});

test("firmware that is not answered begins a boot, whatever became of the one before; a system that is not is as it was", () => {
  const solicit = (clientKind: string): EventBody =>
    ({ ...dropped("relay 2001:db8::9 is not among the relays of network rack-2"), clientKind }) as EventBody;
  for (const before of [PROGRAM, INSTALLER, [...ANSWERS, DONE]]) {
    assert.equal(verdict([...before, solicit("firmware-http")], 1)?.rule, "not-served");
    // Two relays on its link, one of which is not ours.
    assert.equal(verdict([...before, solicit("firmware-http"), ...FIRMWARE], 1), null);
    assert.equal(verdict([...before, ...FIRMWARE, solicit("firmware-http")], 1), null);
  }
  assert.equal(verdict([...ANSWERS, DONE, solicit("system")], 1), null);
});

test("a rival router is not blamed for a program that solicits none", () => {
  assert.notEqual(verdict(FAULTS["rival-router"]?.events.slice(0, -1) ?? [], 40)?.rule, "rival-router");
});

test("a machine that goes on once it is answered, however often it solicits, loses no advertisement", () => {
  const events = FAULTS["advertisements-lost"]?.events ?? [];
  assert.equal(verdict([...events, ...IPXE.slice(PROGRAM.length)], 10), null);
  assert.notEqual(verdict([...PROGRAM, ...Array(6).fill(SOLICITED)], 10)?.rule, "advertisements-lost", "who is not answered");
});

test("a name that there is not, and a question that is refused", () => {
  const asked = (more: Record<string, unknown>): string => verdict([...INSTALLER, named("AAAA", more)], 2)?.text ?? "";
  assert.match(asked({ rcode: "NXDOMAIN" }), /^it asked for deb\.example, and there is no such name/);
  assert.match(asked({ rcode: "REFUSED", from: "refused" }), /^its question for deb\.example was refused/);
});

test("a rival router that withdrew or fell silent is not blamed", () => {
  const fault = FAULTS["rival-router"];
  assert.ok(fault);
  const [heard, ...boot] = fault.events;
  for (const state of ["withdrawn", "silent"] as const)
    assert.notEqual(verdict([heard as EventBody, { ...heard, state } as EventBody, ...boot], 40)?.rule, "rival-router", state);
});

test("an installer that asks for the name of its own address, and finds none, does not stand still for that", () => {
  const asked: EventBody = { type: "dns.answered", name: "5.ip6.arpa", qtype: "PTR", rcode: "NXDOMAIN", from: "local", seconds: 0, ...who };
  assert.equal(verdict([...INSTALLER, asked], 2), null);
});

const offered = (clientKind: string, more: Record<string, unknown> = {}): EventBody => dhcp("Solicit", "Advertise", clientKind, more);
const rival = (flags: { managed?: boolean; other?: boolean }): EventBody =>
  ({ ...(FAULTS["rival-router"]?.events[0] as EventBody), ...flags }) as EventBody;
const asksForRouter = (times: number): EventBody[] =>
  Array(times)
    .fill([SOLICITED, { type: "ra.sent", interface: "eth1", to: client, why: "solicited", ...who }])
    .flat();
const PXE = [
  offered("firmware-pxe", { bootfileUrl: "tftp://[2001:db8::1]/x.efi" }),
  dhcp("Request", "Reply", "firmware-pxe", { bootfileUrl: "tftp://[2001:db8::1]/x.efi" }),
];
const looks = (times: number, apart: number, more: Record<string, unknown> = {}): (EventBody | number)[] =>
  Array(times)
    .fill([apart, named("AAAA", more)])
    .flat();
const head = (path: string, more: Record<string, unknown> = {}): EventBody =>
  got(path, { method: "HEAD", sent: 0, userAgent: "UefiHttpBoot/1.0", ...more });

const YEAR_2000 = 946_684_800;
const CLOCK_OF_2000 = dhcp("Information-request", "Reply", "system", { duid: "000100010000000152540000000b" });

type Row = readonly [what: string, rule: string, events: readonly (EventBody | number)[], silent: number];

/** What is near a fault, and none of that rule's. */
const NONE: readonly Row[] = [
  ["one offer may be under way", "offer-not-taken", [advertised, offered("firmware-http")], 6],
  ["it has its script: what iPXE is offered then stops nothing", "offer-not-taken", [...SCRIPT, offered("ipxe"), offered("ipxe")], 10],
  ["three solicitations", "advertisements-lost", [...PROGRAM, ...asksForRouter(3)], 10],
  ["it went on to iPXE", "rival-router", [rival({}), ...IPXE, SOLICITED], 40],
  ["firmware asked for a router, before its program", "rival-router", [rival({}), advertised, SOLICITED, ...PROGRAM], 40],
  ["a rival that says M=1", "rival-router", [rival({ managed: true }), ...PROGRAM, SOLICITED], 40],
  ["a rival that says O=1", "rival-router", [rival({ other: true }), ...PROGRAM, SOLICITED], 40],
  [
    "it has an address, and no prefix",
    "pool-full",
    [advertised, offered("firmware-http", { why: ["the prefixes of network provisioning are all leased: it is full"] })],
    1,
  ],
  [
    "iPXE goes on with an address of its own",
    "no-addresses-leased",
    [...PROGRAM, offered("ipxe", { addresses: [], why: ["network provisioning leases no addresses"] })],
    1,
  ],
  [
    "iPXE has a script in it",
    "no-boot-file",
    [...PROGRAM, dhcp("Request", "Reply", "ipxe", { bootfileUrl: undefined, why: ["no boot rule for architecture 7, user class iPXE"] })],
    1,
  ],
  [
    "it fetches it all the same",
    "http-url-for-pxe",
    [advertised, dhcp("Request", "Reply", "firmware-pxe"), got("/ipxe/x86_64/ipxe.efi")],
    1,
  ],
  ["HTTP boot was long ago", "tftp-instead-of-http", [...FIRMWARE, 400, ...PXE], 10],
  ["firmware that only does PXE", "tftp-instead-of-http", [advertised, ...PXE], 10],
  ["PXE came through", "tftp-instead-of-http", [...FIRMWARE, ...PXE, got("/x.efi"), dhcp("Request", "Reply", "ipxe")], 10],
  ["it came back to us", "two-servers", [advertised, offered("firmware-http"), dropped("it is for another server"), ...PROGRAM], 1],
  ["a kernel that has its program without a router", "no-router", KERNEL.slice(1), 12],
  ["it has an address", "name-without-address", [...INSTALLER, named("AAAA", {}), named("A", {})], 1],
  ["it asked for a mail exchanger", "name-without-address", [...INSTALLER, named("MX", { empty: true })], 1],
  ["no such name", "name-without-address", [...INSTALLER, named("AAAA", { rcode: "NXDOMAIN", empty: true })], 1],
  ["three looks", "mirror-unreachable", [...ANSWERS, ...looks(3, 20)], 1],
  ["all within a few seconds", "mirror-unreachable", [...ANSWERS, ...looks(20, 1)], 1],
  ["it goes on", "mirror-unreachable", [...ANSWERS, ...looks(5, 10), got("/late.sh")], 1],
  ["it tries no more", "mirror-unreachable", [...ANSWERS, ...looks(5, 10)], 200],
  ["names of this appliance", "mirror-unreachable", [...ANSWERS, ...looks(5, 10, { from: "local" })], 1],
  ["no such name each time", "mirror-unreachable", [...ANSWERS, ...looks(5, 10, { rcode: "NXDOMAIN" })], 1],
  ["iPXE looks the server's name up for each file", "mirror-unreachable", [...SCRIPT, ...looks(5, 10)], 1],
  [
    "a name for each package",
    "mirror-unreachable",
    [...ANSWERS, ...["a", "b", "c", "d", "e"].flatMap((name) => [10, named("AAAA", { name })])],
    1,
  ],
  [
    "of A and AAAA together four, of one alone two",
    "mirror-unreachable",
    [...ANSWERS, named("AAAA", {}), named("A", {}), 40, named("A", {}), named("AAAA", {})],
    1,
  ],
  ["a name that resolves", "dns-failed", [...INSTALLER, named("AAAA", {})], 1],
  ["another type has none", "dns-failed", [...INSTALLER, named("TXT", { rcode: "NXDOMAIN" })], 1],
  ["the system boots and looks names up", "dns-failed", [named("AAAA", { rcode: "NXDOMAIN" })], 1],
  ["it is installed", "dns-failed", [...ANSWERS, DONE, named("AAAA", { rcode: "NXDOMAIN" })], 1],
  [
    "a session was had since",
    "certificate-refused",
    [...FIRMWARE, { type: "http.tlsFailed", why: "unknown ca", ...who }, ...PROGRAM.slice(3)],
    1,
  ],
  [
    "TFTP got it since",
    "certificate-refused",
    [
      ...FIRMWARE,
      { type: "http.tlsFailed", why: "unknown ca", ...who },
      { ...tftp("aborted", ""), status: "sent", why: undefined } as unknown as EventBody,
    ],
    1,
  ],
  ["it fetched it", "program-not-efi", [...FIRMWARE, got("/boot/program", { userAgent: "UefiHttpBoot/1.0" })], 10],
  ["its size is all it asked for: an EFI program", "program-not-efi", [...FIRMWARE, head("/boot/program.efi")], 10],
  ["a disk image that firmware makes a RAM disk of", "program-not-efi", [...FIRMWARE, head("/boot/disk.img")], 10],
  ["a CD image that firmware makes a RAM disk of", "program-not-efi", [...FIRMWARE, head("/boot/cd.iso")], 10],
  ["the installer asks for a size", "program-not-efi", [...INSTALLER, head("/packages/x")], 10],
  ["it is refused its size", "program-not-efi", [...FIRMWARE, head("/boot/program", { status: 403, why: "http.allow" })], 10],
  ["it came further this time", "program-refused", [...PROGRAM, ...PROGRAM, ...PROGRAM, ...IPXE.slice(PROGRAM.length)], 1],
  ["it broke the last off", "program-refused", [...PROGRAM, ...PROGRAM, ...FIRMWARE, tftp("aborted", "User aborted the transfer")], 1],
  [
    "it came whole at last",
    "download-broken-off",
    [...SCRIPT, got("/debian-12/linux", { sent: 3, complete: false }), got("/debian-12/linux")],
    20,
  ],
  ["its script is in", "download-stalled", SCRIPT, 20],
  [
    "a template's error in an answers file is no script's",
    "file-empty",
    [...IPXE, got("/scripts/a.ipxe", { sent: 0, size: 0, status: 404, why: "no such file" })],
    1,
  ],
  ["its size is 0 as it has not changed", "file-empty", [...SCRIPT, got("/debian-12/linux", { sent: 0, size: 0, status: 304 })], 1],
  ["shim is in: it waits for no DHCPv4", "ipxe-waits-for-dhcpv4", [...FIRMWARE, got("/grub/x86_64/shimx64.efi")], 10],
  [
    "it got a profile, and its kernel",
    "profile-waits",
    [...IPXE, rendered("/boot.ipxe", "wait"), got("/boot.ipxe"), got("/debian-12/linux")],
    1,
  ],
  ["it boots its disk", "kernel-not-asked-for", [...IPXE, rendered("/boot.ipxe", "disk"), got("/boot.ipxe")], 40],
  [
    "it spoke a moment ago",
    "lease-expired",
    [dhcp("Request", "Reply", "firmware-http", { valid: 1 }), ...INITRD.slice(FIRMWARE.length)],
    20,
  ],
  ["it has its answers", "answers-by-stranger", [...ANSWERS, STRANGER], 30],
  ["its clock is 20 hours behind", "clock-wrong", [YEAR_2000 + 20 * 3600, ...INITRD, CLOCK_OF_2000], 70],
  [
    "its DUID has no time in it",
    "clock-wrong",
    [...INITRD, dhcp("Information-request", "Reply", "system", { duid: "0004000000015254" })],
    70,
  ],
  ["its program failed", "ipxe-silent", [...FIRMWARE, missing("/ipxe/x86_64/ipxe.efi")], 50],
];

for (const [what, rule, events, silent] of NONE)
  test(`no verdict ${rule}: ${what}`, () => assert.notEqual(verdict(events, silent)?.rule, rule));

/** Other ways to a fault than the one above. */
const ALSO: readonly Row[] = [
  ["a single offer, and nothing more", "offer-not-taken", [advertised, offered("firmware-http")], 9],
  ["iPXE requests none", "offer-not-taken", [...PROGRAM, offered("ipxe"), offered("ipxe")], 1],
  ["it asks for a router in between", "not-served", [dropped("no network on eth7"), ...asksForRouter(1)], 1],
  ["four solicitations", "advertisements-lost", [...PROGRAM, ...asksForRouter(4)], 10],
  ["HTTP boot was the boot before", "tftp-instead-of-http", [...PROGRAM, ...PXE], 10],
  ["HTTP boot was four minutes ago", "tftp-instead-of-http", [...FIRMWARE, 240, ...PXE], 10],
  ["it asked by TFTP and goes no further", "tftp-instead-of-http", [...FIRMWARE, ...PXE, got("/x.efi")], 10],
  ["iPXE took the other's", "two-servers", [...PROGRAM, offered("ipxe"), dropped("it is for another server")], 1],
  ["its program is in, and iPXE hears none", "no-router", PROGRAM.slice(1), 12],
  ["it asked for AAAA alone", "name-without-address", [...INSTALLER, named("AAAA", { empty: true })], 1],
  ["it did not begin to read its answers", "mirror-unreachable", [...INSTALLER, ...looks(4, 11)], 170],
  ["four looks", "mirror-unreachable", [...ANSWERS, ...looks(4, 11)], 1],
  ["too many transfers", "not-ready", [...IPXE, got("/boot.ipxe", { status: 503, why: "too many transfers" })], 1],
  [
    "an answers file whose template is wrong",
    "template-error",
    [...INSTALLER, got("/preseed/a.cfg", { status: 500, why: "preseed/a.cfg:2:4: undefined", userAgent: "Wget" })],
    1,
  ],
  ["its kernel is in", "answers-by-stranger", [...KERNEL, STRANGER], 30],
  ["its installer was heard", "answers-by-stranger", [...INSTALLER, STRANGER], 30],
  ["its clock is 40 hours behind", "clock-wrong", [YEAR_2000 + 40 * 3600, ...INITRD, CLOCK_OF_2000], 70],
  ["it asks for its name of IPv4", "dns-failed", [...INSTALLER, named("A", { rcode: "NXDOMAIN" })], 1],
  [
    "TFTP gave an empty file",
    "file-empty",
    [...FIRMWARE, { ...tftp("refused", ""), status: "sent", size: 0, why: undefined } as unknown as EventBody],
    1,
  ],
];

for (const [what, rule, events, silent] of ALSO) test(`verdict ${rule}: ${what}`, () => assert.equal(verdict(events, silent)?.rule, rule));

test("a machine that was not heard for a day is off, and waits for nothing", () => {
  assert.notEqual(verdict(FIRMWARE, 23 * 3600), null);
  assert.equal(verdict(FIRMWARE, 25 * 3600), null);
});

test("the mend of a message that is not answered says what to add or to delete", () => {
  const mend = (why: string): string => verdict([dropped(why)], 1)?.mend ?? "";
  assert.match(mend("relay 2001:db8::9 is not among the relays of network rack-2"), /^Add the relay to `relays`/);
  assert.match(mend("DHCPv6 is off on network rack-2"), /^Delete `dhcp: false`/);
  assert.match(mend("no network on eth7"), /^Add the interface under networks/);
});

test("every rule has its fault here", () => {
  assert.deepEqual(
    Object.keys(VERDICTS).filter((rule) => !(rule in FAULTS)),
    ["slower-than-its-peers"],
  );
});

test("a boot that goes well has no verdict at any of its stages, nor one that is done", () => {
  for (let n = 1; n <= ANSWERS.length; n++) assert.equal(verdict(ANSWERS.slice(0, n), 2), null, `after ${n}`);
  assert.equal(verdict([...ANSWERS, DONE], 100_000), null);
});

test("shim and GRUB: what they ask for and do without is no fault; what they stand still at is told of GRUB", () => {
  const shim = [...FIRMWARE, got("/grub/x86_64/shimx64.efi", { userAgent: "UefiHttpBoot/1.0" })];
  const optional = ["/grub/x86_64/revocations_sku.efi", "/grub/x86_64revocations_sbat.efi", "/grub/x86_64/shim_certificate_0.efi"];
  const grub = [...shim, ...optional.map((path) => missing(path)), got("/grub/x86_64/grubx64.efi")];
  const lists = ["command", "fs", "crypto", "terminal"].map((name) => missing(`/grub/x86_64-efi/${name}.lst`));
  lists.push(missing("/debian-installer/amd64/grub/x86_64-efi/http.mod"));
  const config = [...grub, ...lists, rendered("/grub/grub.cfg"), got("/grub/grub.cfg")];
  const whole = [...config, got("/debian-12/linux"), got("/debian-12/initrd.gz")];
  for (let n = 1; n <= whole.length; n++) assert.equal(verdict(whole.slice(0, n), 2), null, `after ${n}`);
  assert.equal(verdict(grub, 10), null, "it waits for no DHCPv4");
  const said = (events: readonly EventBody[], silent = 0): string => verdict(events, silent)?.text ?? "";
  assert.match(said([...config, missing("/debian-12/linux")]), /^GRUB asked for \/debian-12\/linux: no such file/);
  assert.match(said(config, 40), /^GRUB has the script of profile debian-12/);
  assert.match(
    said([...grub, got("/grub/grub.cfg", { why: "cmdline:1:3: undefined" })]),
    /^\/grub\/grub\.cfg could not be rendered: cmdline:1:3/,
  );
  assert.match(said([...shim, missing("/grub/x86_64/grubx64.efi")]), /^firmware asked for \/grub\/x86_64\/grubx64\.efi: no such file/);
});

test("a verdict is told once, and its end too", () => {
  const now = 0;
  const timelines = new Timelines();
  const bus = new EventBus(
    () => ({}),
    () => now,
  );
  bus.subscribe(timelines.read);
  const told = (): unknown[] => [...timelines.newVerdicts(now)].map(({ machine: id, verdict: said }) => [id, said?.rule ?? null]);
  for (const event of [...SCRIPT, missing("/debian-12/linux")]) bus.emit({ ...event });
  assert.deepEqual(told(), [[machine, "kernel-missing"]]);
  assert.deepEqual(told(), []);
  bus.emit(got("/debian-12/linux"));
  assert.deepEqual(told(), [[machine, null]]);
});
