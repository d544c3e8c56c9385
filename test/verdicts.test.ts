/** Faults staged with simulated machines: what the appliance says of each, and that its API, the command and the console say the same. */
import assert from "node:assert/strict";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { encodeIa, encodeMessage, MessageType, OptionCode } from "@netboot6/codec";
import { VERDICTS } from "@netboot6/events";
import { type LogLine, type Namespace, NETBOOT6 } from "@netboot6/lab";
import { openConsole, startBrowser } from "./browser.ts";
import { makeVlan, startAppliance } from "./setup.ts";
import { assets, MACHINE, passes, rack, script, staged, startInTime, startResolver, until, verdict } from "./verdicts-setup.ts";
import "./verdicts-in-time.ts";

/** A Solicit as this relay agent would send it for a machine. */
async function relay(agent: Namespace, linkAddress: string, peerAddress: string): Promise<void> {
  const solicit = encodeMessage({
    type: MessageType.solicit,
    transactionId: 1,
    options: [
      { code: OptionCode.clientId, data: Buffer.from("000300015254000c0001", "hex") },
      { code: OptionCode.iaNa, data: encodeIa({ iaid: 1, t1: 0, t2: 0, options: [] }) },
    ],
  });
  const options = [{ code: OptionCode.relayMessage, data: solicit }];
  const bytes = encodeMessage({ type: MessageType.relayForward, hopCount: 0, linkAddress, peerAddress, options });
  const program = `const s = require("node:dgram").createSocket("udp6");
    s.send(Buffer.from("${Buffer.from(bytes).toString("hex")}", "hex"), 547, "2001:db8:0:1::1", () => s.close());`;
  assert.equal((await agent.exec([process.execPath, "-e", program])).code, 0);
}

/** Eleven faults: the machine, what an operator is told, and what to do. */
const FAULTS: Readonly<Record<string, readonly [rule: string, text: RegExp, mend: RegExp]>> = {
  n1: ["kernel-missing", /\/debian-12\/linux.*no such file under boot-assets/, /Did you mean debian12\/linux\?/],
  n2: ["initrd-missing", /\/debian12\/initrd\.gz.*no such file under boot-assets/, /correct `initrd` of its profile/],
  n3: ["template-error", /broken\.ipxe:2:\d+: .*nothing/, /Mend the template/],
  n4: ["profile-waits", /its profile waits keeps it waiting/, /Give it a profile/],
  n5: ["answers-missing", /the installer asked for \/none\.cfg: no such file/, /Put the answers file there/],
  n6: ["program-missing", /firmware asked for \/ipxe\/none\.efi.*no such file/, /boot\.rules/],
  n7: ["no-boot-file", /no boot rule for architecture 16/, /add a boot rule/],
  n8: ["dns-failed", /mirror\.example could not be resolved: .*2001:db8:0:1::53/, /dns\.upstreams/],
  n9: ["file-unreadable", /iPXE asked for \/debian12\/secret.* could not be read: EACCES/, /Look at the file's rights/],
  "m-5254000c0101": ["not-served", /link-address 2001:db8:0:7::fe belongs to no network/, /Add a relayed network/],
  "m-5254000c0102": ["not-served", /relay 2001:db8:0:1::99 is not among the relays of network rack-2/, /Add the relay to `relays`/],
};

test("eleven faults: the log, the API, the command alone and the console alone say which machine, why, and what to do", {
  timeout: 240_000,
}, async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {
    "debian12/linux": "kernel",
    "debian12/secret": "kernel",
    "broken.ipxe": "#!ipxe\necho {{ machine.vars.nothing }}\n",
  });
  chmodSync(join(vlan.dir, "boot-assets/debian12/secret"), 0);
  const profile = (name: string, rest: string): string => `  ${name}: { ${rest} }\n`;
  const machine = (n: number, name: string): string => `  - { name: n${n}, mac: "${MACHINE(n).mac}", profile: ${name} }\n`;
  const program = [1, 2, 3, 4, 5, 9].map((n) => `    - { mac: "${MACHINE(n).mac}", url: "{{ http }}/ipxe/x86_64/ipxe.efi" }\n`).join("");
  const appliance = await startAppliance(t, vlan, {
    // Without root's right to read whatever it likes.
    before: ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"],
    configuration: `networks:
  - interface: prov0
  - { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64", relays: ["2001:db8:0:1::fe"] }
dns: { upstreams: ["2001:db8:0:1::53"] }
boot:
  rules:
    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }
    - { mac: "${MACHINE(6).mac}", url: "{{ http }}/ipxe/none.efi" }
${program}profiles:
${profile("kernel", "kernel: debian-12/linux")}${profile("initrd", "kernel: debian12/linux, initrd: [debian12/initrd.gz]")}${profile("template", "script: broken.ipxe")}${profile("waits", "poll: 30s")}${profile("secret", "kernel: debian12/secret")}${profile("answers", 'kernel: debian12/linux, cmdline: "preseed/url={{ http }}/none.cfg"')}machines:
${machine(1, "kernel")}${machine(2, "initrd")}${machine(3, "template")}${machine(4, "waits")}${machine(5, "answers")}${machine(6, "kernel")}${machine(7, "kernel")}${machine(8, "answers")}${machine(9, "secret")}`,
  });
  const browser = await startBrowser(t, vlan);
  rack(vlan, 1, 2, 3, 4, 5, 6, 7, 9);
  const agent = vlan.client("agent");
  agent.up();
  agent.namespace.ip("addr add 2001:db8:0:1::99/64 dev eth0");
  await relay(agent.namespace, "2001:db8:0:7::fe", "fe80::5054:ff:fe0c:101");
  await relay(agent.namespace, "2001:db8:0:2::fe", "fe80::5054:ff:fe0c:102");
  const installer = vlan.client("installer", { mac: MACHINE(8).mac });
  installer.up();
  await appliance.waitFor((line) => line.event === "ra.solicited" || line.event === "ra.sent", 10);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const asks = (...argv: string[]): Promise<unknown> => installer.namespace.exec(argv, { timeout: 20 });
  await asks("curl", "-sS", "--retry", "5", "--retry-connrefused", `http://[${vlan.address}]/boot.ipxe`);
  await asks("dig", "+tries=1", "+timeout=8", `@${vlan.address}`, "AAAA", "mirror.example");

  const { page } = await openConsole(browser);
  for (const [name, [rule, text, mend]] of Object.entries(FAULTS)) {
    await t.test(`${name}: ${rule}`, async () => {
      const told = await verdict(appliance, name, rule, 30);
      assert.match(told, text);
      assert.match(told, mend);

      const command = (...argv: string[]) => vlan.server.exec([NETBOOT6, ...argv, "--config", appliance.file]);
      const listed = await command("machines", "--stuck");
      assert.equal(listed.code, 1);
      assert.ok(
        listed.stdout.split("\n").some((line) => line.startsWith(`${name} `)),
        listed.stdout,
      );
      const shown = await command("machine", name);
      assert.equal(shown.code, 1);
      assert.match(shown.stdout, text);
      assert.match(shown.stdout, mend);

      await page.locator(".home").click();
      await page.locator(".verdicts .who", { hasText: name }).click();
      const box = page.locator(".verdict", { hasText: rule });
      await box.waitFor();
      const seen = (await box.textContent()) ?? "";
      for (const pattern of [text, mend]) assert.match(seen, new RegExp(pattern.source.replaceAll("`", "")), "set in code's own type");
    });
  }
});

