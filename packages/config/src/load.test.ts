import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, test } from "node:test";
import { parsePrefix, prefixOf } from "@netboot6/codec";
import type { Appliance } from "./appliance.ts";
import { assemble, loadAppliance } from "./load.ts";
import { formatProblem } from "./problem.ts";
import { readSource } from "./source.ts";

const folder = await mkdtemp(join(tmpdir(), "netboot6-config-"));
after(() => rm(folder, { recursive: true }));

async function write(name: string, text: string): Promise<string> {
  const file = join(folder, name);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
  return file;
}

const fixtures = join(import.meta.dirname, "fixtures");
const NO_CONDITION = { userClass: null, vendorClass: null, arch: null, mac: null, uuid: null, network: null, params: [] };

test("the reference file gives the expected picture, without a warning", async () => {
  const loaded = await loadAppliance(join(fixtures, "reference.yaml"));
  assert.ok("appliance" in loaded, "problems" in loaded ? loaded.problems.map(formatProblem).join("\n") : "");
  assert.deepEqual(loaded.warnings, []);
  const lifetimes = { renew: 1000, rebind: 2000, preferred: 3000, valid: 4000 };
  const dhcp = { managed: false, delegate: null, rapidCommit: true, preference: 255, lifetimes };
  const delegate = { prefix: prefixOf("2001:db8:fff::", 48), length: 60 };
  const served = {
    root: join(fixtures, "boot-assets"),
    listen: "networks" as const,
    allow: "networks" as const,
    templates: ["**/*.ipxe", "grub/*.cfg", "preseed/*.cfg", "autoinstall/*", "kickstart/*.ks", "ignition/*.ign", "talos/*.yaml"],
  };
  const expected: Appliance = {
    file: join(fixtures, "reference.yaml"),
    site: "rack-lab",
    domain: "rack.example",
    networks: [
      {
        name: "provisioning",
        interface: "eth1",
        relayed: false,
        prefix: parsePrefix("2001:db8:0:1::/64"),
        address: "2001:db8:0:1::1",
        defaultProfile: "debian-12",
        advertise: {
          interval: [5, 60],
          routerLifetime: "auto",
          preference: "medium",
          hopLimit: 64,
          mtu: 1500,
          onLink: true,
          autonomous: true,
          validLifetime: 86400,
          preferredLifetime: 14400,
          dns: ["2001:db8:0:1::1"],
          search: ["rack.example"],
          dnsLifetime: 180,
          routes: [{ prefix: prefixOf("2001:db8:100::", 48), lifetime: 1800, preference: "high" }],
          pref64: parsePrefix("64:ff9b::/96"),
        },
        dhcp: { ...dhcp, delegate, pool: { kind: "auto" }, dns: ["2001:db8:0:1::1"], search: ["rack.example"], ntp: ["2001:db8:0:1::1"] },
        relays: null,
        linkAddresses: null,
      },
      {
        name: "rack-2",
        interface: null,
        relayed: true,
        prefix: parsePrefix("2001:db8:0:2::/64"),
        address: "2001:db8:0:1::1",
        defaultProfile: null,
        advertise: null,
        dhcp: {
          ...dhcp,
          pool: { kind: "range", first: "2001:db8:0:2::1000", last: "2001:db8:0:2::ffff" },
          dns: null,
          search: null,
          ntp: [],
        },
        relays: [prefixOf("2001:db8:0:2::fe", 128), prefixOf("2001:db8:ffff::", 64)],
        linkAddresses: ["2001:db8:0:2::fe"],
      },
    ],
    boot: {
      rules: [
        { ...NO_CONDITION, userClass: "iPXE", url: "{{ http }}/boot.ipxe" },
        { ...NO_CONDITION, arch: [16], url: "{{ http }}/ipxe/x86_64/ipxe.efi" },
        { ...NO_CONDITION, arch: [19], url: "{{ http }}/ipxe/arm64/ipxe.efi" },
        { ...NO_CONDITION, arch: [7, 9], url: "{{ tftp }}/ipxe/x86_64/ipxe.efi" },
        { ...NO_CONDITION, arch: [11], url: "{{ tftp }}/ipxe/arm64/ipxe.efi" },
      ],
    },
    profiles: {
      "debian-12": {
        kind: "kernel",
        kernel: { any: "debian-12/linux" },
        initrd: [{ any: "debian-12/initrd.gz" }],
        cmdline:
          "auto=true priority=critical hostname={{ machine.name }} domain={{ domain }} preseed/url={{ http }}/preseed/debian-12.cfg console=ttyS0",
        once: true,
        bootProgram: "ipxe",
      },
      "ubuntu-trusty": { kind: "script", script: "ubuntu.ipxe", once: true, bootProgram: "ipxe" },
      local: { kind: "disk", bootProgram: "ipxe" },
      wait: { kind: "wait", poll: 30, bootProgram: "ipxe" },
      memtest: { kind: "script", script: "memtest.ipxe", once: false, bootProgram: "ipxe" },
    },
    defaultProfile: "wait",
    machines: [
      {
        name: "node-01",
        macs: ["52:54:00:d6:c2:a9"],
        duid: null,
        uuid: "4c4c4544-0044-4810-8031-b4c04f4e3732",
        port: { relay: "2001:db8:0:2::fe", interfaceId: "Eth1/7", remoteId: null },
        address: "2001:db8:0:1:5054:ff:fed6:c2a9",
        prefix: parsePrefix("2001:db8:fff:10::/60"),
        profile: "debian-12",
        vars: { disk: "/dev/nvme0n1" },
      },
      {
        name: "node-31",
        macs: ["52:54:00:00:03:01", "52:54:00:00:03:02"],
        duid: null,
        uuid: null,
        port: null,
        address: null,
        prefix: null,
        profile: "memtest",
        vars: {},
      },
    ],
    http: { port: 80, ...served, listing: false, cache: null, tls: null },
    tftp: { port: 69, ...served },
    dns: {
      port: 53,
      listen: "networks",
      upstreams: [
        { address: "2001:4860:4860::8888", port: 53, tlsName: null },
        { address: "2620:fe::fe", port: 53, tlsName: null },
        { address: "2620:fe::fe", port: 853, tlsName: "dns.quad9.net" },
      ],
      allow: [prefixOf("2001:db8::", 32)],
      rateLimit: 1000,
      records: { "mirror.rack.example": ["2001:db8:0:1::1"] },
      dns64: parsePrefix("64:ff9b::/96"),
      cache: { entries: 100000, serveStale: 86400 },
    },
    state: { dir: join(fixtures, "state") },
    console: { host: "::1", port: 8067, token: null },
    log: { level: "info", format: "json" },
  };
  assert.deepEqual(loaded.appliance, expected);
});

