/** iPXE scripts made from profiles: `/boot.ipxe`, and the `autoexec.ipxe` that iPXE asks for beside itself. */
import type { Profile } from "@netboot6/config";
import type { GoesInto } from "./goes-into.ts";
import { compileTemplate, TemplateError, type TemplateValues } from "./templates.ts";

/** What main tells of who asks: see the question `machine`. */
export interface BootState {
  readonly values: TemplateValues;
  /** The machine's id; null for an asker nobody knows. */
  readonly machine: string | null;
  readonly network: string;
  readonly profileName: string;
  readonly profile: Profile;
  /** True where it reported done and its profile is to be installed once. */
  readonly installed: boolean;
  /** Why it is stopped for now: it boots again and again; null where it is not. */
  readonly stopped: string | null;
  /** How the machine and its profile were found. */
  readonly why: string;
}

/** What the event of a rendered file tells of it. */
export const renderedFor = ({ machine, network, profileName, profile, installed, stopped, why }: BootState) => ({
  profile: profileName,
  profileKind: installed ? ("disk" as const) : profile.kind,
  why,
  network,
  ...(stopped === null ? {} : { stopped }),
  ...(machine === null ? {} : { machine }),
});

const RETRY_SECONDS = 30;
const STOPPED_SECONDS = 60;

/** iPXE's `${buildarch}` by the names that profiles use. */
const BUILD_ARCHITECTURES: Readonly<Record<string, string>> = { x64: "x86_64", ia32: "i386", loongarch64: "loong64" };

/** The whole `/boot.ipxe` of a machine, where none stands under boot-assets. Throws TemplateError. */
export const bootScript = (state: BootState): string => `#!ipxe\n${profileCommands(state)}`;

/** The iPXE commands that boot the machine's profile. Throws TemplateError. A profile of kind `script` is a file: the caller renders it. */
export function profileCommands(state: BootState): string {
  const { values, profileName, profile, installed, stopped } = state;
  const name = values.machine.name === "" ? "a machine nobody knows" : values.machine.name;
  const head = [`echo netboot6: ${name}, profile ${profileName}${installed ? ", installed" : ""}`];
  if (stopped !== null)
    return lines([
      ...head,
      `echo netboot6: stopped: ${printable(stopped)}.`,
      `echo It goes on in a few minutes, or at once by: netboot6 machine ${values.machine.name} boot-again`,
      `sleep ${STOPPED_SECONDS}`,
      again(values),
    ]);
  if (installed || profile.kind === "disk") return lines([...head, ...diskCommands]);
  if (profile.kind === "wait")
    return lines([...head, `echo No profile is set for it: asking again in ${profile.poll} s`, `sleep ${profile.poll}`, again(values)]);
  if (profile.kind === "script") throw new TemplateError(`profile ${profileName} is a script of its own`);

  const render = (text: string, key: string, into: GoesInto = "URL"): string =>
    compileTemplate(text, `profiles.${profileName}.${key}`, into)(values);
  const url = (path: string): string => (/^[a-z]+:\/\//.test(path) ? path : `${required(values.http)}/${path.replace(/^\/+/, "")}`);
  const cmdline = render(profile.cmdline, "cmdline", "kernel arguments");
  /** A kernel under UEFI looks for each that is named, and may not start without it. */
  const initrdArguments = (arch: string): string[] =>
    profile.initrd.flatMap((paths, i) =>
      arch === "any" || paths.any !== undefined || paths[arch] !== undefined ? `initrd=initrd${i}` : [],
    );
  type Command = (path: string, arch: string) => string;
  const byArchitecture = (paths: Readonly<Record<string, string>>, key: string, command: Command): string[] => {
    const { any, ...others } = paths;
    if (any !== undefined) return [`${command(url(render(any, key)), "any")} || goto failed`];
    return Object.entries(others).map(
      ([arch, path]) =>
        `iseq \${buildarch} ${BUILD_ARCHITECTURES[arch] ?? arch} && ${command(url(render(path, key)), arch)} || iseq \${buildarch} ${BUILD_ARCHITECTURES[arch] ?? arch} && goto failed ||`,
    );
  };
  return lines([
    ...head,
    ...byArchitecture(profile.kernel, "kernel", (path, arch) =>
      ["kernel", path, ...initrdArguments(arch), cmdline].filter((word) => word !== "").join(" "),
    ),
    ...profile.initrd.flatMap((paths, i) => byArchitecture(paths, `initrd[${i}]`, (path) => `initrd --name initrd${i} ${path}`)),
    "boot || goto failed",
    ":failed",
    `echo netboot6: ${name} could not load profile ${profileName}: trying again in ${RETRY_SECONDS} s`,
    `sleep ${RETRY_SECONDS}`,
    again(values),
  ]);
}

/** UEFI: `exit 1` hands on to the next boot option (a plain `exit` ends in the firmware's setup); BIOS: the first disk. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: iPXE's variable
const diskCommands = ["iseq ${platform} efi && exit 1 ||", "sanboot --no-describe --drive 0x80 || exit 1"];

/**
 * What iPXE runs before all else when it finds it beside itself: IPv6 is configured at once, without the 15 s that its
 * autoboot waits for DHCPv4.
 */
export function autoexecScript(values: TemplateValues): string {
  return lines([
    "#!ipxe",
    "ifconf --configurator ipv6 || goto failed",
    // What fails in the script is not to be tried once more by autoboot: `exit 1` in it means the disk.
    `imgfetch --name script ${required(values.http)}/boot.ipxe || goto failed`,
    "imgexec --replace script || exit 1",
    ":failed",
    "autoboot",
  ]);
}

/** A script that says what is wrong, for iPXE to print. */
export function errorScript(what: string): string {
  return lines(["#!ipxe", `echo netboot6: ${printable(what)}`, `sleep ${RETRY_SECONDS}`, "exit 1"]);
}

const printable = (text: string): string => text.replace(/[^\x20-\x7e]/g, " ").replaceAll("${", "$ {");
const again = (values: TemplateValues): string => `chain --replace ${required(values.http)}/boot.ipxe`;
const lines = (all: readonly string[]): string => `${all.join("\n")}\n`;

function required(http: string | null): string {
  if (http === null) throw new TemplateError("http is off: there is nothing to load from");
  return http;
}
