/** The forwarder as machines and resolvers see it: dig, kdig, getaddrinfo and dnsperf ask, a real unbound is asked, by UDP, TCP and TLS. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, rmdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { type Appliance, type Namespace, type ProvisioningVlan, requireSet } from "@netboot6/lab";
import { makeVlan, startAppliance } from "./setup.ts";

requireSet("test");

const RESOLVER = "2001:db8:0:1::53";
const DEAD = "2001:db8:0:1::dead";
const TEXT = Array.from({ length: 10 }, (_, n) => `local-data: 'big.example. 60 IN TXT "${`${n}`.padEnd(200, "x")}"'`).join("\n  ");
const ZONE = `
  local-zone: "example." static
  local-data: "example. 900 IN SOA ns.example. root.example. 1 2 3 4 60"
  local-data: "six.example. 300 IN AAAA 2001:db8::80"
  local-data: "short.example. 1 IN AAAA 2001:db8::81"
  local-data: "four.example. 300 IN A 8.8.8.8"
  local-data: "_x._tcp.example. 300 IN SRV 1 2 80 six.example."
  local-data: "odd.example. 300 IN TYPE65280 \\# 3 00ff41"
  local-zone: "8.8.8.8.in-addr.arpa." static
  local-data-ptr: "8.8.8.8 300 four.example"
  ${TEXT}
`;

/** Something asks from here. */
interface Place {
  readonly vlan: ProvisioningVlan;
  readonly machine: Namespace;
  readonly resolver: Namespace;
  dig(...args: string[]): Promise<string>;
}

async function makePlace(t: TestContext): Promise<Place> {
  const vlan = makeVlan(t);
  const host = (name: string, address: string): Namespace => {
    const { namespace } = vlan.client(name);
    namespace.ip(`link set eth0 up\naddr add ${address}/64 dev eth0`);
    return namespace;
  };
  const machine = host("machine", "2001:db8:0:1::a");
  const resolver = host("resolver", RESOLVER);
  const dig = async (...args: string[]): Promise<string> =>
    (await machine.exec(["dig", `@${vlan.address}`, "+tries=1", "+time=6", ...args])).stdout;
  return { vlan, machine, resolver, dig };
}

/** unbound with the zone above, by UDP and TCP, and by TLS with a certificate for dns.rack.example of its own making. */
async function startResolver({ vlan, resolver }: Place, { plain = true } = {}): Promise<{ stop(): Promise<void>; certificate: string }> {
  const file = join(vlan.dir, "unbound.conf");
  execFileSync(
    "openssl",
    [
      ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"],
      ...["-days", "1", "-subj", "/CN=resolver", "-addext", "subjectAltName=DNS:dns.rack.example"],
    ],
    { cwd: vlan.dir, stdio: "pipe" },
  );
  writeFileSync(
    file,
    `server:
  ${plain ? `interface: ${RESOLVER}@53` : ""}
  interface: ${RESOLVER}@853
  tls-port: 853
  tls-service-key: "${join(vlan.dir, "key.pem")}"
  tls-service-pem: "${join(vlan.dir, "cert.pem")}"
  verbosity: 0
  module-config: "iterator"
  access-control: ::/0 allow
  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  pidfile: "${join(vlan.dir, "unbound.pid")}"
  ${ZONE}
remote-control:
  control-enable: no
`,
  );
  const unbound = resolver.spawn(["unbound", "-d", "-c", file], { stdio: "ignore" });
  const ended = new Promise<void>((resolve) => unbound.once("exit", () => resolve()));
  for (const end = Date.now() + 10_000; ; ) {
    const { stdout } = await resolver.exec(["ss", "-6Hlnt", "sport = :853"]);
    if (stdout.includes(":853")) break;
    assert.ok(Date.now() < end && unbound.exitCode === null, "unbound answers");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    certificate: join(vlan.dir, "cert.pem"),
    stop: () => {
      unbound.kill("SIGTERM");
      return ended;
    },
  };
}

const configuration = (dns: string): string => `networks:
  - interface: prov0
    advertise: false
domain: rack.example
machines: [{ name: node-01, mac: 52:54:00:0b:00:01, address: 2001:db8:0:1::11 }]
http: false
tftp: false
log: { level: debug }
dns: { upstreams: ["${RESOLVER}"], ${dns} }
`;

const answersOf = (appliance: Appliance, name: string): unknown[] =>
  appliance.lines.filter((line) => line.event === "dns.answered" && line.name === name).map(({ from, rcode }) => `${rcode} ${from}`);