test("two lines are enough, and switch everything on", async () => {
  const loaded = await loadAppliance(await write("two.yaml", "networks:\n- interface: eth1\n"));
  assert.ok("appliance" in loaded);
  assert.deepEqual(loaded.warnings, []);
  const { networks, site, domain, boot, profiles, defaultProfile, machines, http, tftp, dns, console } = loaded.appliance;
  assert.equal(networks[0]?.name, "eth1");
  assert.ok(networks[0]?.advertise && networks[0].advertise !== "observe" && networks[0].dhcp && http && tftp && dns && console);
  assert.deepEqual(networks[0].advertise.interval, [5, 60]);
  assert.deepEqual(networks[0].dhcp.pool, { kind: "auto" });
  assert.deepEqual(
    { site, domain, boot, profiles, defaultProfile, machines },
    {
      site: hostname(),
      domain: "",
      boot: { rules: null },
      profiles: {},
      defaultProfile: null,
      machines: [],
    },
  );
});

test("RFC 9915 §21.4: T1 and T2 are 0.5 and 0.8 of the preferred lifetime that is given, unless they are given too", () => {
  for (const [lifetimes, expected] of [
    ["", [1000, 2000, 3000, 4000]],
    ["preferred: 600s, valid: 1200s", [300, 480, 600, 1200]],
    ["preferred: 1h, valid: 2h, renew: 10m", [600, 2880, 3600, 7200]],
    ["valid: 1h", [1000, 2000, 3000, 3600]],
  ] as const) {
    const loaded = assemble(readSource("a.yaml", `networks: [{ interface: eth1, dhcp: { lifetimes: { ${lifetimes} } } }]\n`), []);
    assert.ok("appliance" in loaded, JSON.stringify(loaded));
    const given = loaded.appliance.networks[0]?.dhcp?.lifetimes;
    assert.deepEqual(given && [given.renew, given.rebind, given.preferred, given.valid], expected);
  }
});

