/** Which boot program or script the DHCPv6 answer names: the first rule that matches. */
import type { ClientFacts, Mac } from "@netboot6/codec";
import type { BootRule } from "@netboot6/config";
import { type ClientKind, clientKind } from "./client-kind.ts";

export interface BootAsker {
  readonly facts: Pick<ClientFacts, "userClasses" | "vendorClass" | "architectures">;
  readonly mac: Mac | null;
  readonly uuid: string | null;
  readonly network: string;
}

export interface BootChoice {
  /** Null: no rule matches. */
  readonly rule: BootRule | null;
  readonly kind: ClientKind;
  readonly why: string;
}

const any = { userClass: null, vendorClass: null, arch: null, mac: null, uuid: null, network: null, params: [] };

/** The built-in rules; one that names a boot program stands only where `exists` finds its file under boot-assets. */
export function builtInRules(exists: (path: string) => boolean): BootRule[] {
  const program = (arch: readonly number[], base: "http" | "tftp", path: string): BootRule[] =>
    exists(path) ? [{ ...any, arch, url: `{{ ${base} }}/${path}` }] : [];
  return [
    { ...any, userClass: "iPXE", url: "{{ http }}/boot.ipxe" },
    ...program([16], "http", "ipxe/x86_64/ipxe.efi"),
    ...program([19], "http", "ipxe/arm64/ipxe.efi"),
    ...program([7, 9], "tftp", "ipxe/x86_64/ipxe.efi"),
    ...program([11], "tftp", "ipxe/arm64/ipxe.efi"),
  ];
}

export function chooseRule(rules: readonly BootRule[], asker: BootAsker): BootChoice {
  const kind = clientKind(asker.facts);
  // A client lists its architectures in its order of preference (RFC 5970 §3.3); each is tried against all rules.
  const architectures = asker.facts.architectures.length > 0 ? asker.facts.architectures : [null];
  for (const arch of architectures) {
    const index = rules.findIndex((rule) => matches(rule, asker, arch));
    if (index >= 0)
      return { rule: rules[index] as BootRule, kind, why: `boot rule ${index + 1} (${describeRule(rules[index] as BootRule)})` };
  }
  return { rule: null, kind, why: `no boot rule for ${describeAsker(asker)}` };
}

function matches(rule: BootRule, asker: BootAsker, arch: number | null): boolean {
  return (
    (rule.userClass === null || asker.facts.userClasses.includes(rule.userClass)) &&
    (rule.vendorClass === null ||
      (asker.facts.vendorClass?.classes.some((text) => text.startsWith(rule.vendorClass as string)) ?? false)) &&
    (rule.arch === null || (arch !== null && rule.arch.includes(arch))) &&
    (rule.mac === null || rule.mac === asker.mac) &&
    (rule.uuid === null || rule.uuid === asker.uuid) &&
    (rule.network === null || rule.network === asker.network)
  );
}

export function describeRule(rule: BootRule): string {
  const parts = [
    rule.userClass === null ? "" : `userClass ${rule.userClass}`,
    rule.vendorClass === null ? "" : `vendorClass ${rule.vendorClass}`,
    rule.arch === null ? "" : `arch ${rule.arch.join(",")}`,
    rule.mac === null ? "" : `mac ${rule.mac}`,
    rule.uuid === null ? "" : `uuid ${rule.uuid}`,
    rule.network === null ? "" : `network ${rule.network}`,
  ].filter((part) => part !== "");
  return parts.length === 0 ? "any client" : parts.join(", ");
}

function describeAsker({ facts }: BootAsker): string {
  const parts = [
    facts.architectures.length > 0 ? `architecture ${facts.architectures.join(",")}` : "no architecture",
    facts.userClasses.length > 0 ? `user class ${facts.userClasses.join(",")}` : "no user class",
    facts.vendorClass ? `vendor class ${facts.vendorClass.classes.join(",")}` : "no vendor class",
  ];
  return parts.join(", ");
}
