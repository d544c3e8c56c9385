/** Router advertisements on the wire: real peers read what is configured, and the advertiser outlives what they and the link do to it. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { type Appliance, type Client, NETBOOT6, type ProvisioningVlan } from "@netboot6/lab";
import { makeVlan, says, startAppliance, startRadvd } from "./setup.ts";

const network = (advertise: string): string => `domain: rack.example
networks:
  - interface: prov0
    advertise: { ${advertise} }
dns: { upstreams: ["2001:db8:0:1::53"] }
log: { level: debug }
`;
const FULL = network(
  'interval: [5s, 60s], routerLifetime: 30m, preference: high, hopLimit: 77, mtu: 1400, validLifetime: 2h, preferredLifetime: 1h, dns: ["2001:db8:0:1::1", "2001:db8:0:1::2"], search: [rack.example, lab.example], dnsLifetime: 5m, routes: [{ prefix: "2001:db8:100::/48", lifetime: 20m, preference: high }], pref64: 64:ff9b::/96',
);

const sleep = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

/** What a command says, asked again until it fits. */
async function until(client: Client, argv: readonly string[], fits: (said: string) => boolean, seconds = 10): Promise<string> {
  for (let waited = 0; ; waited += 0.2) {
    const { stdout } = await client.namespace.exec(argv);
    if (fits(stdout)) return stdout;
    if (waited >= seconds) assert.fail(`${argv.join(" ")} still says:\n${stdout}`);
    await sleep(0.2);
  }
}

const kernelHost = (vlan: ProvisioningVlan): Client => {
  const client = vlan.client("kernel");
  client.namespace.sysctl({ "ipv6/conf/eth0/accept_ra": 2, "ipv6/conf/eth0/accept_ra_rt_info_max_plen": 128 });
  client.up();
  return client;
};
const ROUTES = ["ip", "-6", "route"];
const rdisc6 = ["rdisc6", "-1", "-r", "5", "-w", "1000", "eth0"];

/** The load of the benchmark, in a namespace of its own. */
function loadOn(vlan: ProvisioningVlan): (...argv: readonly (string | number)[]) => Promise<string> {
  const program = join(vlan.dir, "ra-load");
  execFileSync("gcc", ["-O2", "-o", program, join(import.meta.dirname, "bench/ra-load.c")]);
  const load = vlan.client("load");
  load.up();
  return async (...argv) => {
    const { stdout, stderr, code } = await load.namespace.exec([program, "eth0", ...argv.map(String)], { timeout: 60 });
    assert.equal(code, 0, stderr);
    return stdout;
  };
}

const reload = async (appliance: Appliance, configuration: string): Promise<number> => {
  const from = appliance.lines.length;
  writeFileSync(appliance.file, configuration);
  appliance.signal("SIGHUP");
  await appliance.waitFor(says("appliance.reloaded"), 10, from);
  return from;
};