test("every service can be turned off", () => {
  const text =
    "networks: [{ interface: eth1, advertise: false, dhcp: false }, { interface: eth2, advertise: observe }]\n" +
    "http: false\ntftp: false\ndns: false\nconsole: false\n";
  const loaded = assemble(readSource("appliance.yaml", text), []);
  assert.ok("appliance" in loaded);
  const { networks, http, tftp, dns, console } = loaded.appliance;
  assert.deepEqual([networks[0]?.advertise, networks[0]?.dhcp, networks[1]?.advertise], [null, null, "observe"]);
  assert.deepEqual([http, tftp, dns, console], [null, null, null, null]);
});

test("the only profile is the default one; else machines wait", () => {
  const of = (text: string) => {
    const loaded = assemble(readSource("appliance.yaml", `networks: [{ interface: eth1 }]\n${text}`), []);
    assert.ok("appliance" in loaded);
    return [loaded.appliance.defaultProfile, Object.keys(loaded.appliance.profiles)];
  };
  assert.deepEqual(of("profiles: { a: { disk: true } }"), ["a", ["a"]]);
  assert.deepEqual(of("profiles: { a: { disk: true }, b: { disk: true } }"), [null, ["a", "b"]]);
  assert.deepEqual(of("profiles: { a: { disk: true } }\ndefaultProfile: wait"), ["wait", ["wait", "a"]]);
});

test("a profile's files may differ by architecture", () => {
  const text = "networks: [{ interface: eth1 }]\nprofiles: { a: { kernel: { x64: a, arm64: b }, initrd: [c, { x64: d }] } }";
  const loaded = assemble(readSource("appliance.yaml", text), []);
  assert.ok("appliance" in loaded);
  const profile = loaded.appliance.profiles.a;
  assert.ok(profile?.kind === "kernel");
  assert.deepEqual([profile.kernel, profile.initrd], [{ x64: "a", arm64: "b" }, [{ any: "c" }, { x64: "d" }]]);
});

test("problems in included files name that file and its own keys", async () => {
  const main = await write(
    "inc/appliance.yaml",
    "networks: [{ interface: eth1 }]\nprofiles: { a: { disk: true } }\nmachines: [{ name: n1, mac: 52:54:00:00:00:01 }]\ninclude: [m/*.yaml, none/*.yaml]\n",
  );
  await write("inc/m/1.yaml", "machines:\n  - { name: n2, mac: 52:54:00:00:00:02, profile: b }\nprofiles: { a: { disk: true } }\n");
  await write("inc/m/2.yaml", "machines:\n  - name: n3\n    mac: 52:54:00:00:00:01\n");
  const shown = async () => {
    const loaded = await loadAppliance(main);
    assert.ok("problems" in loaded);
    return loaded.problems.map((problem) => formatProblem({ ...problem, file: relative(folder, problem.file), source: "" }));
  };
  assert.deepEqual(await shown(), [
    "inc/appliance.yaml:4:21: warning: include[1]: no file matches none/*.yaml. Create one, or delete the pattern. [include-matches-nothing]",
    "inc/m/1.yaml:2:50: machines[0].profile: no profile is called b. Define it under profiles, or name one of a. [unknown-profile]",
    `inc/m/1.yaml:3:13: profiles.a: defined in ${main} too. Keep one of them. [duplicate-profile]`,
    "inc/m/2.yaml:3:10: machines[0].mac: 52:54:00:00:00:01 is n1's. Give each machine its own. [duplicate-machine-mac]",
  ]);
  await write("inc/m/2.yaml", "networks: []\n");
  assert.deepEqual((await shown()).slice(1), ["inc/m/2.yaml:1:1: networks: unknown key. Known here: profiles, machines. [unknown-key]"]);
});

