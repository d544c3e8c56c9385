import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadAppliance } from "@netboot6/config";
import { checkBootFiles } from "./check.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-check-"));
after(() => rmSync(dir, { recursive: true }));
const file = join(dir, "appliance.yaml");

async function problems(configuration: string, now = Date.now()): Promise<string[]> {
  writeFileSync(file, `networks:\n  - interface: eth1\n${configuration}`);
  const loaded = await loadAppliance(file);
  if (!("appliance" in loaded)) assert.fail(JSON.stringify(loaded));
  return checkBootFiles(loaded.appliance, now)
    .map(loaded.locate)
    .map(({ id, line, key, what, mend }) => `${line} ${key}: ${what}. ${mend} [${id}]`);
}

test("a folder that is not there, then files that are not, each with the line and the command that brings them", async () => {
  assert.match((await problems(""))[0] ?? "", /http\.root: there is no folder .*boot-assets.* \[missing-boot-file\]$/);
  mkdirSync(join(dir, "boot-assets/ipxe/x86_64"), { recursive: true });
  assert.match((await problems(""))[0] ?? "", /given no boot program\. Run: netboot6 assets add ipxe/);
  writeFileSync(join(dir, "boot-assets/ipxe/x86_64/ipxe.efi"), "MZ");
  assert.deepEqual(await problems(""), []);
  const found = await problems("profiles:\n  d:\n    kernel: debian-12/linux\n    initrd: [http://elsewhere/i.gz, own/i.gz]\n");
  assert.equal(found.length, 2);
  assert.match(found[0] ?? "", /^5 profiles\.d\.kernel: no file debian-12\/linux under .*Put it there: netboot6 assets add debian-12\./);
  assert.match(found[1] ?? "", /^6 profiles\.d\.initrd: no file own\/i\.gz/);
});