test("radvdump and rdisc6 read every field as it is configured", async (t) => {
  const vlan = makeVlan(t);
  const listener = vlan.client("dump");
  listener.up();
  await sleep(0.5);
  const dump = listener.namespace.spawn(["stdbuf", "-oL", "radvdump"], { stdio: ["ignore", "pipe", "inherit"] });
  let dumped = "";
  dump.stdout?.on("data", (data) => {
    dumped += data;
  });
  await sleep(0.5);
  await startAppliance(t, vlan, { configuration: FULL });
  for (let waited = 0; !/\}; # End of interface/.test(dumped) && waited < 10; waited += 0.1) await sleep(0.1);
  for (const expected of [
    /AdvManagedFlag off;/,
    /AdvOtherConfigFlag on;/,
    /AdvCurHopLimit 77;/,
    /AdvDefaultLifetime 1800;/,
    /AdvDefaultPreference high;/,
    /AdvSourceLLAddress on;/,
    /AdvLinkMTU 1400;/,
    /prefix 2001:db8:0:1::\/64\s*\{\s*AdvValidLifetime 7200;\s*AdvPreferredLifetime 3600;\s*AdvOnLink on;\s*AdvAutonomous on;/,
    /route 2001:db8:100::\/48\s*\{\s*AdvRoutePreference high;\s*AdvRouteLifetime 1200;/,
    /RDNSS 2001:db8:0:1::1 2001:db8:0:1::2\s*\{\s*AdvRDNSSLifetime 300;/,
    /DNSSL rack\.example lab\.example\s*\{\s*AdvDNSSLLifetime 300;/,
  ])
    assert.match(dumped, expected);
  const { stdout } = await listener.namespace.exec(rdisc6);
  for (const expected of [
    /Hop limit\s*:\s*77/,
    /Router preference\s*:\s*high/,
    /Router lifetime\s*:\s*1800/,
    /MTU\s*:\s*1400/,
    /Route lifetime\s*:\s*1200/,
    /DNS search list\s*:\s*rack\.example lab\.example/,
  ])
    assert.match(stdout, expected);
});

test("the kernel takes address, default route, MTU, hop limit and route; a reload withdraws the route, the stop the router", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: FULL });
  const host = kernelHost(vlan);
  const routes = await until(host, ROUTES, (said) => said.includes("2001:db8:100::/48"));
  assert.match(routes, /^default via fe80::1a:b0ff:fe00:1 dev eth0 proto ra .*hoplimit 77 pref high/m);
  assert.match(routes, /^2001:db8:100::\/48 via fe80::1a:b0ff:fe00:1 .*pref high/m);
  assert.match(routes, /^2001:db8:0:1::\/64 dev eth0 proto kernel/m);
  assert.match(
    (await host.namespace.exec(["ip", "-6", "addr", "show", "eth0"])).stdout,
    /2001:db8:0:1:1a:b0ff:fe01:[0-9a-f]+\/64 scope global/,
  );
  const conf = (await host.namespace.exec(["cat", "/proc/sys/net/ipv6/conf/eth0/mtu", "/proc/sys/net/ipv6/conf/eth0/hop_limit"])).stdout;
  assert.equal(conf, "1400\n77\n");
  await reload(appliance, network("interval: [5s, 60s], routerLifetime: 30m"));
  assert.match(await until(host, ROUTES, (said) => !said.includes("2001:db8:100::/48")), /^default via/m);
  assert.equal(await appliance.stop(), 0);
  const left = await until(host, ROUTES, (said) => !said.includes("default"));
  assert.match(left, /^2001:db8:0:1::\/64/m, "the prefix stays");
});

test("a host's address in a prefix that is not ours any more is deprecated at once, and valid for two hours at most", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [5s, 60s]") });
  const host = kernelHost(vlan);
  await until(host, ["ip", "-6", "addr"], (said) => said.includes("2001:db8:0:1:"));
  const from = appliance.lines.length;
  vlan.server.ip("addr add 2001:db8:0:7::1/64 dev prov0\naddr del 2001:db8:0:1::1/64 dev prov0");
  await appliance.waitFor(says("appliance.reloaded"), 10, from);
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "changed", 10, from);
  const said = await until(host, ["ip", "-6", "addr"], (addresses) => /2001:db8:0:7:/.test(addresses) && /deprecated/.test(addresses), 15);
  assert.match(said, /2001:db8:0:1:\S+ scope global deprecated .*\n\s*valid_lft (7[12]\d\d)sec preferred_lft 0sec/);
  assert.match(said, /2001:db8:0:7:\S+ scope global (?!deprecated)/);
});

for (const [what, configuration] of [
  ["one that only listens", "networks:\n  - interface: prov0\n    advertise: observe\n"],
  ["one that advertises no more", "networks:\n  - interface: prov0\n    advertise: false\n"],
  ["another network on another interface", "networks:\n  - interface: extra0\n"],
] as const)
  test(`a reload to ${what} withdraws router and prefix: the kernel's address is deprecated, and valid for two hours at most`, async (t) => {
    const vlan = makeVlan(t);
    vlan.server.ip(
      "link add extra0 type veth peer name extra1\nlink set extra0 up\nlink set extra1 up\naddr add 2001:db8:0:9::1/64 dev extra0",
    );
    const appliance = await startAppliance(t, vlan, { configuration: FULL });
    const host = kernelHost(vlan);
    await until(host, ROUTES, (said) => said.includes("default") && said.includes("2001:db8:100::/48"));
    await reload(appliance, configuration);
    const said = await until(host, ["ip", "-6", "addr"], (addresses) => /deprecated/.test(addresses));
    assert.match(said, /2001:db8:0:1:\S+ scope global deprecated .*\n\s*valid_lft (7200|71\d\d)sec preferred_lft 0sec/);
    assert.doesNotMatch((await host.namespace.exec(ROUTES)).stdout, /default|2001:db8:100::/);
  });

