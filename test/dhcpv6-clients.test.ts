/** dhclient, dhcpcd and systemd-networkd lease addresses and prefixes, under names that they claim, from the first Solicit to the last word. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, type TestContext, test } from "node:test";
import { Appliance, type LogLine, ProvisioningVlan } from "@netboot6/lab";
import { ClientHost, type Program } from "./clients-setup.ts";
import { list } from "./leases-setup.ts";
import { makeVlan, startAppliance } from "./setup.ts";

const configuration = (lifetimes: string): string => `
domain: rack.example
networks:
  - interface: prov0
    advertise: { interval: [4s, 10s], routerLifetime: 30m, autonomous: false }
    dhcp:
      managed: true
      pool: 2001:db8:0:1::1000-2001:db8:0:1::1fff
      delegate: { prefix: "2001:db8:fff::/48", length: 60 }
      lifetimes: { renew: 3s, rebind: 8s, ${lifetimes} }
http: false
tftp: false
dns: { upstreams: ["[2001:db8:0:1::1]:5399"] } # nobody there: what is not known here is an error at once
`;
const POOL = /^2001:db8:0:1::1[0-9a-f]{3}$/;
const DELEGATED = /^2001:db8:fff:[0-9a-f]{0,3}0::\/60$/;

const DHCLIENT = "dhclient -6 -d -v -cf /run/dhclient.conf -pf /run/d.pid -lf /run/d.leases eth0";
const toRelease = (command: string): string => command.replace(" -d ", " -r ");

/** How each client is started, in the foreground, to take an address and a prefix; and what it says when it renews. */
const CLIENTS = {
  dhclient: {
    prepare: "touch /run/dhclient.conf",
    command: DHCLIENT.replace("-6", "-6 -N -P"),
    renews: /Forming Renew/,
  },
  dhcpcd: {
    prepare:
      "ip link add lan0 type veth peer lan1; ip link set lan1 up; ip link set lan0 up; printf 'hostname\\nfqdn both\\ninterface eth0\\nia_na\\nia_pd 1 lan0/0\\n' >/run/dhcpcd.conf",
    command: "dhcpcd -6 -B -d -f /run/dhcpcd.conf eth0",
    renews: /broadcasting RENEW6/,
  },
  networkd: {
    prepare: `ip link add lan0 type veth peer lan1; ip link set lan1 up
      printf '[Match]\\nName=eth0\\n[Network]\\nIPv6AcceptRA=yes\\nDHCP=ipv6\\n[DHCPv6]\\nPrefixDelegationHint=::/60\\n' >/run/systemd/network/a.network
      printf '[Match]\\nName=lan0\\n[Network]\\nIPv6SendRA=no\\nIPv6AcceptRA=no\\nDHCPPrefixDelegation=yes\\n' >/run/systemd/network/b.network`,
    command: "env SYSTEMD_LOG_LEVEL=debug SYSTEMD_LOG_TARGET=console /lib/systemd/systemd-networkd",
    // Its T1 may come ten seconds late, and T2 with it.
    renews: /DHCPv6 client: Sent Re(new|bind)/,
  },
} as const;

const machineOf = (host: ClientHost): string => `m-${host.client.mac.replaceAll(":", "")}`;

async function makeHost(vlan: ProvisioningVlan, name: string): Promise<ClientHost> {
  const host = new ClientHost(vlan.client(name), name);
  await host.up();
  return host;
}

async function begin(host: ClientHost, client: keyof typeof CLIENTS): Promise<Program> {
  await host.output(CLIENTS[client].prepare);
  return host.start(CLIENTS[client].command);
}

