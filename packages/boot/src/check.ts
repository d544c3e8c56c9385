/** What the configuration names and boot-assets does not have; templates that cannot be rendered. */
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { join, matchesGlob } from "node:path";
import type { Appliance, BootProgram, Finding, FindingId } from "@netboot6/config";
import { assetOf } from "./catalogue.ts";
import { type Certificate, inspectCertificate, readCertificate } from "./certificate.ts";
import { isBootScript } from "./files.ts";
import { isIpxeScript, NO_IPXE_SCRIPT } from "./goes-into.ts";
import { BOOT_PROGRAM_FILES } from "./rules.ts";
import { namedVars, unknownNames } from "./templates.ts";
import { pathsInCmdline } from "./uses.ts";

/** Made for the machine that asks, where no file is there. */
const isMade = (path: string): boolean => isBootScript(path) || path.endsWith("autoexec.ipxe");
/** A URL, or a path that is known only once it is rendered. */
const isElsewhere = (path: string): boolean => /^[a-z]+:\/\//.test(path) || path.includes("{{");

type Add = (path: Finding["path"], what: string, mend: string, id?: FindingId) => void;

const EXPIRES_SOON_MS = 14 * 24 * 3600_000;

export function checkBootFiles(appliance: Appliance, now = Date.now()): Finding[] {
  const { profiles, boot } = appliance;
  const files = appliance.http ?? appliance.tftp;
  if (!files) return [];
  const findings: Finding[] = checkCertificate(appliance, now);
  const add: Add = (path, what, mend, id = "missing-boot-file") => {
    findings.push({ id, severity: "warning", path, what, mend });
  };
  /** Tells of a file that is not there, or has nothing in it. */
  const isThere = (at: Finding["path"], path: string, hint = assetHint(path)): boolean => {
    if (isElsewhere(path)) return true;
    const stat = statSync(join(files.root, path), { throwIfNoEntry: false });
    if (!stat) add(at, `no file ${path} under ${files.root}`, `Put it there${hint}.`);
    else if (stat.isFile() && stat.size === 0) addEmpty(at, path, add, hint);
    else return true;
    return false;
  };
  if (!existsSync(files.root)) {
    add(["http", "root"], `there is no folder ${files.root}`, "Create it, or name the one that has your boot files.");
    return findings;
  }

  for (const [name, profile] of Object.entries(profiles)) {
    const at = ["profiles", name];
    if (profile.kind === "kernel") {
      const paths = [
        ...Object.values(profile.kernel).map((path) => ["kernel", path] as const),
        ...profile.initrd.flatMap((each) => Object.values(each).map((path) => ["initrd", path] as const)),
      ];
      for (const [key, path] of paths) isThere([...at, key], path);
      // An answers file may be empty on purpose, as cloud-init's meta-data is.
      for (const path of pathsInCmdline(profile.cmdline))
        if (!isElsewhere(path) && !isMade(path) && !existsSync(join(files.root, path)))
          add([...at, "cmdline"], `no file ${path} under ${files.root}`, "Put it there, or correct the URL.");
      checkTemplate([...at, "cmdline"], profile.cmdline, add);
      checkVars(appliance, name, profile.cmdline, add);
    } else if (profile.kind === "script") {
      if (isThere([...at, "script"], profile.script, "") && !files.templates.some((pattern) => matchesGlob(profile.script, pattern)))
        checkTemplateFile(join(files.root, profile.script), profile.script, [...at, "script"], add, profile.bootProgram === "ipxe");
    }
  }
  if (boot.rules === null) {
    const programs = new Set<BootProgram>(Object.values(profiles).map(({ bootProgram }) => bootProgram));
    for (const program of programs.size === 0 ? ["ipxe" as const] : programs) {
      const { x64, arm64 } = BOOT_PROGRAM_FILES[program];
      for (const file of [x64, arm64]) checkIpxe(["boot"], files.root, file, add);
      if (!existsSync(join(files.root, x64)) && !existsSync(join(files.root, arm64)))
        add(
          ["boot"],
          `no file ${x64} under ${files.root}: UEFI machines${program === "ipxe" ? "" : ` of bootProgram ${program}`} are given no boot program`,
          `Run: netboot6 assets add ${assetOf(x64)}.`,
        );
    }
  } else
    for (const [name, { bootProgram }] of Object.entries(profiles))
      if (bootProgram !== "ipxe")
        add(
          ["profiles", name, "bootProgram"],
          "boot.rules take the place of the built-in rules, which alone look at it",
          "Delete it, or boot.rules.",
          "boot-program-unused",
        );
  for (const [index, rule] of (boot.rules ?? []).entries()) {
    checkTemplate(["boot", "rules", index, "url"], rule.url, add);
    const path = /^\{\{-?\s*(?:https?|tftp)\s*-?\}\}\/+([^?{]+)$/.exec(rule.url)?.[1];
    if (path === undefined || isMade(path)) continue;
    const at = ["boot", "rules", index, "url"];
    if (isThere(at, path)) checkIpxe(at, files.root, path, add);
  }
  for (const pattern of files.templates)
    for (const name of globSync(pattern, { cwd: files.root })) checkTemplateFile(join(files.root, name), name, ["http", "templates"], add);
  return findings;
}

const NAMED_MACHINES = 3;

/** The machines of a profile without a value that its command line names: they would be given an error in place of a script. */
function checkVars({ machines, networks, defaultProfile }: Appliance, profile: string, cmdline: string, add: Add): void {
  const usual = networks.every((network) => network.defaultProfile === null) ? defaultProfile : null;
  const its = machines.filter((machine) => (machine.profile ?? usual) === profile);
  for (const each of namedVars(cmdline)) {
    const lacking = its.filter(({ vars }) => !Object.hasOwn(vars, each)).map(({ name, macs }) => name ?? macs[0] ?? "a machine");
    const more = lacking.length - NAMED_MACHINES;
    if (lacking.length > 0)
      add(
        ["profiles", profile, "cmdline"],
        `{{ machine.vars.${each} }} is named, and not among the vars of ${lacking.slice(0, NAMED_MACHINES).join(", ")}${more > 0 ? ` and ${more} more` : ""}`,
        "Give it to them: without it they boot nothing.",
        "missing-var",
      );
  }
}

/** A file that is rendered: what its machines would be told, told before they ask. */
function checkTemplateFile(file: string, name: string, at: Finding["path"], add: Add, isScript = name.endsWith(".ipxe")): void {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return; // a folder, or gone
  }
  // What begins with a tag of the template's begins with what that makes.
  if (isScript && !text.startsWith("{") && !isIpxeScript(text))
    add(at, `${name}:1:1: ${NO_IPXE_SCRIPT}`, "Put #!ipxe into its first line.", "broken-template");
  try {
    for (const unknown of unknownNames(text, name)) {
      const before = text.slice(0, text.indexOf(unknown));
      const line = before.split("\n").length;
      const column = before.length - before.lastIndexOf("\n");
      add(at, `${name}:${line}:${column}: {{ ${unknown} }} is no name that templates know`, TEMPLATE_NAMES, "unknown-name");
    }
  } catch (error) {
    add(at, (error as Error).message, "Mend the template.", "broken-template");
  }
}