test("a file that a command line names is told where it is not there; a folder, what is made and what differs between machines is not", async () => {
  mkdirSync(join(dir, "boot-assets/autoinstall"), { recursive: true });
  const of = (cmdline: string) => problems(`profiles:\n  d: { kernel: http://elsewhere/linux, cmdline: '${cmdline}' }\n`);
  const found = await of("preseed/url={{ http }}/preseed/none.cfg?m={{ machine.mac }} b={{http}}//other");
  assert.equal(found.length, 2);
  assert.match(found[0] ?? "", /^4 profiles\.d\.cmdline: no file preseed\/none\.cfg under .*Put it there, or correct the URL\. \[missing/);
  assert.match(found[1] ?? "", /no file other under/);
  const none = "s={{ http }}/autoinstall/ a={{ http }}/boot.ipxe b={{ http }}/own/{{ machine.name }}.tar http://elsewhere/x {{ http }}";
  assert.deepEqual(await of(none), []);
});

test("a file that a rule names by {{ https }} is told where it is not there", async () => {
  const rule = 'boot: { rules: [{ url: "{{ https }}/own/none.efi" }] }\nhttp: { tls: { cert: c, key: k } }\n';
  assert.ok((await problems(rule)).some((each) => /^3 boot\.rules\[0\]\.url: no file own\/none\.efi under/.test(each)));
});

test("a boot program that is not there is told, with the command that brings it; one that boot.rules leave unused is too", async () => {
  const profile = "profiles:\n  d: { kernel: http://elsewhere/linux, bootProgram: shim-grub }\n";
  const found = await problems(profile);
  assert.equal(found.length, 1);
  assert.match(found[0] ?? "", /no file grub\/x86_64\/shimx64\.efi under .*of bootProgram shim-grub.*Run: netboot6 assets add shim-grub\./);
  const unused = await problems(`${profile}boot: { rules: [{ userClass: iPXE, url: "{{ http }}/boot.ipxe" }] }\n`);
  assert.match(unused[0] ?? "", /^4 profiles\.d\.bootProgram: boot\.rules take the place.* \[boot-program-unused\]$/);
});

test("a file that a failed download left empty is told of, whoever names it", async () => {
  const program = join(dir, "boot-assets/ipxe/x86_64/ipxe.efi");
  writeFileSync(program, "");
  writeFileSync(join(dir, "boot-assets/empty"), "");
  const rule = (path: string): string => `boot: { rules: [{ userClass: iPXE, url: "{{ http }}/${path}" }] }\n`;
  const all = [
    ["", /^\d+ boot: ipxe\/x86_64\/ipxe\.efi is empty\. Put it there whole: netboot6 assets add ipxe\./],
    [rule("ipxe/x86_64/ipxe.efi"), /url: ipxe\/x86_64\/ipxe\.efi is empty/],
    [`profiles: { d: { kernel: empty } }\n${rule("boot.ipxe")}`, /kernel: empty is empty\. Put it there whole\./],
    [`profiles: { d: { kernel: "http://elsewhere/linux", initrd: [empty] } }\n${rule("boot.ipxe")}`, /initrd: empty is empty/],
    [`profiles: { d: { script: empty } }\n${rule("boot.ipxe")}`, /script: empty is empty/],
  ] as const;
  for (const [configuration, says] of all) {
    const found = await problems(configuration);
    assert.equal(found.length, 1, found.join("\n"));
    assert.match(found[0] ?? "", says);
    assert.match(found[0] ?? "", / \[empty-boot-file\]$/);
  }
  writeFileSync(program, "MZ");
});

test("an iPXE that was built without IPv6 is told", async () => {
  const file = join(dir, "boot-assets/ipxe/x86_64/ipxe.efi");
  writeFileSync(file, "iPXE ICMPv6");
  assert.deepEqual(await problems(""), []);
  writeFileSync(file, "iPXE ICMPv4");
  const without =
    /ipxe\/x86_64\/ipxe\.efi is an iPXE without IPv6: it will hear nothing\. Take another build: netboot6 assets add ipxe\. \[ipxe-without-ipv6\]$/;
  assert.match((await problems(""))[0] ?? "", without);
  const rules = 'boot: { rules: [{ url: "{{ http }}/ipxe/x86_64/ipxe.efi" }] }\n';
  assert.match((await problems(rules))[0] ?? "", without);
  writeFileSync(file, "MZ");
});

test("names that no template knows are found before a machine asks", async () => {
  const found = await problems(
    'profiles:\n  d:\n    kernel: http://elsewhere/linux\n    cmdline: "a={{ machine.vars.any }} b={{ doman }}"\n',
  );
  assert.deepEqual(found.length, 1);
  assert.match(found[0] ?? "", /^6 profiles\.d\.cmdline: \{\{ doman \}\} is no name that templates know.* \[unknown-name\]$/);
});

test("a value that a command line names is told where a machine of that profile has none", async () => {
  const machines = [1, 2, 3, 4, 5].map((n) => `  - { name: n${n}, mac: "52:54:00:00:00:0${n}", profile: ${n === 1 ? "other" : "os"} }\n`);
  const profiles = `profiles:
  other: { poll: 5s }
  os: { kernel: http://elsewhere/linux, cmdline: "a={{ machine.vars.disk }} b={{ machine.vars.net.token }}" }
machines:
  - { name: n0, mac: "52:54:00:00:00:06", profile: os, vars: { disk: /dev/sda, net: { token: x } } }
`;
  assert.deepEqual(await problems(profiles), []);
  const found = await problems(profiles + machines.join(""));
  assert.equal(found.length, 2);
  assert.match(
    found[0] ?? "",
    /^5 profiles\.os\.cmdline: \{\{ machine\.vars\.disk \}\} .* vars of n2, n3, n4 and 1 more\. Give .* \[missing-var\]$/,
  );
  assert.match(found[1] ?? "", /machine\.vars\.net /);
});

test("a template under boot-assets that names what nobody has, or does not parse, is found with file, line and column", async () => {
  const preseed = join(dir, "boot-assets/preseed");
  mkdirSync(preseed, { recursive: true });
  writeFileSync(join(preseed, "a.cfg"), "host {{ machine.name }}\n  at {{ machine.nmae }}\n");
  writeFileSync(join(preseed, "b.cfg"), "{% if %}\n");
  const found = await problems("http: { templates: ['preseed/*.cfg'] }\n");
  rmSync(preseed, { recursive: true });
  assert.equal(found.length, 2, found.join("\n"));
  assert.match(found[0] ?? "", /^3 http\.templates: preseed\/a\.cfg:2:9: \{\{ machine\.nmae \}\} is no name that templates know/);
  assert.match(found[1] ?? "", /preseed\/b\.cfg:1:6: .* \[broken-template\]$/s);
});

test("a profile's script is read as the machine would be given it: one that iPXE takes for none is told", async () => {
  const profile = "profiles:\n  mine: { script: scripts/mine }\n";
  mkdirSync(join(dir, "boot-assets/scripts"), { recursive: true });
  const script = join(dir, "boot-assets/scripts/mine");
  writeFileSync(script, "echo hello\necho {{ machine.nmae }}\n");
  const found = await problems(profile);
  assert.equal(found.length, 2, found.join("\n"));
  assert.match(
    found[0] ?? "",
    /^4 profiles\.mine\.script: scripts\/mine:1:1: it does not begin with #!ipxe, .*Put #!ipxe into its first line/,
  );
  assert.match(found[1] ?? "", /scripts\/mine:2:9: \{\{ machine\.nmae \}\}/);
  writeFileSync(script, "#!ipxe\necho hello\n");
  assert.deepEqual(await problems(profile), []);
  writeFileSync(script, "{% if machine.vars.a %}#!ipxe\n{% endif %}");
  assert.deepEqual(await problems(profile), []);
});

test("a certificate that is missing, of another key, for another name or running out is found before firmware refuses it", async () => {
  mkdirSync(join(dir, "boot-assets/ipxe/x86_64"), { recursive: true });
  writeFileSync(join(dir, "boot-assets/ipxe/x86_64/ipxe.efi"), "MZ");
  const tls = (name: string): string => `http: { tls: { cert: cert.pem, key: key.pem, name: ${name} } }\n`;
  assert.match((await problems(tls("boot.rack.example")))[0] ?? "", /^3 http\.tls: cannot read .*cert\.pem: ENOENT.* \[bad-certificate\]$/);
  const subject = ["-subj", "/CN=boot", "-addext", "subjectAltName=DNS:boot.rack.example,IP:2001:db8:0:1::1"];
  const make = (key: string, days: number): void =>
    void execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", String(days), ...subject].concat([
        "-keyout",
        join(dir, key),
        "-out",
        join(dir, "cert.pem"),
      ]),
      { stdio: "ignore" },
    );
  make("key.pem", 13);
  assert.match(
    (await problems(tls("boot.rack.example"))).join(),
    /^3 http\.tls: .*cert\.pem is valid until \d{4}-\d\d-\d\d\. Renew it\. \[certificate-expires\]$/,
  );
  const later = await problems(tls("boot.rack.example"), Date.now() + 14 * 86400_000);
  assert.match(later.join(), /cert\.pem was valid until \d{4}-\d\d-\d\d\. Renew it: firmware refuses it\. \[certificate-expired\]$/);
  make("key.pem", 30);
  assert.deepEqual(await problems(tls("boot.rack.example")), []);
  assert.match((await problems(tls("other.example")))[0] ?? "", /cert\.pem is not for other\.example.* \[certificate-for-another\]$/);
  const unnamed = (address: string): Promise<string[]> =>
    problems(`    prefix: "2001:db8:0:1::/64"\n    address: "${address}"\nhttp: { tls: { cert: cert.pem, key: key.pem } }\n`);
  assert.deepEqual(await unnamed("2001:db8:0:1::1"), [], "without a name it is to be for the address");
  assert.match((await unnamed("2001:db8:0:1::2")).join(), /cert\.pem is not for 2001:db8:0:1::2.* \[certificate-for-another\]$/);
  make("other.pem", 30);
  assert.match((await problems(tls("boot.rack.example")))[0] ?? "", /key\.pem is not the key of .*cert\.pem/);
});