const PROFILES: Readonly<Record<number, string>> = { 2: ", profile: elsewhere", 8: ", profile: broken", 9: ", profile: astray" };

/** What each machine does after its first DHCPv6 message, and the verdict that it brings about. */
const SILENCES: Readonly<Record<string, readonly [rule: string, says: RegExp]>> = {
  t1: [
    "offer-not-taken",
    /it got 3 offers and requested none: its vendor class is HTTPClient:Arch:00016:UNDI:003000, the last named http:/,
  ],
  t2: ["two-servers", /took the offer of another DHCPv6 server/],
  t3: ["address-taken", /found another host on the address/],
  t4: ["http-url-for-pxe", /PXE, which speaks TFTP only, and was given http:/],
  t5: ["tftp-instead-of-http", /gave up HTTP boot, went on with PXE by TFTP/],
  t6: ["duplicate-duid", /t7 shows the same DUID/],
  t7: ["duplicate-duid", /t6 shows the same DUID/],
  t8: ["program-not-asked-for", /was told http:.* ago, and has not asked for it/],
  t9: ["program-not-efi", /asked for the size of \/program and did not fetch it/],
  n1: ["ipxe-silent", /the boot program is in since .*, and nothing was heard of it/],
  n2: ["kernel-not-asked-for", /iPXE has the script of profile elsewhere since/],
  n3: ["download-broken-off", /\/debian12\/large was broken off at .* of 40\.0 MB/],
  n4: ["script-missing", /iPXE asked for \/mine\.ipxe: no such file/],
  n6: ["program-refused", /fetched \/ipxe\/x86_64\/ipxe\.efi 3 times in \d+ s and did not run it\. Secure Boot/],
  n8: ["template-error", /\/boot\.ipxe could not be rendered: broken\.ipxe:2:\d+: .*nothing/],
  n9: [
    "script-missing",
    /\/boot\.ipxe: no such file under boot-assets: brokn\.ipxe, the script of profile astray\. Did you mean broken\.ipxe\?/,
  ],
  n5: ["name-without-address", /asked for nowhere\.example, which has no IPv6 address/],
  n7: ["dns-failed", /asked for gone\.example, and there is no such name/],
};

