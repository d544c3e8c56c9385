/** What the stream says, counted: names, labels and numbers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { boot, testConsole } from "./test-console.ts";

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

test("machines that stand still are counted by the rule of their verdict, until they go on", async () => {
  const console = await testConsole();
  const machine = "m-525400000001";
  console.bus.emit({ type: "machine.stuck", rule: "kernel-missing", text: "t", mend: "m", machine });
  assert.equal(value(await scrape(console), 'netboot6_machines_stuck{rule="kernel-missing"}'), 1);
  console.bus.emit({ type: "machine.stuck", rule: "initrd-missing", text: "t", mend: "m", machine });
  console.bus.emit({ type: "machine.goesOn", machine });
  const text = await scrape(console);
  assert.equal(value(text, 'netboot6_machines_stuck{rule="kernel-missing"}'), undefined);
  assert.equal(value(text, 'netboot6_machines_stuck{rule="initrd-missing"}'), undefined);
  assert.equal(value(text, 'netboot6_machines_stuck_total{rule="initrd-missing"}'), 1);
  console.bus.emit({ type: "machine.stuck", rule: "kernel-missing", text: "t", mend: "m", machine });
  console.registry.machines.forget(machine);
  assert.doesNotMatch(await scrape(console), /^netboot6_machines_stuck\{/m, "it was forgotten");
});