test("dig, kdig and getaddrinfo agree with what the resolver behind us says", async (t) => {
  const place = await makePlace(t);
  const { vlan, machine, dig } = place;
  await startResolver(place);
  const appliance = await startAppliance(t, vlan, { configuration: configuration("") });

  const direct = async (...args: string[]): Promise<string> => (await machine.exec(["dig", `@${RESOLVER}`, "+short", ...args])).stdout;
  for (const question of [
    ["six.example", "AAAA"],
    ["four.example", "A"],
    ["big.example", "TXT"],
    ["_x._tcp.example", "SRV"],
    ["odd.example", "TYPE65280"],
    ["-x", "8.8.8.8"],
  ])
    for (const how of [[], ["+tcp"], ["+noedns"], ["+dnssec", "+cdflag"]]) {
      const theirs = await direct(...question, ...how);
      assert.notEqual(theirs, "");
      const ours = (await dig("+short", ...question, ...how)).split("\n").sort();
      assert.deepEqual(ours, theirs.split("\n").sort(), [...question, ...how].join(" "));
    }
  assert.match(await dig("big.example", "TXT", "+ignore"), /flags: qr tc rd ra/, "too large for UDP");
  assert.match(await dig("none.example", "AAAA"), /status: NXDOMAIN[\s\S]*example\.\s+\d+\s+IN\s+SOA/);
  assert.match(await dig("node-01.rack.example", "AAAA"), /flags: qr aa[\s\S]*2001:db8:0:1::11/);

  const kdig = async (...args: string[]): Promise<string> => (await machine.exec(["kdig", `@${vlan.address}`, ...args])).stdout;
  for (const how of [["+notcp"], ["+tcp"], ["+tcp", "+keepopen"], ["+edns", "+bufsize=4096"], ["+dnssec"], ["+padding=64"]])
    assert.match(
      await kdig(...how, "six.example", "AAAA"),
      /status: NOERROR[\s\S]*six\.example\.\s+\d+\s+IN\s+AAAA\s+2001:db8::80/,
      how.join(" "),
    );
  const several = await kdig("+tcp", "+keepopen", "six.example", "AAAA", "four.example", "A", "none.example", "AAAA");
  assert.deepEqual(
    [...several.matchAll(/status: (\w+)/g)].map(([, status]) => status),
    ["NOERROR", "NOERROR", "NXDOMAIN"],
  );

  // What a program of an installer does.
  nameResolver(t, machine, `nameserver ${vlan.address}\nsearch example rack.example\n`);
  const getent = async (name: string): Promise<string[]> =>
    [...new Set((await machine.exec(["getent", "ahosts", name])).stdout.split("\n").map((line) => line.split(/\s/)[0] ?? ""))].filter(
      Boolean,
    );
  assert.deepEqual(await getent("six.example"), ["2001:db8::80"]);
  assert.deepEqual(await getent("six"), ["2001:db8::80"], "through the search list");
  assert.deepEqual(await getent("node-01"), ["2001:db8:0:1::11"]);
  assert.deepEqual(await getent("none.example"), []);

  // Who asks more than twenty times a second is counted: this is another second.
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  await dig("new.example", "AAAA");
  await dig("new.example", "AAAA");
  await appliance.waitFor((line) => line.name === "new.example" && line.from === "cache", 5);
  assert.deepEqual(answersOf(appliance, "new.example"), ["NXDOMAIN upstream", "NXDOMAIN cache"]);
});

/** `ip netns exec` shows this as /etc/resolv.conf. */
function nameResolver(t: TestContext, { name }: Namespace, text: string): void {
  const dir = join("/etc/netns", name);
  mkdirSync(dir, { recursive: true });
  writeFileSync(join(dir, "resolv.conf"), text);
  t.after(() => {
    rmSync(dir, { recursive: true });
    try {
      rmdirSync("/etc/netns");
    } catch {} // others have theirs there
  });
}