describe("DHCPv6 clients", { concurrency: true }, () => {
  let vlan: ProvisioningVlan;
  let appliance: Appliance;

  before(async () => {
    vlan = new ProvisioningVlan({ dad: true });
    appliance = new Appliance(vlan, { configuration: configuration("preferred: 15s, valid: 20s") });
    await appliance.ready();
  });
  after(async () => {
    assert.equal(await appliance.stop(), 0);
    vlan.close();
  });

  /** The first answer to this machine's messages of a kind, or of one of two. */
  const answered = async (host: ClientHost, message: string, from = 0): Promise<LogLine & { addresses: string[]; why: string[] }> =>
    (await appliance.waitFor(
      (line) => line.event === "dhcpv6.answered" && line.machine === machineOf(host) && message.split(" ").includes(line.message as string),
      25,
      from,
    )) as LogLine & { addresses: string[]; why: string[] };

  /** The leases of the machine as they are listed: what is leased -> its state and name. */
  const leasesOf = async (host: ClientHost): Promise<Record<string, string>> => {
    const own = (await list(vlan)).filter(({ machine }) => machine === machineOf(host));
    return Object.fromEntries(own.map(({ address, state, hostname }) => [address, hostname ? `${state} ${hostname}` : state]));
  };

  /** Waits until dig has this answer; "": none. */
  const resolves = async (question: string, expected: string): Promise<void> => {
    const dig = ["dig", "@2001:db8:0:1::1", "+short", "+time=5", "+tries=1", ...question.split(" ")];
    let answer: string;
    const end = Date.now() + 10_000;
    do answer = (await vlan.server.exec(dig)).stdout.trim().replace(/^;;.*/, "");
    while (answer !== expected && Date.now() < end);
    assert.equal(answer, expected, question);
  };

  /** Leased to the host: its address and its prefix. */
  const leased = async (host: ClientHost, message: "Request" | "Solicit"): Promise<[address: string, prefix: string]> => {
    const [address = "", prefix = ""] = (await answered(host, message)).addresses;
    assert.match(address, POOL);
    assert.match(prefix, DELEGATED);
    return [address, prefix];
  };

  test("dhclient takes an address and a prefix, renews both, and releases both", async () => {
    const host = await makeHost(vlan, "dhclient");
    const client = await begin(host, "dhclient");
    const [address, prefix] = await leased(host, "Request");
    await client.says(/Bound to lease/, 10);
    assert.equal(await host.address(address), address);
    assert.match(client.said(), new RegExp(`IAPREFIX ${prefix}`));
    const name = `${machineOf(host)}.rack.example`;
    await resolves(`${name} AAAA`, address);
    await resolves(`-x ${address}`, `${name}.`);
    assert.deepEqual((await answered(host, "Renew")).addresses, [address, prefix]);
    await client.says(/Renew on[\s\S]*Bound to lease/, 10);
    assert.deepEqual(await leasesOf(host), { [address]: "bound", [prefix]: "bound" });

    const released = await host.run(toRelease(CLIENTS.dhclient.command));
    assert.match(released.stderr, new RegExp(`Release Address ${address}.*Release Prefix ${prefix}`, "s"));
    assert.deepEqual((await answered(host, "Release")).why.slice(-2), [`${address}: released`, `${prefix}: released`]);
    assert.deepEqual(await leasesOf(host), { [address]: "released", [prefix]: "released" });
    await resolves(`${name} AAAA`, "");
    await resolves(`-x ${address}`, "");
  });

  test("dhcpcd takes an address and a prefix for another link, renews both, and releases both", async () => {
    const host = await makeHost(vlan, "dhcpcd");
    const client = await begin(host, "dhcpcd");
    const [address, prefix] = await leased(host, "Request");
    assert.equal(await host.address(address, 10), address);
    await client.says(new RegExp(`delegated prefix ${prefix}`), 10);
    assert.match(await host.output("ip -6 addr show dev lan0"), new RegExp(`inet6 ${prefix.replace(/.::.*/, "")}`));
    await resolves("dhcpcd.rack.example AAAA", address);
    assert.deepEqual((await answered(host, "Renew")).addresses, [address, prefix]);
    await client.says(/executing:.* RENEW6/, 10);
    assert.deepEqual(await leasesOf(host), { [address]: "bound dhcpcd.rack.example", [prefix]: "bound" });

    // The signal that this sends is lost on a dhcpcd that runs its hook at that moment: it is asked again.
    const end = async (): Promise<void> => {
      await host.run("dhcpcd -6 -k eth0");
      await client.ends(5);
    };
    await end().catch(end).catch(end);
    const given = (await answered(host, "Release")).why.slice(-2);
    assert.deepEqual(given.toSorted(), [`${address}: released`, `${prefix}: released`].toSorted());
    await resolves("dhcpcd.rack.example AAAA", "");
    assert.deepEqual(await leasesOf(host), { [address]: "released dhcpcd.rack.example", [prefix]: "released" });
  });

  test("systemd-networkd takes both by rapid commit under its host's name, renews them, and leaves them to end", async () => {
    const host = await makeHost(vlan, "networkd");
    const client = await begin(host, "networkd");
    const [address, prefix] = await leased(host, "Solicit");
    assert.equal((await answered(host, "Solicit")).answer, "Reply");
    await client.says(new RegExp(`received delegated prefix ${prefix}`), 10);
    assert.equal(await host.address(address, 10), address);
    assert.match(await host.address(prefix.replace(/.::.*/, ""), 10, "lan0"), /./);
    await resolves("networkd.rack.example AAAA", address);
    assert.deepEqual((await answered(host, "Renew Rebind")).addresses, [address, prefix]);
    await client.says(/(renew|rebind) -> bound/, 10);

    // Version 252 sends no Release, neither for a link that goes down nor at its own end.
    host.client.namespace.ip("link set eth0 down");
    await client.says(/DHCPv6 lease lost/, 10);
    const end = Date.now() + 25_000;
    let states = await leasesOf(host);
    for (; Object.values(states).some((state) => state.startsWith("bound")) && Date.now() < end; states = await leasesOf(host))
      await new Promise((resolve) => setTimeout(resolve, 500));
    assert.deepEqual(states, { [address]: "expired networkd.rack.example", [prefix]: "expired" });
  });

  test("a client that starts with a lease confirms it; the name that it claims is its lease's, changes with it and ends with it", async () => {
    const host = await makeHost(vlan, "named");
    const claim = (name: string) => host.output(`printf 'send fqdn.fqdn "${name}";\\nsend fqdn.server-update on;\\n' >/run/dhclient.conf`);
    await claim("web.rack.example");
    const first = host.start(DHCLIENT);
    const [address = ""] = (await answered(host, "Request")).addresses;
    await resolves("web.rack.example AAAA", address);
    await resolves(`-x ${address}`, `${machineOf(host)}.rack.example.`);
    assert.deepEqual(await leasesOf(host), { [address]: "bound web.rack.example" });
    first.signal("SIGTERM");
    await first.ends(5);

    await claim("db.rack.example");
    const second = host.start(DHCLIENT);
    await second.says(/Forming Confirm[\s\S]*all addresses are on this link[\s\S]*Bound to lease/, 15);
    assert.equal((await answered(host, "Confirm")).answer, "Reply");
    await resolves("db.rack.example AAAA", address);
    await resolves("web.rack.example AAAA", "");
    await host.run(toRelease(DHCLIENT));
    await resolves("db.rack.example AAAA", "");
    assert.deepEqual(await leasesOf(host), { [address]: "released db.rack.example" });
  });

  test("a link that comes back: dhcpcd asks whether its address still holds, and keeps it", async () => {
    const host = await makeHost(vlan, "flap");
    await host.output("printf 'interface eth0\\nia_na\\n' >/run/dhcpcd.conf");
    const client = host.start(CLIENTS.dhcpcd.command);
    const [address = ""] = (await answered(host, "Request")).addresses;
    assert.equal(await host.address(address, 10), address);
    await client.says(/executing:.* BOUND6/, 10);
    const from = appliance.lines.length;
    host.client.namespace.ip("link set eth0 down");
    await client.says(/carrier lost/, 10);
    host.client.namespace.ip("link set eth0 up");
    await answered(host, "Confirm", from);
    assert.equal(await host.address(address, 10), address);
    // It is not told to end: a signal that comes this soon after a link came back is lost on it, now and then.
  });

  test("an address that another host has is declined: it rests, the client gets another, and its name moves there", async () => {
    const host = await makeHost(vlan, "declines");
    // dhclient leaves it to its script to look at duplicate address detection; exit code 3 is "another has it".
    await host.output(`cat >/run/script <<'END'
#!/bin/sh
show() { ip -6 addr show dev $interface to $new_ip6_address; }
case $reason in
  BOUND6)
    ip -6 addr replace $new_ip6_address/128 dev $interface
    for i in $(seq 80); do show | grep -q dadfailed && ip -6 addr del $new_ip6_address/128 dev $interface && exit 3; show | grep -q tentative || break; sleep 0.1; done ;;
  STOP6 | RELEASE6) ip -6 addr del $old_ip6_address/128 dev $interface ;;
esac
exit 0
END
chmod +x /run/script`);
    const command = "dhclient -6 -v --decline-wait-time 1 -sf /run/script -pf /run/d.pid";
    await host.output(`timeout 15 ${command} -lf /run/a.leases eth0; ${command} -lf /run/a.leases -r eth0`);
    const [first = ""] = (await answered(host, "Request")).addresses;
    const other = vlan.client("other");
    other.up();
    other.namespace.ip(`addr add ${first}/64 dev eth0 nodad`);

    const client = host.start(`${command} -d -lf /run/b.leases eth0`);
    // Where the disk is slow it says so twice, and is told of the second at once: nothing was bound any more.
    const declined = await appliance.waitFor(
      ({ event, message, why }) =>
        event === "dhcpv6.answered" && message === "Decline" && (why as string[]).at(-1) === `${first}: declined`,
      20,
    );
    const [second = ""] = (await answered(host, "Request", appliance.lines.indexOf(declined))).addresses;
    assert.match(second, POOL);
    assert.notEqual(second, first);
    await client.says(new RegExp(`declined:${first}.*Bound to lease`, "s"), 10);
    assert.deepEqual(await leasesOf(host), { [first]: "declined", [second]: "bound" });
    await resolves(`${machineOf(host)}.rack.example AAAA`, second);
    await resolves(`-x ${first}`, "");
  });

  test("the appliance is killed and comes back between T1 and T2: each client's Rebind is answered with what it has", async (t: TestContext) => {
    const vlan = makeVlan(t, { dad: true });
    const settings = configuration("preferred: 50s, valid: 60s");
    const killed = await startAppliance(t, vlan, { configuration: settings });
    const names = Object.keys(CLIENTS) as (keyof typeof CLIENTS)[];
    const hosts = await Promise.all(names.map((name) => makeHost(vlan, name)));
    const clients = await Promise.all(hosts.map((host, i) => begin(host, names[i] as keyof typeof CLIENTS)));
    const has = new Map<string, string[]>();
    for (const [i, host] of hosts.entries()) {
      const line = await killed.waitFor(({ machine, answer }) => machine === machineOf(host) && answer === "Reply", 25);
      const addresses = line.addresses as string[];
      has.set(machineOf(host), addresses);
      assert.equal(await host.address(addresses[0] as string, 10), addresses[0], names[i]);
    }
    killed.signal("SIGKILL");
    await killed.exit;
    const from = clients.map((client) => client.said().length);
    await Promise.all(clients.map((client, i) => client.says(CLIENTS[names[i] as keyof typeof CLIENTS].renews, 15, from[i])));

    const back = await startAppliance(t, vlan, { configuration: readFileSync(killed.file, "utf8") });
    for (const [machine, addresses] of has) {
      const line = await back.waitFor((each) => each.machine === machine && each.message === "Rebind", 30);
      assert.deepEqual((line.addresses as string[]).toSorted(), addresses.toSorted());
    }
    const bound = (await list(vlan)).filter(({ state }) => state === "bound").map(({ address }) => address);
    assert.deepEqual(bound.toSorted(), [...has.values()].flat().toSorted());
    for (const host of hosts) assert.equal(await host.address(has.get(machineOf(host))?.[0] ?? ""), has.get(machineOf(host))?.[0]);
  });
});
