/** GRUB's configurations; GRUB's own parser reads each. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import type { Profile } from "@netboot6/config";
import { grubConfig, grubError, isBuiltInGrubConfig, isGrubConfig } from "./grub.ts";
import type { BootState } from "./script.ts";
import { TemplateError } from "./templates.ts";

const parser = { skip: spawnSync("grub-script-check", ["--version"]).status === 0 ? false : "takes grub-common" };
const kernel: Profile = {
  kind: "kernel",
  kernel: { any: "debian-12/linux" },
  initrd: [{ any: "debian-12/initrd.gz" }, { any: "http://[2001:db8::9]/more.gz" }],
  cmdline: 'auto=true hostname={{ machine.name }} dyndbg="file a.c +p; file b.c" ---',
  once: true,
  bootProgram: "shim-grub",
};
const state = (profile: Profile, more: Partial<BootState> = {}): BootState => ({
  values: {
    http: "http://[2001:db8:0:1::1]",
    https: null,
    tftp: "tftp://[2001:db8:0:1::1]",
    site: "s",
    domain: "",
    machine: { name: "node-01", mac: "52:54:00:0b:00:01", uuid: "", address: "2001:db8:0:1::5", vars: {} },
    network: { name: "n", prefix: "2001:db8:0:1::/64", address: "2001:db8:0:1::1" },
    done: null,
    withheld: null,
  },
  machine: "node-01",
  network: "n",
  profileName: "p",
  profile,
  installed: false,
  stopped: null,
  why: "",
  ...more,
});
const disk: Profile = { kind: "disk", bootProgram: "grub" };

test("a kernel profile: by HTTP where GRUB speaks it, else by what it came by; quoted words stay one word", () => {
  const lines = grubConfig(state(kernel)).split("\n");
  assert.deepEqual(lines.slice(0, 10), [
    "echo 'netboot6: node-01, profile p'",
    "netboot6_came=yes",
    'for root in http,2001:db8:0:1::1 "$root"; do',
    "  if linux '/debian-12/linux' 'auto=true' 'hostname=node-01' 'dyndbg=file a.c +p; file b.c' '---'; then",
    "    if initrd '/debian-12/initrd.gz' '(http,2001:db8::9)/more.gz'; then",
    "      boot",
    "    fi",
    "  fi",
    "done",
    "echo 'netboot6: node-01 could not load profile p: trying again in 30 s'",
  ]);
  const other = state(kernel);
  assert.match(grubConfig({ ...other, values: { ...other.values, http: "http://[2001:db8:0:1::1]:8080" } }), /^for root in "\$root"; do$/m);
});

test("a kernel for each architecture is chosen by GRUB's own", () => {
  const text = grubConfig(state({ ...kernel, kernel: { x64: "a/linux", arm64: "b/linux" }, initrd: [{ any: "i" }, { arm64: "j" }] }));
  assert.match(text, /\[ "\$grub_cpu" = x86_64 \]; then\n +if linux '\/a\/linux'.*\n +if initrd '\/i'; then/);
  assert.match(text, /\[ "\$grub_cpu" = arm64 \]; then\n +if linux '\/b\/linux'.*\n +if initrd '\/i' '\/j'; then/);
  assert.match(grubConfig(state({ ...kernel, kernel: { ia32: "c" } } as Profile)), /\[ "\$grub_cpu" = i386 \]; then\n +if linux '\/c'/);
});

test("an initrd of one architecture leaves the others their kernel", () => {
  const text = grubConfig(state({ ...kernel, initrd: [{ any: "i" }, { arm64: "j" }] }));
  assert.match(
    text,
    /\[ "\$grub_cpu" = arm64 \]; then\n +if linux .*\n +if initrd '\/i' '\/j'; then\n[\s\S]*\n +else\n +if linux .*\n +if initrd '\/i'; then\n/,
  );
});

test("what GRUB cannot load or hold is an error, not half a configuration", () => {
  const of = (more: Partial<typeof kernel>) => () => grubConfig(state({ ...kernel, ...more } as Profile));
  assert.throws(of({ kernel: { any: "https://mirror/linux" } } as never), /GRUB does not load https/);
  assert.throws(of({ kernel: { any: "http://mirror:8080/linux" } } as never), /GRUB asks no other port/);
  assert.throws(of({ cmdline: "a='b'" } as never), TemplateError);
  assert.match(of({ kernel: { any: "tftp://[2001:db8::9]:69/linux" } } as never)(), /if linux '\(tftp,2001:db8::9\)\/linux'/);
  assert.throws(of({ kernel: { any: "tftp://mirror:80/linux" } } as never), /GRUB asks no other port/);
  assert.throws(() => grubConfig(state({ kind: "script", script: "own.cfg", once: true, bootProgram: "grub" })), TemplateError);
});

test("what stops a machine, and what is wrong, is said in one line of its own", () => {
  const stopped = grubConfig(state(kernel, { stopped: "it's booting again & again" }));
  assert.match(stopped, /\necho 'netboot6: stopped: it`s booting again & again\.'\n[\s\S]*\nsleep 60\n/);
  assert.doesNotMatch(stopped, /linux/);
  assert.match(grubError("bad\nline"), /^echo 'netboot6: bad line'\n/);
});

test("each is read by GRUB's own parser: kernel, disk, waiting, stopped, broken", parser, () => {
  const all = [
    grubConfig(state(kernel)),
    grubConfig(state({ ...kernel, kernel: { x64: "a", arm64: "b" }, initrd: [] } as Profile)),
    grubConfig(state({ ...kernel, kernel: { x64: "a" }, initrd: [{ x64: "i", arm64: "j" }] } as Profile)),
    grubConfig(state({ ...kernel, initrd: [{ any: "i" }, { arm64: "j" }] } as Profile)),
    grubConfig(state(disk)),
    grubConfig(state(kernel, { installed: true })),
    grubConfig(state({ kind: "wait", poll: 45, bootProgram: "grub" })),
    grubConfig(state(kernel, { stopped: "it's booting; again & again" })),
    grubError("boot.cfg:1:2: $it 'is' \"wrong\"\n{"),
  ];
  for (const text of all) execFileSync("grub-script-check", { input: text });
});

test("the disk: its loader is looked for; a machine that waits asks again, one level deep", () => {
  assert.match(
    grubConfig(state(disk)),
    /for loader in \$disk\/EFI\/\*\/shimx64\.efi \$disk\/EFI\/BOOT\/BOOTX64\.EFI \$disk\/EFI\/\*\/grubx64\.efi; do/,
  );
  assert.match(grubConfig(state(disk)), /= arm64 \]; then\n +for loader in \$disk\/EFI\/\*\/shimaa64\.efi .*\n.*\n +root=\$disk\n/);
  assert.match(grubConfig(state({ kind: "wait", poll: 45, bootProgram: "grub" })), /sleep 45\nif \[ "\$netboot6" != again \]; then/);
  assert.doesNotMatch(grubConfig(state(kernel, { installed: true })), /linux/);
});

test("where nothing came, it waits before it asks again, and starts anew where it speaks by the firmware's HTTP", () => {
  for (const text of [grubConfig(state({ kind: "wait", poll: 45, bootProgram: "grub" })), grubError("wrong")])
    assert.match(
      text,
      /\nnetboot6_came=yes\n[\s\S]*netboot6_came=no\n +source .*\n +if \[ "\$netboot6_came" = no \]; then\n +sleep 10\n +if .* = efi \]; then reboot; fi\n/,
    );
});

test("where signed GRUBs look for it", () => {
  for (const name of ["grub/grub.cfg", "debian-installer/arm64/grub/grub.cfg"]) assert.ok(isBuiltInGrubConfig(name), name);
  assert.ok(isGrubConfig("fedora/grub.cfg") && !isBuiltInGrubConfig("fedora/grub.cfg"));
});