test("a router takes over with the same prefix: what it says is not withdrawn, and the kernel goes on with it", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: FULL });
  const host = kernelHost(vlan);
  await until(host, ROUTES, (said) => said.includes("2001:db8:100::/48"));
  const router = vlan.client("router");
  router.namespace.sysctl({ "ipv6/conf/all/forwarding": 1 });
  router.up();
  await sleep(0.5);
  startRadvd(vlan, router.namespace, "eth0", "AdvOtherConfigFlag on; MaxRtrAdvInterval 1800; prefix 2001:db8:0:1::/64 {};");
  await appliance.waitFor(says("ra.heard"), 10);
  await reload(appliance, "networks:\n  - interface: prov0\n    advertise: observe\n");
  await until(host, ROUTES, (said) => !said.includes("2001:db8:100::/48"));
  assert.match((await host.namespace.exec(ROUTES)).stdout, /^default via fe80::1a:b0ff:fe01:/m);
  const addresses = (await host.namespace.exec(["ip", "-6", "addr"])).stdout;
  assert.match(addresses, /2001:db8:0:1:\S+ scope global/);
  assert.doesNotMatch(addresses, /deprecated/);
});

test("a rival radvd is told with what will go wrong; so is that it withdraws", async (t) => {
  const vlan = makeVlan(t, { forwarding: false });
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [5s, 60s]") });
  const rival = vlan.client("rival");
  rival.namespace.sysctl({ "ipv6/conf/all/forwarding": 1 });
  rival.up();
  await sleep(0.5);
  const timers = "MaxRtrAdvInterval 4; MinRtrAdvInterval 3; AdvRetransTimer 20; AdvReachableTime 90000;";
  const contradicts = `${timers} AdvCurHopLimit 255; prefix 2001:db8:9::/64 {}; RDNSS 2001:db8:9::53 {};`;
  const radvd = startRadvd(vlan, rival.namespace, "eth0", contradicts);
  const heard = await appliance.waitFor(says("ra.heard"), 10);
  assert.match(
    heard.msg,
    /router fe80::\S+ advertises on prov0 with M=0 O=0: .*iPXE that hears it first will not ask for a boot file\. Set its O flag/,
  );
  const differences = (heard.differences as string[]).join("\n");
  for (const expected of [
    /hop limit 255, we say 64/,
    /reachable time 90000 ms/,
    /retransmission timer 20 ms/,
    /2001:db8:9::\/64, which we do not/,
    /resolver 2001:db8:9::53, which/,
  ])
    assert.match(differences, expected);
  await sleep(6);
  assert.equal(appliance.lines.filter(says("ra.heard")).length, 1, "once, not for each advertisement");
  radvd.kill("SIGTERM");
  const withdrawn = await appliance.waitFor((line) => line.event === "ra.heard" && line.state === "withdrawn", 10);
  assert.match(withdrawn.msg, /no router any more/);
});

test("a radvd on this host beside us is told, to be stopped; where we only listen it is the router", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [5s, 60s]") });
  startRadvd(vlan, vlan.server, "prov0", "AdvOtherConfigFlag on; MaxRtrAdvInterval 1800;");
  const heard = await appliance.waitFor(says("ra.heard"), 10);
  assert.match(heard.msg, /another program on this host, radvd for one, with our address.*Stop it/);
  const observe = "networks:\n  - interface: prov0\n    advertise: observe\n";
  await reload(appliance, observe);
  const { stdout } = await vlan.server.exec([NETBOOT6, "check", "--config", appliance.file]);
  assert.doesNotMatch(stdout, /no-router/);
});