test("an upstream by TLS: its certificate is checked, one connection serves all, an answer too large for UDP too", async (t) => {
  const place = await makePlace(t);
  const { vlan, resolver, dig } = place;
  const { certificate } = await startResolver(place, { plain: false });
  const before = ["env", `SSL_CERT_FILE=${certificate}`];
  const named = (name: string): string => configuration("rateLimit: false").replace(RESOLVER, `tls://[${RESOLVER}]#${name}`);
  const appliance = await startAppliance(t, vlan, { configuration: named("dns.rack.example"), before });
  const names = await Promise.all(["six", "four", "none", "a", "b", "c"].map((name) => dig(`${name}.example`, "AAAA")));
  assert.match(names[0] as string, /2001:db8::80/);
  assert.ok(names.every((answer) => /status: (NOERROR|NXDOMAIN)/.test(answer)));
  assert.match(await dig("big.example", "TXT", "+tcp"), /ANSWER: 10/);
  const { stdout } = await resolver.exec(["ss", "-6Hnt", "state", "established", "sport = :853"]);
  assert.equal(stdout.trim().split("\n").length, 1, stdout);
  assert.equal(await appliance.stop(), 0);

  await startAppliance(t, vlan, { configuration: named("other.example"), before, name: "other" });
  assert.match(await dig("six.example", "AAAA"), /status: SERVFAIL[\s\S]*EDE: 22[^\n]*its certificate/);
});

test("an upstream whose neighbour does not resolve costs a moment; with none left answers are stale, then SERVFAIL, within 5 s", async (t) => {
  const place = await makePlace(t);
  const { vlan, dig } = place;
  const { stop } = await startResolver(place);
  const both = configuration("").replace(`"${RESOLVER}"`, `"${DEAD}", "${RESOLVER}"`);
  const appliance = await startAppliance(t, vlan, { configuration: both });
  const timed = async (name: string): Promise<{ ms: number; answer: string }> => {
    const began = performance.now();
    const answer = await dig(name, "AAAA");
    return { ms: performance.now() - began, answer };
  };
  for (const name of ["six", "short", "none", "four"]) {
    const { ms, answer } = await timed(`${name}.example`);
    assert.match(answer, /status: (NOERROR|NXDOMAIN)/);
    assert.ok(ms < 1_000, `${name}: ${ms} ms`);
  }
  await stop();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const stale = await timed("short.example");
  assert.match(stale.answer, /EDE: 3 \(Stale Answer\)[\s\S]*short\.example\.\s+30\s+IN\s+AAAA\s+2001:db8::81/);
  const failed = await timed("gone.example");
  assert.match(failed.answer, /status: SERVFAIL[\s\S]*EDE: 22/);
  assert.ok(stale.ms < 2_500 && failed.ms < 5_000, `${stale.ms} ms, ${failed.ms} ms`);
  await appliance.waitFor((line) => line.name === "gone.example", 5);
  assert.deepEqual(answersOf(appliance, "short.example"), ["NOERROR upstream", "NOERROR stale"]);
  assert.deepEqual(answersOf(appliance, "gone.example"), ["SERVFAIL failed"]);

  await startResolver(place);
  for (const end = Date.now() + 10_000; !/status: NOERROR/.test(await dig("six.example", "TXT")); )
    assert.ok(Date.now() < end, "it is found when it is back");
});

test("DNS64: a machine without IPv4 gets addresses in the prefix", async (t) => {
  const place = await makePlace(t);
  const { vlan, machine, dig } = place;
  await startResolver(place);
  await startAppliance(t, vlan, { configuration: configuration("dns64: 64:ff9b::/96") });
  assert.equal(await dig("+short", "four.example", "AAAA"), "64:ff9b::808:808\n");
  assert.equal(await dig("+short", "six.example", "AAAA"), "2001:db8::80\n");
  assert.equal(await dig("+short", "ipv4only.arpa", "AAAA"), "64:ff9b::c000:aa\n64:ff9b::c000:ab\n");
  assert.equal(await dig("+short", "-x", "64:ff9b::808:808"), "8.8.8.8.in-addr.arpa.\nfour.example.\n");
  nameResolver(t, machine, `nameserver ${vlan.address}\n`);
  const { stdout } = await machine.exec(["getent", "ahostsv6", "four.example"]);
  assert.match(stdout, /^64:ff9b::808:808\s/);
});

