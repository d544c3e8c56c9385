import assert from "node:assert/strict";
import { test } from "node:test";
import { ARCH_NAMES } from "./arch.ts";
import { assemble } from "./load.ts";
import { formatProblem } from "./problem.ts";
import { readSource } from "./source.ts";

/** A file that no check objects to. Each case replaces one piece of it. */
const SOUND = `networks:
  - name: a
    interface: eth1
    prefix: 2001:db8:0:1::/64
    address: 2001:db8:0:1::1
    defaultProfile: one
    advertise: { interval: [5s, 60s], routerLifetime: 3m, mtu: 1500 }
    dhcp: { managed: false, pool: auto, lifetimes: { renew: 1000s } }
  - { name: b, interface: eth2, prefix: 2001:db8:0:2::/64 }
  - { name: c, relayed: true, prefix: 2001:db8:0:3::/64, relays: [2001:db8:0:3::fe] }
boot:
  rules:
    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }
    - { arch: [x64-uefi, ebc], url: "{{ tftp }}/ipxe.efi" }
    - { arch: x64-uefi-http, vendorClass: HTTPClient, url: "{{ http }}/ipxe.efi" }
profiles: { one: { disk: true }, two: { poll: 5s } }
defaultProfile: two
machines:
  - { name: n1, mac: 52:54:00:00:00:01, uuid: 4c4c4544-0044-4810-8031-b4c04f4e3731, duid: "0003000101", profile: one }
  - { name: n2, mac: [52:54:00:00:00:02, 52:54:00:00:00:03], address: 2001:db8:0:1:5054:ff:fe00:2 }
http: { allow: [2001:db8::/32] }
tftp: { port: 69 }
dns: { upstreams: ["2001:4860:4860::8888"], allow: networks }
console: { listen: "[::1]:8067", token: null }
`;

function findings(text: string): string[] {
  const loaded = assemble(readSource("f", text), []);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.map((problem) => `${problem.id} ${formatProblem({ ...problem, source: "" }).replace(` [${problem.id}]`, "")}`);
}

test("a sound file has no finding", () => {
  assert.deepEqual(findings(SOUND), []);
});

