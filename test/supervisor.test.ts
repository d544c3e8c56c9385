/** The process as an operator and systemd see it: start, ready, reload, stop, privileges, a host that is not ready yet. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { test } from "node:test";
import { Appliance, NETBOOT6, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { bootAssets, INSTALLER, MAC, makeVlan, SLAAC_ADDRESS, startAppliance, UUID } from "./setup.ts";

const TWO_LINES = "networks:\n  - interface: prov0\n";

/** Listens for router advertisements on the VLAN; gives what tcpdump wrote of them so far. */
async function hearAdvertisements(vlan: ProvisioningVlan): Promise<() => string> {
  const tcpdump = vlan.switch.spawn(["tcpdump", "-l", "-n", "-v", "-i", "br0", "icmp6 and ip6[40] == 134"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let heard = "";
  tcpdump.stdout?.on("data", (data) => {
    heard += data;
  });
  await new Promise<void>((resolve) => tcpdump.stderr?.on("data", (data) => String(data).includes("listening") && resolve()));
  return () => heard;
}

async function until(what: string, fits: () => boolean, seconds = 10): Promise<void> {
  for (const end = Date.now() + seconds * 1000; !fits(); await new Promise((resolve) => setTimeout(resolve, 50)))
    assert.ok(Date.now() < end, `not within ${seconds} s: ${what}`);
}

test("two lines are enough: every service answers, one JSON line says ready, SIGTERM ends it with final advertisements", async (t) => {
  const vlan = makeVlan(t);
  const heard = await hearAdvertisements(vlan);
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES });
  const ready = appliance.lines.find((line) => line.event === "appliance.ready");
  assert.equal(ready?.msg, "ready");
  assert.deepEqual(ready?.services, ["console", "dhcpv6", "dns", "http", "tftp", "ra"]);
  await until("a first advertisement", () => /router lifetime 180s/.test(heard()));
  const started = Date.now();
  assert.equal(await appliance.stop(), 0);
  assert.ok(Date.now() - started < 5000);
  await until("a final advertisement", () => /router lifetime 0s/.test(heard()));
});

test("what is wrong, and does not keep it from starting, is told as it starts: with the file's place, and of a store that it put aside", async (t) => {
  const vlan = makeVlan(t);
  mkdirSync(join(vlan.dir, "state"));
  writeFileSync(join(vlan.dir, "state/netboot6.db"), "");
  const appliance = await startAppliance(t, vlan, { configuration: `${TWO_LINES}    dhcp: { lifetimes: { preferred: 5m, valid: 5m } }\n` });
  for (const what of [
    /appliance\.yaml:3:48: warning: networks\[0\]\.dhcp\.lifetimes\.valid: .*\. Write 10m or more\. \[lease-short\]$/,
    /warning: http\.root: there is no folder .* \[missing-boot-file\]$/,
    /the lease store was damaged \(it is empty\); it was put aside as .*netboot6\.db\.damaged-/,
  ])
    assert.ok(
      appliance.lines.some(({ event, msg }) => event === "appliance.warned" && what.test(msg)),
      `${what}: ${JSON.stringify(appliance.lines)}`,
    );
});

test("what is turned off is not there; what is left works", async (t) => {
  const vlan = makeVlan(t);
  const configuration = "networks:\n  - interface: prov0\n    advertise: false\nhttp: false\ndns: false\nconsole: false\n";
  const appliance = await startAppliance(t, vlan, { configuration });
  assert.deepEqual(appliance.lines.find((line) => line.event === "appliance.ready")?.services, ["dhcpv6", "tftp"]);
  const { stdout } = await vlan.server.exec(["ss", "-6Hlntu"]);
  assert.deepEqual([...new Set([...stdout.matchAll(/:(\d+)\s/g)].map(([, port]) => port))].sort(), ["547", "69"]);
  assert.equal(await appliance.stop(), 0);
});

test("a bad configuration ends it with exit code 2 and a message that names file, line, column, key and mend", async (t) => {
  const vlan = makeVlan(t);
  const appliance = new Appliance(vlan, { configuration: "networks:\n  - interfase: prov0\n" });
  assert.equal(await appliance.exit, 2);
  assert.match(appliance.errors, /appliance\.yaml:2:5: networks\[0\]\.interfase: .*interface/);
});

