import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadAppliance } from "@netboot6/config";
import { checkBootFiles } from "./check.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-check-"));
after(() => rmSync(dir, { recursive: true }));
const file = join(dir, "appliance.yaml");

async function problems(configuration: string): Promise<string[]> {
  writeFileSync(file, `networks:\n  - interface: eth1\n${configuration}`);
  const loaded = await loadAppliance(file);
  assert.ok("appliance" in loaded, JSON.stringify(loaded));
  return checkBootFiles(loaded.appliance)
    .map(loaded.locate)
    .map(({ line, key, what, mend }) => `${line} ${key}: ${what}. ${mend}`);
}

test("a folder that is not there, then files that are not, each with the line and the command that brings them", async () => {
  assert.match((await problems(""))[0] ?? "", /http\.root: there is no folder .*boot-assets/);
  mkdirSync(join(dir, "boot-assets/ipxe/x86_64"), { recursive: true });
  assert.match((await problems(""))[0] ?? "", /given no boot program\. Run: netboot6 assets add ipxe/);
  writeFileSync(join(dir, "boot-assets/ipxe/x86_64/ipxe.efi"), "");
  assert.deepEqual(await problems(""), []);
  const found = await problems("profiles:\n  d:\n    kernel: debian-12/linux\n    initrd: [http://elsewhere/i.gz, own/i.gz]\n");
  assert.equal(found.length, 2);
  assert.match(found[0] ?? "", /^5 profiles\.d\.kernel: no file debian-12\/linux under .*Put it there: netboot6 assets add debian-12\./);
  assert.match(found[1] ?? "", /^6 profiles\.d\.initrd: no file own\/i\.gz/);
});

test("names that no template knows are found before a machine asks", async () => {
  const found = await problems(
    'profiles:\n  d:\n    kernel: http://elsewhere/linux\n    cmdline: "a={{ machine.vars.any }} b={{ doman }}"\n',
  );
  assert.deepEqual(found.length, 1);
  assert.match(found[0] ?? "", /^6 profiles\.d\.cmdline: \{\{ doman \}\} is no name that templates know/);
});
