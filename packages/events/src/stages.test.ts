import assert from "node:assert/strict";
import { test } from "node:test";
import { isOptional, isProgram, isScript, STAGES, scriptStage } from "./stages.ts";

test("the stages, in the order of a boot", () => {
  assert.deepEqual(
    STAGES.map(({ name }) => name),
    ["firmware", "program", "ipxe", "script", "kernel", "initrd", "installer", "answers", "done"],
  );
});

test("a first program is known by its name, and so is what boot programs ask for and do without", () => {
  for (const path of ["/x/ipxe.efi", "/x/ipxe.lkrn", "/x/ipxe.pxe", "/x/undionly.kpxe", "/x/undionly.kkpxe"])
    assert.ok(isProgram(path), path);
  const optional = ["revocations_sbat.efi", "shim_certificate_12.efi", "x86_64-efi/fs.lst", "arm64-efi/http.mod", "favicon.ico"];
  for (const path of optional) assert.deepEqual([isOptional(`/${path}`), isProgram(`/${path}`)], [true, false], path);
  for (const path of ["/linux", "/x/favicon.ico", "/x/module.mod"])
    assert.deepEqual([isOptional(path), isProgram(path)], [false, false], path);
});

test("a script is iPXE's or GRUB's; autoexec.ipxe only leads to it", () => {
  for (const path of ["/boot.ipxe", "/x/autoexec.ipxe", "/grub/grub.cfg"]) assert.ok(isScript(path), path);
  assert.equal(isScript("/mygrub.cfg"), false);
  assert.deepEqual([scriptStage("/x/autoexec.ipxe"), scriptStage("/boot.ipxe")], ["ipxe", "script"]);
});