test("CAP_NET_RAW and CAP_NET_BIND_SERVICE alone are enough, under a user of no rights", async (t) => {
  const vlan = makeVlan(t);
  vlan.server.run(["chmod", "-R", "a+rwX", vlan.dir]);
  const before = [
    "setpriv",
    "--reuid",
    "nobody",
    "--regid",
    "nogroup",
    "--clear-groups",
    "--inh-caps",
    "-all,+net_raw,+net_bind_service",
    "--ambient-caps",
    "-all,+net_raw,+net_bind_service",
    "--bounding-set",
    "-all,+net_raw,+net_bind_service",
  ];
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES, before });
  const status = readFileSync(`/proc/${appliance.pid}/status`, "latin1");
  assert.match(status, /^Uid:\s+65534\s/m);
  assert.match(status, /^CapEff:\s+0000000000002400$/m);
  assert.equal(await appliance.stop(), 0);
});

test("without its privileges it ends with exit code 2 and says which are missing and how to give them", async (t) => {
  const vlan = makeVlan(t);
  vlan.server.run(["chmod", "-R", "a+rwX", vlan.dir]);
  const before = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--bounding-set", "-all"];
  const configuration = `${TWO_LINES}http: { port: 8080, tls: { cert: cert.pem, key: key.pem } }\n`;
  const appliance = new Appliance(vlan, { configuration, before });
  assert.equal(await appliance.exit, 2);
  assert.match(
    appliance.errors,
    /CAP_NET_RAW[\s\S]*CAP_NET_BIND_SERVICE: port 547 \(DHCPv6\), port 443 \(HTTPS\), port 69 \(TFTP\), port 53 \(DNS\)\n[\s\S]*setpriv/,
  );
});

test("an interface that is missing, then an address that is tentative, are waited for", async (t) => {
  const vlan = makeVlan(t, { dad: true });
  const client = vlan.client("late");
  client.namespace.ip("link set eth0 name later");
  const appliance = new Appliance(vlan, { configuration: "networks:\n  - interface: eth1\n", namespace: client.namespace });
  t.after(() => appliance.stop());
  const missing = await appliance.waitFor((line) => line.event === "appliance.waiting", 10);
  assert.match(missing.msg, /eth1 does not exist.*later/);
  client.namespace.ip("link set later name eth1\nlink set eth1 up\naddr add 2001:db8:0:1::77/64 dev eth1");
  await appliance.waitFor((line) => line.event === "appliance.waiting" && /tentative/.test(line.msg), 10);
  await appliance.ready();
});

test("SIGHUP reloads the file; a bad one is refused and the old one stays", async (t) => {
  const vlan = makeVlan(t);
  const heard = await hearAdvertisements(vlan);
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES });
  writeFileSync(appliance.file, `${TWO_LINES}    advertise: { hopLimit: 33 }\n`);
  appliance.signal("SIGHUP");
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 10);
  await until("the changed advertisement", () => /hop limit 33/.test(heard()));
  writeFileSync(appliance.file, `${TWO_LINES}    advertise: observe\n`);
  appliance.signal("SIGHUP");
  await until("no router any more", () => /router lifetime 0s/.test(heard()));
  writeFileSync(appliance.file, "networks: 7\n");
  appliance.signal("SIGHUP");
  const refused = await appliance.waitFor((line) => line.event === "appliance.refused", 10);
  assert.match(refused.msg, /the old one stays.*appliance\.yaml:1/s);
  writeFileSync(appliance.file, `${TWO_LINES}state: { dir: other }\nlog: { format: pretty }\n`);
  appliance.signal("SIGHUP");
  for (const key of ["state.dir", "log.format"])
    await appliance.waitFor((line) => line.event === "appliance.warned" && line.msg === `${key} changes with the next start`, 10);
  assert.equal(await appliance.stop(), 0);
});

