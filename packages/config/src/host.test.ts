import assert from "node:assert/strict";
import { networkInterfaces } from "node:os";
import { test } from "node:test";
import type { Appliance } from "./appliance.ts";
import { type HostInterface, parseIfInet6, readHost, resolveNetworks } from "./host.ts";
import { assemble } from "./load.ts";
import { readSource } from "./source.ts";

const ADDRESSES = `fe800000000000005054 short
fe80000000000000505400fffe000001 04 40 20 80     eth1
20010db8000000010000000000000001 04 40 00 80     eth1
20010db800000001505400fffe000001 04 40 00 00     eth1
fd000000000000000000000000000002 05 40 00 c0     eth2
fd000000000000000000000000000003 05 80 00 a8     eth2
`;

test("the kernel's table is read with its flags, configured addresses first", () => {
  const of = (bits: object) => ({ tentative: false, duplicate: false, deprecated: false, permanent: true, ...bits });
  assert.deepEqual(parseIfInet6(ADDRESSES), [
    of({ name: "eth1", index: 4, address: "2001:db8:0:1::1", length: 64 }),
    of({ name: "eth2", index: 5, address: "fd00::2", length: 64, tentative: true }),
    of({ name: "eth2", index: 5, address: "fd00::3", length: 128, duplicate: true, deprecated: true }),
    of({ name: "eth1", index: 4, address: "fe80::5054:ff:fe00:1", length: 64 }),
    of({ name: "eth1", index: 4, address: "2001:db8:0:1:5054:ff:fe00:1", length: 64, permanent: false }),
  ]);
});

test("this host's interfaces are all there, loopback apart", () => {
  const host = readHost();
  for (const [name, addresses] of Object.entries(networkInterfaces())) {
    const found = host.find((each) => each.name === name);
    assert.equal(found === undefined, name === "lo");
    const expected = (addresses ?? []).filter(({ family }) => family === "IPv6").map(({ address }) => address);
    if (found) assert.deepEqual(found.addresses.map(({ address }) => address).sort(), expected.sort());
  }
  for (const { index, mtu } of host) assert.ok(index > 0 && mtu > 0);
});

function appliance(networks: string): Appliance {
  const loaded = assemble(readSource("appliance.yaml", `networks: ${networks}`), []);
  assert.ok("appliance" in loaded);
  return loaded.appliance;
}

const address = (text: string, flags: object = {}) => {
  const [bare = "", length = "64"] = text.split("/");
  return { address: bare, length: Number(length), tentative: false, duplicate: false, deprecated: false, permanent: true, ...flags };
};
const LINK_LOCAL = address("fe80::5054:ff:fe00:1");
const ETH1: HostInterface = { name: "eth1", index: 4, mac: "52:54:00:00:00:01", mtu: 9000, up: true, ipv6: true, addresses: [] };
const host = (...addresses: (HostInterface["addresses"][number] | string)[]): HostInterface[] => [
  { ...ETH1, addresses: addresses.map((each) => (typeof each === "string" ? address(each) : each)) },
];

test("an on-link network takes prefix, address and link from its interface", () => {
  const { networks, waiting } = resolveNetworks(appliance("[{ interface: eth1 }]"), host(LINK_LOCAL, "2001:db8:0:1::1"));
  assert.deepEqual(waiting, []);
  const [network] = networks;
  assert.equal(network?.address, "2001:db8:0:1::1");
  assert.equal(network?.prefix.address, "2001:db8:0:1::");
  assert.deepEqual(network?.link, { name: "eth1", index: 4, mac: "52:54:00:00:00:01", mtu: 9000, linkLocal: "fe80::5054:ff:fe00:1" });
});

test("the address is the file's, else one in the file's prefix, else the first global, else unique-local one", () => {
  const chosen = (network: string, ...addresses: Parameters<typeof host>) => {
    const { networks, waiting } = resolveNetworks(appliance(`[${network}]`), host(LINK_LOCAL, ...addresses));
    return networks[0] ? `${networks[0].address} in ${networks[0].prefix.address}/${networks[0].prefix.length}` : waiting[0];
  };
  assert.equal(chosen("{ interface: eth1 }", "fd00::1", "2001:db8::1"), "2001:db8::1 in 2001:db8::/64");
  assert.equal(chosen("{ interface: eth1 }", "fd00::1", "fd01::1"), "fd00::1 in fd00::/64");
  assert.equal(
    chosen("{ interface: eth1 }", address("2001:db8::1", { deprecated: true }), "2001:db8:1::1"),
    "2001:db8:1::1 in 2001:db8:1::/64",
  );
  assert.equal(chosen("{ interface: eth1 }", "2001:db8::1/128", "2001:db8:1::1"), "2001:db8:1::1 in 2001:db8:1::/64");
  assert.equal(chosen("{ interface: eth1, prefix: 'fd01::/64' }", "2001:db8::1", "fd01::1/128"), "fd01::1 in fd01::/64");
  assert.equal(chosen("{ interface: eth1, address: fd01::1 }", "2001:db8::1", "fd01::1/48"), "fd01::1 in fd01::/48");
});

