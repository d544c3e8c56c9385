/** Liquid templates, strict: an unknown name is an error with line and column, never an empty string. */
import type { Address, Mac } from "@netboot6/codec";
import { Liquid, LiquidError, type Template } from "liquidjs";

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
  /** `boot.ipxe` alone: the commands that boot the machine's profile. */
  readonly script?: string;
}

export class TemplateError extends Error {
  override readonly name = "TemplateError";
}

const engine = new Liquid({ strictVariables: true, strictFilters: true, ownPropertyOnly: true, cache: false });

/** Parses a template once. Throws TemplateError naming `source`, line and column. */
export function compileTemplate(text: string, source: string): (values: TemplateValues) => string {
  let templates: Template[];
  try {
    templates = engine.parse(text, source);
  } catch (error) {
    throw templateError(error, source);
  }
  return (values) => {
    const scope = Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null));
    let result: string;
    try {
      const { script: _, ...given } = scope; // made by us, of rendered lines
      withoutControlCharacters(given, "");
      result = engine.renderSync(templates, scope);
    } catch (error) {
      throw templateError(error, source);
    }
    return result;
  };
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

const KNOWN = new Set([
  ...["http", "https", "tftp", "site", "domain", "done", "script"],
  ...["machine.name", "machine.mac", "machine.uuid", "machine.address"],
  ...["network.name", "network.prefix", "network.address"],
]);

function templateError(error: unknown, source: string): TemplateError {
  if (error instanceof TemplateError) return error;
  if (error instanceof LiquidError) {
    const [line = 1, column = 1] = error.token?.getPosition() ?? [];
    const what = error.message.replace(/, (file|line):.*$/s, "");
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
