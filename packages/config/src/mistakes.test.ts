import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { assemble } from "./load.ts";
import { formatProblem } from "./problem.ts";
import { readSource } from "./source.ts";

function problemsOf(text: string): string[] {
  const loaded = assemble(readSource("appliance.yaml", text), []);
  const problems = "problems" in loaded ? loaded.problems : loaded.warnings;
  return problems.map((problem) => `${problem.id} ${formatProblem({ ...problem, source: "" }).replace(` [${problem.id}]`, "")}`);
}

test("an error is printed as a compiler does, with the line and a caret", () => {
  const loaded = assemble(readSource("appliance.yaml", "networks:\n  - interface: eth1\n    advertise:\n      intervall: [5s, 60s]\n"), []);
  assert.ok("problems" in loaded);
  assert.equal(
    loaded.problems.map(formatProblem).join("\n"),
    'appliance.yaml:4:7: networks[0].advertise.intervall: unknown key. Did you mean "interval"? [unknown-key]\n' +
      "        intervall: [5s, 60s]\n" +
      "        ^",
  );
});

/** Each of them stands on line 2 of a file whose first line is right. */
const ON_LINE_2: Readonly<Record<string, string>> = {
  // YAML itself
  "console: { listen: [::1]:8067 }": 'yaml-syntax 25: missing , between flow map items. Quote it: "[::1]:8067".',
  "http: { listen: [2001:db8::] }": 'yaml-quote 18: YAML reads 2001:db8:: as a map. Quote it: "2001:db8::".',
  "dns: { upstreams: [[2620:fe::fe]:53, ::1] }": 'yaml-quote 20: YAML reads [2620:fe::fe]:53 as a map. Quote it: "[2620:fe::fe]:53".',
  "site: 2001:db8::": 'yaml-syntax 7: YAML reads 2001:db8:: as a map. Quote it: "2001:db8::".',
  "site: {{ http }}/x": 'yaml-syntax 17: unexpected text after the value. Quote it: "{{ http }}/x".',
  "site: {{ http }}": 'yaml-quote 7: YAML reads {{ http }} as a map. Quote it: "{{ http }}".',
  "boot: { rules: [{ url: {{ http }}/x }] }":
    'yaml-syntax 34: unexpected text after the value. Quote each value with {{ }} in it: "{{ http }}/boot.ipxe".',
  "site: a: b": 'yaml-syntax 7: a value with a colon, which YAML reads as a map. Quote it: "a: b".',
  "site: @x": 'yaml-syntax 7: plain value cannot start with reserved character @. Quote it: "@x".',
  "http: { templates: [*.ipxe] }": 'yaml-quote 21: YAML reads *.ipxe as a reference to an anchor that does not exist. Quote it: "*.ipxe".',
  "site: &a [*a]": 'yaml-quote 11: YAML reads *a as a reference to an anchor that it is part of. Quote it: "*a".',
  "site: !secret x": "yaml-syntax 7: unresolved tag: !secret. Delete the tag, or quote the value.",
  "http: !secret x": "yaml-syntax 7: unresolved tag: !secret. Delete the tag, or quote the value.",
  "site: 'x": "yaml-syntax 7: missing closing 'quote. Close the quote.",
  "\tsite: x": "yaml-syntax 1: tabs are not allowed as indentation. Indent with spaces.",
  "---\nsite: x": "yaml-syntax 1: a second YAML document. Keep one: delete the line ---.",
  "site: x\n    tftp: false": "yaml-syntax 7: YAML reads the next line as part of this value. Indent the next line as this key is.",
  "networks: [{ interface: eth1 }]": "duplicate-key 1: key networks is given twice. Keep one of them.",
  'site: "a\\nb"':
    "control-character 7: a line break or another control character in a value. Write it on one line, or fold lines with >-.",
  // Keys
  "sites: x": 'unknown-key 1: sites: unknown key. Did you mean "site"?',
  "HTTP: false": 'unknown-key 1: HTTP: unknown key. Did you mean "http"?',
  "dns: { forwarders: ['2001:db8::1'] }": 'unknown-key 8: dns.forwarders: unknown key. Did you mean "upstreams"?',
  "boot: { subnet: x }": "unknown-key 9: boot.subnet: unknown key. Known here: rules.",
  "http: { certificate: x }":
    "unknown-key 9: http.certificate: unknown key. Known here: port, listen, allow, root, listing, templates, cache, tls.",
  "profiles: { a: { kernel: { amd64: x } } }": 'unknown-key 28: profiles.a.kernel.amd64: unknown key. Did you mean "x64"?',
  'profiles: { "a b": { disk: true } }':
    'invalid-value 13: profiles["a b"]: "a b" is not a name. Letters, digits, hyphens, dots and underscores.',
  "boot: { rules: [{ arch: 7 }] }": 'missing-key 17: boot.rules[0].url: missing. Give a URL, e.g. "{{ http }}/boot.ipxe".',
  // Values of the wrong type
  "site: 1.5": 'invalid-value 7: site: expected a name, and YAML reads the number 1.5 here. Write e.g. rack-lab, and quote it: "...".',
  "http: 80": "invalid-value 7: http: expected false or the settings of http, not 80. Write e.g. false.",
  "http: { port: eighty }": 'invalid-value 15: http.port: expected a whole number from 1 to 65535, not "eighty". Write e.g. 80.',
  "http: { port: 0 }": "invalid-value 15: http.port: expected a whole number from 1 to 65535, not 0. Write e.g. 80.",
  "http: { cache: 2GB }": 'invalid-value 16: http.cache: "2GB" is not "auto" or a size. Write e.g. 2G.',
  "http: { listing: yes }": 'invalid-value 18: http.listing: expected true or false, not "yes". Write e.g. true.',
  "http: { allow: network }":
    'invalid-value 16: http.allow: expected "networks" or a list of prefixes, not "network". Write e.g. networks.',
  "machines: { a: b }":
    'invalid-value 11: machines: expected a list of machines, not a map. Write e.g. - { name: node-01, mac: "52:54:00:d6:c2:a9" }.',
  "machines:":
    'invalid-value 1: machines: has no value. Give a list of machines, e.g. - { name: node-01, mac: "52:54:00:d6:c2:a9" }, or delete the key.',
  "log: { level: trave }": 'invalid-value 15: log.level: "trave" is none of trace, debug, info, warn, error, silent. Did you mean "trace"?',
  // Text that does not say what it should
  "profiles: { a: { poll: 30 } }": "invalid-value 24: profiles.a.poll: 30 has no unit. Write 30s.",
  "profiles: { a: { poll: 30 s } }": 'invalid-value 24: profiles.a.poll: "30 s" is not a duration. Write e.g. 30s.',
  "profiles: { a: { poll: 99999d } }": "invalid-value 24: profiles.a.poll: 99999d is too long. Durations are below 2^32 - 1 seconds.",
  "profiles: { a: { disk: true, poll: 3s } }": "invalid-value 36: profiles.a.poll: disk and poll together. Keep one of them.",
  "profiles: { a: { disk: true, cmdline: x } }": "invalid-value 39: profiles.a.cmdline: has no meaning beside disk. Delete it.",
  "profiles: { a: {} }": "invalid-value 16: profiles.a: does not say what to boot. Give one of kernel, script, disk: true or poll: 30s.",
  "domain: a..b": 'invalid-value 9: domain: "a..b" is not a domain name. Write e.g. rack.example.',
  "boot: { rules: [{ arch: x64-uef, url: x }] }":
    'invalid-value 25: boot.rules[0].arch: "x64-uef" is no client architecture. Did you mean "x64-uefi"?',
  "boot: { rules: [{ arch: [7, 70000], url: x }] }":
    "invalid-value 29: boot.rules[0].arch[1]: expected a whole number from 0 to 65535, not 70000. Write e.g. 7.",
  "machines: [{ mac: 525400112233 }]":
    'invalid-value 19: machines[0].mac: expected a MAC address or a list of them, and YAML reads the number 525400112233 here. Write e.g. "52:54:00:d6:c2:a9", and quote it: "...".',
  "machines: [{ mac: 52:54:00:11:22 }]":
    'invalid-value 19: machines[0].mac: "52:54:00:11:22" is not a MAC address. Write e.g. 52:54:00:d6:c2:a9.',
  "machines: [{ mac: ff:ff:ff:ff:ff:ff }]":
    "invalid-value 19: machines[0].mac: ff:ff:ff:ff:ff:ff is no machine's MAC address. Give the address of its network card.",
  "machines: [{ mac: 00:00:00:00:00:00 }]":
    "invalid-value 19: machines[0].mac: 00:00:00:00:00:00 is no machine's MAC address. Give the address of its network card.",
  "machines: [{ name: node-01 }]":
    "invalid-value 12: machines[0]: nothing tells this machine from others. Give its mac, uuid, duid or port.",
  "machines: [{ name: n.rack, mac: 52:54:00:d6:c2:a9 }]":
    'invalid-value 20: machines[0].name: "n.rack" has dots. Give the first label alone; `domain` is the rest.',
  "machines: [{ uuid: abc }]":
    'invalid-value 20: machines[0].uuid: "abc" is not an SMBIOS UUID. Write e.g. 4c4c4544-0044-4810-8031-b4c04f4e3732.',
  "machines: [{ duid: xy }]": 'invalid-value 20: machines[0].duid: "xy" is not a DUID in hex. Write e.g. 00:03:00:01:52:54:00:d6:c2:a9.',
  'machines: [{ duid: "0003000" }]':
    'invalid-value 20: machines[0].duid: "0003000" is not a DUID in hex. Write e.g. 00:03:00:01:52:54:00:d6:c2:a9.',
  "console: { listen: '[::1]:0' }": 'invalid-value 20: console.listen: "[::1]:0" is not an address with a port. Write e.g. "[::1]:8067".',
  "console: { listen: '[::1]:65536' }":
    'invalid-value 20: console.listen: "[::1]:65536" is not an address with a port. Write e.g. "[::1]:8067".',
  "console: { listen: '::1' }": 'invalid-value 20: console.listen: ::1 has no port. Write "[::1]:8067".',
  "dns: { upstreams: [8.8.8.8] }": "invalid-value 20: dns.upstreams[0]: 8.8.8.8 is IPv4. Give an IPv6 address: netboot6 speaks IPv6 alone.",
  "dns: { dns64: 64:ff9b::/95 }":
    "invalid-value 15: dns.dns64: not a length that NAT64 has. RFC 6052 knows /96, /64, /56, /48, /40 and /32.",
  "dns: { dns64: '2001:db8:0:0:100::/96' }":
    "invalid-value 15: dns.dns64: bits 64 to 71 are not zero. Take a prefix where they are, e.g. 64:ff9b::/96.",
  "dns: { upstreams: [] }": "invalid-value 19: dns.upstreams: no resolver. Give one, or delete the key.",
  "dns: { rateLimit: 0 }": "invalid-value 19: dns.rateLimit: expected a whole number from 1 to 10000000, not 0. Write e.g. 1000.",
  "http: { listen: [fe80::1%eth1] }": "invalid-value 18: http.listen[0]: fe80::1%eth1 has a zone. Write fe80::1, without the interface.",
  "http: { listen: ['[::1]'] }": "invalid-value 18: http.listen[0]: [::1] has brackets. Write ::1.",
  "http: { listen: [2001:db8::/32] }": "invalid-value 18: http.listen[0]: 2001:db8::/32 is a prefix. Write one address, e.g. 2001:db8::.",
  "dns: { allow: [2001:db8::1/32] }": "invalid-value 16: dns.allow[0]: 2001:db8::1/32 has bits set beyond its length. Write 2001:db8::/32.",
  // Features that are not there yet
  "http: { tls: { cert: a } }": "missing-key 14: http.tls.key: missing. Give a path, e.g. boot-assets.",
  "state: { database: x }": "not-supported 10: state.database: not supported yet. Delete it: leases are kept in state.dir.",
  "machines: [{ port: { relay: 2001:db8::1, interfaceId: x } }]":
    "invalid-value 12: machines[0]: a slot without a name. Name the machine: its port tells no name.",
  "machines: [{ name: a, port: { relay: 2001:db8::1 } }]":
    'invalid-value 29: machines[0].port: does not say which port. Give interfaceId, e.g. "Eth1/7", or remoteId.',
  "machines: [{ name: a, port: { relay: 2001:db8::1, interfaceId: 0x123 } }]":
    'invalid-value 64: machines[0].port.interfaceId: expected an interface-id, and YAML reads the number 291 here. Write e.g. "Eth1/7", and quote it: "...".',
  'machines: [{ name: a, port: { relay: 2001:db8::1, interfaceId: "0x123" } }]':
    'invalid-value 64: machines[0].port.interfaceId: "0x123" is not hex. Write two digits for each byte, e.g. 0x0a17.',
  "state: { database: 5 }": "not-supported 10: state.database: not supported yet. Delete it: leases are kept in state.dir.",
  "mirrors: { /debian: x }": "not-supported 1: mirrors: not supported yet. Delete it: the key is reserved for a cache of package mirrors.",
};

