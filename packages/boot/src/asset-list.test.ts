import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { loadAppliance } from "@netboot6/config";
import { addFile } from "./archive.ts";
import { alteredFiles, listFiles } from "./asset-list.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-list-"));
after(() => rmSync(dir, { recursive: true }));

const CONFIGURATION = `
networks: [{ interface: eth1 }]
profiles:
  os: { kernel: os/linux, initrd: [os/other], cmdline: "answers={{ http }}/os/other" }
  own: { script: os/other }
`;

test("each file with where it came from and who uses it; what was brought and is altered or gone is found by its checksum", async () => {
  const root = join(dir, "boot-assets");
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  writeFileSync(join(root, "ipxe/x86_64/ipxe.efi"), "MZ");
  symlinkSync("ipxe", join(root, "current"));
  for (const half of [".incoming", ".incoming-1"]) {
    mkdirSync(join(root, half));
    writeFileSync(join(root, half, "half"), "");
  }
  writeFileSync(join(dir, "linux"), "kernel");
  writeFileSync(join(dir, "appliance.yaml"), CONFIGURATION);
  const loaded = await loadAppliance(join(dir, "appliance.yaml"));
  assert.ok("appliance" in loaded);
  for (const to of ["os/linux", "os/other"]) await addFile({ from: join(dir, "linux"), sha256: null, to, extract: null }, root);

  const list = async () => await listFiles(root, loaded.appliance);
  assert.deepEqual(
    (await list()).map(({ path, size, source, usedBy }) => [path, size, source, ...usedBy]),
    [
      ["ipxe/x86_64/ipxe.efi", 2, null, "boot rule 2", "boot rule 3"],
      ["os/linux", 6, join(dir, "linux"), "profile os: kernel"],
      ["os/other", 6, join(dir, "linux"), "profile os: initrd", "profile os: cmdline", "profile own: script"],
    ],
  );
  assert.deepEqual(await alteredFiles(root, await list()), []);
  writeFileSync(join(root, "os/linux"), "kernal");
  rmSync(join(root, "os/other"));
  assert.deepEqual(
    (await alteredFiles(root, await list())).map(({ path, what }) => [path, what]),
    [
      ["os/linux", "altered"],
      ["os/other", "missing"],
    ],
  );
});