test("a second signal does not cut the stop short; SIGHUP while it starts waits, and changes the level of the log", async (t) => {
  const vlan = makeVlan(t);
  const appliance = new Appliance(vlan, { configuration: TWO_LINES });
  t.after(() => appliance.stop());
  await appliance.waitFor((line) => line.event === "service.ready", 20);
  writeFileSync(appliance.file, `${TWO_LINES}log: { level: debug }\n`);
  appliance.signal("SIGHUP");
  await appliance.ready();
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 10);
  assert.ok(!appliance.lines.some((line) => line.event === "appliance.refused" || line.event === "service.failed"));
  const asker = vlan.client("ask");
  asker.up();
  await asker.namespace.exec(["rdisc6", "-1", "-r", "5", "-w", "2000", "eth0"]);
  await appliance.waitFor((line) => line.level === "debug", 5);
  for (const signal of ["SIGINT", "SIGTERM", "SIGTERM"] as const) appliance.signal(signal);
  assert.equal(await appliance.exit, 0);
  assert.ok(appliance.lines.some((line) => line.event === "ra.sent" && line.why === "final"));
});

test("a reload that one service cannot take is taken by none, and works once the reason is gone", async (t) => {
  const vlan = makeVlan(t);
  const heard = await hearAdvertisements(vlan);
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES });
  const occupant = vlan.server.spawn(
    [process.execPath, "-e", "require('net').createServer().listen({ host: '2001:db8:0:1::1', port: 8080 }, () => console.log('listens'))"],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await new Promise((resolve) => occupant.stdout?.once("data", resolve));
  writeFileSync(appliance.file, `${TWO_LINES}    advertise: { hopLimit: 33 }\nhttp: { port: 8080 }\n`);
  appliance.signal("SIGHUP");
  const refused = await appliance.waitFor((line) => line.event === "appliance.refused", 10);
  assert.match(refused.msg, /the old one stays: cannot listen on \[2001:db8:0:1::1\]:8080: .*EADDRINUSE/);
  const status = async (port: number) =>
    (await vlan.server.exec(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", `http://[2001:db8:0:1::1]:${port}/x`])).stdout;
  assert.equal(await status(80), "404", "the old port answers");
  occupant.kill();
  await new Promise((resolve) => occupant.once("exit", resolve));
  assert.doesNotMatch(heard(), /hop limit 33/);
  appliance.signal("SIGHUP");
  await appliance.waitFor(
    (line) => line.event === "appliance.reloaded" && Array.isArray(line.changed),
    10,
    appliance.lines.indexOf(refused),
  );
  await until("the new hop limit", () => /hop limit 33/.test(heard()));
  assert.equal(await status(8080), "404");
  assert.equal(await status(80), "000");
});

test("a port that is taken at the start ends it with exit code 2 and says which", async (t) => {
  const vlan = makeVlan(t);
  await startAppliance(t, vlan, { configuration: TWO_LINES });
  const second = new Appliance(vlan, { configuration: `${TWO_LINES}console: false\nstate: { dir: other }\n`, name: "second" });
  assert.equal(await second.exit, 2);
  assert.match(second.errors, /netboot6: (dhcpv6|dns): cannot listen on \[.*\]:\d+: .*EADDRINUSE/);
});

test("the interface gone and back: it carries on by itself", async (t) => {
  const vlan = makeVlan(t);
  const client = vlan.client("flap");
  client.namespace.ip("link set eth0 up\naddr add 2001:db8:0:1::78/64 dev eth0");
  const appliance = await startAppliance(t, vlan, { configuration: "networks:\n  - interface: eth0\n", namespace: client.namespace });
  const from = appliance.lines.length;
  client.namespace.ip("link set eth0 down\nlink set eth0 name gone");
  await appliance.waitFor((line) => line.event === "appliance.waiting", 10, from);
  client.namespace.ip(
    "link set gone name eth0\nlink set eth0 address 02:1a:b0:01:00:99\nlink set eth0 up\naddr replace 2001:db8:0:1::78/64 dev eth0",
  );
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 15, from);
  const asker = vlan.client("ask");
  asker.up();
  assert.match((await asker.namespace.exec(["rdisc6", "-1", "-r", "5", "-w", "2000", "eth0"])).stdout, /02:1A:B0:01:00:99/i);
});

