/** Real clients agree with the configuration: rdisc6, the kernel, dhclient, dhcpcd, systemd-networkd, dig and curl. */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Appliance, type Client, ProvisioningVlan } from "@netboot6/lab";
import { ClientHost } from "./clients-setup.ts";

const CONFIGURATION = (root: string): string => `
domain: rack.example
networks:
  - interface: prov0
    advertise: { interval: [5s, 60s], routerLifetime: 30m, routes: [{ prefix: "2001:db8:100::/48", lifetime: 30m, preference: high }] }
    dhcp: { ntp: ["2001:db8:0:1::1"] }
http: { root: ${root}, listing: true }
dns:
  upstreams: ["2001:db8:0:1::53"]
  records: { mirror.rack.example: ["2001:db8:0:1::5"] }
log: { level: debug }
`;

describe("clients", () => {
  let vlan: ProvisioningVlan;
  let appliance: Appliance;
  let number = 0;

  before(async () => {
    vlan = new ProvisioningVlan();
    const root = join(vlan.dir, "assets");
    mkdirSync(join(root, "sub"), { recursive: true });
    writeFileSync(join(root, "boot.efi"), "0123456789");
    writeFileSync(join(root, "hello.ipxe"), "#!ipxe\necho {{ machine.name }} {{ network.name }}\n");
    appliance = new Appliance(vlan, { configuration: CONFIGURATION(root) });
    await appliance.ready();
  });
  after(async () => {
    assert.equal(await appliance.stop(), 0);
    vlan.close();
  });

  const makeClient = (): Client => vlan.client(`c${++number}`);
  const apart = (client: Client, script: string, timeout = 40) => new ClientHost(client).run(script, timeout);

  test("rdisc6 reads the router advertisement as configured", async () => {
    const client = makeClient();
    client.up();
    const { stdout } = await client.namespace.exec(["rdisc6", "-1", "-r", "5", "-w", "2000", "eth0"]);
    for (const expected of [
      /Hop limit\s*:\s*64/,
      /Stateful address conf\.\s*:\s*No/,
      /Stateful other conf\.\s*:\s*Yes/,
      /Router lifetime\s*:\s*1800/,
      /Prefix\s*:\s*2001:db8:0:1::\/64/,
      /On-link\s*:\s*Yes/,
      /Autonomous address conf\.\s*:\s*Yes/,
      /Valid time\s*:\s*86400/,
      /Pref\. time\s*:\s*14400/,
      /Recursive DNS server\s*:\s*2001:db8:0:1::1/,
      /DNS server lifetime\s*:\s*180/,
      /DNS search list\s*:\s*rack\.example/,
      /MTU\s*:\s*1500 bytes/,
      /Source link-layer address\s*:\s*02:1A:B0:00:00:01/i,
      /Route\s*:\s*2001:db8:100::\/48/,
      /Route preference\s*:\s*high/,
    ])
      assert.match(stdout, expected);
  });

  test("the kernel forms its address by SLAAC and takes the route", async () => {
    const client = makeClient();
    client.namespace.sysctl({ "ipv6/conf/eth0/accept_ra": 2 });
    client.up();
    const { stdout } = await client.namespace.exec([
      "sh",
      "-c",
      "for i in $(seq 50); do ip -6 addr show eth0 | grep -q 2001:db8 && break; sleep 0.1; done; ip -6 addr show eth0; ip -6 route",
    ]);
    assert.match(stdout, /2001:db8:0:1:1a:b0ff:fe01:[0-9a-f]+\/64/);
    assert.match(stdout, /default via fe80::1a:b0ff:fe00:1 dev eth0 proto ra/);
  });

  test("dhclient -6 takes a lease and gives it back", async () => {
    const client = makeClient();
    const from = appliance.lines.length;
    const { stdout, stderr } = await apart(
      client,
      `ip link set eth0 up; sleep 0.5; printf '#!/bin/sh\\nenv | grep "^new_"\\n[ -z "$new_ip6_address" ] || ip addr replace $new_ip6_address/128 dev eth0\\nexit 0\\n' >/run/script; chmod +x /run/script
       timeout 20 dhclient -6 -1 -v -sf /run/script -pf /run/d.pid -lf /run/d.leases eth0; ip -6 addr show eth0; timeout 10 dhclient -6 -r -v -sf /run/script -pf /run/d.pid -lf /run/d.leases eth0`,
    );
    assert.match(stdout, /new_ip6_address=2001:db8:0:1:1a:b0ff:fe01:/, stderr);
    assert.match(stdout, /new_dhcp6_name_servers=2001:db8:0:1::1/);
    assert.match(stdout, /new_dhcp6_domain_search=rack.example/);
    await appliance.waitFor((line) => line.event === "dhcpv6.answered" && line.msg.includes("Release (system)"), 5, from);
  });

  test("dhclient -6 -S takes options alone", async () => {
    const client = makeClient();
    const { stdout, stderr } = await apart(
      client,
      `ip link set eth0 up; sleep 0.5; printf '#!/bin/sh\\nenv | grep "^new_"\\nexit 0\\n' >/run/script; chmod +x /run/script
       timeout 20 dhclient -6 -S -1 -v -sf /run/script -pf /run/d.pid -lf /run/d.leases eth0`,
    );
    assert.match(stdout, /new_dhcp6_name_servers=2001:db8:0:1::1/, stderr);
  });

  test("dhcpcd asks for options, as the advertisement tells it (O)", async () => {
    const client = makeClient();
    const { stdout, stderr } = await apart(
      client,
      `printf '#!/bin/sh\\nenv | grep -E "^(new_dhcp6|reason|nd1)" >>/run/env\\nexit 0\\n' >/run/script; chmod +x /run/script; ip link set eth0 up
       timeout 20 dhcpcd -6 -B -c /run/script eth0 & pid=$!; for i in $(seq 120); do grep -qs new_dhcp6_name_servers /run/env && break; sleep 0.1; done; cat /run/env; ip -6 addr show eth0; kill $pid`,
    );
    assert.match(stdout, /new_dhcp6_name_servers=2001:db8:0:1::1/, stderr);
    assert.match(stdout, /inet6 2001:db8:0:1:/);
  });

  test("systemd-networkd forms its address and takes DNS and search list", async () => {
    const client = makeClient();
    const { stdout, stderr } = await apart(
      client,
      `printf '[Match]\\nName=eth0\\n[Network]\\nIPv6AcceptRA=yes\\nLinkLocalAddressing=ipv6\\n[IPv6AcceptRA]\\nUseDomains=yes\\n' >/run/systemd/network/a.network
       timeout 20 /lib/systemd/systemd-networkd & pid=$!; for i in $(seq 100); do grep -qs "^DNS=." /run/systemd/netif/links/* && break; sleep 0.1; done; cat /run/systemd/netif/links/*; ip -6 addr show eth0; kill $pid`,
    );
    assert.match(stdout, /^DNS=.*2001:db8:0:1::1/m, stderr);
    assert.match(stdout, /DOMAINS=.*rack\.example/);
    assert.match(stdout, /inet6 2001:db8:0:1:/);
  });

  const onVlan = async (client: Client): Promise<Client> => {
    client.up();
    client.namespace.ip(`addr add 2001:db8:0:1::c${number}/64 dev eth0`);
    return client;
  };

  test("dig: local names are answered, strangers' networks refused", async () => {
    const client = await onVlan(makeClient());
    const dig = (...args: string[]) => client.namespace.exec(["dig", "@2001:db8:0:1::1", "+time=6", "+tries=1", ...args]);
    assert.match((await dig("+short", "mirror.rack.example", "AAAA")).stdout, /^2001:db8:0:1::5$/m);
    assert.match((await dig("+short", "+tcp", "mirror.rack.example", "AAAA")).stdout, /^2001:db8:0:1::5$/m);
    assert.match((await dig("+short", "-x", "2001:db8:0:1::5")).stdout, /^mirror\.rack\.example\.$/m);
    assert.match((await dig("missing.rack.example", "AAAA")).stdout, /status: (SERVFAIL|NXDOMAIN)/);
    client.namespace.ip("addr add 2001:db8:9::9/64 dev eth0");
    vlan.server.ip("route add 2001:db8:9::/64 dev prov0");
    assert.match((await dig("-b", "2001:db8:9::9", "mirror.rack.example", "AAAA")).stdout, /status: REFUSED/);
  });

  test("curl: files, ranges, types, listing, rendered files; strangers get 403", async () => {
    const client = await onVlan(makeClient());
    const curl = async (...args: string[]) => (await client.namespace.exec(["curl", "-sS", "--max-time", "10", ...args])).stdout;
    const base = "http://[2001:db8:0:1::1]";
    const head = await curl("-I", `${base}/boot.efi`);
    assert.match(head, /^HTTP\/1\.1 200/);
    assert.match(head, /content-type: application\/efi\r/i);
    assert.match(head, /content-length: 10\r/i);
    assert.match(head, /accept-ranges: bytes/i);
    assert.equal(await curl(`${base}/boot.efi`), "0123456789");
    assert.equal(await curl("-r", "2-4", `${base}//boot.efi`), "234");
    assert.equal(await curl("-r", "-3", `${base}/boot.efi`), "789");
    assert.match(await curl("-r", "50-", "-i", `${base}/boot.efi`), /^HTTP\/1\.1 416[\s\S]*content-range: bytes \*\/10/i);
    assert.match(await curl(`${base}/`), /<a href="\/boot\.efi">boot\.efi<\/a>/);
    assert.match(await curl("-i", `${base}/nothing`), /^HTTP\/1\.1 404/);
    assert.match(await curl("-i", "--path-as-is", `${base}/../../etc/passwd`), /^HTTP\/1\.1 404/);
    assert.match(await curl("-i", "-X", "PUT", `${base}/boot.efi`), /^HTTP\/1\.1 405[\s\S]*allow: GET, HEAD/i);
    assert.match(await curl(`${base}/hello.ipxe`), /^#!ipxe\necho /);
    client.namespace.ip("addr add 2001:db8:8::9/64 dev eth0");
    vlan.server.ip("route add 2001:db8:8::/64 dev prov0");
    assert.match(await curl("-i", "--interface", "2001:db8:8::9", `${base}/boot.efi`), /^HTTP\/1\.1 403/);
  });
});