test("check solicits where this host is no router, and warns of a link that has none", async (t) => {
  const vlan = makeVlan(t, { forwarding: false });
  let files = 0;
  const check = async (advertise: string, ...before: string[]): Promise<string> => {
    const file = join(vlan.dir, `check-${files++}.yaml`);
    writeFileSync(file, `networks:\n  - interface: prov0\n${advertise}dns: false\n`);
    const began = performance.now();
    const { stdout } = await vlan.server.exec([...before, NETBOOT6, "check", "--config", file]);
    assert.ok(performance.now() - began < 30_000, "it is bounded");
    return stdout;
  };
  const ways = ["", "    advertise: observe\n", "    advertise: false\n", "    advertise: { routerLifetime: 0s }\n"];
  for (const said of await Promise.all(ways.map((advertise) => check(advertise))))
    assert.match(said, /no router answers on prov0.*UEFI HTTP boot waits.*\[no-router\]/);
  assert.match(await check("    advertise: { routerLifetime: 30m }\n"), /does not forward IPv6.*\[router-that-does-not-forward\]/);
  const unprivileged = await check("", "setpriv", "--bounding-set=-net_raw", "--inh-caps=-net_raw");
  assert.match(unprivileged, /could not look for another one: .*\[router-unknown\]/);

  const router = vlan.client("router");
  router.namespace.sysctl({ "ipv6/conf/all/forwarding": 1 });
  router.up();
  await sleep(0.5);
  startRadvd(vlan, router.namespace, "eth0", "MaxRtrAdvInterval 1800; prefix 2001:db8:0:1::/64 {};");
  await sleep(4); // its first advertisement was more than 3 s ago: it may answer at once
  for (const advertise of ways) assert.doesNotMatch(await check(advertise), /router/);
});

test("observe sends nothing and answers no solicitation", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: "networks:\n  - interface: prov0\n    advertise: observe\n" });
  const host = vlan.client("ask");
  host.up();
  await sleep(0.5);
  assert.equal((await host.namespace.exec(["rdisc6", "-1", "-r", "2", "-w", "500", "eth0"])).stdout.includes("Hop limit"), false);
  assert.ok(!appliance.lines.some(says("ra.sent")));
});

test("a rack powered on: 200 solicitations are answered in order, each by unicast, and 200 from :: by one multicast in 3 s", async (t) => {
  const vlan = makeVlan(t);
  await startAppliance(t, vlan, { configuration: network("interval: [30s, 60s]") });
  const load = loadOn(vlan);
  await sleep(1);
  const got = JSON.parse(await load("burst", 200, 200, 5)) as {
    answered: number;
    repeated: number;
    inOrder: boolean;
    multicasts: number[];
  };
  assert.deepEqual([got.answered, got.repeated, got.inOrder], [200, 0, true]);
  assert.ok(got.multicasts.length >= 1 && got.multicasts.length <= 2, `${got.multicasts}`);
  got.multicasts.slice(1).forEach((at, n) => {
    assert.ok(at - (got.multicasts[n] as number) >= 2990, `${got.multicasts}`);
  });
});

