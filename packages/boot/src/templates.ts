/** Liquid templates, strict: an unknown name is an error with line and column, never an empty string. */
import type { Address, Mac } from "@netboot6/codec";
import { Liquid, LiquidError, Output, type Template } from "liquidjs";
import { LRUCache } from "lru-cache";
import { breaks, type GoesInto } from "./goes-into.ts";

/** What every url, cmdline and rendered file may name. */
export interface TemplateValues {
  /** Base URLs by address literal, as the asking machine reaches them. Null where the service is off. */
  readonly http: string | null;
  /** By name where `http.tls` gives one. */
  readonly https: string | null;
  readonly tftp: string | null;
  readonly site: string;
  readonly domain: string;
  readonly machine: {
    readonly name: string;
    readonly mac: Mac;
    readonly uuid: string;
    readonly address: Address | "";
    readonly vars: Readonly<Record<string, unknown>>;
  };
  readonly network: { readonly name: string; readonly prefix: string; readonly address: Address };
  /** One-time URL that reports the installation as done; null where nothing is being installed. */
  readonly done: string | null;
  /** `boot.ipxe` and `grub.cfg` alone: the commands that boot the machine's profile. */
  readonly script?: string;
  /** Secrets that this asker is not given, by their names, and why; null: it has all. */
  readonly withheld: { readonly names: readonly string[]; readonly why: string } | null;
}

export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

/** Of compiled templates that are kept. */
const COMPILED_CHARACTERS = 4 * 1024 * 1024;

const STRICT = { strictVariables: true, strictFilters: true, ownPropertyOnly: true, cache: false };
const engine = new Liquid(STRICT);

interface Place {
  readonly input: string;
  readonly begin: number;
  readonly end: number;
}

/** One for each kind of text: each value is held against it, where it stands, unless `raw` is its last filter. */
const engines = new Map<GoesInto, Liquid>();

function engineFor(into: GoesInto): Liquid {
  let made = engines.get(into);
  if (!made) {
    const outputEscape = function (this: { token: Place }, value: unknown): unknown {
      const { input, begin, end } = this.token;
      const expression = input.slice(begin, end);
      if (/^\{\{-?\s*script\s*-?\}\}$/.test(expression)) return value; // made by us, of values that were looked at
      const why = breaks(String(value ?? ""), into, input.slice(lineStart(input, begin), begin));
      if (why !== null) throw new TemplateError(`the value of ${expression} cannot stand here: ${why}`);
      return value;
    };
    made = new Liquid({ ...STRICT, outputEscape: outputEscape as never });
    engines.set(into, made);
  }
  return made;
}

/** A line that ends in a backslash goes on in the next one. */
function lineStart(input: string, at: number): number {
  let start = input.lastIndexOf("\n", at - 1) + 1;
  while (start >= 2 && input[start - 2] === "\\") start = input.lastIndexOf("\n", start - 2) + 1;
  return start;
}

/** liquidjs tells the escape of an output tag nothing of its place. */
function tellPlaces(templates: readonly Template[]): void {
  for (const template of templates) {
    if (template instanceof Output) {
      const filter = template.value.filters.at(-1) as { token: unknown; name: string } | undefined;
      if (filter) filter.token = template.token;
    }
    const children = (template as Template).children?.(false, true);
    if (!children) continue;
    let inner = children.next();
    while (!inner.done) inner = children.next();
    tellPlaces(inner.value);
  }
}

type Render = (values: TemplateValues) => string;

/** By all that they are made of: parsing takes far longer than rendering. */
const compiled = new LRUCache<string, Render>({ maxSize: COMPILED_CHARACTERS, sizeCalculation: (_, key) => key.length });

/** Throws TemplateError naming `source`, line and column; so does what it returns. */
export function compileTemplate(text: string, source: string, into: GoesInto = "text"): Render {
  const key = `${into}\n${source}\n${text}`;
  const known = compiled.get(key);
  if (known) return known;
  const render = compile(text, source, into);
  compiled.set(key, render);
  return render;
}

function compile(text: string, source: string, into: GoesInto): Render {
  let templates: Template[];
  try {
    templates = engineFor(into).parse(text, source);
    tellPlaces(templates);
  } catch (error) {
    throw templateError(error, source);
  }
  return ({ withheld, ...values }) => {
    const scope = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
    try {
      const { script: _, ...given } = scope; // made by us, of rendered lines
      withoutControlCharacters(given, "");
      return engineFor(into).renderSync(templates, scope);
    } catch (error) {
      throw withReason(templateError(error, source), withheld, values.machine.name);
    }
  };
}

/** Says of a name that is not there whose `vars` lack it; where it is a secret, why it is not given. */
function withReason(error: TemplateError, withheld: TemplateValues["withheld"], machine: string): TemplateError {
  const missing = /undefined variable: (\S+)/.exec(error.message)?.[1];
  const secret = withheld?.names.find((name) => missing === name || missing?.startsWith(`${name}.`));
  if (secret === undefined && missing?.startsWith("machine.vars."))
    return new TemplateError(
      `${error.message}: ${machine === "" ? "it is asked by a machine nobody knows" : `${machine} has none among its vars`}`,
    );
  if (!withheld || secret === undefined) return error;
  return new TemplateError(error.message.replace(/undefined variable: \S+/, `${secret} is a secret, and not given: ${withheld.why}`));
}

/** The names of `text` that no machine's values have; free `machine.vars` are not known here. Throws TemplateError where it does not parse. */
export function unknownNames(text: string, source: string): string[] {
  try {
    return engine
      .globalFullVariablesSync(engine.parse(text, source))
      .filter((name) => !KNOWN.has(name) && !name.startsWith("machine.vars."));
  } catch (error) {
    throw templateError(error, source);
  }
}

/** The `machine.vars` that `text` names; none where it does not parse. */
export function namedVars(text: string): string[] {
  try {
    const names = engine.globalFullVariablesSync(engine.parse(text));
    return [...new Set(names.flatMap((name) => /^machine\.vars\.([\w-]+)/.exec(name)?.[1] ?? []))];
  } catch {
    return [];
  }
}

const KNOWN = new Set([
  ...["http", "https", "tftp", "site", "domain", "done", "script"],
  ...["machine.name", "machine.mac", "machine.uuid", "machine.address"],
  ...["network.name", "network.prefix", "network.address"],
]);

function templateError(error: unknown, source: string): TemplateError {
  if (error instanceof TemplateError) return error;
  if (error instanceof LiquidError) {
    const [line = 1, column = 1] = error.token?.getPosition() ?? [];
    const what = (error.originalError instanceof TemplateError ? error.originalError : error).message.replace(/, (file|line):.*$/s, "");
    return new TemplateError(`${source}:${line}:${column}: ${what}`);
  }
  return new TemplateError(`${source}: ${(error as Error).message}`);
}

/** A newline in a value would be another command of the script it goes into. */
function withoutControlCharacters(value: unknown, path: string): void {
  if (typeof value === "string") {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
    if (/[\u0000-\u001f\u007f]/.test(value)) throw new TemplateError(`the value of ${path} has a control character in it`);
  } else if (typeof value === "object" && value !== null)
    for (const [key, inner] of Object.entries(value)) withoutControlCharacters(inner, path === "" ? key : `${path}.${key}`);
}