const CASES: readonly (readonly [from: string, to: string, ...expected: string[]])[] = [
  // networks
  ["name: b,", "name: a,", "duplicate-network f:9:13: networks[1].name: another network is called a. Give each network a name of its own."],
  [
    "interface: eth2",
    "interface: eth1",
    "duplicate-interface f:9:27: networks[1].interface: another network is on eth1. An interface carries one network: delete one.",
  ],
  [
    "prefix: 2001:db8:0:3::/64, ",
    "",
    "relayed-without-prefix f:10:5: networks[2]: a relayed network without a prefix. Give its prefix: no interface of ours has it.",
  ],
  [
    ", relays: [2001:db8:0:3::fe]",
    "",
    "relays-open f:10:5: warning: networks[2]: anyone may relay for it. Name its relays: relays: [2001:db8:0:2::fe].",
  ],
  [
    ", relays: [2001:db8:0:3::fe] }\n",
    ", relays: [2001:db8:0:3::fe], linkAddresses: [2001:db8:0:1::fe, 2001:db8:ff::1] }\n  - { name: d, relayed: true, prefix: 2001:db8:0:4::/64, relays: [2001:db8:0:4::fe], linkAddresses: [2001:db8:ff::1] }\n",
    "duplicate-link-address f:11:102: networks[3].linkAddresses[0]: 2001:db8:ff::1 tells another network, too. A link is one network: delete one.",
  ],
  [
    "prefix: 2001:db8:0:2::/64",
    "prefix: 2001:db8:0:1:8000::/65, advertise: false",
    "prefix-overlap f:9:41: networks[1].prefix: overlaps with the prefix of a. Give each network a prefix of its own.",
  ],
  [
    "address: 2001:db8:0:1::1",
    "address: 2001:db8:0:9::1",
    "address-outside-prefix f:5:14: networks[0].address: 2001:db8:0:9::1 is not in 2001:db8:0:1::/64. Give an address inside the prefix.",
  ],
  [
    "pool: auto",
    "pool: 2001:db8:0:9::1-2001:db8:0:9::2",
    "pool-outside-prefix f:8:35: networks[0].dhcp.pool: 2001:db8:0:9::1-2001:db8:0:9::2 is not inside 2001:db8:0:1::/64. Give a range inside it.",
  ],
  [
    "2001:db8:0:2::/64",
    "2001:db8:0:2::/120, advertise: { autonomous: false }",
    "pool-outside-prefix f:9:5: networks[1].dhcp.pool: auto needs a prefix of /112 or shorter. Give a range as the pool.",
  ],
  [
    "pool: auto",
    "pool: 2001:db8::1-2001:db8:0:1::2",
    "pool-outside-prefix f:8:35: networks[0].dhcp.pool: 2001:db8::1-2001:db8:0:1::2 is not inside 2001:db8:0:1::/64. Give a range inside it.",
  ],
  [
    "pool: auto",
    "pool: 2001:db8:0:1::1-2001:db8:0:2::1",
    "pool-outside-prefix f:8:35: networks[0].dhcp.pool: 2001:db8:0:1::1-2001:db8:0:2::1 is not inside 2001:db8:0:1::/64. Give a range inside it.",
  ],
  ["pool: auto", "pool: 2001:db8:0:1::/64"],
  [
    "fe] }",
    "fe], dhcp: { pool: 2001:db8:0:9::/64 } }",
    "pool-outside-prefix f:10:100: networks[2].dhcp.pool: 2001:db8:0:9::-2001:db8:0:9:ffff:ffff:ffff:ffff is not inside 2001:db8:0:3::/64. Give a range inside it.",
  ],
  ["2001:db8:0:2::/64", "2001:db8:0:2::/112, advertise: { autonomous: false }"],
  [
    "2001:db8:0:2::/64",
    "2001:db8:0:2::/113, advertise: { autonomous: false }",
    "pool-outside-prefix f:9:5: networks[1].dhcp.pool: auto needs a prefix of /112 or shorter. Give a range as the pool.",
  ],
  ["pool: auto", 'pool: auto, delegate: { prefix: "2001:db8:fff::/48", length: 48 }'],
  [
    "pool: auto",
    'pool: auto, delegate: { prefix: "2001:db8:fff::/48", length: 47 }',
    "delegate-length f:8:90: networks[0].dhcp.delegate.length: a /47 is larger than 2001:db8:fff::/48. Give a length from 48 on.",
  ],
  [
    "pool: auto",
    'pool: auto, delegate: { prefix: "2001:db8::/32", length: 60 }',
    "delegate-overlap f:8:61: networks[0].dhcp.delegate.prefix: overlaps with the prefix of a, which is on a link. Delegate prefixes that are on no link.",
  ],
  [
    "pool: auto",
    'pool: auto, delegate: { prefix: "2001:db8:0:3::/64", length: 64 }',
    "delegate-overlap f:8:61: networks[0].dhcp.delegate.prefix: overlaps with the prefix of c, which is on a link. Delegate prefixes that are on no link.",
  ],
  [
    "pool: auto, lifetimes: { renew: 1000s } }\n  - { name: b, interface: eth2, prefix: 2001:db8:0:2::/64 }",
    'pool: auto, delegate: { prefix: "2001:db8:f00::/40", length: 60 } }\n  - { name: b, interface: eth2, prefix: 2001:db8:0:2::/64, dhcp: { delegate: { prefix: "2001:db8:fff::/48", length: 60 } } }',
    "delegate-overlap f:9:88: networks[1].dhcp.delegate.prefix: overlaps with what a delegates. Give each network its own.",
  ],
  [
    "{ renew: 1000s }",
    "{ renew: 1m, rebind: 2m, preferred: 5m, valid: 5m }",
    "lease-short f:8:99: warning: networks[0].dhcp.lifetimes.valid: a lease of 300s ends while an installation runs, and installers do not renew it. Write 10m or more.",
  ],
  ["{ renew: 1000s }", "{ renew: 10m, rebind: 10m, preferred: 10m, valid: 10m }"],
  [
    "dns: { upstreams",
    "dns: { records: { n1: [2001:db8::1] }, upstreams",
    "record-hides-machine f:23:23: warning: dns.records.n1: it takes the place of machine n1's own name, whatever its address is. Delete the record, or name one of the two otherwise.",
  ],
  [
    "dns: { upstreams",
    "domain: rack.example\ndns: { records: { n1: [2001:db8::1], n1.rack.example: [2001:db8::1] }, upstreams",
    `record-hides-machine f:24:55: warning: dns.records["n1.rack.example"]: it takes the place of machine n1's own name, whatever its address is. Delete the record, or name one of the two otherwise.`,
  ],
  [
    "managed: false, pool: auto",
    "managed: true, pool: none",
    "managed-without-pool f:8:22: networks[0].dhcp.managed: the M flag promises addresses, and pool is none. Give a pool, or managed: false.",
  ],
  [
    "/64 }\n",
    "/64, advertise: { autonomous: false }, dhcp: { pool: none } }\n",
    "no-addresses f:9:108: warning: networks[1].dhcp.pool: machines get no address: pool is none and autonomous is false. Give a pool, or autonomous: true.",
  ],
  ["/64 }\n", "/64, advertise: observe, dhcp: { pool: none } }\n"],
  [
    "renew: 1000s",
    "renew: 2001s",
    "lease-lifetimes f:8:61: networks[0].dhcp.lifetimes.renew: 2001s is longer than rebind, 2000s. Keep renew <= rebind <= preferred <= valid.",
  ],
  [
    "renew: 1000s",
    "rebind: 3001s",
    "lease-lifetimes f:8:62: networks[0].dhcp.lifetimes.rebind: 3001s is longer than preferred, 3000s. Keep renew <= rebind <= preferred <= valid.",
  ],
  [
    "renew: 1000s",
    "valid: 2999s",
    "lease-lifetimes f:8:52: networks[0].dhcp.lifetimes.preferred: 3000s is longer than valid, 2999s. Keep renew <= rebind <= preferred <= valid.",
  ],
  // advertise
  [
    "[5s, 60s]",
    "[2s, 60s]",
    "advertise-interval f:7:29: networks[0].advertise.interval[0]: 2s is not from 3s to 0.75 of the max interval. Write 20s (RFC 4861 §6.2.1).",
  ],
  [
    "[5s, 60s]",
    "[46s, 60s]",
    "advertise-interval f:7:29: networks[0].advertise.interval[0]: 46s is not from 3s to 0.75 of the max interval. Write 20s (RFC 4861 §6.2.1).",
  ],
  [
    "[5s, 60s]",
    "[3s, 3s]",
    "advertise-interval f:7:33: networks[0].advertise.interval[1]: 3s is not from 4s to 65535s. Most networks take 60s to 600s (RFC 4861 §6.2.1).",
  ],
  ["[5s, 60s]", "[3s, 4s]"],
  ["[5s, 60s], routerLifetime: 3m", "[5s, 65535s], preferredLifetime: 1d, validLifetime: 1d"],
  [
    "[5s, 60s], routerLifetime: 3m",
    "[5s, 65536s], preferredLifetime: 1d",
    "advertise-interval f:7:33: networks[0].advertise.interval[1]: 65536s is not from 4s to 65535s. Most networks take 60s to 600s (RFC 4861 §6.2.1).",
  ],
  [
    "routerLifetime: 3m",
    "routerLifetime: 59s",
    "router-lifetime f:7:55: networks[0].advertise.routerLifetime: 59s is neither 0s nor from the max interval, 60s, to 65535s. Write 180s, or 0s where we are no router.",
  ],
  [
    "routerLifetime: 3m",
    "routerLifetime: 65536s",
    "router-lifetime f:7:55: networks[0].advertise.routerLifetime: 65536s is neither 0s nor from the max interval, 60s, to 65535s. Write 180s, or 0s where we are no router.",
  ],
  ...["0s", "1m", "65535s"].map((lifetime) => ["routerLifetime: 3m", `routerLifetime: ${lifetime}`] as const),
  ...["dnsLifetime: 0s", "dnsLifetime: 1m", "preferredLifetime: 0s", "preferredLifetime: 1m"].map((it) => ["mtu: 1500", it] as const),
  ["mtu: 1500", "routes: [{ prefix: 2001:db8:100::/48, lifetime: 0s }, { prefix: 2001:db8:200::/48, lifetime: 1m }]"],
  [
    "mtu: 1500",
    "routes: [{ prefix: 2001:db8:100::/48, lifetime: 59s }]",
    "route-lifetime f:7:107: warning: networks[0].advertise.routes[0].lifetime: machines forget the route to 2001:db8:100::/48 between advertisements, up to 60s apart. Write 180s.",
  ],
  [
    "mtu: 1500",
    "preferredLifetime: 59s",
    "prefix-lifetime-short f:7:78: warning: networks[0].advertise.preferredLifetime: machines cease to prefer their addresses between advertisements, up to 60s apart. Write 180s or more.",
  ],
  [
    "mtu: 1500",
    "dnsLifetime: 59s",
    "dns-lifetime f:7:72: warning: networks[0].advertise.dnsLifetime: machines forget the resolver between advertisements, up to 60s apart. Write 180s.",
  ],
  [
    "mtu: 1500",
    "validLifetime: 1h",
    "prefix-lifetimes f:7:16: networks[0].advertise.preferredLifetime: 14400s is longer than validLifetime, 3600s. Preferred is at most valid (RFC 4861 §4.6.2).",
  ],
  [
    "2001:db8:0:2::/64",
    "2001:db8:0:2::/72",
    "autonomous-needs-64 f:9:5: networks[1].advertise.autonomous: no machine forms an address in 2001:db8:0:2::/72. SLAAC needs a /64: give one, or autonomous: false.",
  ],
  ["2001:db8:0:2::/64", "2001:db8:0:2::/72, advertise: { autonomous: false }"],
  [
    "2001:db8:0:2::/64",
    "2001:db8:0:200::/56",
    "autonomous-needs-64 f:9:5: networks[1].advertise.autonomous: no machine forms an address in 2001:db8:0:200::/56. SLAAC needs a /64: give one, or autonomous: false.",
  ],
  // profiles and machines
  [
    "defaultProfile: two",
    "defaultProfile: tow",
    "unknown-profile f:17:17: defaultProfile: no profile is called tow. Define it under profiles, or name one of one, two.",
  ],
  [
    "defaultProfile: one",
    "defaultProfile: on",
    'unknown-profile f:6:21: networks[0].defaultProfile: no profile is called on. Did you mean "one"?',
  ],
  [
    "profile: one }",
    "profile: three }",
    "unknown-profile f:19:114: machines[0].profile: no profile is called three. Define it under profiles, or name one of one, two.",
  ],
  ["name: n2", "name: N1", "duplicate-machine-name f:20:13: machines[1].name: n1 is n1's. Give each machine its own."],
  [
    "52:54:00:00:00:03",
    "52-54-00-00-00-01",
    "duplicate-machine-mac f:20:42: machines[1].mac[1]: 52:54:00:00:00:01 is n1's. Give each machine its own.",
  ],
  [
    "name: n2,",
    "name: n2, uuid: 4C4C4544-0044-4810-8031-B4C04F4E3731,",
    "duplicate-machine-uuid f:20:23: machines[1].uuid: 4c4c4544-0044-4810-8031-b4c04f4e3731 is n1's. Give each machine its own.",
  ],
  [
    "name: n2,",
    'name: n2, duid: "00:03:00:01:01",',
    "duplicate-machine-duid f:20:23: machines[1].duid: 0003000101 is n1's. Give each machine its own.",
  ],
  [
    "name: n1,",
    "name: n1, address: 2001:db8:0:1:5054:ff:fe00:2,",
    "address-differs-from-slaac f:19:26: warning: machines[0].address: iPXE, installers and systems form 2001:db8:0:1:5054:ff:fe00:1 themselves and do not ask for 2001:db8:0:1:5054:ff:fe00:2. Give that address, or dhcp: { managed: true } and autonomous: false.",
    "duplicate-machine-address f:20:71: machines[1].address: 2001:db8:0:1:5054:ff:fe00:2 is n1's. Give each machine its own.",
  ],
  [
    "2001:db8:0:1:5054:ff:fe00:2",
    "2001:db8:0:4::2",
    "address-in-no-network f:20:71: machines[1].address: 2001:db8:0:4::2 is in no network. Give one in 2001:db8:0:1::/64 or 2001:db8:0:2::/64 or 2001:db8:0:3::/64.",
  ],
  [
    "2001:db8:0:1:5054:ff:fe00:2",
    "2001:db8:0:1::1",
    "address-is-ours f:20:71: machines[1].address: 2001:db8:0:1::1 is the appliance's own. Give the machine another.",
  ],
  [
    "2001:db8:0:2::/64 }",
    "2001:db8:0:1:8000::/65, dhcp: false, advertise: false }",
    "prefix-overlap f:9:41: networks[1].prefix: overlaps with the prefix of a. Give each network a prefix of its own.",
  ],
  [
    "dhcp: { managed: false, pool: auto, lifetimes: { renew: 1000s } }",
    "dhcp: false",
    "address-without-dhcp f:20:71: warning: machines[1].address: dhcp is off on a, so nothing leases it. Turn dhcp on, or delete it.",
  ],
  [
    ", address: 2001:db8:0:1:5054:ff:fe00:2 }",
    " }\n  - { name: n3, uuid: 4c4c4544-0044-4810-8031-b4c04f4e3732, address: 2001:db8:0:1::3 }",
  ],
  // boot
  [
    "userClass: iPXE, url",
    "url",
    "rule-never-matches f:14:7: boot.rules[1]: boot.rules[0] matches first whenever this one would. Move it up, or delete it.",
    "rule-never-matches f:15:7: boot.rules[2]: boot.rules[0] matches first whenever this one would. Move it up, or delete it.",
  ],
  [
    "[x64-uefi, ebc]",
    "[x64-uefi, x64-uefi-http]",
    "rule-never-matches f:15:7: boot.rules[2]: boot.rules[1] matches first whenever this one would. Move it up, or delete it.",
  ],
  [
    "arch: x64-uefi-http, vendorClass",
    "network: d, vendorClass",
    "rule-unknown-network f:15:18: boot.rules[2].network: no network is called d. There are: a, b, c.",
  ],
  [
    "tftp: { port: 69 }",
    "tftp: false",
    "rule-needs-service f:14:37: boot.rules[1].url: {{ tftp }}, and tftp is off. Turn it on, or give another URL.",
  ],
  [
    "{{ http }}/ipxe",
    "{{ https }}/ipxe",
    "rule-needs-service f:15:60: boot.rules[2].url: {{ https }}, and http.tls is not set. Turn it on, or give another URL.",
  ],
  [
    "{{ tftp }}/ipxe",
    "{{ http }}/ipxe",
    "http-url-for-pxe f:14:37: warning: boot.rules[1].url: UEFI PXE firmware (x64-uefi) takes no HTTP URL, unless its ROM is iPXE. Write {{ tftp }}.",
  ],
  [
    "{{ tftp }}/ipxe",
    "http://[2001:db8::1]/ipxe",
    "http-url-for-pxe f:14:37: warning: boot.rules[1].url: UEFI PXE firmware (x64-uefi) takes no HTTP URL, unless its ROM is iPXE. Write {{ tftp }}.",
  ],
  ["userClass: iPXE,", "userClass: iPXE, arch: x64-uefi,"],
  ["arch: x64-uefi-http, vendorClass", "arch: ia32-uefi, vendorClass"],
  ...["userClass: rack, arch: x64-uefi", "arch: x86-bios"].map(
    (before) => ["- { userClass: iPXE", `- { ${before}, url: x }\n    - { userClass: iPXE`] as const,
  ),
  [
    '    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }\n    - { arch: [x64-uefi, ebc], url: "{{ tftp }}/ipxe.efi" }',
    '    - { arch: [x64-uefi, ebc], url: "{{ tftp }}/ipxe.efi" }\n    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }',
    "ipxe-would-loop f:13:7: warning: boot.rules[0]: iPXE under UEFI sends this architecture too, and would be given its boot program again and again. Move the rule with `userClass: iPXE` before it.",
  ],
  // ports
  [
    'duid: "0003000101", profile: one }\n  - { name: n2,',
    'port: { relay: "2001:db8:0:3::fe", interfaceId: Eth1/7 } }\n  - { name: n2, port: { relay: "2001:db8:0:3::fe", interfaceId: "0x457468312f37" },',
    "duplicate-machine-port f:20:23: machines[1].port: Eth1/7 of relay 2001:db8:0:3::fe is n1's. Give each machine its own.",
  ],
  [
    'duid: "0003000101", profile: one }\n  - { name: n2,',
    'port: { relay: "2001:db8:0:3::fe", interfaceId: Eth1/7 } }\n  - { name: n2, port: { relay: "2001:db8:0:3::fd", interfaceId: Eth1/7 },',
  ],
  [
    'duid: "0003000101", profile: one }\n  - { name: n2,',
    'port: { relay: "2001:db8:0:3::fe", interfaceId: a, remoteId: b } }\n  - { name: n2, port: { relay: "2001:db8:0:3::fe", interfaceId: a, remoteId: c },',
  ],
  // reserved prefixes
  ["address: 2001:db8:0:1:5054:ff:fe00:2", "prefix: 2001:db8:fff:10::/60"],
  [
    "address: 2001:db8:0:1:5054:ff:fe00:2",
    "prefix: 2001:db8:0:2::/63",
    "prefix-on-link f:20:70: machines[1].prefix: overlaps with the prefix of b, which is on a link. Give one that is on no link.",
  ],
  [
    'duid: "0003000101", profile: one }\n  - { name: n2, mac: [52:54:00:00:00:02, 52:54:00:00:00:03], address: 2001:db8:0:1:5054:ff:fe00:2',
    "prefix: 2001:db8:fff:10::/60 }\n  - { name: n2, mac: [52:54:00:00:00:02, 52:54:00:00:00:03], prefix: 2001:db8:fff::/56",
    "duplicate-machine-prefix f:20:70: machines[1].prefix: 2001:db8:fff::/56 overlaps with the prefix of n1. Give each machine its own.",
  ],
  // services
  [
    "2001:4860:4860::8888",
    "2001:db8:0:1::1",
    "upstream-loop f:23:20: dns.upstreams[0]: 2001:db8:0:1::1 is this forwarder itself. Give a resolver elsewhere, or on another port.",
  ],
  [
    "2001:4860:4860::8888",
    "::1",
    "upstream-loop f:23:20: dns.upstreams[0]: ::1 is this forwarder itself. Give a resolver elsewhere, or on another port.",
  ],
  [
    '"2001:4860:4860::8888"]',
    '"2001:db8:9::1"], listen: ["2001:db8:9::1"]',
    "upstream-loop f:23:20: dns.upstreams[0]: 2001:db8:9::1 is this forwarder itself. Give a resolver elsewhere, or on another port.",
  ],
  ["2001:4860:4860::8888", "[2001:db8:0:1::1]:5353"],
  [
    'dns: { upstreams: ["2001:4860:4860::8888"], allow: networks }',
    "dns: { allow: [2001:db8:0:1::/64, 2001:db8:0:2::/64] }",
    "network-not-allowed f:23:15: dns.allow: refuses the machines on c. Add 2001:db8:0:3::/64, or write networks.",
  ],
  ["http: { allow: [2001:db8::/32] }", "http: { allow: [2001:db8:0:1::/64, 2001:db8:0:2::/63] }", ""],
  [
    "http: { allow: [2001:db8::/32] }",
    "http: { allow: [2001:db8:0:2::/63] }",
    "network-not-allowed f:21:16: http.allow: refuses the machines on a. Add 2001:db8:0:1::/64, or write networks.",
  ],
  [
    '"[::1]:8067"',
    '"[::]:8067"',
    'console-needs-token f:24:20: console.listen: off loopback anyone could use the console. Give a token, or listen on "[::1]:8067".',
  ],
  ['"[::1]:8067", token: null', '"[::]:8067", token: secret'],
  ['"[::1]:8067"', '"[::1]:80"', "port-taken f:24:20: console.listen: port 80 is http's. Give the console another."],
  ["port: 69", "port: 547", "port-taken f:22:15: tftp.port: port 547 is DHCPv6's. Give tftp another."],
  ["port: 69", "port: 80"],
  ["http: {", "http: { port: 53,", "port-taken f:23:6: dns.port: port 53 is http's. Give dns another."],
  ["http: {", "http: { tls: { cert: c, key: k, port: 80 },", "port-taken f:21:39: http.tls.port: port 80 is http's. Give https another."],
  ...[
    ["2001:db8:0:1::1", "::"],
    ["::", "2001:db8:0:1::1"],
    ["2001:db8:0:1::1", "2001:db8:0:1::1"],
  ].map(
    ([http, page]) =>
      [
        'http: { allow: [2001:db8::/32] }\ntftp: { port: 69 }\ndns: { upstreams: ["2001:4860:4860::8888"], allow: networks }\nconsole: { listen: "[::1]:8067", token: null }',
        `http: { port: 8067, listen: ["${http}"] }\nconsole: { listen: "[${page}]:8067", token: secret }`,
        "port-taken f:22:20: console.listen: port 8067 is http's. Give the console another.",
      ] as const,
  ),
  ["http: { allow: [2001:db8::/32] }", 'http: { port: 8067, listen: ["2001:db8:0:1::1"] }'],
];