test("included files are read in the order of their names, the file itself is not one, and one that cannot be read is an error", async () => {
  const main = await write(
    "order/appliance.yaml",
    `networks: [{ interface: eth1 }]\ninclude: ["*.yaml", ${join(folder, "elsewhere")}/*.yaml]\nmachines: [{ name: n1, mac: 52:54:00:00:00:01 }]\n`,
  );
  await write("order/b.yaml", "machines: [{ name: n3, mac: 52:54:00:00:00:03 }]\n");
  await write("order/a.yaml", "profiles: { ask: { script: none.ipxe } }\nmachines: [{ name: n2, mac: 52:54:00:00:00:02 }]\n");
  await write("elsewhere/z.yaml", "machines: [{ name: n0, mac: 52:54:00:00:00:04 }]\n");
  const loaded = await loadAppliance(main);
  assert.ok("appliance" in loaded);
  assert.equal(loaded.appliance.machines.map(({ name }) => name).join(" "), "n1 n0 n2 n3");
  const { file, line, column } = loaded.locate({
    id: "unknown-name",
    severity: "error",
    path: ["profiles", "ask", "script"],
    what: "",
    mend: "",
  });
  assert.deepEqual([relative(folder, file), line, column], ["order/a.yaml", 1, 28]);
  await mkdir(join(folder, "order/c.yaml"));
  const refused = await loadAppliance(main);
  assert.ok("problems" in refused);
  assert.match(refused.problems.map(formatProblem).join(), /^\S+order\/c\.yaml: cannot be read: EISDIR\./);
});

test("what is given is what the services see: paths from the file's folder, sizes, architectures, domain and token", async () => {
  const file = await write(
    "given/appliance.yaml",
    `domain: Rack.Example
networks: [{ interface: eth1 }]
boot: { rules: [{ arch: X64-UEFI, url: x }] }
http: { root: files, cache: 512M, listen: ["2001:db8::1"], allow: [2001:db8::/32], templates: [a], tls: { cert: c.pem, key: /k.pem } }
console: { token: secret }
`,
  );
  const loaded = await loadAppliance(file);
  assert.ok("appliance" in loaded);
  const { domain, boot, http, tftp, console } = loaded.appliance;
  assert.deepEqual([domain, boot.rules?.[0]?.arch, http?.cache, console?.token], ["rack.example", [7], 512_000_000, "secret"]);
  assert.deepEqual(http?.tls, { cert: join(folder, "given/c.pem"), key: "/k.pem", port: 443, name: null });
  const served = { root: join(folder, "given/files"), listen: ["2001:db8::1"], allow: [prefixOf("2001:db8::", 32)], templates: ["a"] };
  assert.deepEqual(tftp, { port: 69, ...served });
  const { root, listen, allow, templates } = http ?? {};
  assert.deepEqual({ root, listen, allow, templates }, served);
  const all = assemble(readSource("a.yaml", "networks: [{ interface: eth1 }]\nhttp: { cache: 2G }\n"), []);
  assert.ok("appliance" in all && all.appliance.http?.cache === 2_000_000_000);
});

test("wait needs no definition wherever it is named", () => {
  for (const text of [
    "networks: [{ interface: eth1 }]\ndefaultProfile: wait\n",
    "networks: [{ interface: eth1, defaultProfile: wait }]\n",
    "networks: [{ interface: eth1 }]\nmachines: [{ mac: 52:54:00:00:00:01, profile: wait }]\n",
  ]) {
    const loaded = assemble(readSource("a.yaml", text), []);
    assert.ok("appliance" in loaded, text);
    assert.deepEqual(loaded.appliance.profiles.wait, { kind: "wait", poll: 30, bootProgram: "ipxe" });
  }
});

test("a file that is not there is said plainly", async () => {
  const loaded = await loadAppliance("/nonexistent/appliance.yaml");
  assert.ok("problems" in loaded);
  assert.deepEqual(loaded.problems.map(formatProblem), [
    "/nonexistent/appliance.yaml: no such file. Two lines are enough: `networks:` and `- interface: eth1`. [unreadable-file]",
  ]);
  const unreadable = await loadAppliance("/");
  assert.ok("problems" in unreadable);
  assert.deepEqual(unreadable.problems.map(formatProblem), [
    "/: cannot be read: EISDIR. Give a file that this user may read. [unreadable-file]",
  ]);
});

test("the appliance.yaml at top level loads without a problem", async () => {
  const loaded = await loadAppliance(join(import.meta.dirname, "../../../appliance.yaml"));
  assert.ok("appliance" in loaded);
  assert.deepEqual(loaded.warnings, []);
  assert.equal(loaded.appliance.profiles[loaded.appliance.defaultProfile ?? ""]?.kind, "kernel");
});