test("machines that say too little, or the wrong thing: what is told of each", { timeout: 240_000 }, async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {
    "debian12/linux": "kernel",
    program: "MZ",
    "debian12/large": Buffer.alloc(40_000_000),
    "broken.ipxe": "#!ipxe\necho {{ machine.vars.nothing }}\n",
  });
  const mac = (n: number): string => `52:54:00:0c:02:0${n}`;
  const names = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `  - { name: t${n}, mac: "${mac(n)}" }`);
  const rule = (n: number, arch: string, url: string): string => `    - { mac: "${mac(n)}", arch: ${arch}, url: "${url}" }`;
  const inTime = await startInTime(
    t,
    vlan,
    `networks: [{ interface: prov0 }]
dns: { upstreams: ["2001:db8:0:1::53"] }
boot:
  rules:
    - { userClass: iPXE, url: "{{ http }}/boot.ipxe" }
${rule(4, "x64-uefi", "{{ http }}/ipxe/x86_64/ipxe.efi")}
${rule(9, "x64-uefi-http", "{{ http }}/program")}
    - { arch: x64-uefi-http, url: "{{ http }}/ipxe/x86_64/ipxe.efi" }
    - { arch: x64-uefi, url: "{{ tftp }}/ipxe/x86_64/ipxe.efi" }
profiles:
  debian: { kernel: debian12/linux }
  elsewhere: { kernel: "http://[2001:db8:ffff::1]/linux" }
  broken: { script: broken.ipxe }
  astray: { script: brokn.ipxe }
defaultProfile: debian
machines:
${names.join("\n")}
${[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => `  - { name: n${n}, mac: "${MACHINE(n).mac}"${PROFILES[n] ?? ""} }`).join("\n")}
`,
  );
  startResolver(vlan, "nowhere.example. A 192.0.2.1");
  const base = `http://[${vlan.address}]`;
  const machine = (n: number) => {
    const { namespace, up } = vlan.client(`t${n}`, { mac: mac(n) });
    up();
    return async (kind: string, duid: string, ...steps: string[]): Promise<Namespace> => {
      await script(namespace, kind, duid, ...steps);
      return namespace;
    };
  };
  const own = (n: number): string => `000300015254000c020${n}`;
  const shared = "0004ffeeddccbbaa99887766554433221100";
  const says = [1, 2, 3, 4, 5, 6, 7, 8, 9].map(machine) as [Says, Says, Says, Says, Says, Says, Says, Says, Says];
  const refused = async (): Promise<void> => {
    for (let boot = 1; boot <= 3; boot++) await until(vlan, 6, "program");
  };
  await Promise.all([
    says[0]("firmware-http", own(1), "solicit", "solicit", "solicit"),
    says[1]("firmware-http", own(2), "solicit", "request-elsewhere"),
    says[2]("firmware-http", own(3), "solicit", "request", "decline"),
    says[3]("firmware-pxe", own(4), "solicit", "request"),
    says[4]("firmware-http", own(5), "solicit", "request").then(() => says[4]("firmware-pxe", own(5), "solicit", "request")),
    says[5]("firmware-http", shared, "solicit", "request"),
    says[6]("firmware-http", shared, "solicit", "request"),
    says[7]("firmware-http", own(8), "solicit", "request"),
    says[8]("firmware-http", own(9), "solicit", "request").then((namespace) =>
      namespace.exec(["curl", "-sI", "-A", "UefiHttpBoot/1.0", `${base}/program`]),
    ),
    until(vlan, 1, "ipxe"),
    until(vlan, 2, "script"),
    until(vlan, 3, "leased"),
    until(vlan, 4, "leased"),
    until(vlan, 5, "leased"),
    until(vlan, 7, "leased"),
    refused(),
  ]);
  const asks = async (n: number, ...urls: string[]): Promise<void> => {
    const { namespace, up } = vlan.client(`asks${n}`, { mac: MACHINE(n).mac });
    up();
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const name = { 5: "nowhere.example", 7: "gone.example" }[n];
    const curl = ["curl", "-s", "-o", "/dev/null"];
    if (name) await namespace.exec([...curl, `${base}/boot.ipxe`]);
    if (name) await namespace.exec(["dig", `@${vlan.address}`, "AAAA", name]);
    for (const url of urls) await namespace.exec([...curl, "-A", "iPXE/1.21", "--limit-rate", "100k", "-m", "3", new URL(url, base).href]);
  };
  await Promise.all([
    asks(3, "/boot.ipxe", "/debian12/large"),
    asks(4, "/mine.ipxe"),
    asks(5),
    asks(7),
    asks(8, `tftp://[${vlan.address}]/boot.ipxe`),
    asks(9, "/boot.ipxe"),
  ]);
  await passes(t, inTime, [[50, SILENCES]]);
});

