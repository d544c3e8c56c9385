import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { BootFiles, type Found, readClaims } from "./files.ts";
import type { BootState } from "./script.ts";
import { WAITING } from "./test-state.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-files-"));
const root = join(dir, "boot-assets");
after(() => rmSync(dir, { recursive: true }));
mkdirSync(join(root, "ipxe"), { recursive: true });
mkdirSync(join(root, "preseed"));
mkdirSync(join(root, ".hidden"));
writeFileSync(join(dir, "secret"), "secret");
writeFileSync(join(root, ".hidden", "f"), "hidden");
writeFileSync(join(root, "ipxe", "ipxe.efi"), "MZ");
writeFileSync(join(root, "preseed", "a.cfg"), "host {{ machine.name }}\n");
writeFileSync(join(root, "preseed", "bad.cfg"), "x\n{{ nothing }}\n");
writeFileSync(join(root, "own.ipxe"), "#!ipxe\necho {{ machine.name }}\n");
symlinkSync(join(dir, "secret"), join(root, "out"));
symlinkSync(join(root, "ipxe", "ipxe.efi"), join(root, "in.efi"));
symlinkSync("preseed", join(root, "answers"));
writeFileSync(join(root, "plain"), "host {{ machine.name }}\n");
symlinkSync("../plain", join(root, "preseed", "plain.cfg"));
writeFileSync(join(root, "ipxe", ".treeinfo"), "[general]\n");
mkdirSync(`${root}-old`);
writeFileSync(join(`${root}-old`, "f"), "secret");
symlinkSync(`${root}-old`, join(root, "old"));
execFileSync("sh", ["-c", 'mkfifo "$0"', join(root, "pipe")]);

const state: BootState = { ...WAITING, profileName: "wait", why: "" };
let answer: BootState = state;
const files = new BootFiles({ root, templates: ["**/*.ipxe", "grub/*.cfg", "preseed/*.cfg"] }, async () => answer);
const find = async (path: string): Promise<Found> => files.find(path, "2001:db8::5");
const text = async (path: string): Promise<string> => {
  const found = await find(path);
  assert.ok(found.kind === "text", JSON.stringify(found));
  return found.body.toString();
};
/** What was seen on disk is no longer taken as it was. */
const looksAgain = (): Promise<void> => sleep(150);

test("files as they are, rendered files, and double slashes taken as one", async () => {
  assert.equal((await find("/ipxe/ipxe.efi")).kind, "file");
  assert.equal((await find("ipxe//ipxe.efi")).kind, "file");
  assert.equal((await find("/in.efi")).kind, "file", "a symlink that stays inside");
  assert.equal((await find("/ipxe/.treeinfo")).kind, "file", "what installers of the RHEL family look for");
  for (const folder of ["/ipxe", "/"]) assert.equal((await find(folder)).kind, "directory", folder);
  assert.equal(await text("/preseed/a.cfg"), "host node-01\n");
  assert.equal(await text("/answers/a.cfg"), "host node-01\n", "by a symlink, too");
  assert.equal(await text("/preseed/plain.cfg"), "host node-01\n", "and where the symlink alone is called so");
});

test("nothing outside of the root, no dot files, no NUL: missing", async () => {
  for (const path of [
    "/../secret",
    "/ipxe/../../secret",
    "/out",
    "/.hidden/f",
    "/ipxe/./ipxe.efi",
    "/ipxe\\ipxe.efi",
    "/ipxe/ipxe.efi\0",
    "/nothing",
    "/..",
    "/ipxe/ipxe.efi/x",
    "/old/f", // beside the root, by a name that begins like it
    "/pipe",
  ])
    assert.equal((await find(path)).kind, "missing", path);
});

test("a template that is wrong is never half served: it says where", async () => {
  const found = await find("/preseed/bad.cfg");
  assert.ok(found.kind === "broken");
  assert.match(found.body.toString(), /^preseed\/bad\.cfg:2:\d+: /);
});

