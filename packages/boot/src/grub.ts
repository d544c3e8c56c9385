/** GRUB configurations made from profiles, at the paths that signed GRUBs have built in. */
import { basename, dirname } from "node:path";
import type { GoesInto } from "./goes-into.ts";
import type { BootState } from "./script.ts";
import { compileTemplate, TemplateError } from "./templates.ts";

const RETRY_SECONDS = 30;
const STOPPED_SECONDS = 60;

/** Where Debian's and Ubuntu's signed GRUBs look, wherever they were loaded from; others look beside themselves. */
const BUILT_IN = ["grub", "debian-installer/amd64/grub", "debian-installer/arm64/grub"];

/** Whether GRUB looks for its configuration there. `exists`: whether a folder is under boot-assets. */
export const isGrubConfig = (name: string): boolean => basename(name) === "grub.cfg";
export const isBuiltInGrubConfig = (name: string): boolean => isGrubConfig(name) && BUILT_IN.includes(dirname(name));

/** GRUB's `$grub_cpu` by the names that profiles use. */
const CPUS: Readonly<Record<string, string>> = { x64: "x86_64", ia32: "i386", arm32: "arm" };
/** The loader that a system leaves on its EFI system partition, by `$grub_cpu`. */
const LOADERS = { x86_64: "x64", arm64: "aa64" } as const;

/** The whole `grub.cfg` of a machine, where none stands under boot-assets. Throws TemplateError. */
export const grubConfig = (state: BootState): string => lines([...grubCommands(state), ...again]);

/** The GRUB commands that boot the machine's profile; they come through where it waits or fails. Throws TemplateError. */
export function grubCommands(state: BootState): string[] {
  const { values, profileName, profile, installed, stopped } = state;
  const name = values.machine.name === "" ? "a machine nobody knows" : values.machine.name;
  const head = [say(`${name}, profile ${profileName}${installed ? ", installed" : ""}`), came];
  if (stopped !== null)
    return [
      ...head,
      say(`stopped: ${stopped}.`),
      say(`It goes on in a few minutes, or at once by: netboot6 machine ${values.machine.name} boot-again`),
      `sleep ${STOPPED_SECONDS}`,
    ];
  if (installed || profile.kind === "disk") return [...head, ...diskCommands()];
  if (profile.kind === "wait")
    return [...head, say(`No profile is set for it: asking again in ${profile.poll} s`), `sleep ${profile.poll}`];
  if (profile.kind === "script") throw new TemplateError(`profile ${profileName} is a script of its own`);

  const render = (text: string, key: string, into: GoesInto = "URL"): string =>
    compileTemplate(text, `profiles.${profileName}.${key}`, into)(values);
  const words = kernelWords(render(profile.cmdline, "cmdline", "kernel arguments"))
    .map(quote)
    .join(" ");
  const load = (cpu: string): string[] => {
    const pick = (paths: Readonly<Record<string, string>>): string | undefined => paths[cpu] ?? paths.any;
    const kernel = pick(profile.kernel);
    if (kernel === undefined) return [];
    const initrds = profile.initrd.flatMap((paths, i) => {
      const path = pick(paths);
      return path === undefined ? [] : [quote(grubFile(render(path, `initrd[${i}]`)))];
    });
    return [
      `if linux ${[quote(grubFile(render(kernel, "kernel"))), words].filter((word) => word !== "").join(" ")}; then`,
      ...(initrds.length === 0 ? ["  boot"] : [`  if initrd ${initrds.join(" ")}; then`, "    boot", "  fi"]),
      "fi",
    ];
  };
  const cpus = [...new Set([profile.kernel, ...profile.initrd].flatMap((paths) => Object.keys(paths)))].filter((cpu) => cpu !== "any");
  const indented = (commands: readonly string[]): string[] => commands.map((line) => `  ${line}`);
  // GRUB takes no `then` or `else` without a command.
  const own = cpus.map((cpu) => ({ cpu, commands: load(cpu) })).filter(({ commands }) => commands.length > 0);
  const others = load("any");
  const byCpu = own.flatMap(({ cpu, commands }, i) => [
    `${i === 0 ? "if" : "elif"} [ "$grub_cpu" = ${CPUS[cpu] ?? cpu} ]; then`,
    ...indented(commands),
  ]);
  return [
    ...head,
    // A GRUB that came by TFTP and speaks HTTP loads twice as fast by it.
    `for root in ${values.http === `http://[${values.network.address}]` ? `http,${values.network.address} ` : ""}"$root"; do`,
    ...indented(own.length === 0 ? others : [...byCpu, ...(others.length > 0 ? ["else", ...indented(others)] : []), "fi"]),
    "done",
    say(`${name} could not load profile ${profileName}: trying again in ${RETRY_SECONDS} s`),
    `sleep ${RETRY_SECONDS}`,
  ];
}