type Says = (kind: string, duid: string, ...steps: string[]) => Promise<Namespace>;

test("no boot program for its architecture; then a rule that names one that is not there; then an access list that leaves it out; then no router; then no DHCPv6", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {}, false);
  const settings = "networks: [{ interface: prov0 }]\n";
  const appliance = await startAppliance(t, vlan, { configuration: settings });
  rack(vlan, 1);
  assert.match(await verdict(appliance, "m-5254000c0001", "no-boot-file"), /no boot rule for architecture 16.*netboot6 assets add ipxe/);
  const become = async (configuration: string): Promise<number> => {
    writeFileSync(appliance.file, configuration);
    const from = appliance.lines.length;
    appliance.signal("SIGHUP");
    await appliance.waitFor((line) => line.event === "appliance.reloaded", 10, from);
    return from;
  };
  const rule = 'boot: { rules: [{ url: "{{ http }}/ipxe/none.efi" }] }\n';
  await become(settings + rule);
  rack(vlan, 2);
  assert.match(await verdict(appliance, "m-5254000c0002", "program-missing"), /firmware asked for \/ipxe\/none\.efi: no such file/);
  await become(`${settings}${rule}http: { allow: ["2001:db8:9::/64"] }\n`);
  rack(vlan, 3);
  assert.match(await verdict(appliance, "m-5254000c0003", "not-allowed"), /was refused: .*Add its prefix to http\.allow/);
  await become(`${settings}dns: { allow: ["2001:db8:9::/64"] }\n`);
  const installer = vlan.client("installer", { mac: MACHINE(5).mac });
  installer.up();
  const asks = (...argv: string[]): Promise<unknown> => installer.namespace.exec(argv, { timeout: 20 });
  await asks("curl", "-sS", "--retry", "5", "--retry-all-errors", `http://[${vlan.address}]/boot.ipxe`);
  await asks("dig", "+tries=1", `@${vlan.address}`, "AAAA", "mirror.example");
  assert.match(
    await verdict(appliance, "m-5254000c0005", "dns-failed"),
    /its question for mirror\.example was refused\. Add its prefix to dns\.allow/,
  );
  await become(`networks: [{ interface: prov0, advertise: false }]\n${rule}`);
  await until(vlan, 4, "leased");
  assert.match(
    await verdict(appliance, "m-5254000c0004", "no-router"),
    /no router is heard on network prov0: .*UEFI HTTP boot waits 10 s.*delete `advertise: false`/,
  );
  await become('networks: [{ interface: prov0, dhcp: false }, { name: rack-2, relayed: true, prefix: "2001:db8:0:2::/64" }]\n');
  rack(vlan, 2); // it was served before
  assert.match(
    await verdict(appliance, "m-5254000c0002", "not-served"),
    /its Solicit is not answered: DHCPv6 is off on network prov0\. Delete `dhcp: false`/,
  );
});

test("a pool that is full, and a network that leases nothing", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const network = (pool: string): string => `networks: [{ interface: prov0, advertise: { autonomous: false }, dhcp: { pool: ${pool} } }]\n`;
  const appliance = await startAppliance(t, vlan, { configuration: network('"2001:db8:0:1::1000-2001:db8:0:1::1000"') });
  await rack(vlan, 1).exit;
  rack(vlan, 2, 3);
  const full = await appliance.waitFor((line) => line.event === "machine.stuck" && line.rule === "pool-full", 20);
  const late = full.machine ?? "";
  assert.match(await verdict(appliance, late, "pool-full"), /the pool of network prov0 is full\. Make dhcp\.pool larger/);
  writeFileSync(appliance.file, network("none"));
  appliance.signal("SIGHUP");
  await appliance.waitFor((line) => line.event === "appliance.reloaded", 10);
  rack(vlan, 4);
  assert.match(
    await verdict(appliance, "m-5254000c0004", "no-addresses-leased"),
    /leases no addresses\. UEFI boots with a leased address only/,
  );
});