const TEMPLATE_NAMES = "boot-assets/README.md has the list.";

/** A download that failed leaves such a file. */
const addEmpty = (at: Finding["path"], path: string, add: Add, hint = assetHint(path)): void =>
  add(at, `${path} is empty`, `Put it there whole${hint}.`, "empty-boot-file");

/** An EFI iPXE carries the names of its protocols as they are; BIOS ones are compressed and tell nothing. */
function checkIpxe(path: Finding["path"], root: string, name: string, add: Add): void {
  if (!name.endsWith(".efi")) return;
  let program: Buffer;
  try {
    program = readFileSync(join(root, name));
  } catch {
    return; // told as missing
  }
  if (program.length === 0) addEmpty(path, name, add);
  if (program.includes("iPXE") && !program.includes("ICMPv6"))
    add(path, `${name} is an iPXE without IPv6: it will hear nothing`, `Take another build${assetHint(name)}.`, "ipxe-without-ipv6");
}

function checkCertificate({ http, networks }: Appliance, now: number): Finding[] {
  const tls = http?.tls;
  if (!tls) return [];
  const at = ["http", "tls"];
  let certificate: Certificate;
  try {
    certificate = readCertificate(tls);
  } catch (error) {
    return [
      { id: "bad-certificate", severity: "error", path: at, what: (error as Error).message, mend: "Give the files that belong together." },
    ];
  }
  const findings: Finding[] = [];
  const warn = (id: FindingId, what: string, mend: string): void => void findings.push({ id, severity: "warning", path: at, what, mend });
  for (const name of tls.name === null ? networks.flatMap(({ address }) => address ?? []) : [tls.name]) {
    const { validUntil, isFor } = inspectCertificate(certificate, name);
    const day = new Date(validUntil).toISOString().slice(0, 10);
    if (!isFor)
      warn("certificate-for-another", `${tls.cert} is not for ${name}`, "Firmware refuses it: give one for that name, or set name.");
    if (validUntil < now) warn("certificate-expired", `${tls.cert} was valid until ${day}`, "Renew it: firmware refuses it.");
    else if (validUntil < now + EXPIRES_SOON_MS) warn("certificate-expires", `${tls.cert} is valid until ${day}`, "Renew it.");
  }
  return findings;
}

function checkTemplate(path: Finding["path"], text: string, add: Add): void {
  try {
    const unknown = unknownNames(text, "the template");
    if (unknown.length > 0) add(path, `{{ ${unknown[0]} }} is no name that templates know`, TEMPLATE_NAMES, "unknown-name");
  } catch (error) {
    add(path, (error as Error).message, "Mend the template.", "broken-template");
  }
}

function assetHint(path: string): string {
  const name = assetOf(path);
  return name === undefined ? "" : `: netboot6 assets add ${name}`;
}