test("what is missing is said in plain words", () => {
  const waiting = (network: string, interfaces: readonly HostInterface[]) => {
    const resolved = resolveNetworks(appliance(`[${network}]`), interfaces);
    assert.deepEqual(resolved.networks, []);
    assert.equal(resolved.waiting.length, 1);
    return resolved.waiting[0];
  };
  const one = "{ interface: eth1 }";
  const others = ["eno1", "eno2"].map((name) => ({ ...ETH1, name }));
  assert.equal(waiting(one, others), "interface eth1 does not exist; there are: eno1, eno2");
  assert.equal(waiting(one, []), "interface eth1 does not exist; there are: none");
  assert.equal(waiting(one, [{ ...ETH1, ipv6: false }]), "IPv6 is off on eth1: sysctl -w net.ipv6.conf.eth1.disable_ipv6=0");
  assert.equal(waiting(one, [{ ...ETH1, mac: null, addresses: [LINK_LOCAL] }]), "eth1 has no MAC address: it is no Ethernet interface");
  assert.equal(waiting(one, host()), "eth1 has no link-local address yet");
  assert.equal(waiting(one, [{ ...ETH1, up: false }]), "eth1 has no link-local address yet; eth1 has no carrier");
  assert.equal(waiting(one, host({ ...LINK_LOCAL, tentative: true })), "fe80::5054:ff:fe00:1 on eth1 is still tentative");
  assert.equal(
    waiting(one, host({ ...LINK_LOCAL, duplicate: true, tentative: true })),
    "fe80::5054:ff:fe00:1 on eth1 failed duplicate address detection: another host has it",
  );
  assert.equal(waiting(one, host(LINK_LOCAL)), "eth1 has no global or unique-local IPv6 address yet");
  assert.equal(waiting(one, host(LINK_LOCAL, address("2001:db8::1", { tentative: true }))), "2001:db8::1 on eth1 is still tentative");
  assert.equal(
    waiting(one, host(LINK_LOCAL, address("2001:db8::1", { tentative: true, duplicate: true }))),
    "2001:db8::1 on eth1 failed duplicate address detection: another host has it",
  );
  assert.equal(
    waiting("{ interface: eth1, address: 2001:db8::1 }", host(LINK_LOCAL, "fd00::1")),
    "2001:db8::1 is not on eth1 yet; it has: fd00::1",
  );
  assert.equal(
    waiting("{ interface: eth1, prefix: '2001:db8::/64' }", host(LINK_LOCAL, "fd00::1")),
    "eth1 has no address in 2001:db8::/64 yet; it has: fd00::1",
  );
  assert.equal(waiting(one, host(LINK_LOCAL, "2001:db8::1/128")), "2001:db8::1 on eth1 is a /128: give the network's prefix in the file");
});

test("a relayed network has no link, and the first on-link network's address unless the file says otherwise", () => {
  const relayed = "name: b, relayed: true, prefix: '2001:db8:2::/64', relays: ['::1']";
  const both = resolveNetworks(appliance(`[{ ${relayed} }, { interface: eth1 }]`), host(LINK_LOCAL, "2001:db8::1"));
  assert.deepEqual(
    both.networks.map(({ name, address, link }) => [name, address, link?.name]),
    [
      ["b", "2001:db8::1", undefined],
      ["eth1", "2001:db8::1", "eth1"],
    ],
  );
  const waits = resolveNetworks(
    appliance(`[{ interface: eth1 }, { ${relayed} }, { ${relayed.replace("b", "c").replace("2::", "3::")}, address: fd00::1 }]`),
    [],
  );
  assert.deepEqual(
    waits.networks.map(({ name }) => name),
    ["c"],
  );
  assert.equal(waits.waiting.length, 1);
});