/** GRUB's `exit` ends in the firmware's setup for good, whatever its status (seen under EDK2): so the disk's own loader is looked for. */
function diskCommands(): string[] {
  const cpus = Object.entries(LOADERS).flatMap(([cpu, suffix]) => {
    const loaders = [`*/shim${suffix}.efi`, `BOOT/BOOT${suffix.toUpperCase()}.EFI`, `*/grub${suffix}.efi`];
    return [
      `  if [ "$grub_cpu" = ${cpu} ]; then`,
      `    for loader in ${loaders.map((loader) => `$disk/EFI/${loader}`).join(" ")}; do`,
      "      if [ -f $loader ]; then",
      "        root=$disk",
      "        if chainloader $loader; then boot; fi",
      "      fi",
      "    done",
      "  fi",
    ];
  });
  return ["for disk in (hd*); do", ...cpus, "done", say("no loader was found on its disks"), `sleep ${RETRY_SECONDS}`];
}

const came = "netboot6_came=yes";

/**
 * Asks for its configuration again and again, one level deep: what is loaded so comes through to the loop that loaded it. `source`
 * does not tell when nothing came. GRUB 2.12 that speaks by the firmware's HTTP gets nothing more by it once an answer was late:
 * it starts anew.
 */
const again = [
  'if [ "$netboot6" != again ]; then',
  "  netboot6=again",
  "  while true; do",
  "    netboot6_came=no",
  '    source "$prefix/grub.cfg"',
  '    if [ "$netboot6_came" = no ]; then',
  "      sleep 10",
  '      if [ "$grub_netfs_type" = efi ]; then reboot; fi',
  "    fi",
  "  done",
  "fi",
];

/** A configuration that says what is wrong, for GRUB to print; it then asks again. */
export const grubError = (what: string): string => lines([say(what), `sleep ${RETRY_SECONDS}`, came, ...again]);

const lines = (all: readonly string[]): string => `${all.join("\n")}\n`;
const say = (text: string): string => `echo ${quote(`netboot6: ${text.replace(/[^\x20-\x7e]/g, " ").replaceAll("'", "`")}`)}`;

/** One word of GRUB's; what it cannot hold is an error. */
function quote(word: string): string {
  if (word.includes("'")) throw new TemplateError(`GRUB takes no ' in ${word}`);
  return `'${word}'`;
}

/** The kernel's own words: quotes hold a word together, and GRUB puts them around it again. */
function kernelWords(cmdline: string): string[] {
  return (cmdline.match(/(?:"[^"]*"|[^\s"])+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

/** A path under boot-assets is asked of where GRUB itself came from, by the same protocol; a URL of its host. */
function grubFile(path: string): string {
  const url = /^([a-z]+):\/\/(\[[^\]]+\]|[^/:]+)(?::(\d+))?(\/.*)$/.exec(path);
  if (!url) return `/${path.replace(/^\/+/, "")}`;
  const [, scheme = "", host = "", port, file = ""] = url;
  if (scheme !== "http" && scheme !== "tftp") throw new TemplateError(`GRUB does not load ${scheme} URLs: ${path}`);
  if (port !== undefined && port !== (scheme === "http" ? "80" : "69")) throw new TemplateError(`GRUB asks no other port: ${path}`);
  return `(${scheme},${host.replace(/^\[|\]$/g, "")})${file}`;
}
