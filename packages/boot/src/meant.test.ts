import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { closestFile, MeantFiles } from "./meant.ts";

test("the file that was meant: other marks, another folder, a slip of the keys; else none", () => {
  const files = ["debian12/linux", "debian12/initrd.gz", "ubuntu/vmlinuz", "rescue/linux"];
  assert.equal(closestFile("debian-12/linux", files), "debian12/linux");
  assert.equal(closestFile("images/ubuntu/vmlinuz", files), "ubuntu/vmlinuz");
  assert.equal(closestFile("debian/linux", files), "debian12/linux");
  assert.equal(closestFile("debian12/inird.gz", files), "debian12/initrd.gz");
  assert.equal(closestFile("windows/boot.wim", files), null);
  assert.equal(closestFile("x", []), null);
});

test("new files are seen a little later, dot files never, and who asks without end costs no more", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "netboot6-meant-"));
  t.after(() => rmSync(root, { recursive: true }));
  const meant = new MeantFiles(root);
  assert.equal(await meant.suggest("debian-12/linux", 0), "");
  mkdirSync(join(root, "debian12"));
  writeFileSync(join(root, "debian12", "linux"), "");
  writeFileSync(join(root, ".linux"), "");
  assert.equal(await meant.suggest("debian-12/linux", 1_000), "");
  assert.equal(await meant.suggest("debian-12/linux", 6_000), ". Did you mean debian12/linux?");
  for (let i = 0; i < 100; i++) await meant.suggest(`flood/${i}`, 6_000);
  assert.equal(await meant.suggest("debian_12/linux", 6_000), "", "after as many others");
});