test("every kind of mistake names its line, column and key, what is wrong and the mend", () => {
  for (const [line, expected] of Object.entries(ON_LINE_2)) {
    const [, id, rest] = /^(\S+) (.*)$/.exec(expected) ?? [];
    assert.deepEqual(problemsOf(`networks: [{ interface: eth1 }]\n${line}\n`), [`${id} appliance.yaml:2:${rest}`], line);
  }
});

/** Each is one network, on line 1. */
const NETWORKS: Readonly<Record<string, string>> = {
  "[]": "invalid-value 11: networks: no network. Give one: - interface: eth1.",
  "[eth1]": 'invalid-value 12: networks[0]: expected a network, not "eth1". Write e.g. { interface: eth1 }.',
  "[{ name: a }]": "missing-key 12: networks[0].interface: missing. Name the interface it is on, or say relayed: true.",
  "[{ relayed: true }]": "missing-key 12: networks[0].name: missing. Give the relayed network a name.",
  "[{ relayed: true, interface: eth1 }]":
    "invalid-value 40: networks[0].interface: an interface on a relayed network. Delete interface, or relayed: true.",
  "[{ relayed: true, name: a, advertise: observe }]":
    "invalid-value 49: networks[0].advertise: relayed networks advertise themselves. Delete it.",
  "[{ interface: eth1, relays: [2001:db8::1] }]":
    "invalid-value 39: networks[0].relays: only a relayed network has these. Say relayed: true, or delete it.",
  "[{ interface: eth1, prefix: 'fe80::/64' }]":
    "invalid-value 39: networks[0].prefix: fe80::/64 cannot be the prefix of a network. Give a global or unique-local prefix, most often a /64.",
  "[{ interface: eth1, prefix: 'ff02::/64' }]":
    "invalid-value 39: networks[0].prefix: ff02::/64 cannot be the prefix of a network. Give a global or unique-local prefix, most often a /64.",
  "[{ interface: eth1, prefix: '2001:db8::/127' }]":
    "invalid-value 39: networks[0].prefix: 2001:db8::/127 cannot be the prefix of a network. Give a global or unique-local prefix, most often a /64.",
  "[{ interface: eth1, prefix: '2000::/7' }]":
    "invalid-value 39: networks[0].prefix: 2000::/7 cannot be the prefix of a network. Give a global or unique-local prefix, most often a /64.",
  "[{ interface: eth1, prefix: '2001:db8::' }]": "invalid-value 39: networks[0].prefix: 2001:db8:: has no length. Write 2001:db8::/64.",
  "[{ interface: eth1, prefix: 2001:db8::1/64 }]":
    "invalid-value 39: networks[0].prefix: 2001:db8::1/64 has bits set beyond its length. Write 2001:db8::/64.",
  "[{ interface: eth1, address: fe80::1 }]":
    "invalid-value 40: networks[0].address: fe80::1 is no address that other networks reach. Give a global or unique-local address.",
  ...Object.fromEntries(
    ["ff02::1", "::", "::1"].map((address) => [
      `[{ interface: eth1, address: '${address}' }]`,
      `invalid-value 40: networks[0].address: ${address} is no address that other networks reach. Give a global or unique-local address.`,
    ]),
  ),
  "[{ interface: eth4567890123456 }]":
    'invalid-value 25: networks[0].interface: "eth4567890123456" is not an interface\'s name. Write e.g. eth1.',
  "[{ interface: eth1, dhcp: { lifetimes: { valid: 4294967295s } } }]":
    "invalid-value 59: networks[0].dhcp.lifetimes.valid: 4294967295s is too long. Durations are below 2^32 - 1 seconds.",
  "[{ interface: eth1, advertise: tru }]":
    'invalid-value 42: networks[0].advertise: expected false, observe or the settings of advertise, not "tru". Write e.g. { interval: [5s, 60s] }.',
  "[{ interface: eth1, advertise: { interval: [5s] } }]":
    "invalid-value 54: networks[0].advertise.interval: expected a list of two durations, not a list of 1. Write e.g. [5s, 60s].",
  "[{ interface: eth1, advertise: { interval: [5, 60s] } }]":
    "invalid-value 55: networks[0].advertise.interval[0]: 5 has no unit. Write 5s.",
  "[{ interface: eth1, advertise: { routerLifetime: 5 } }]":
    "invalid-value 60: networks[0].advertise.routerLifetime: 5 has no unit. Write 5s.",
  "[{ interface: eth1, advertise: { mtu: 1279 } }]":
    "invalid-value 49: networks[0].advertise.mtu: expected 0 or a number from 1280 to 65535, not 1279. Write e.g. 1500.",
  "[{ interface: eth1, advertise: { pref64: '64:ff9b::/95' } }]":
    "invalid-value 52: networks[0].advertise.pref64: not a length that NAT64 has. RFC 8781 knows /96, /64, /56, /48, /40 and /32.",
  "[{ interface: eth1, dhcp: { pool: all } }]":
    'invalid-value 45: networks[0].dhcp.pool: "all" is not a range, a prefix, "none" or "auto". Write e.g. 2001:db8:0:1::1000-2001:db8:0:1::ffff.',
  "[{ interface: eth1, dhcp: { pool: 2001:db8::2-2001:db8::1 } }]":
    "invalid-value 45: networks[0].dhcp.pool: 2001:db8::2-2001:db8::1 ends before it begins. Write 2001:db8::1-2001:db8::2.",
  "[{ interface: eth1, dhcp: { pool: 2001:db8::1-2001:db8::2-2001:db8::3 } }]":
    'invalid-value 45: networks[0].dhcp.pool: "2001:db8::1-2001:db8::2-2001:db8::3" is not a range, a prefix, "none" or "auto". Write e.g. 2001:db8:0:1::1000-2001:db8:0:1::ffff.',
  "[{ interface: eth1, dhcp: { delegate: { prefix: 'fe80::/48', length: 60 } } }]":
    "invalid-value 59: networks[0].dhcp.delegate.prefix: fe80::/48 cannot be the prefix of a network. Give a global or unique-local prefix, most often a /64.",
};