test("a machine that boots again and again is told of, and stopped by its script", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, { "debian12/linux": "kernel", "debian12/initrd.gz": "initrd" });
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
profiles: { debian: { kernel: debian12/linux, initrd: [debian12/initrd.gz] } }
machines: [{ name: n1, mac: "${MACHINE(1).mac}" }]
`,
  });
  const asks = (path: string) => (line: LogLine) =>
    (line.event === "machine.rendered" || line.event === "http.finished") && line.path === path;
  // It resets as its kernel starts.
  for (let boot = 1; boot <= 3; boot++) await until(vlan, 1, "initrd");
  assert.match(
    await verdict(appliance, "n1", "boot-loop"),
    /began 3 boots within 5 min and came no further than initrd\. Look at its screen at that stage/,
  );
  const from = appliance.lines.length;
  const last = rack(vlan, 1);
  await appliance.waitFor(asks("/boot.ipxe"), 20, from);
  // The simulated iPXE does not sleep: stopped, it comes back for its script at once, and asks for no kernel.
  await appliance.waitFor(asks("/boot.ipxe"), 20, appliance.lines.length);
  assert.equal(appliance.lines.slice(from).find(asks("/debian12/linux")), undefined);
  await last.stop();
  assert.match(
    await verdict(appliance, "n1", "boot-loop"),
    /its script stops it: it began 3 boots within 5 minutes and came no further than initrd\. .*boot-again/,
  );
});

test("iPXE that a rule gives itself again is stopped by its script after three times, and told of", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]
profiles: { debian: { kernel: debian12/linux } }
boot: { rules: [{ url: "{{ http }}/ipxe/x86_64/ipxe.efi" }] }
machines: [{ name: n1, mac: "${MACHINE(1).mac}" }]
`,
  });
  const client = vlan.client("n1", { mac: MACHINE(1).mac });
  client.up();
  client.namespace.ip("addr replace 2001:db8:0:1:5054:ff:fe0c:1/64 dev eth0 nodad");
  const get = async (path: string): Promise<void> => {
    const from = appliance.lines.length;
    await client.namespace.exec(["curl", "-sSf", "--output-dir", vlan.dir, "-o", "got", `http://[${vlan.address}]${path}`]);
    await appliance.waitFor((line) => line.event === "http.finished" && line.path === path, 10, from);
  };
  for (const kind of ["firmware-http", "ipxe", "ipxe"]) {
    await script(client.namespace, kind, "000300015254000c0001", "solicit", "request");
    await get("/ipxe/x86_64/ipxe.efi");
  }
  const from = appliance.lines.length;
  await script(client.namespace, "ipxe", "000300015254000c0001", "solicit", "request");
  const why = "it was given /ipxe/x86_64/ipxe.efi 3 times within 5 minutes and asked for no script";
  const answered = await appliance.waitFor((line) => line.event === "dhcpv6.answered" && line.answer === "Reply", 10, from);
  assert.match(answered.msg, /\/boot\.ipxe$/);
  assert.ok((answered.why as string[]).join().endsWith(`once more: ${why}`));
  await get("/boot.ipxe");
  assert.ok(readFileSync(join(vlan.dir, "got"), "utf8").includes(`netboot6: stopped: ${why}.`));
  const said = await verdict(appliance, "n1", "boot-loop");
  assert.ok(said.startsWith(`its script stops it: ${why}. A boot rule gives iPXE itself again`), said);
});

test("a machine that does not trust the certificate of HTTPS", async (t) => {
  const vlan = makeVlan(t);
  await assets(vlan, {});
  const [cert, key] = [join(vlan.dir, "cert.pem"), join(vlan.dir, "key.pem")];
  const made = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=boot.rack.example", "-keyout", key, "-out", cert];
  await vlan.server.exec(["openssl", ...made]);
  const appliance = await startAppliance(t, vlan, {
    configuration: `networks: [{ interface: prov0 }]\nhttp: { tls: { cert: ${cert}, key: ${key} } }\n`,
  });
  await until(vlan, 1, "leased");
  const client = vlan.client("n1", { mac: MACHINE(1).mac });
  client.up();
  client.namespace.ip("addr replace 2001:db8:0:1:5054:ff:fe0c:1/64 dev eth0 nodad");
  await client.namespace.exec(["curl", "-s", "--retry", "5", "--retry-connrefused", `https://[${vlan.address}]/`]);
  assert.match(
    await verdict(appliance, "m-5254000c0001", "certificate-refused"),
    /asked by HTTPS, and there was no session: .*Enrol the authority/,
  );
});

test("each rule was staged", () => {
  assert.deepEqual(
    Object.keys(VERDICTS).filter((rule) => !staged.has(rule)),
    [],
  );
});