test("what a reload says of a network is in force though its address is missing for now; a place that is not there yet is refused", async (t) => {
  const vlan = makeVlan(t);
  const heard = await hearAdvertisements(vlan);
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES });
  vlan.server.ip("addr del 2001:db8:0:1::1/64 dev prov0");
  await appliance.waitFor((line) => line.event === "appliance.waiting", 10);
  let from = appliance.lines.length;
  writeFileSync(appliance.file, `${TWO_LINES}    advertise: { hopLimit: 33 }\n`);
  appliance.signal("SIGHUP");
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 10, from);
  await until("the new hop limit", () => /hop limit 33/.test(heard()));
  for (const [elsewhere, why] of [
    ["networks:\n  - name: prov0\n    interface: eth9\n", /interface eth9 does not exist/],
    [`${TWO_LINES}    address: 2001:db8:0:1::2\n`, /2001:db8:0:1::2 is not on prov0 yet/],
  ] as const) {
    from = appliance.lines.length;
    writeFileSync(appliance.file, elsewhere);
    appliance.signal("SIGHUP");
    assert.match((await appliance.waitFor((line) => line.event === "appliance.refused", 10, from)).msg, why);
  }
  vlan.server.ip("addr add 2001:db8:0:1::1/64 dev prov0");
  await appliance.waitFor((line) => line.event === "appliance.resumed", 10);
});

test("a prefix that becomes longer or shorter on the interface is followed", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: TWO_LINES });
  const from = appliance.lines.length;
  vlan.server.ip("addr del 2001:db8:0:1::1/64 dev prov0\naddr add 2001:db8:0:1::1/65 dev prov0 nodad");
  await until("the new prefix", () => appliance.lines.slice(from).some((line) => line.event === "appliance.reloaded"));
  const [network] = await appliance.get<{ prefix: string }[]>("/networks");
  assert.equal(network?.prefix, "2001:db8:0:1::/65");
});

test("machines, leases, what was installed and every boot survive a restart", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t);
  const configuration = `networks:
  - interface: prov0
    advertise: { autonomous: false }
    dhcp: { managed: true, pool: "2001:db8:0:1::1000-2001:db8:0:1::1fff" }
http: { root: ${root} }
${INSTALLER}`;
  const rack = (): SimulatedRack => new SimulatedRack(vlan, { machines: [{ name: "m", mac: MAC, uuid: UUID }] });
  const leased = (of: SimulatedRack): (string | undefined)[] =>
    of.steps.filter(({ step }) => step === "leased").map(({ detail }) => detail);
  type Known = {
    id: string;
    firstSeen: number;
    lastSeen: number;
    network: string;
    address: string;
    duids: string[];
    boot: { stage: string };
  };
  type Told = { boots: { startedAt: number; stages: { name: string }[] }[]; verdict: unknown };

  const first = await startAppliance(t, vlan, { configuration });
  const installing = rack();
  assert.equal(await installing.exit, 0, installing.failures.join());
  await new Promise((resolve) => setTimeout(resolve, 1000)); // what the services still tell of it
  const before = await first.get<Known[]>("/machines");
  assert.equal(before[0]?.boot.stage, "installed");
  const id = before[0]?.id as string;
  const booted = await first.get<Told>(`/machines/${id}/timeline`);
  assert.equal(booted.boots[0]?.stages.at(-1)?.name, "done");
  assert.equal(await first.stop(), 0);

  const second = await startAppliance(t, vlan, { configuration });
  const after = await second.get<Known[]>("/machines");
  assert.deepEqual(
    after.map(({ id, firstSeen, duids }) => ({ id, firstSeen, duids })),
    before.map(({ id, firstSeen, duids }) => ({ id, firstSeen, duids })),
  );
  assert.deepEqual(
    after.map(({ network, address, lastSeen }) => ({ network, address, lastSeen })),
    before.map(({ network, address, lastSeen }) => ({ network, address, lastSeen })),
  );
  assert.deepEqual(await second.get<Told>(`/machines/${id}/timeline`), booted);
  const again = rack();
  await again.exit;
  const told = await second.get<Told>(`/machines/${id}/timeline`);
  assert.equal(told.boots.length, 2);
  assert.deepEqual(told.boots[0], booted.boots[0], "the earlier boot");
  assert.deepEqual(leased(again), leased(installing));
  assert.deepEqual(again.failures, ["m: iPXE left with exit 1: the next boot option"], "it is installed once, then boots its disk");
});

