/**
 * Keys of `appliance.yaml` whose feature is not there yet. They are read and checked, then refused: never ignored.
 * A feature that arrives deletes its entry.
 */
import type { Finding, Path } from "./problem.ts";

interface Entry {
  /** `*` stands for any key, `[]` for any place in a list. */
  readonly key: string;
  readonly mend: string;
}

const NOT_SUPPORTED: readonly Entry[] = [
  { key: "state.database", mend: "Delete it: leases are kept in state.dir." },
  { key: "mirrors", mend: "Delete it: the key is reserved for a cache of package mirrors." },
];

export function findNotSupported(raw: unknown): Finding[] {
  return NOT_SUPPORTED.flatMap(({ key, mend }) =>
    matches(raw, key.split("."), [])
      .filter(({ value }) => value !== undefined && value !== null)
      .map(({ path }) => ({ id: "not-supported", severity: "error" as const, path, onKey: true, what: "not supported yet", mend })),
  );
}

function matches(value: unknown, [part, ...rest]: readonly string[], path: Path): { path: Path; value: unknown }[] {
  if (part === undefined) return [{ path, value }];
  if (typeof value !== "object" || value === null || Array.isArray(value) !== (part === "[]")) return [];
  if (Array.isArray(value)) return value.flatMap((item, index) => matches(item, rest, [...path, index]));
  return Object.entries(value).flatMap(([key, item]) => (part === "*" || part === key ? matches(item, rest, [...path, key]) : []));
}
