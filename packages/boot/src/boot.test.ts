/** Kinds of client, rules, templates and scripts. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePrefix } from "@netboot6/codec";
import type { Appliance, BootRule, Network, Profile } from "@netboot6/config";
import { NOBODY } from "@netboot6/machines";
import { clientKind } from "./client-kind.ts";
import { isIpxeScript } from "./goes-into.ts";
import { profileOf } from "./profile.ts";
import { type BootAsker, builtInRules, chooseRule } from "./rules.ts";
import { autoexecScript, type BootState, bootScript, errorScript, renderedFor } from "./script.ts";
import { compileTemplate, TemplateError, type TemplateValues } from "./templates.ts";
import { templateValues } from "./values.ts";

const values: TemplateValues = {
  http: "http://[2001:db8:0:1::1]",
  https: null,
  tftp: "tftp://[2001:db8:0:1::1]",
  site: "rack-lab",
  domain: "rack.example",
  machine: { name: "node-01", mac: "52:54:00:0b:00:01", uuid: "", address: "2001:db8:0:1::5", vars: { disk: "/dev/sda" } },
  network: { name: "provisioning", prefix: "2001:db8:0:1::/64", address: "2001:db8:0:1::1" },
  done: null,
  withheld: null,
};
const state = (profile: Profile, more: Partial<BootState> = {}): BootState => ({
  values,
  machine: "node-01",
  network: "provisioning",
  profileName: "p",
  profile,
  installed: false,
  stopped: null,
  why: "",
  ...more,
});
const debian: Profile = {
  kind: "kernel",
  kernel: { any: "debian-12/linux" },
  initrd: [{ any: "a/i.gz" }, { any: "http://mirror/b.gz" }],
  cmdline: "auto=true disk={{ machine.vars.disk }}",
  once: true,
  bootProgram: "ipxe",
};

const vendor = (...classes: string[]) => ({ classes });

test("what a client is follows from its user class first, then its vendor class, then its architecture", () => {
  const kind = (userClasses: string[], text: string | null, architectures: number[]) =>
    clientKind({ userClasses, vendorClass: text === null ? null : vendor(text), architectures });
  assert.equal(kind(["iPXE"], "PXEClient:Arch:00007:UNDI:003010", [7]), "ipxe");
  assert.equal(kind([], "HTTPClient:Arch:00016:UNDI:003000", [16]), "firmware-http");
  assert.equal(kind([], "PXEClient:Arch:00007:UNDI:003000", [7]), "firmware-pxe");
  assert.equal(kind([], null, [11]), "firmware-pxe");
  assert.equal(kind([], null, []), "system");
});

test("firmware is known by any of its vendor classes, whichever of them comes first", () => {
  const kind = (...classes: string[]) => clientKind({ userClasses: [], vendorClass: vendor(...classes), architectures: [] });
  assert.equal(kind("HTTPClient:Arch:00016", "MSFT 5.0"), "firmware-http");
  assert.equal(kind("MSFT 5.0", "HTTPClient:Arch:00016"), "firmware-http");
  assert.equal(kind("MSFT 5.0", "PXEClient:Arch:00007"), "firmware-pxe");
  assert.equal(kind("MSFT 5.0"), "system");
});

const asker = (architectures: number[], userClasses: string[] = []): BootAsker => ({
  facts: { userClasses, vendorClass: null, architectures },
  mac: "52:54:00:0b:00:01",
  uuid: null,
  network: "provisioning",
  bootProgram: "ipxe",
});

test("the built-in rules: a boot program only where its file is there; iPXE its script before all", () => {
  const all = builtInRules(() => true);
  const url = (architectures: number[], userClasses?: string[]) => chooseRule(all, asker(architectures, userClasses)).rule?.url ?? null;
  assert.equal(url([7], ["iPXE"]), "{{ http }}/boot.ipxe");
  assert.equal(url([16]), "{{ http }}/ipxe/x86_64/ipxe.efi");
  assert.equal(url([19]), "{{ http }}/ipxe/arm64/ipxe.efi");
  assert.equal(url([7]), "{{ tftp }}/ipxe/x86_64/ipxe.efi");
  assert.equal(url([9]), "{{ tftp }}/ipxe/x86_64/ipxe.efi");
  assert.equal(url([11]), "{{ tftp }}/ipxe/arm64/ipxe.efi");
  assert.equal(url([6]), null);
  assert.equal(
    chooseRule(
      builtInRules((path) => path.includes("x86_64")),
      asker([19]),
    ).rule,
    null,
  );
  assert.match(chooseRule(all, asker([6])).why, /no boot rule for architecture 6, no user class/);
  const signed = (architecture: number, bootProgram: BootAsker["bootProgram"]) =>
    chooseRule(all, { ...asker([architecture]), bootProgram }).rule?.url;
  assert.equal(signed(16, "shim-grub"), "{{ http }}/grub/x86_64/shimx64.efi");
  assert.equal(signed(7, "shim-grub"), "{{ tftp }}/grub/x86_64/shimx64.efi");
  assert.equal(signed(19, "grub"), "{{ http }}/grub/arm64/grubaa64.efi");
  assert.equal(signed(11, "grub"), "{{ tftp }}/grub/arm64/grubaa64.efi");
});

test("rules: the first that matches wins; a client's architectures are tried in its order", () => {
  const any = { userClass: null, vendorClass: null, arch: null, mac: null, uuid: null, network: null, params: [] };
  const rules: BootRule[] = [
    { ...any, arch: [7], mac: "52:54:00:0b:00:02", url: "other-mac" },
    { ...any, arch: [7], network: "elsewhere", url: "other-network" },
    { ...any, arch: [7, 9], url: "seven" },
    { ...any, arch: [16], url: "sixteen" },
  ];
  assert.equal(chooseRule(rules, asker([7])).rule?.url, "seven");
  assert.equal(chooseRule(rules, asker([16, 7])).rule?.url, "sixteen");
  assert.equal(chooseRule(rules, asker([6, 7])).rule?.url, "seven");
  assert.match(chooseRule(rules, asker([7])).why, /boot rule 3 \(arch 7,9\)/);
});

test("templates: an unknown name is an error with line and column, never an empty text", () => {
  assert.equal(compileTemplate("a {{ machine.vars.disk }} b", "t")(values), "a /dev/sda b");
  assert.throws(
    () => compileTemplate("one\n  {{ machine.nmae }}", "preseed/x.cfg")(values),
    (error: Error) => error instanceof TemplateError && /^preseed\/x\.cfg:2:\d+: .*nmae/.test(error.message),
  );
  assert.throws(() => compileTemplate("{{ done }}", "t")(values), /done/);
  assert.throws(
    () => compileTemplate("{{ machine.vars.dsik }}", "t")(values),
    /^TemplateError: t:1:4: undefined variable: machine\.vars\.dsik: node-01 has none among its vars$/,
  );
  const nobody = { ...values, machine: { ...values.machine, name: "" } };
  assert.throws(() => compileTemplate("{{ machine.vars.dsik }}", "t")(nobody), /by a machine nobody knows$/);
  assert.throws(() => compileTemplate("{{ http | nofilter }}", "t")(values), TemplateError);
  assert.throws(() => compileTemplate("{% if %}", "t"), TemplateError);
  assert.throws(() => compileTemplate("{{ machine.constructor }}", "t")(values), TemplateError);
  assert.throws(
    () => compileTemplate("{{ done }}", "elsewhere")(values),
    /^TemplateError: elsewhere:1:4: /,
    "the same text, of another file",
  );
});

test("templates: a control character in a value would be another command: it is an error", () => {
  const evil = { ...values, machine: { ...values.machine, vars: { disk: "sda\nchain http://evil/" } } };
  assert.throws(() => compileTemplate("{{ machine.vars.disk }}", "t")(evil), /machine\.vars\.disk has a control character/);
});

test("templates: what would break the text that a value goes into is an error with line and column, and says no value", () => {
  const render = (text: string, disk: string, into: Parameters<typeof compileTemplate>[2]) =>
    compileTemplate(text, "f", into)({ ...values, machine: { ...values.machine, vars: { disk } } });
  const refused = (text: string, disk: string, into: Parameters<typeof compileTemplate>[2], why: RegExp): void =>
    assert.throws(
      () => render(text, disk, into),
      (error: Error) => error instanceof TemplateError && why.test(error.message) && !error.message.includes(disk),
    );
  const cmdline = "a=1\n  root={{ machine.vars.disk }}";
  assert.equal(render(cmdline, "a b", "text"), "a=1\n  root=a b");
  assert.equal(render(cmdline, "/dev/sda", "kernel arguments"), "a=1\n  root=/dev/sda");
  refused(cmdline, "sda init=/bin/sh", "kernel arguments", /^f:2:8: the value of \{\{ machine\.vars\.disk \}\} .* a space in it/);
  refused(cmdline, 'sd"a', "kernel arguments", /quote/);
  // biome-ignore-start lint/suspicious/noTemplateCurlyInString: iPXE's variable
  refused(cmdline, "x${net0/mac}", "kernel arguments", /iPXE would put/);
  const script = "#!ipxe\n{% if http %}echo {{ machine.vars.disk }}\n{% endif %}kernel linux \\\n  root={{ machine.vars.disk }}\n";
  refused(script, "two words", "iPXE script", /^f:4:8: .* a space/);
  assert.match(render(script.replace("kernel", "echo"), "two words", "iPXE script"), /echo two words/);
  refused("{% if http %}\nkernel linux root={{ machine.vars.disk }}\n{% endif %}", "two words", "iPXE script", /^f:2:19: .* a space/);
  refused("echo {{ machine.vars.disk }}", "x || chain http://evil", "iPXE script", /another command/);
  for (const word of ["||", "&&", ";"])
    for (const [text, into] of [
      [cmdline, "kernel arguments"],
      [script, "iPXE script"],
      ["echo {{ machine.vars.disk }}", "iPXE script"],
    ] as const)
      refused(text, word, into, /another command/);
  refused("set x {{ machine.vars.disk }}\nboot", "RACK\\", "iPXE script", /would go on in the next/);
  refused("set x {{ machine.vars.disk }}", "${y}", "iPXE script", /iPXE would put/);
  refused("http://a/{{ machine.vars.disk }}/linux", "${net0/mac}", "URL", /iPXE would put/);
  // biome-ignore-end lint/suspicious/noTemplateCurlyInString: iPXE's variable
  for (const command of ["kernel", "initrd", "imgargs", "imgfetch", "imgexec", "chain", "module", "boot"])
    refused(`${command} x={{ machine.vars.disk }}`, "a b", "iPXE script", /a space/);
  for (const command of ["linux", "linuxefi", "initrd", "chainloader", "multiboot", "module", "if linux", "if initrd"])
    refused(`${command} x={{ machine.vars.disk }}`, "a b", "GRUB configuration", /a space/);
  refused("{% capture x %}{{ machine.vars.disk }}\nb{% endcapture %}echo {{ x }}", "sd9", "iPXE script", /a control character/);
  refused("  linux /k {{ machine.vars.disk }}", "a b", "GRUB configuration", /a space/);
  refused("echo '{{ machine.vars.disk }}'", "x'; reboot", "GRUB configuration", /takes for its own/);
  assert.equal(render("echo {{ machine.vars.disk }}", "a b", "GRUB configuration"), "echo a b");
  refused("{{ http }}/{{ machine.vars.disk }}", "a b", "URL", /no URL may/);
  assert.equal(render("x={{ machine.vars.disk | raw }}", "a b", "kernel arguments"), "x=a b", "what an operator wants as it is");
  assert.equal(render("d-i {{ machine.vars.disk }}", "a b", "text"), "d-i a b");
});

test("templates: a secret that is withheld is an error that says why; asterisks where values are only shown", () => {
  const vars = {
    disk: "/dev/sda",
    root_password: "geheim",
    users: [{ name: "a", passwordHash: "geheim" }],
    net: { apiToken: "geheim" },
    psk: { rack: "geheim" },
  };
  const machine = { ...NOBODY, id: "node-01", boot: { stage: "installing", token: "f".repeat(32), since: 0 } } as const;
  const appliance = { http: { port: 80, tls: null }, tftp: null, site: "s", domain: "d" } as unknown as Appliance;
  const network = { name: "n", address: "2001:db8::1", prefix: parsePrefix("2001:db8::/64") } as unknown as Network;
  const of = (secrets: Parameters<typeof templateValues>[0]["secrets"]) =>
    templateValues({ appliance, network, machine, mac: null, address: null, vars, secrets });
  const text =
    "{{ machine.vars.disk }} {{ machine.vars.root_password }} {{ machine.vars.net.apiToken }} {{ machine.vars.users[0].passwordHash }} {{ done }}";
  const given = "/dev/sda geheim geheim geheim http://[2001:db8::1]/done/ffffffffffffffffffffffffffffffff";
  assert.equal(compileTemplate(text, "t")(of("given")), given);
  assert.equal(compileTemplate(text, "t")(of("blank")), "/dev/sda *** *** *** http://[2001:db8::1]/done/***");
  const withheld = of({ why: "it is not installing" });
  assert.doesNotMatch(JSON.stringify(withheld), /geheim|ffff/);
  assert.equal(compileTemplate("{{ machine.vars.disk }}", "t")(withheld), "/dev/sda");
  for (const name of ["machine.vars.root_password", "machine.vars.net.apiToken", "done"])
    assert.throws(
      () => compileTemplate(`x {{ ${name} }}`, "t")(withheld),
      (error: Error) => error.message === `t:1:6: ${name} is a secret, and not given: it is not installing`,
    );
  assert.throws(
    () => compileTemplate("x {{ machine.vars.psk.rack }}", "t")(withheld),
    /^TemplateError: t:1:6: machine\.vars\.psk is a secret/,
  );
  const installed = { ...machine, boot: { ...machine.boot, stage: "installed" } } as const;
  const after = templateValues({ appliance, network, machine: installed, mac: null, address: null, vars, secrets: { why: "it is done" } });
  assert.throws(() => compileTemplate("{{ done }}", "t")(after), /done is a secret, and not given: it is done$/);
  const shown = templateValues({ appliance, network, machine: installed, mac: null, address: null, vars, secrets: "blank" });
  assert.equal(shown.done, null, "there is none any more");
});

test("values: base URLs with the ports that are not the usual ones, HTTPS by the certificate's name, the interface that asks", () => {
  const network = { name: "n", address: "2001:db8::1", prefix: parsePrefix("2001:db8::/64") } as unknown as Network;
  const machine = { ...NOBODY, id: "node-01", macs: ["52:54:00:0b:00:01", "52:54:00:0b:00:02"] };
  const of = (services: object, mac: string | null = null) => {
    const appliance = { site: "s", domain: "d", ...services } as unknown as Appliance;
    return templateValues({ appliance, network, machine, mac, address: null, vars: {}, secrets: "given" });
  };
  const usual = of({ http: { port: 80, tls: { port: 443, name: null } }, tftp: { port: 69 } }, "52:54:00:0b:00:02");
  assert.deepEqual([usual.http, usual.https, usual.tftp], ["http://[2001:db8::1]", "https://[2001:db8::1]", "tftp://[2001:db8::1]"]);
  assert.equal(usual.machine.mac, "52:54:00:0b:00:02");
  const others = of({ http: { port: 8080, tls: { port: 8443, name: "boot.rack.example" } }, tftp: { port: 6969 } });
  assert.deepEqual(
    [others.http, others.https, others.tftp],
    ["http://[2001:db8::1]:8080", "https://boot.rack.example:8443", "tftp://[2001:db8::1]:6969"],
  );
  assert.equal(others.machine.mac, "52:54:00:0b:00:01");
  const off = of({ http: null, tftp: null });
  assert.deepEqual([off.http, off.https, off.tftp, off.done], [null, null, null, null]);
});

test("a machine's profile: an operator's choice, its entry, its network's default, the default; else it waits", () => {
  const wait: Profile = { kind: "wait", poll: 5, bootProgram: "ipxe" };
  const profiles = { chosen: debian, its: debian, rack: debian, usual: debian };
  const of = (chosen: string | null, its: string | null, rack: string | null, usual: string | null, more = {}) => {
    const machines = { byId: () => ({ ...NOBODY, profile: chosen }), config: () => ({ profile: its }) as never };
    const network = { name: "n", defaultProfile: rack } as never;
    return profileOf({ profiles: { ...profiles, ...more }, defaultProfile: usual }, machines, "node-01", network);
  };
  assert.equal(of("chosen", "its", "rack", "usual").name, "chosen");
  assert.equal(of("gone", "its", "rack", "usual").name, "its", "the operator's is not there any more");
  assert.equal(of(null, null, "rack", "usual").name, "rack");
  assert.equal(of(null, null, null, "usual").name, "usual");
  assert.deepEqual(of(null, null, null, null).profile, { kind: "wait", poll: 30, bootProgram: "ipxe" });
  assert.deepEqual(of(null, null, null, null, { wait }).profile, wait);
});

test("a kernel profile's script", () => {
  assert.equal(
    bootScript(state(debian)),
    `#!ipxe
echo netboot6: node-01, profile p
kernel http://[2001:db8:0:1::1]/debian-12/linux initrd=initrd0 initrd=initrd1 auto=true disk=/dev/sda || goto failed
initrd --name initrd0 http://[2001:db8:0:1::1]/a/i.gz || goto failed
initrd --name initrd1 http://mirror/b.gz || goto failed
boot || goto failed
:failed
echo netboot6: node-01 could not load profile p: trying again in 30 s
sleep 30
chain --replace http://[2001:db8:0:1::1]/boot.ipxe
`,
  );
});

test("a kernel for each architecture is chosen by iPXE's own; what fails is not gone on with", () => {
  const others = { ia32: "c/linux", loongarch64: "d/linux" };
  const script = bootScript(state({ ...debian, kernel: { x64: "//a/linux", arm64: "b/linux", ...others }, initrd: [] }));
  assert.match(script, /^iseq \$\{buildarch\} x86_64 && kernel \S+\]\/a\/linux .* \|\| iseq \$\{buildarch\} x86_64 && goto failed \|\|$/m);
  assert.match(script, /iseq \$\{buildarch\} i386 && kernel \S+\/c\/linux /);
  assert.match(script, /iseq \$\{buildarch\} loong64 && kernel \S+\/d\/linux /);
  assert.match(script, /iseq \$\{buildarch\} arm64 && kernel \S+\/b\/linux /);
});

test("a kernel is told of the initrds that its architecture has, no others", () => {
  const script = bootScript(state({ ...debian, kernel: { x64: "a/linux", arm64: "b/linux" }, initrd: [{ any: "i" }, { arm64: "j" }] }));
  assert.match(script, /x86_64 && kernel \S+\/a\/linux initrd=initrd0 auto=true /);
  assert.match(script, /arm64 && kernel \S+\/b\/linux initrd=initrd0 initrd=initrd1 auto=true /);
  assert.match(script, /^iseq \$\{buildarch\} arm64 && initrd --name initrd1 \S+\/j /m);
  assert.match(bootScript(state({ ...debian, initrd: [{ any: "i" }, { arm64: "j" }] })), /linux initrd=initrd0 initrd=initrd1 auto=true /);
});

test("what iPXE takes for a script", () => {
  for (const text of ["#!ipxe\n", "#!ipxe \r\n", "#!gpxe\n"]) assert.ok(isIpxeScript(text), text);
  for (const text of ["\n#!ipxe\n", "#!ipxes\n", "#!/bin/sh\n", ""]) assert.ok(!isIpxeScript(text), text);
});

test("disk, wait and installed machines", () => {
  for (const script of [bootScript(state({ kind: "disk", bootProgram: "ipxe" })), bootScript(state(debian, { installed: true }))]) {
    assert.match(script, /iseq \$\{platform\} efi && exit 1 \|\|\nsanboot --no-describe --drive 0x80 \|\| exit 1\n$/);
    assert.doesNotMatch(script, /kernel/);
  }
  assert.equal(renderedFor(state(debian, { installed: true })).profileKind, "disk");
  assert.equal(renderedFor(state(debian)).profileKind, "kernel");
  assert.throws(() => bootScript(state(debian, { values: { ...values, http: null } })), /^TemplateError: .*http is off/);
  assert.match(
    bootScript(state({ kind: "wait", poll: 45, bootProgram: "ipxe" })),
    /sleep 45\nchain --replace http:\/\/\[2001:db8:0:1::1\]\/boot\.ipxe\n$/,
  );
});

test("autoexec.ipxe configures IPv6 and goes to the script; an error's script can be printed", () => {
  assert.match(
    autoexecScript(values),
    /^#!ipxe\nifconf --configurator ipv6 \|\| goto failed\nimgfetch --name script http:\/\/\[2001:db8:0:1::1\]\/boot\.ipxe \|\| goto failed\nimgexec --replace script \|\| exit 1\n:failed\nautoboot\n$/,
  );
  // biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE's variables
  assert.equal(errorScript("bad\n${net0/mac}"), "#!ipxe\necho netboot6: bad $ {net0/mac}\nsleep 30\nexit 1\n");
});

test("a machine that boots again and again is stopped by a script that says why, whatever its profile", () => {
  const why = "it began 3 boots within 5 minutes and came no further than kernel";
  for (const profile of [debian, { kind: "script", script: "own.ipxe", once: false } as Profile]) {
    const script = bootScript(state(profile, { stopped: why }));
    assert.match(script, /^#!ipxe\necho .*\necho netboot6: stopped: it began 3 boots within 5 minutes/);
    assert.match(script, /netboot6 machine node-01 boot-again\nsleep 60\nchain --replace http:.*\/boot\.ipxe\n$/);
    assert.doesNotMatch(script, /^kernel/m);
  }
});
