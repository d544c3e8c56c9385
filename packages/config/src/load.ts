import { glob, readFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, isAbsolute, join, resolve } from "node:path";
import type { z } from "zod";
import type { Appliance, MachineConfig, Profile } from "./appliance.ts";
import { checkAppliance } from "./checks.ts";
import { explain } from "./explain.ts";
import { findNotSupported } from "./not-supported.ts";
import { type Finding, formatKey, type Problem } from "./problem.ts";
import { applianceSchema, httpDefaults, includedSchema } from "./schema.ts";
import { readSource, type Source } from "./source.ts";

export type Loaded =
  | {
      readonly appliance: Appliance;
      readonly warnings: readonly Problem[];
      /** Gives a finding about the appliance its file, line and column. */
      readonly locate: (finding: Finding) => Problem;
    }
  | { readonly problems: readonly Problem[] };

/** Reads `appliance.yaml` and the files it includes. Never throws on what they contain. */
export async function loadAppliance(file: string): Promise<Loaded> {
  const main = await openSource(file);
  if ("problem" in main) return { problems: [main.problem] };
  const patterns = (main.source.raw as { include?: unknown } | null)?.include;
  const files = new Set<string>();
  const problems: Problem[] = [];
  for (const [index, pattern] of (Array.isArray(patterns) ? patterns : []).entries()) {
    if (typeof pattern !== "string") continue;
    const found = await Array.fromAsync(glob(pattern, { cwd: dirname(resolve(file)) }));
    for (const name of found)
      if (resolve(dirname(file), name) !== resolve(file)) files.add(isAbsolute(name) ? name : join(dirname(file), name));
    if (found.length === 0) problems.push(main.source.locate(matchesNothing(index, pattern)));
  }
  const opened = await Promise.all([...files].sort().map(openSource));
  problems.push(...opened.flatMap((each) => ("problem" in each ? [each.problem] : [])));
  const included = opened.flatMap((each) => ("source" in each ? [each.source] : []));
  return assemble(main.source, included, problems);
}

const matchesNothing = (index: number, pattern: string): Finding => ({
  id: "include-matches-nothing",
  severity: "warning",
  path: ["include", index],
  what: `no file matches ${pattern}`,
  mend: "Create one, or delete the pattern.",
});

async function openSource(file: string): Promise<{ source: Source } | { problem: Problem }> {
  try {
    return { source: readSource(file, await readFile(file, "utf8")) };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const what = code === "ENOENT" ? "no such file" : `cannot be read: ${code ?? message}`;
    const mend = code === "ENOENT" ? "Two lines are enough: `networks:` and `- interface: eth1`." : "Give a file that this user may read.";
    return {
      problem: { id: "unreadable-file", severity: "error", file, line: 0, column: 0, key: "", what, mend, source: "" },
    };
  }
}

/** From files as read to the picture, or what is wrong with them. */
export function assemble(main: Source, included: readonly Source[], earlier: readonly Problem[] = []): Loaded {
  const sources = [main, ...included];
  const problems = [...earlier, ...sources.flatMap((source) => source.problems)];
  const whole = parse(main, applianceSchema, problems);
  const parts = included.map((source) => ({ source, value: parse(source, includedSchema, problems) }));
  if (!whole || parts.some(({ value }) => value === null)) return { problems: inOrder(problems, sources) };

  // Where each machine and profile of the merged picture was read.
  const machines: { value: MachineConfig; source: Source; index: number }[] = [];
  const profiles = new Map<string, { value: Profile; source: Source }>();
  for (const { source, value } of [{ source: main, value: whole }, ...parts]) {
    value?.machines.forEach((machine, index) => {
      machines.push({ value: machine, source, index });
    });
    for (const [name, profile] of Object.entries(value?.profiles ?? {})) {
      const first = profiles.get(name);
      if (first) problems.push(source.locate(duplicateProfile(name, first.source.file)));
      else profiles.set(name, { value: profile, source });
    }
  }
  const locate = (finding: Finding): Problem => {
    const [section, key, ...rest] = finding.path;
    if (section === "machines" && typeof key === "number") {
      const machine = machines[key];
      if (machine) return machine.source.locate({ ...finding, path: [section, machine.index, ...rest] });
    }
    return ((section === "profiles" && profiles.get(String(key))?.source) || main).locate(finding);
  };

  const appliance = picture(main.file, whole, {
    machines: machines.map(({ value }) => value),
    profiles: Object.fromEntries([...profiles].map(([name, { value }]) => [name, value])),
  });
  problems.push(...checkAppliance(appliance).map(locate));
  return problems.some(({ severity }) => severity === "error")
    ? { problems: inOrder(problems, sources) }
    : { appliance, warnings: inOrder(problems, sources), locate };
}

const duplicateProfile = (name: string, file: string): Finding => ({
  id: "duplicate-profile",
  severity: "error",
  path: ["profiles", name],
  onKey: true,
  what: `defined in ${file} too`,
  mend: "Keep one of them.",
});

function parse<S extends z.ZodType>(source: Source, schema: S, problems: Problem[]): z.output<S> | null {
  if (source.broken) return null;
  const found = findNotSupported(source.raw);
  const result = schema.safeParse(source.raw ?? {});
  const refused = found.map(({ path }) => formatKey(path));
  if (!result.success)
    found.push(...explain(result.error.issues).filter(({ path }) => !refused.some((key) => formatKey(path).startsWith(key))));
  problems.push(...found.map(source.locate));
  return result.success ? result.data : null;
}

function inOrder(problems: readonly Problem[], files: readonly Source[]): Problem[] {
  const rank = (file: string) => files.findIndex((source) => source.file === file);
  return problems.toSorted((a, b) => rank(a.file) - rank(b.file) || a.line - b.line || a.column - b.column);
}

function picture(
  file: string,
  whole: z.output<typeof applianceSchema>,
  merged: { readonly machines: readonly MachineConfig[]; readonly profiles: Readonly<Record<string, Profile>> },
): Appliance {
  const folder = dirname(resolve(file));
  const names = Object.keys(merged.profiles);
  const defaultProfile = whole.defaultProfile ?? (names.length === 1 ? (names[0] as string) : null);
  const asked = [defaultProfile, ...whole.networks.map((each) => each.defaultProfile), ...merged.machines.map((each) => each.profile)];
  // `wait` needs no definition.
  const profiles = asked.includes("wait")
    ? { wait: { kind: "wait" as const, poll: 30, bootProgram: "ipxe" as const }, ...merged.profiles }
    : merged.profiles;
  // TFTP serves what HTTP serves, and by the same rules, even where HTTP is off.
  const { root, listen, allow, templates } = whole.http ?? httpDefaults;
  const served = { root: resolve(folder, root), listen, allow, templates };
  const tls = whole.http?.tls && {
    ...whole.http.tls,
    cert: resolve(folder, whole.http.tls.cert),
    key: resolve(folder, whole.http.tls.key),
  };
  return {
    file: resolve(file),
    site: whole.site ?? hostname(),
    domain: whole.domain ?? "",
    networks: whole.networks,
    boot: whole.boot,
    profiles,
    defaultProfile,
    machines: merged.machines,
    http: whole.http && { ...whole.http, ...served, tls: tls ?? null },
    tftp: whole.tftp && { ...whole.tftp, ...served },
    dns: whole.dns,
    state: { dir: resolve(folder, whole.state.dir) },
    console: whole.console && { host: whole.console.listen.address, port: whole.console.listen.port, token: whole.console.token },
    log: whole.log,
  };
}
