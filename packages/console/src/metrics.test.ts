/** What the stream says, counted: names, labels and numbers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineView } from "./schemas.ts";
import { ADDRESS, boot, testConsole } from "./test-console.ts";

type Console = Awaited<ReturnType<typeof testConsole>>;

const scrape = async ({ app }: Console): Promise<string> => (await app.inject({ url: "/metrics", headers: { host: "[::1]:8067" } })).body;

/** The value of one series; undefined where there is none. */
function value(text: string, series: string): number | undefined {
  const line = text.split("\n").find((each) => each.startsWith(`${series} `));
  return line === undefined ? undefined : Number(line.slice(series.length + 1));
}

test("each message, answer, byte and stage of a boot is counted once", async () => {
  const console = await testConsole();
  boot(console.bus);
  const text = await scrape(console);
  const series = {
    'netboot6_dhcpv6_messages_total{message="Solicit",answer="Advertise",network="prov"}': 1,
    'netboot6_dhcpv6_messages_total{message="Request",answer="Reply",network="prov"}': 1,
    'netboot6_http_requests_total{method="GET",status="200"}': 2,
    netboot6_http_sent_bytes_total: 1300,
    netboot6_http_transfers_running: 0,
    'netboot6_machines{stage="script"}': 1,
    'netboot6_machines{stage="none"}': 1,
    'netboot6_machines{stage="done"}': 0,
    'netboot6_leases{network="prov",state="bound"}': 1,
    'netboot6_leases{network="prov",state="expired"}': 1,
    'netboot6_boot_stage_seconds_count{stage="firmware"}': 1,
    'netboot6_boot_stage_seconds_count{stage="ipxe"}': 1,
    netboot6_boot_seconds_count: 0,
  };
  for (const [name, expected] of Object.entries(series)) assert.equal(value(text, name), expected, name);
  assert.match(text, /^netboot6_build_info\{version="[\d.]+",node="v\d/m);
  assert.match(text, /^nodejs_eventloop_lag_seconds /m);
});

test("a download that goes on is counted as it goes", async () => {
  const console = await testConsole();
  const asker = { client: "fe80::1", machine: "m-525400000001" };
  console.bus.emit({ type: "http.progress", id: 7, path: "/x", sent: 400, size: 1000, ...asker });
  assert.equal(value(await scrape(console), "netboot6_http_sent_bytes_total"), 400);
  assert.equal(value(await scrape(console), "netboot6_http_transfers_running"), 1);
  console.bus.emit({ type: "service.failed", service: "http", why: "its thread ended", retry: 1 });
  const text = await scrape(console);
  assert.equal(value(text, "netboot6_http_transfers_running"), 0);
  assert.equal(value(text, 'netboot6_service_up{service="http"}'), 0);
});

test("an upstream is up or down from its first change on, and is in no series once it is asked no more", async () => {
  const console = await testConsole();
  const series = 'netboot6_dns_upstream_up{upstream="2001:db8::53"}';
  const after = async (state: "up" | "down" | "gone"): Promise<number | undefined> => {
    console.bus.emit({ type: "dns.upstream", upstream: "2001:db8::53", state, why: "" });
    return value(await scrape(console), series);
  };
  assert.equal(value(await scrape(console), series), undefined);
  assert.deepEqual([await after("down"), await after("up"), await after("gone")], [0, 1, undefined]);
});

test("DNS answers that are told as a number count as so many", async () => {
  const console = await testConsole();
  console.bus.emit({ type: "dns.answered", name: "a", qtype: "AAAA", rcode: "NOERROR", from: "cache", seconds: 0 });
  console.bus.emit({ type: "dns.counted", rcode: "NOERROR", from: "cache", count: 41 });
  console.bus.emit({ type: "wire.dropped", service: "dns", why: "too many from 2001:db8::1", count: 9 });
  const text = await scrape(console);
  assert.equal(value(text, 'netboot6_dns_answers_total{from="cache",rcode="NOERROR"}'), 42);
  assert.equal(value(text, 'netboot6_wire_dropped_total{service="dns",reason="too many from …"}'), 9);
});

test("labels are bounded, whatever comes over the wire, and name no machine", async () => {
  const console = await testConsole();
  boot(console.bus);
  for (let i = 0; i < 1000; i++) {
    const letters = String.fromCharCode(97 + (i % 26), 97 + (Math.floor(i / 26) % 26), 97 + Math.floor(i / 676));
    console.bus.emit({ type: "dhcpv6.dropped", message: `message type ${i}`, why: `relay 2001:db8::${i} is ${letters}`, network: "prov" });
    console.bus.emit({
      type: "http.finished",
      id: i,
      method: letters,
      path: `/${i}`,
      status: 404,
      sent: 0,
      size: 0,
      seconds: 0,
      userAgent: "",
      complete: true,
    });
  }
  const text = await scrape(console);
  const series = (name: string): string[] => text.split("\n").filter((line) => line.startsWith(`${name}{`));
  assert.equal(series("netboot6_dhcpv6_dropped_total").length, 41);
  assert.equal(value(text, 'netboot6_dhcpv6_dropped_total{reason="other",network="prov"}'), 960);
  assert.equal(value(text, 'netboot6_http_requests_total{method="other",status="404"}'), 1000);
  assert.doesNotMatch(text, /m-525400000001|52:54:00/);
});

test("machines are counted as /machines lists them, those that are not served and those that stand still too", async () => {
  const console = await testConsole();
  const { bus } = console;
  boot(bus);
  const asker = { client: "fe80::1", machine: "m-525400000001", network: "prov" };
  const finished = { type: "http.finished", method: "GET", seconds: 0, userAgent: "iPXE", complete: true, ...asker } as const;
  for (const id of [3, 4, 5])
    bus.emit({ ...finished, id, path: "/linux", status: 404, sent: 27, size: 27, why: "no such file under boot-assets" });
  const why = "the relay's link-address 2001:db8:7::1 belongs to no network";
  const stranger = { client: "fe80::9", machine: "m-525400000009", mac: "52:54:00:00:00:09" };
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why, ...stranger });

  const agree = async (): Promise<Record<string, number>> => {
    const text = await scrape(console);
    const listed = (await console.app.inject({ url: "/api/v1/machines?", headers: { host: "[::1]:8067" } })).json() as MachineView[];
    const rules = listed.flatMap(({ verdict }) => (verdict ? [verdict.rule] : []));
    const told = [...text.matchAll(/^netboot6_machines_stuck\{rule="(.*)"\} (\d+)/gm)].map(([, rule, count]) => [rule, Number(count)]);
    const inAll = [...text.matchAll(/^netboot6_machines\{.*\} (\d+)/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
    assert.equal(inAll, listed.length);
    assert.deepEqual(told.flatMap(([rule, count]) => Array(count as number).fill(rule)).toSorted(), rules.toSorted());
    return Object.fromEntries(told);
  };
  assert.deepEqual(await agree(), { "kernel-missing": 1, "not-served": 1 });
  console.registry.machines.forget("m-525400000001");
  console.timelines.forget("m-525400000001");
  bus.emit({ type: "operator.acted", what: "forgot machine m-525400000001" });
  assert.deepEqual(await agree(), { "not-served": 1 });
});

test("each kind of event has its series, one more with each; leases by network and state", async () => {
  const console = await testConsole();
  const { bus, registry } = console;
  const asker = { client: "fe80::1", network: "prov" };
  const file = { id: 7, path: "/x.efi", size: 1000, ...asker };
  const http = { method: "HEAD", status: 200, seconds: 0, userAgent: "", complete: true } as const;
  bus.emit({ type: "dhcpv6.dropped", message: "Solicit", why: "it names no server", ...asker });
  bus.emit({ type: "http.finished", ...file, ...http, sent: 0 });
  bus.emit({ type: "tftp.started", ...file });
  bus.emit({ type: "tftp.progress", ...file, sent: 400 });
  bus.emit({ type: "tftp.started", ...file, id: 8 });
  bus.emit({ type: "tftp.finished", ...file, id: 8, sent: 600, status: "sent", seconds: 0 });
  bus.emit({ type: "machine.rendered", path: "/boot.ipxe", profile: "debian", profileKind: "kernel", why: "", ...asker });
  bus.emit({ type: "ra.sent", interface: "prov0", network: "prov", to: "ff02::1", why: "periodic" });
  bus.emit({ type: "ra.solicited", interface: "prov0", ...asker });
  const heard = { router: "fe80::9", managed: false, other: false, lifetime: 0, why: "", differences: [] };
  bus.emit({ type: "ra.heard", interface: "prov0", network: "prov", state: "advertises", ...heard });
  bus.emit({ type: "machine.done", profile: "debian", ...asker });
  bus.emit({ type: "appliance.reloaded", changed: [] });
  bus.emit({ type: "appliance.refused", why: "" });
  bus.emit({ type: "service.ready", service: "dns", listens: [] });
  const series = {
    'netboot6_dhcpv6_dropped_total{reason="it names no server",network="prov"}': 1,
    'netboot6_http_requests_total{method="HEAD",status="200"}': 1,
    netboot6_tftp_sent_bytes_total: 1000,
    netboot6_tftp_transfers_running: 1,
    'netboot6_tftp_transfers_total{status="sent"}': 1,
    'netboot6_rendered_files_total{profile_kind="kernel"}': 1,
    'netboot6_ra_sent_total{network="prov",why="periodic"}': 1,
    'netboot6_ra_solicited_total{network="prov"}': 1,
    'netboot6_ra_heard_total{network="prov",state="advertises"}': 1,
    netboot6_installations_done_total: 1,
    'netboot6_reloads_total{result="taken"}': 1,
    'netboot6_reloads_total{result="refused"}': 1,
    'netboot6_service_up{service="dns"}': 1,
  };
  const text = await scrape(console);
  for (const [name, expected] of Object.entries(series)) assert.equal(value(text, name), expected, name);

  bus.emit({ type: "service.failed", service: "tftp", why: "its thread ended", retry: 1 });
  const lease = registry.leases.byAddress(ADDRESS);
  assert.ok(lease);
  registry.leases.release(lease);
  registry.leases.put({ ...lease, address: "2001:db8:0:1::30", state: "declined" });
  const after = await scrape(console);
  assert.equal(value(after, "netboot6_tftp_transfers_running"), 0);
  assert.equal(value(after, 'netboot6_service_failures_total{service="tftp"}'), 1);
  for (const [state, count] of Object.entries({ bound: 0, expired: 1, released: 1, declined: 1 }))
    assert.equal(value(after, `netboot6_leases{network="prov",state="${state}"}`) ?? 0, count, state);
});

test("buckets reach from a tenth of a second to half an hour for a stage, to an hour for a boot", async () => {
  const console = await testConsole();
  boot(console.bus);
  console.bus.emit({ type: "machine.done", profile: "debian", client: "fe80::1", machine: "m-525400000001" });
  const text = await scrape(console);
  const buckets = (name: string): string =>
    [...text.matchAll(new RegExp(`^netboot6_${name}_bucket\\{le="([^"]+)"`, "gm"))].map(([, le]) => le).join(" ");
  assert.equal(buckets("boot_stage_seconds").split(" +Inf ")[0], "0.1 0.25 0.5 1 2.5 5 10 30 60 120 300 600 1800");
  assert.equal(buckets("boot_seconds"), "10 30 60 90 120 180 300 600 1200 1800 3600 +Inf");
});

test("each time that a boot comes to stand still is counted", async () => {
  const console = await testConsole();
  const stuck = { type: "machine.stuck", rule: "initrd-missing", text: "t", mend: "m", machine: "m-525400000001" } as const;
  console.bus.emit(stuck);
  console.bus.emit({ type: "machine.goesOn", machine: stuck.machine });
  console.bus.emit(stuck);
  assert.equal(value(await scrape(console), 'netboot6_machines_stuck_total{rule="initrd-missing"}'), 2);
});