test("100,000 damaged packets: it still answers, keeps no memory and no handle, and what it dropped is counted", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [5s, 60s]").replace("debug", "info") });
  const load = loadOn(vlan);
  const memory = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${appliance.pid}/status`, "latin1"))?.[1]) / 1024;
  const handles = () => readdirSync(`/proc/${appliance.pid}/fd`).length;
  let dropped = 0;
  await appliance.follow((event) => {
    if (event.type === "wire.dropped" && event.service === "ra") dropped += event.count;
  });
  await load("mutate", 20_000);
  const [before, open] = [memory(), handles()];
  await load("mutate", 80_000);
  const grown = memory() - before;
  // Tables of whom it met fill up: each is bounded.
  assert.ok(grown < 60, `${grown.toFixed(0)} MB more after 80,000 packets, of ${before.toFixed(0)} MB`);
  assert.ok(handles() <= open, `${handles()} handles, not ${open}`);
  const host = vlan.client("ask");
  host.up();
  await sleep(0.5);
  assert.match((await host.namespace.exec(rdisc6)).stdout, /Hop limit\s*:\s*64/);
  await sleep(1.5);
  assert.ok(dropped > 20_000, `${dropped}`);
  assert.equal(await appliance.stop(), 0);
});

test("a link that goes down and comes up, another MTU and another address of its own: it carries on by itself, told by events", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [500s, 1000s]") });
  await sleep(4);
  let from = appliance.lines.length;
  vlan.switch.ip("link set port0 down");
  await appliance.waitFor((line) => line.event === "ra.link" && line.up === false, 5, from);
  vlan.switch.ip("link set port0 up");
  await appliance.waitFor((line) => line.event === "ra.link" && line.up === true, 5, from);
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "initial", 5, from);
  from = appliance.lines.length;
  // Set down by an operator it loses its addresses: they are given back as his scripts do.
  vlan.server.ip("link set prov0 down");
  await appliance.waitFor((line) => line.event === "ra.link" && line.up === false, 5, from);
  vlan.server.ip("link set prov0 up\naddr replace 2001:db8:0:1::1/64 dev prov0");
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "initial", 10, from);
  const host = vlan.client("ask");
  host.up();
  await sleep(0.5);
  assert.match((await host.namespace.exec(rdisc6)).stdout, /MTU\s*:\s*1500/);
  from = appliance.lines.length;
  vlan.server.ip("link set prov0 mtu 1400");
  await appliance.waitFor(says("appliance.reloaded"), 10, from);
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "changed", 10, from);
  assert.match((await host.namespace.exec(rdisc6)).stdout, /MTU\s*:\s*1400/);
  from = appliance.lines.length;
  vlan.server.ip(
    "link set prov0 down\nlink set prov0 address 02:1a:b0:00:00:77\nlink set prov0 up\naddr replace 2001:db8:0:1::1/64 dev prov0",
  );
  await appliance.waitFor(says("appliance.reloaded"), 10, from);
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "initial", 10, from);
  await until(host, rdisc6, (said) => said.includes("fe80::1a:b0ff:fe00:77"));
  assert.ok(!appliance.lines.some((line) => line.event === "ra.sent" && line.why === "final"));
});

test("an interface that is taken away and comes back is advertised to again", async (t) => {
  const vlan = makeVlan(t);
  const machine = vlan.client("machine");
  const { namespace } = machine;
  const plug = (): void => {
    vlan.server.ip(`link add plug0 address 02:1a:b0:00:01:01 type veth peer name m0 netns ${namespace.name}
      link set plug0 up\naddr add 2001:db8:0:9::1/64 dev plug0`);
    namespace.ip("link set m0 up");
  };
  plug();
  const appliance = await startAppliance(t, vlan, { configuration: "networks:\n  - interface: plug0\n" });
  const from = appliance.lines.length;
  vlan.server.ip("link del plug0");
  await appliance.waitFor(says("appliance.waiting", "interface plug0 does not exist"), 10, from);
  plug();
  await appliance.waitFor(says("appliance.resumed"), 10, from);
  await appliance.waitFor((line) => line.event === "ra.sent" && line.why === "initial", 15, from);
  // Its own link-local address may take a moment after the link is up, and rdisc6 does not wait for it.
  await until(machine, ["rdisc6", "-1", "-r", "2", "-w", "1000", "m0"], (said) => said.includes("2001:db8:0:9::/64"));
});

test("who does not forward answers solicitations; forwarding that is turned on is advertised at once; a router lifetime without it is warned of", async (t) => {
  const vlan = makeVlan(t, { forwarding: false });
  const appliance = await startAppliance(t, vlan, { configuration: network("interval: [60s, 600s]") });
  const host = kernelHost(vlan);
  await sleep(4);
  // The kernel of a host that does not forward does not listen for solicitations by itself.
  assert.match((await host.namespace.exec(rdisc6)).stdout, /Router lifetime\s*:\s*0/);
  assert.doesNotMatch((await host.namespace.exec(ROUTES)).stdout, /default/);
  vlan.server.sysctl({ "ipv6/conf/all/forwarding": 1 });
  await until(host, ROUTES, (said) => said.includes("default"), 6);
  vlan.server.sysctl({ "ipv6/conf/all/forwarding": 0 });
  await until(host, ROUTES, (said) => !said.includes("default"), 6);
  const from = await reload(appliance, network("routerLifetime: 30m"));
  assert.match((await appliance.waitFor(says("ra.warned"), 5, from)).msg, /does not forward IPv6: nothing beyond the link/);
});