test("a bracket that is never closed is missed where the next key begins", () => {
  assert.deepEqual(problemsOf("log: [\nnetworks: [{ interface: eth1 }]\n"), [
    "yaml-syntax appliance.yaml:2:1: flow sequence in block collection must be sufficiently indented and end with a ]. " +
      "Check the indentation, brackets and quotes of this line and of the one before.",
  ]);
});

test("so does every mistake in a network", () => {
  for (const [networks, expected] of Object.entries(NETWORKS)) {
    const [, id, rest] = /^(\S+) (.*)$/.exec(expected) ?? [];
    assert.deepEqual(problemsOf(`networks: ${networks}\n`), [`${id} appliance.yaml:1:${rest}`], networks);
  }
  for (const text of ["", "# nothing\n"])
    assert.deepEqual(problemsOf(text), [
      "missing-key appliance.yaml:1:1: networks: missing. Give a list of networks, e.g. - interface: eth1.",
    ]);
});

test("the longest and the shortest that are right are taken, and no longer ones", () => {
  const domain = "a23456789.".repeat(25);
  const machine = (duid: string, interfaceId: string) =>
    `machines: [{ name: a, duid: "${duid}", port: { relay: 2001:db8::1, interfaceId: "${interfaceId}" } }]`;
  const file = (network: string, line: string) => problemsOf(`networks: [{ interface: eth456789012345, ${network} }]\n${line}\n`);
  for (const [network, line] of [
    ["prefix: 2001:db8::/126, advertise: false, dhcp: { pool: none }", `domain: ${domain}abc`],
    ["prefix: '2000::/8', advertise: { autonomous: false }", machine("0".repeat(260), "x".repeat(256))],
    ["dhcp: { lifetimes: { valid: 4294967294s } }", 'console: { listen: "[::1]:65535" }'],
    ["dhcp: { lifetimes: { valid: 4000s } }", 'console: { listen: "[::1]:1" }'],
  ] as const)
    assert.deepEqual(file(network, line), []);
  for (const line of [`domain: ${domain}abcd`, machine("0".repeat(262), "x"), machine("000300", "x".repeat(513))])
    assert.equal(file("relayed: false", line).length, 1, line);
});