test("each check finds what it is for, and that alone", () => {
  for (const [from, to, ...expected] of CASES) {
    assert.ok(SOUND.includes(from), from);
    assert.deepEqual(findings(SOUND.replace(from, to)), expected.filter(Boolean), `${from} -> ${to}`);
  }
});

test("a reserved prefix inside the delegated one has the delegated length", () => {
  const text = SOUND.replace("pool: auto", 'delegate: { prefix: "2001:db8:fff::/48", length: 60 }');
  assert.deepEqual(findings(text.replace("address: 2001:db8:0:1:5054:ff:fe00:2", "prefix: 2001:db8:fff:10::/60")), []);
  assert.deepEqual(findings(text.replace("address: 2001:db8:0:1:5054:ff:fe00:2", "prefix: 2001:db8:fff::/56")), [
    "prefix-length f:20:70: machines[1].prefix: a delegates prefixes of /60 there. Give a /60, or one outside.",
  ]);
});

test("a reserved address is one that a machine would form only where it does not ask for another", () => {
  const differs = (from: string, to: string) =>
    findings(SOUND.replace("2001:db8:0:1:5054:ff:fe00:2", "2001:db8:0:1::77").replace(from, to)).map((finding) => finding.split(" ", 1)[0]);
  assert.deepEqual(differs("pool: auto", "pool: auto"), ["address-differs-from-slaac"]);
  for (const [from, to] of [
    ["managed: false", "managed: true"],
    ["mtu: 1500", "autonomous: false"],
    ["advertise: {", "advertise: observe # {"],
    ["advertise: {", "advertise: false # {"],
  ] as const)
    assert.deepEqual(differs(from, to), [], to);
});