test("boot.ipxe is made where there is none, or rendered with {{ script }}; a profile's own script takes its place", async (t) => {
  assert.match(await text("/boot.ipxe"), /^#!ipxe\n.*wait/);
  writeFileSync(join(root, "boot.ipxe"), "#!ipxe\necho mine\n{{ script }}\n");
  await looksAgain();
  t.after(() => {
    answer = state;
  });
  assert.match(await text("/boot.ipxe"), /^#!ipxe\necho mine\necho netboot6: node-01, profile wait\n/);
  answer = { ...state, profile: { kind: "script", script: "own.ipxe", once: true, bootProgram: "ipxe" } };
  assert.equal(await text("/boot.ipxe"), "#!ipxe\necho node-01\n");
  answer = { ...state, profile: { kind: "script", script: "scripts/Own.ipxe", once: true, bootProgram: "ipxe" } };
  const broken = await find("/boot.ipxe");
  const why = "no such file under boot-assets: scripts/Own.ipxe, the script of profile wait";
  assert.ok(broken.kind === "broken" && broken.body.toString().startsWith(`#!ipxe\necho netboot6: ${why}`));
  assert.equal(broken.why, why);
  answer = { ...state, profile: { kind: "script", script: "scripts/own.ipxe", once: true, bootProgram: "ipxe" } };
  const near = await find("/boot.ipxe");
  assert.equal(near.kind === "broken" && near.why, `${why.replace("Own", "own")}. Did you mean own.ipxe?`);
  const own = { kind: "script", script: "own.ipxe", once: true, bootProgram: "ipxe" } as const;
  answer = { ...state, profile: own, installed: true };
  assert.match(await text("/boot.ipxe"), /^#!ipxe\necho mine\necho netboot6: .*, installed\n/);
  answer = { ...state, profile: own, stopped: "it began 3 boots" };
  assert.match(await text("/boot.ipxe"), /\necho netboot6: stopped: it began 3 boots\.\n/);
  writeFileSync(join(root, "ipxe", "boot.ipxe"), "#!ipxe\necho another\n");
  answer = { ...state, profile: own };
  assert.equal(await text("/ipxe/boot.ipxe"), "#!ipxe\necho another\n", "of another folder, it is a file like others");
  writeFileSync(join(root, "unmarked"), "\n#!ipxe\necho {{ machine.name }}\n");
  answer = { ...state, profile: { kind: "script", script: "unmarked", once: true, bootProgram: "ipxe" } };
  const unmarked = await find("/boot.ipxe");
  assert.ok(
    unmarked.kind === "broken" && unmarked.body.toString().startsWith("#!ipxe\necho netboot6: unmarked:1:1: it does not begin with"),
  );
});

test("autoexec.ipxe is made in every folder that is there, and nowhere else; one's own takes its place, rendered", async () => {
  for (const path of ["/ipxe/autoexec.ipxe", "/autoexec.ipxe", "/preseed/autoexec.ipxe"])
    assert.match(await text(path), /^#!ipxe\nifconf/, path);
  assert.equal((await find("/nowhere/autoexec.ipxe")).kind, "missing");
  writeFileSync(join(root, "ipxe", "autoexec.ipxe"), "#!ipxe\nchain {{ http }}/mine.ipxe\n");
  await looksAgain();
  assert.equal(await text("/ipxe/autoexec.ipxe"), "#!ipxe\nchain http://[::1]/mine.ipxe\n", "one's own is rendered");
});

test("grub.cfg is made where signed GRUBs look, and beside a GRUB; a profile's own takes its place where GRUB is its boot program", async (t) => {
  t.after(() => {
    answer = state;
  });
  assert.match(await text("/grub/grub.cfg"), /^echo 'netboot6: node-01, profile wait'\n/);
  assert.match(await text("//debian-installer/amd64//grub/grub.cfg"), /^echo /);
  assert.match(await text("/ipxe/grub.cfg"), /^echo /);
  assert.equal((await find("/nowhere/grub.cfg")).kind, "missing");
  writeFileSync(join(root, "own.cfg"), "echo {{ machine.name }}\n");
  answer = { ...state, profile: { kind: "script", script: "own.cfg", once: true, bootProgram: "grub" } };
  assert.equal(await text("/grub/grub.cfg"), "echo node-01\n");
  answer = { ...answer, values: { ...state.values, machine: { ...state.values.machine, name: "x;reboot" } } };
  for (const path of ["/grub/grub.cfg", "/ipxe/grub.cfg"]) assert.match(JSON.stringify(await find(path)), /GRUB takes for its own/, path);
  answer = { ...answer, values: state.values };
  const broken = await find("/boot.ipxe");
  assert.ok(broken.kind === "broken" && /a script for grub/.test(broken.why));
  writeFileSync(join(root, "own.cfg"), "echo\n echo {{ machine.nmae }}\n");
  const wrong = await find("/grub/grub.cfg");
  assert.ok(wrong.kind === "broken" && wrong.script);
  assert.match(wrong.body.toString(), /^echo 'netboot6: own\.cfg:2:\d+: .*nmae'\nsleep 30\n/);
  mkdirSync(join(root, "grub"));
  writeFileSync(join(root, "grub", "grub.cfg"), "echo mine\n{{ script }}\n");
  await looksAgain();
  answer = state;
  assert.match(await text("/grub/grub.cfg"), /^echo mine\necho 'netboot6: node-01, profile wait'\n/);
});

test("claims of a query are read only where they are well formed", () => {
  assert.deepEqual(readClaims(new URLSearchParams("mac=52%3A54%3A00%3A0B%3A00%3A01&uuid=11223344-5566-7788-99AA-bbccddeeff00")), {
    mac: "52:54:00:0b:00:01",
    uuid: "11223344-5566-7788-99aa-bbccddeeff00",
  });
  assert.deepEqual(readClaims(new URLSearchParams("mac=x&uuid=y")), {});
});