test("the place is of the text that is meant: behind an alias, after a tab, with Windows' line ends, the last of two that are called so", () => {
  const [unknown] = problemsOf("networks: [{ interface: eth1 }]\ntftp: &t { port: 69, prot: 1 }\nhttp: *t\n");
  assert.match(unknown ?? "", /^unknown-key appliance\.yaml:2:22: http\.prot: /);
  assert.deepEqual(problemsOf("networks: [{ interface: eth1 }]\ntftp: { port: 0 }\nlog: {}\ntftp: { port: 70000 }\n"), [
    "duplicate-key appliance.yaml:4:1: key tftp is given twice. Keep one of them.",
    "invalid-value appliance.yaml:4:15: tftp.port: expected a whole number from 1 to 65535, not 70000. Write e.g. 80.",
  ]);
  const shown = (text: string) => {
    const loaded = assemble(readSource("f", text), []);
    return "problems" in loaded ? loaded.problems.map(formatProblem) : [];
  };
  assert.deepEqual(shown("networks: [{ interface: eth1 }]\r\nsites: x\r\n"), [
    'f:2:1: sites: unknown key. Did you mean "site"? [unknown-key]\n  sites: x\n  ^',
  ]);
  assert.deepEqual(shown("networks: [{ interface: eth1 }]\nlog: {\tlevl: x }\n"), [
    'f:2:8: log.levl: unknown key. Did you mean "level"? [unknown-key]\n  log: {\tlevl: x }\n        \t^',
  ]);
});