test("an address may be in a network whose prefix only the host knows", () => {
  const text = SOUND.replace("2001:db8:0:1:5054:ff:fe00:2", "2001:db8:0:4::2");
  assert.equal(findings(text).length, 1);
  assert.deepEqual(findings(text.replace(", prefix: 2001:db8:0:2::/64", "")), []);
});

test("a URL asks for a service however its template is spaced", () => {
  const off = SOUND.replace("tftp: { port: 69 }", "tftp: false");
  for (const template of ["{{tftp}}", "{{-  tftp }}"]) {
    const [found, ...more] = findings(off.replace("{{ tftp }}", template));
    assert.match(found ?? "", /^rule-needs-service .*boot\.rules\[1\]\.url/);
    assert.deepEqual(more, []);
  }
});

test("a resolver of ours is not told while dns is off, by advertisements or by DHCPv6; another may be", () => {
  const off = SOUND.replace(/dns: \{ up.*\n/, "dns: false\n");
  for (const [from, place] of [
    ["mtu: 1500", "f:7:64: networks[0].advertise.dns"],
    ["pool: auto", "f:8:34: networks[0].dhcp.dns"],
  ] as const) {
    assert.deepEqual(findings(off.replace(from, "dns: [2001:db8:9::1, 2001:db8:0:1::1]")), [
      `dns-is-off ${place}: machines are told to ask us, and dns is off. Turn dns on, or name another resolver.`,
    ]);
    assert.deepEqual(findings(off.replace(from, "dns: [2001:db8:9::1]")), []);
  }
});

test("dns.allow has to let in the networks whose machines are told to ask us, and no others", () => {
  const only = SOUND.replace("allow: networks }", "allow: [2001:db8:0:2::/63] }");
  const elsewhere = only.replace("mtu: 1500", "dns: [2001:db8:9::1]").replace("pool: auto", "dns: [2001:db8:9::1]");
  assert.deepEqual(findings(elsewhere), []);
  for (const text of [only, elsewhere.replace("dns: [2001:db8:9::1], lifetimes", "dns: [2001:db8:0:1::1], lifetimes")])
    assert.match(findings(text).join(), /^network-not-allowed f:23:52: dns\.allow: refuses the machines on a\./);
});

test("port 547 is free where no network has DHCPv6", () => {
  const text = "networks: [{ interface: eth1, dhcp: false }]\ntftp: { port: 547 }\n";
  assert.deepEqual(findings(text), []);
  assert.match(findings(text.replace("dhcp: false", "dhcp: {}")).join(), /^port-taken /);
});

test("a file of relayed networks alone has to say how their machines reach us", () => {
  const text = "networks: [{ name: a, relayed: true, prefix: 2001:db8::/64, relays: [2001:db8::1] }]";
  assert.deepEqual(findings(text), [
    "relayed-without-address f:1:12: networks[0]: no address of ours that its machines reach. Give the appliance's address.",
  ]);
});

/** The findings of rules that can never match, of which each is given its criteria. */
function never(...rules: string[]): string[] {
  const networks = ["a", "b"].map((name) => `{ interface: ${name} }`).join(", ");
  const text = `networks: [${networks}, { interface: off, dhcp: false }]\nboot: { rules: [${rules.map((rule) => `{ ${rule} url: "{{ tftp }}/a" }`).join(", ")}] }\n`;
  return findings(text)
    .filter((finding) => finding.startsWith("rule-never-matches"))
    .map((finding) => finding.replace(/^.*?: boot/, "boot"));
}
const mend = "matches first whenever this one would. Move it up, or delete it.";

test("a rule to which the earlier ones together leave no architecture or network, or whose network has no DHCPv6, can never match", () => {
  assert.deepEqual(never("arch: x64-uefi,", "arch: ebc,", "arch: [x64-uefi, ebc],"), [
    `boot.rules[2]: boot.rules[0] or boot.rules[1] ${mend}`,
  ]);
  assert.deepEqual(never("arch: x64-uefi,", "arch: [x64-uefi, ebc],"), []);
  assert.deepEqual(never("network: a,", "network: b,", ""), [`boot.rules[2]: boot.rules[0] or boot.rules[1] ${mend}`]);
  assert.deepEqual(never("network: a,", ""), []);
  assert.deepEqual(never("network: a, arch: ebc,", "network: b,", "arch: ebc,"), [`boot.rules[2]: boot.rules[0] or boot.rules[1] ${mend}`]);
  assert.deepEqual(never("network: off,"), [
    "boot.rules[0].network: DHCPv6 is off on network off. Turn dhcp on there, or delete the rule.",
  ]);
});

test("a rule covers a later one that names at least what it names: a longer vendorClass, the same userClass, mac and uuid", () => {
  const covers = (earlier: string, later: string): boolean => {
    const found = never(earlier, later);
    assert.deepEqual(found, found.length === 0 ? [] : [`boot.rules[1]: boot.rules[0] ${mend}`]);
    return found.length > 0;
  };
  const uuid = "uuid: 4c4c4544-0044-4810-8031-b4c04f4e3731,";
  for (const [one, narrower, others] of [
    ["vendorClass: HTTPClient,", 'vendorClass: "HTTPClient:Arch:00016",', ["vendorClass: PXEClient,", "vendorClass: HTTP,"]],
    ["userClass: iPXE,", "userClass: iPXE, arch: ebc,", ["userClass: iPXE-signed,", "userClass: rack,"]],
    ["mac: 52:54:00:00:00:01,", "mac: 52:54:00:00:00:01, arch: ebc,", ["mac: 52:54:00:00:00:02,", uuid]],
    [uuid, "uuid: 44454c4c-4400-1048-8031-b4c04f4e3731,", ["uuid: 4c4c4544-0044-4810-8031-b4c04f4e3732,", "mac: 52:54:00:00:00:01,"]],
  ] as const) {
    for (const later of [one, narrower]) assert.equal(covers(one, later), true, `${one} ${later}`);
    for (const later of ["", ...others]) assert.equal(covers(one, later), false, `${one} ${later || "any client"}`);
    assert.equal(covers("", one), true, one);
  }
  assert.equal(covers('vendorClass: "HTTPClient:Arch:00016",', "vendorClass: HTTPClient,"), false, "a shorter vendorClass");
});

test("every architecture has the number that IANA's Processor Architecture Types give it", () => {
  const registry: Readonly<Record<number, string>> = {
    0: "x86-bios",
    1: "nec-pc98",
    2: "itanium-uefi",
    3: "dec-alpha",
    4: "arc-x86",
    5: "intel-lean-client",
    6: "ia32-uefi",
    7: "x64-uefi",
    8: "xscale-uefi",
    9: "ebc",
    10: "arm32-uefi",
    11: "arm64-uefi",
    12: "powerpc-open-firmware",
    13: "powerpc-epapr",
    14: "power-opal",
    15: "ia32-uefi-http",
    16: "x64-uefi-http",
    17: "ebc-http",
    18: "arm32-uefi-http",
    19: "arm64-uefi-http",
    20: "pcbios-http",
    21: "arm32-uboot",
    22: "arm64-uboot",
    23: "arm32-uboot-http",
    24: "arm64-uboot-http",
    25: "riscv32-uefi",
    26: "riscv32-uefi-http",
    27: "riscv64-uefi",
    28: "riscv64-uefi-http",
    29: "riscv128-uefi",
    30: "riscv128-uefi-http",
    31: "s390-basic",
    32: "s390-extended",
    33: "mips32-uefi",
    34: "mips64-uefi",
    35: "sunway32-uefi",
    36: "sunway64-uefi",
    37: "loongarch32-uefi",
    38: "loongarch32-uefi-http",
    39: "loongarch64-uefi",
    40: "loongarch64-uefi-http",
    41: "arm-rpiboot",
  };
  assert.deepEqual({ ...ARCH_NAMES }, registry);
});
