/** Which boot program or script the DHCPv6 answer names: the first rule that matches. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ClientFacts, type Mac, sameUuid } from "@netboot6/codec";
import type { Appliance, BootProgram, BootRule } from "@netboot6/config";
import { type ClientKind, clientKind } from "./client-kind.ts";

/** A rule that is in force. */
export interface Rule extends BootRule {
  /** Built-in rules alone: for machines whose profile has this boot program. */
  readonly bootProgram?: BootProgram;
}

export interface BootAsker {
  readonly facts: Pick<ClientFacts, "userClasses" | "vendorClass" | "architectures">;
  readonly mac: Mac | null;
  readonly uuid: string | null;
  readonly network: string;
  /** Of its profile. */
  readonly bootProgram: BootProgram;
}

export interface BootChoice {
  /** Null: no rule matches. */
  readonly rule: Rule | null;
  readonly kind: ClientKind;
  readonly why: string;
}

const any = { userClass: null, vendorClass: null, arch: null, mac: null, uuid: null, network: null, params: [] };

/** The built-in rules; one that names a boot program stands only where `exists` finds its file under boot-assets. */
export function builtInRules(exists: (path: string) => boolean): Rule[] {
  const programs = Object.entries(BOOT_PROGRAM_FILES).flatMap(([bootProgram, { x64, arm64 }]) => {
    const rule = (arch: readonly number[], base: "http" | "tftp", path: string): Rule[] =>
      exists(path) ? [{ ...any, arch, url: `{{ ${base} }}/${path}`, bootProgram: bootProgram as BootProgram }] : [];
    return [...rule([16], "http", x64), ...rule([19], "http", arm64), ...rule([7, 9], "tftp", x64), ...rule([11], "tftp", arm64)];
  });
  return [{ ...any, userClass: "iPXE", url: "{{ http }}/boot.ipxe" }, ...programs];
}

/** Where the built-in rules look for boot programs, under boot-assets. shim loads the GRUB that lies beside it. */
export const BOOT_PROGRAM_FILES: Readonly<Record<BootProgram, { readonly x64: string; readonly arm64: string }>> = {
  ipxe: { x64: "ipxe/x86_64/ipxe.efi", arm64: "ipxe/arm64/ipxe.efi" },
  grub: { x64: "grub/x86_64/grubx64.efi", arm64: "grub/arm64/grubaa64.efi" },
  "shim-grub": { x64: "grub/x86_64/shimx64.efi", arm64: "grub/arm64/shimaa64.efi" },
};

/** The rules in force: the configured ones, else the built-in ones by the files that are there now. */
export function rulesInForce({ boot, http, tftp }: Appliance): readonly Rule[] {
  const root = (http ?? tftp)?.root;
  return boot.rules ?? builtInRules((path) => root !== undefined && existsSync(join(root, path)));
}

export function chooseRule(rules: readonly Rule[], asker: BootAsker): BootChoice {
  const kind = clientKind(asker.facts);
  // A client lists its architectures in its order of preference (RFC 5970 §3.3); each is tried against all rules.
  const architectures = asker.facts.architectures.length > 0 ? asker.facts.architectures : [null];
  for (const arch of architectures) {
    const index = rules.findIndex((rule) => matches(rule, asker, arch));
    if (index >= 0) return { rule: rules[index] as Rule, kind, why: `boot rule ${index + 1} (${describeRule(rules[index] as Rule)})` };
  }
  return { rule: null, kind, why: `no boot rule for ${describeAsker(asker)}` };
}

const matches = (rule: Rule, asker: BootAsker, arch: number | null): boolean => mismatch(rule, asker, arch) === null;

/** The first criterion of the rule that the asker does not meet. A UUID is met in either byte order, as a machine's entry is. */
function mismatch(rule: Rule, { facts, mac, uuid, network, bootProgram }: BootAsker, arch: number | null): keyof Rule | null {
  if (rule.userClass !== null && !facts.userClasses.includes(rule.userClass)) return "userClass";
  if (rule.vendorClass !== null && !(facts.vendorClass?.classes.some((text) => text.startsWith(rule.vendorClass as string)) ?? false))
    return "vendorClass";
  if (rule.arch !== null && (arch === null || !rule.arch.includes(arch))) return "arch";
  if (rule.mac !== null && rule.mac !== mac) return "mac";
  if (rule.uuid !== null && (uuid === null || !sameUuid(rule.uuid, uuid))) return "uuid";
  if (rule.network !== null && rule.network !== network) return "network";
  return rule.bootProgram === undefined || rule.bootProgram === bootProgram ? null : "bootProgram";
}

export interface RuleVerdict {
  /** Counted from 1, as they stand in the file. */
  readonly rule: number;
  readonly matches: string;
  readonly url: string;
  /** Null: it was chosen. */
  readonly whyNot: string | null;
}

/** Every rule, and why it is not the one that was chosen. */
export function explainRules(rules: readonly Rule[], asker: BootAsker): RuleVerdict[] {
  const chosen = chooseRule(rules, asker).rule;
  const { userClasses, vendorClass, architectures } = asker.facts;
  const has: Readonly<Record<string, string>> = {
    userClass: userClasses.join(", "),
    vendorClass: vendorClass?.classes.join(", ") ?? "",
    arch: architectures.join(", "),
    mac: asker.mac ?? "",
    uuid: asker.uuid ?? "",
    network: asker.network,
    bootProgram: asker.bootProgram,
  };
  return rules.map((rule, index) => {
    const failed = mismatch(rule, asker, architectures[0] ?? null);
    const not = failed === null ? "a rule before it matches" : `its ${failed} is ${has[failed] || "none"}`;
    return { rule: index + 1, matches: describeRule(rule), url: rule.url, whyNot: rule === chosen ? null : not };
  });
}

export function describeRule(rule: Rule): string {
  const parts = [
    rule.userClass === null ? "" : `userClass ${rule.userClass}`,
    rule.vendorClass === null ? "" : `vendorClass ${rule.vendorClass}`,
    rule.arch === null ? "" : `arch ${rule.arch.join(",")}`,
    rule.mac === null ? "" : `mac ${rule.mac}`,
    rule.uuid === null ? "" : `uuid ${rule.uuid}`,
    rule.network === null ? "" : `network ${rule.network}`,
    rule.bootProgram === undefined ? "" : `boot program ${rule.bootProgram}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "any client" : parts.join(", ");
}

function describeAsker({ facts, bootProgram }: BootAsker): string {
  const parts = [
    facts.architectures.length > 0 ? `architecture ${facts.architectures.join(",")}` : "no architecture",
    facts.userClasses.length > 0 ? `user class ${facts.userClasses.join(",")}` : "no user class",
    facts.vendorClass ? `vendor class ${facts.vendorClass.classes.join(",")}` : "no vendor class",
    ...(bootProgram === "ipxe" ? [] : [`boot program ${bootProgram}`]),
  ];
  return parts.join(", ");
}