test("aliases that multiply are refused, whatever they would come to", () => {
  const lists = [..."abcd"].map((name, i) => `${name}: &${name} [${Array(10).fill(i === 0 ? "x" : `*${"abcd"[i - 1]}`)}]\n`);
  assert.deepEqual(problemsOf(lists.join("")), [
    "yaml-syntax appliance.yaml:1:1: aliases that multiply. Write the values out where the aliases stand.",
  ]);
});

test("several mistakes are all told, in the order of the file", () => {
  const text = "networks:\n  - interface: eth1\n    adress: 2001:db8::1\n    dhcp:\n      preference: 300\nhttpd: false\n";
  assert.deepEqual(
    problemsOf(text).map((problem) => problem.split(" ").slice(0, 3).join(" ")),
    [
      "unknown-key appliance.yaml:3:5: networks[0].adress:",
      "invalid-value appliance.yaml:5:19: networks[0].dhcp.preference:",
      "unknown-key appliance.yaml:6:1: httpd:",
    ],
  );
  assert.deepEqual(
    problemsOf("networks: [{ interface: eth1 }]\nmachines: [{ prt: 7, uuid: x, port: 7, mac: zz }]\n").map(
      (problem) => problem.split(":")[2],
    ),
    ["14", "28", "37", "45"],
  );
});

