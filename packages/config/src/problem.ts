import { closest, distance } from "fastest-levenshtein";

export type Path = readonly (string | number)[];
export type Severity = "error" | "warning";

/** What can be found, in the order of docs/checks.md. */
export const FINDING_IDS = [
  "unreadable-file",
  "yaml-syntax",
  "yaml-quote",
  "duplicate-key",
  "control-character",
  "unknown-key",
  "missing-key",
  "invalid-value",
  "not-supported",
  "include-matches-nothing",
  "duplicate-profile",
  "unknown-profile",
  "duplicate-network",
  "duplicate-interface",
  "prefix-overlap",
  "address-outside-prefix",
  "relayed-without-prefix",
  "relayed-without-address",
  "relays-open",
  "duplicate-link-address",
  "advertise-interval",
  "router-lifetime",
  "dns-lifetime",
  "route-lifetime",
  "prefix-lifetimes",
  "prefix-lifetime-short",
  "autonomous-needs-64",
  "no-router",
  "router-unknown",
  "router-that-does-not-forward",
  "lease-lifetimes",
  "lease-short",
  "managed-without-pool",
  "no-addresses",
  "pool-outside-prefix",
  "delegate-length",
  "delegate-overlap",
  "duplicate-machine-name",
  "duplicate-machine-mac",
  "duplicate-machine-duid",
  "duplicate-machine-uuid",
  "duplicate-machine-port",
  "duplicate-machine-address",
  "duplicate-machine-prefix",
  "address-is-ours",
  "address-in-no-network",
  "address-without-dhcp",
  "address-differs-from-slaac",
  "prefix-on-link",
  "prefix-length",
  "rule-never-matches",
  "rule-unknown-network",
  "rule-needs-service",
  "http-url-for-pxe",
  "ipxe-would-loop",
  "missing-boot-file",
  "empty-boot-file",
  "boot-program-unused",
  "unknown-name",
  "missing-var",
  "broken-template",
  "ipxe-without-ipv6",
  "bad-certificate",
  "certificate-for-another",
  "certificate-expired",
  "certificate-expires",
  "network-not-allowed",
  "dns-is-off",
  "upstream-loop",
  "upstream-silent",
  "record-hides-machine",
  "console-needs-token",
  "port-taken",
  "port-in-use",
] as const;
export type FindingId = (typeof FINDING_IDS)[number];

/** Something wrong at a place in the configuration, before file and line are known. */
export interface Finding {
  /** Stable: docs/checks.md explains it. */
  readonly id: FindingId;
  readonly severity: Severity;
  readonly path: Path;
  /** The key itself is what is wrong, not its value. */
  readonly onKey?: boolean;
  /** Lower case, without a full stop: it follows the key. */
  readonly what: string;
  /** A sentence: what to do about it. */
  readonly mend: string;
}

export interface Problem {
  readonly id: FindingId;
  readonly severity: Severity;
  readonly file: string;
  /** From 1; 0 where the file as a whole is meant. */
  readonly line: number;
  /** From 1. */
  readonly column: number;
  /** `networks[0].advertise.interval`; "" where no key is meant. */
  readonly key: string;
  readonly what: string;
  readonly mend: string;
  /** The text of that line; "" where there is none. */
  readonly source: string;
}

/** As a compiler prints it: place, key, what, mend, id; then the line with a caret under the place. */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file;
  const parts = [place, problem.severity === "warning" ? "warning" : "", problem.key, problem.what].filter((part) => part !== "");
  const head = `${parts.join(": ")}. ${problem.mend} [${problem.id}]`;
  if (problem.source.trim() === "") return head;
  const indent = problem.source.slice(0, problem.column - 1).replace(/[^\t]/g, " ");
  return `${head}\n  ${problem.source}\n  ${indent}^`;
}

export function formatKey(path: Path): string {
  let key = "";
  for (const part of path) {
    if (typeof part === "number") key += `[${part}]`;
    else if (/^[\w-]+$/.test(part)) key += key === "" ? part : `.${part}`;
    else key += `[${JSON.stringify(part)}]`;
  }
  return key;
}

/** Words that are written for ours, and that spelling distance gets wrong (`amd64` is one letter from `arm64`). */
const SYNONYMS: Readonly<Record<string, string>> = {
  amd64: "x64",
  x86_64: "x64",
  aarch64: "arm64",
  i386: "ia32",
  iface: "interface",
  nic: "interface",
  subnet: "prefix",
  hostname: "name",
  macs: "mac",
  nameservers: "dns",
  forwarders: "upstreams",
  append: "cmdline",
};

/** The known word that was probably meant. */
function didYouMean(word: string, known: readonly string[]): string | null {
  const synonym = SYNONYMS[word.toLowerCase()];
  if (synonym !== undefined && known.includes(synonym)) return synonym;
  if (known.length === 0 || word.length > 64) return null;
  const best = closest(word.toLowerCase(), known as string[]);
  const same = known.find((each) => each.toLowerCase() === word.toLowerCase());
  return same ?? (distance(word.toLowerCase(), best) <= Math.floor((word.length + 1) / 3) ? best : null);
}

/** `Did you mean "interval"?`, else the words to choose from. */
export function suggest(word: string, known: readonly string[], otherwise: string): string {
  const meant = didYouMean(word, known);
  return meant === null ? otherwise : `Did you mean "${meant}"?`;
}

export const error = (id: FindingId, path: Path, what: string, mend: string): Finding => ({ id, severity: "error", path, what, mend });
export const warning = (id: FindingId, path: Path, what: string, mend: string): Finding => ({ id, severity: "warning", path, what, mend });

/** A finding for each item whose value an earlier item has already. */
export function repeats<T>(
  items: readonly T[],
  value: (item: T) => string | null,
  finding: (index: number, value: string, first: number) => Finding,
): Finding[] {
  const seen = new Map<string, number>();
  return items.flatMap((item, index) => {
    const key = value(item);
    if (key === null) return [];
    const first = seen.get(key);
    if (first !== undefined) return [finding(index, key, first)];
    seen.set(key, index);
    return [];
  });
}