test("why a machine stands still survives a restart, and is told anew", async (t) => {
  const root = await bootAssets();
  const vlan = makeVlan(t);
  const configuration = `networks: [{ interface: prov0 }]
http: { root: ${root} }
profiles: { rescue: { kernel: rescue/vmlinuz } }
`;
  const stuck = (line: { event?: string }): boolean => line.event === "machine.stuck";
  const first = await startAppliance(t, vlan, { configuration });
  const rack = new SimulatedRack(vlan, { machines: [{ name: "m", mac: MAC, uuid: UUID }] });
  const { machine } = await first.waitFor(stuck, 30);
  await rack.stop();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const before = await first.get<{ verdict: { rule: string } }>(`/machines/${machine}/timeline`);
  assert.equal(before.verdict.rule, "kernel-missing");
  const known = await first.get<{ address: string; addresses: string[]; network: string; lastSeen: number }>(`/machines/${machine}`);
  assert.deepEqual([known.address, known.addresses, known.network], [SLAAC_ADDRESS, [], "prov0"], "its firmware released its lease");
  assert.equal(await first.stop(), 0);

  const second = await startAppliance(t, vlan, { configuration });
  assert.deepEqual(await second.get(`/machines/${machine}/timeline`), before);
  assert.deepEqual(await second.get(`/machines/${machine}`), known);
  await second.waitFor((line) => stuck(line) && line.machine === machine, 10);
});

test("check names what is missing and the interfaces there are", async (t) => {
  const vlan = makeVlan(t);
  const file = `${vlan.dir}/check.yaml`;
  writeFileSync(file, "networks:\n  - interface: eth1\n");
  const missing = await vlan.server.exec([NETBOOT6, "check", "--config", file]);
  assert.equal(missing.code, 1);
  assert.match(missing.stdout, /eth1 does not exist.*prov0/);
  writeFileSync(file, TWO_LINES);
  const good = await vlan.server.exec([NETBOOT6, "check", "--config", file]);
  assert.equal(good.code, 0, good.stdout + good.stderr);
  writeFileSync(file, `${TWO_LINES}machines: [{ mac: "${MAC}", address: 2001:db8:0:9::5 }]\n`);
  const contradicted = await vlan.server.exec([NETBOOT6, "check", "--config", file]);
  assert.equal(contradicted.code, 2);
  assert.match(
    contradicted.stdout,
    /check\.yaml:3:49: machines\[0\]\.address: 2001:db8:0:9::5 is in no network\. Give one in 2001:db8:0:1::\/64\./,
  );
});

test("check names the program that has a port, resolvers that do not answer, and takes a netboot6 that runs for none of them", async (t) => {
  const vlan = makeVlan(t);
  const configuration = `${TWO_LINES}dns: { upstreams: ["2001:db8:0:1::53", "[::1]:5353"] }\n`;
  const file = `${vlan.dir}/check.yaml`;
  writeFileSync(file, configuration);
  const check = () => vlan.server.exec([NETBOOT6, "check", "--config", file]);
  const blocker = vlan.server.spawn(
    [process.execPath, "-e", 'require("node:dgram").createSocket("udp6").bind(53, "::", () => console.log("bound"))'],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  await once(blocker.stdout as Readable, "data");
  const { code, stdout } = await check();
  assert.equal(code, 1);
  assert.match(
    stdout,
    /check\.yaml:\d+:\d+: warning: dns\.port: UDP port 53 of \[::\] is in use by node \(pid \d+\), and dns needs it\. .*\[port-in-use\]/,
  );
  assert.match(stdout, /dns\.upstreams\[0\]: 2001:db8:0:1::53: no answer within 2 s\. .*\[upstream-silent\]/);
  assert.match(stdout, /dns\.upstreams\[1\]: \[::1\]:5353: no resolver runs there\./);
  blocker.kill("SIGTERM");
  await once(blocker, "exit");
  await startAppliance(t, vlan, { configuration });
  const running = await check();
  assert.equal(running.code, 0);
  assert.doesNotMatch(running.stdout, /port-in-use/);
});