const VALID = `networks:
  - { name: a, interface: eth1, prefix: "2001:db8::/64", advertise: { interval: [5s, 60s], routes: [{ prefix: "fd00::/48" }] } }
  - { name: b, relayed: true, prefix: 2001:db8:0:2::/64, relays: [2001:db8::fe], dhcp: { pool: 2001:db8:0:2::1-2001:db8:0:2::ff } }
boot: { rules: [{ arch: [x64-uefi, 9], url: "{{ tftp }}/x" }] }
profiles: { p: { kernel: { x64: a }, initrd: [b], cmdline: "c" }, q: { poll: 30s } }
machines: [{ name: n, mac: 52:54:00:d6:c2:a9, profile: p, vars: { a: [1, { b: null }] } }]
dns: { upstreams: ["2001:4860:4860::8888"], records: { a.b: [::1] } }
console: { listen: "[::1]:8067", token: null }
`;

test("no change to a valid file makes loading throw, and every problem says where, what and the mend", () => {
  assert.deepEqual(problemsOf(VALID), []);
  const piece = fc.oneof(
    fc.constantFrom(
      ":",
      "[",
      "]",
      "{",
      "}",
      "{{ x }}",
      "&a ",
      "*a",
      "- ",
      "\n",
      "\t",
      '"',
      "'",
      "#",
      "::",
      "/",
      "0",
      "null",
      "false",
      "!x ",
      "<<: ",
      "? ",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  );
  const change = fc.record({ at: fc.nat(VALID.length), remove: fc.nat(12), insert: piece });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let text = VALID;
      for (const { at, remove, insert } of changes) text = text.slice(0, at) + insert + text.slice(at + remove);
      const loaded = assemble(readSource("appliance.yaml", text), []);
      if (!("problems" in loaded)) return;
      assert.notEqual(loaded.problems.length, 0);
      for (const problem of loaded.problems) {
        assert.ok(problem.line >= 1 && problem.column >= 1 && problem.what !== "" && problem.mend !== "", JSON.stringify(problem));
        assert.ok(!/invalid input|undefined|\[object/i.test(problem.what + problem.mend), JSON.stringify(problem));
      }
    }),
    { numRuns: 1000 },
  );
});

test("a placeholder UUID in a rule or a machine is an error: it tells no board from another", () => {
  const mend = "is what boards without a UUID send, and tells none of them. Delete it, and name the machine by its mac.";
  for (const uuid of [
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
  ]) {
    const file = (line: string) => problemsOf(`networks: [{ interface: eth1 }]\n${line}`);
    assert.deepEqual(file(`boot: { rules: [{ uuid: ${uuid}, url: x }] }`), [
      `invalid-value appliance.yaml:2:25: boot.rules[0].uuid: ${uuid} ${mend}`,
    ]);
    assert.deepEqual(file(`machines: [{ mac: "52:54:00:00:00:01", uuid: ${uuid.toUpperCase()} }]`), [
      `invalid-value appliance.yaml:2:46: machines[0].uuid: ${uuid} ${mend}`,
    ]);
  }
});