test("who is not on a network of ours is refused; who floods us is held to the limit, and others do not feel it", async (t) => {
  const place = await makePlace(t);
  const { vlan, machine, dig } = place;
  await startResolver(place);
  await startAppliance(t, vlan, { configuration: configuration("") });
  await dig("six.example", "AAAA");
  machine.ip("addr add fd00::a/64 dev eth0\naddr add 2001:db8:0:1::b/64 dev eth0");
  vlan.server.ip("addr add fd00::1/64 dev prov0");
  for (const how of ["+tcp", "+notcp"]) assert.match(await dig("-b", "fd00::a", "six.example", "AAAA", how), /status: REFUSED/);

  const file = join(vlan.dir, "names");
  writeFileSync(file, "six.example AAAA\n");
  const flood = machine.exec([
    "dnsperf",
    "-s",
    vlan.address,
    "-f",
    "inet6",
    "-d",
    file,
    "-l",
    "3",
    "-t",
    "1",
    "-Q",
    "3000",
    "-a",
    "2001:db8:0:1::a",
  ]);
  await new Promise((resolve) => setTimeout(resolve, 500));
  for (let n = 0; n < 10; n++) assert.match(await dig("-b", "2001:db8:0:1::b", "six.example", "AAAA"), /2001:db8::80/);
  const { stdout } = await flood;
  const completed = Number(/Queries completed:\s+(\d+)/.exec(stdout)?.[1]);
  assert.ok(completed >= 1_000 && completed <= 5_100, `1000 and 1000 a second more, not ${completed}`);
  assert.match(stdout, /Queries lost:\s+[1-9]/);
});

test("dnsperf: thousands of queries a second by UDP and by TCP, none lost, kept and asked upstream", async (t) => {
  const place = await makePlace(t);
  const { vlan, machine } = place;
  await startResolver(place);
  const appliance = await startAppliance(t, vlan, { configuration: configuration("rateLimit: false") });
  const file = join(vlan.dir, "names");
  writeFileSync(file, Array.from({ length: 1_000 }, (_, n) => (n % 2 ? "six.example AAAA\n" : `n${n}.example AAAA\n`)).join(""));
  let asked = 0;
  for (const mode of ["udp", "tcp"]) {
    const argv = ["dnsperf", "-s", vlan.address, "-f", "inet6", "-m", mode, "-d", file, "-c", "20", "-l", "3", "-Q", "2000", "-e"];
    const { stdout } = await machine.exec(argv);
    assert.match(stdout, /Queries lost:\s+0 /, stdout);
    const [, fine, missing] = /Response codes:\s+NOERROR (\d+) [^,]*, NXDOMAIN (\d+)/.exec(stdout) ?? [];
    asked += Number(fine) + Number(missing);
    assert.equal(`${Number(fine) + Number(missing)}`, /Queries completed:\s+(\d+)/.exec(stdout)?.[1], "and no other code");
  }
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const told = appliance.lines.reduce(
    (sum, line) => sum + (line.event === "dns.answered" ? 1 : line.event === "dns.counted" ? Number(line.count) : 0),
    0,
  );
  assert.equal(told, asked, "each answer is told once, by itself or in a count");
});

test("link-local clients are answered by DNS, HTTP and TFTP on the networks' interfaces, and refused on others", async (t) => {
  const { vlan, machine: near } = await makePlace(t);
  const far = vlan.client("far").namespace;
  vlan.server.ip(`link add uplink0 address 02:1a:b0:00:01:01 type veth peer name eth9 netns ${far.name}\nlink set uplink0 up`);
  far.ip("link set eth9 up");
  near.ip("addr del 2001:db8:0:1::a/64 dev eth0");
  await startAppliance(t, vlan, { configuration: "networks:\n  - interface: prov0\n    advertise: false\ndomain: rack.example\n" });
  const ways = [
    { client: near, route: `via fe80::1a:b0ff:fe00:1 dev eth0`, dns: "status: NOERROR", http: "200", tftp: "#!ipxe" },
    { client: far, route: `via fe80::1a:b0ff:fe00:101 dev eth9`, dns: "status: REFUSED", http: "403", tftp: "does not name this address" },
  ];
  for (const { client, route, dns, http, tftp } of ways) {
    client.ip(`route replace ${vlan.address}/128 ${route}`);
    for (const how of ["+notcp", "+tcp"]) {
      const { stdout } = await client.exec(["dig", `@${vlan.address}`, "+tries=2", "+time=3", how, "localhost", "AAAA"]);
      assert.ok(stdout.includes(dns), `${how} ${stdout}`);
    }
    const url = `${vlan.address.replace(/.*/, "[$&]")}/boot.ipxe`;
    const curl = await client.exec(["curl", "-s", "-m", "5", "-o", "/dev/null", "-w", "%{http_code}", `http://${url}`]);
    assert.equal(curl.stdout, http);
    const got = await client.exec(["curl", "-sv", "-m", "5", `tftp://${url}`]);
    assert.ok(`${got.stdout}${got.stderr}`.includes(tftp), `${got.stdout}${got.stderr}`);
  }
});
