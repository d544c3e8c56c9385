/**
 * The kinds of values in `appliance.yaml`: each reads the operator's text into the typed value that services are given, and
 * says what it expected, with an example, where it cannot.
 */
import {
  addressToBigInt,
  bigIntToAddress,
  canonicalAddress,
  isLinkLocal,
  isMulticast,
  isPlaceholderUuid,
  MAX_PORT_BYTES,
  type Mac,
  type Prefix,
  parseMac,
  parsePrefix,
  prefixOf,
  portText as writePortText,
} from "@netboot6/codec";
import { z } from "zod";
import { ARCH_NAMES, archNumber } from "./arch.ts";
import { suggest } from "./problem.ts";

/** What is wrong and what to do about it. zod carries one string for each issue: ours has these two as its lines. */
export class Mistake {
  readonly message: string;
  constructor(what: string, mend: string) {
    this.message = `${what}\n${mend}`;
  }
}

export function fail(context: z.RefinementCtx, what: string, mend: string, path: (string | number)[] = []): never {
  context.addIssue({ code: "custom", message: new Mistake(what, mend).message, path });
  return z.NEVER;
}

function show(value: unknown): string {
  if (value === null) return "empty";
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === "object") return "a map";
  return typeof value === "string" ? JSON.stringify(value) : `${value}`;
}

/** The error of a value of the wrong type. */
export function expected(phrase: string, example: string) {
  return ({ input }: { input?: unknown }): string => {
    if (input === undefined) return new Mistake("missing", `Give ${phrase}, e.g. ${example}.`).message;
    if (input === null) return new Mistake("has no value", `Give ${phrase}, e.g. ${example}, or delete the key.`).message;
    return new Mistake(`expected ${phrase}, not ${show(input)}`, `Write e.g. ${example}.`).message;
  };
}

/** The error of a value that is written as text. */
export const expectedText = (phrase: string, example: string) => {
  return ({ input }: { input?: unknown }): string => {
    if (typeof input === "string" || input === undefined || input === null) return expected(phrase, example)({ input });
    const kind = typeof input === "object" ? show(input) : `the ${typeof input} ${input}`;
    return new Mistake(`expected ${phrase}, and YAML reads ${kind} here`, `Write e.g. ${example}, and quote it: "...".`).message;
  };
};

/** A value written as text. `read` gives null, or a mistake of its own, where the text is not `phrase`. */
export function text<T>(
  phrase: string,
  example: string,
  read: (value: string) => T | Mistake | null,
  misread?: (value: unknown) => Mistake | null,
) {
  return z
    .string({ error: (issue) => misread?.(issue.input)?.message ?? expectedText(phrase, example)(issue) })
    .meta({ title: phrase, examples: [example] })
    .transform((value, context) => {
      const result = read(value) ?? new Mistake(`${show(value)} is not ${phrase}`, `Write e.g. ${example}.`);
      if (!(result instanceof Mistake)) return result as Exclude<T, null | Mistake>;
      context.addIssue({ code: "custom", message: result.message });
      return z.NEVER;
    });
}

export const nonEmpty = (phrase: string, example: string) => text(phrase, example, (value) => (value.trim() === "" ? null : value));

/** How a relay names a port: text, or its bytes in hex; as `portText` writes it. */
export const portText = (phrase: string, example: string) =>
  text(phrase, example, (value) => {
    if (value === "" || value.length > 2 * MAX_PORT_BYTES) return null;
    const hex = /^0x((?:[0-9a-f]{2})+)$/i.exec(value)?.[1];
    if (value.startsWith("0x") && hex === undefined)
      return new Mistake(`${show(value)} is not hex`, "Write two digits for each byte, e.g. 0x0a17.");
    return writePortText(hex === undefined ? Buffer.from(value, "utf8") : Buffer.from(hex, "hex"));
  });

const UNITS = { s: 1, m: 60, h: 3600, d: 86400 } as const;
const withoutUnit = (value: unknown) => (/^\d+$/.test(`${value}`) ? new Mistake(`${value} has no unit`, `Write ${value}s.`) : null);

function readDuration(value: string): number | Mistake | null {
  const match = /^(\d{1,10})([smhd])$/.exec(value);
  if (!match) return withoutUnit(value);
  const seconds = Number(match[1]) * UNITS[match[2] as keyof typeof UNITS];
  // The fields on the wire are 32 bits, and all ones means for ever.
  return seconds < 0xffffffff ? seconds : new Mistake(`${value} is too long`, "Durations are below 2^32 - 1 seconds.");
}

/** Seconds. */
export const duration = text("a duration", "30s", readDuration, withoutUnit);

export const durationOrAuto = text(
  '"auto" or a duration',
  "auto",
  (value) => (value === "auto" ? value : readDuration(value)),
  withoutUnit,
);

const SIZES = { M: 1e6, G: 1e9 } as const;

/** Bytes; null: automatic. */
export const sizeOrAuto = text('"auto" or a size', "2G", (value) => {
  if (value === "auto") return { bytes: null };
  const match = /^(\d{1,6})([MG])$/.exec(value);
  return match && { bytes: Number(match[1]) * SIZES[match[2] as keyof typeof SIZES] };
}).transform(({ bytes }) => bytes);

/** The commonest ways to write an IPv6 address that are not one. */
function notAnAddress(value: string): Mistake | null {
  const zone = value.indexOf("%");
  if (zone > 0 && canonicalAddress(value.slice(0, zone)))
    return new Mistake(`${value} has a zone`, `Write ${value.slice(0, zone)}, without the interface.`);
  const bare = /^\[(.*)\]$/.exec(value)?.[1];
  if (bare && canonicalAddress(bare)) return new Mistake(`${value} has brackets`, `Write ${bare}.`);
  if (/^\d+\.\d+\.\d+\.\d+(\/\d+)?$/.test(value))
    return new Mistake(`${value} is IPv4`, "Give an IPv6 address: netboot6 speaks IPv6 alone.");
  const [address, length] = value.split("/");
  if (length && canonicalAddress(address as string)) return new Mistake(`${value} is a prefix`, `Write one address, e.g. ${address}.`);
  return null;
}

function readAddress(value: string): string | Mistake | null {
  return canonicalAddress(value) ?? notAnAddress(value);
}

export const address = text("an IPv6 address", "2001:db8:0:1::1", readAddress);

/** An address of the appliance or of a machine. */
export const hostAddress = text("an IPv6 address", "2001:db8:0:1::1", (value) => {
  const result = readAddress(value);
  if (typeof result !== "string") return result;
  if (isLinkLocal(result) || isMulticast(result) || result === "::" || result === "::1")
    return new Mistake(`${result} is no address that other networks reach`, "Give a global or unique-local address.");
  return result;
});

function readPrefix(value: string): Prefix | Mistake | null {
  const prefix = parsePrefix(value);
  if (prefix) return prefix;
  const [head = "", length] = value.split("/");
  const base = canonicalAddress(head);
  if (!base) return length === undefined ? notAnAddress(value) : notAnAddress(head);
  if (length === undefined) return new Mistake(`${value} has no length`, `Write ${prefixOf(base, 64).address}/64.`);
  if (!/^\d+$/.test(length) || Number(length) > 128) return null;
  const right = prefixOf(base, Number(length));
  return new Mistake(`${value} has bits set beyond its length`, `Write ${right.address}/${right.length}.`);
}

export const prefix = text("an IPv6 prefix", "2001:db8:0:1::/64", readPrefix);

/** The prefix of a network. */
export const networkPrefix = text("an IPv6 prefix", "2001:db8:0:1::/64", (value) => {
  const result = readPrefix(value);
  if (result === null || result instanceof Mistake) return result;
  if (isLinkLocal(result.address) || isMulticast(result.address) || result.length < 8 || result.length > 126)
    return new Mistake(`${value} cannot be the prefix of a network`, "Give a global or unique-local prefix, most often a /64.");
  return result;
});

/** A prefix, or one address. */
export const prefixOrAddress = text("an IPv6 address or prefix", "2001:db8::/32", (value) => {
  const one = canonicalAddress(value);
  return one === null ? readPrefix(value) : prefixOf(one, 128);
});

/** `a-b`, or all of a prefix. */
export function readRange(value: string): { readonly first: string; readonly last: string } | Mistake | null {
  if (value.includes("/")) {
    const whole = readPrefix(value);
    return whole === null || whole instanceof Mistake ? whole : { first: whole.address, last: bigIntToAddress(whole.last) };
  }
  const [first, last, ...more] = value.split("-").map((end) => canonicalAddress(end.trim()));
  if (!first || !last || more.length > 0) return null;
  if (addressToBigInt(first) > addressToBigInt(last)) return new Mistake(`${value} ends before it begins`, `Write ${last}-${first}.`);
  return { first, last };
}

/** `[::1]:8067`, or an address alone where there is a usual port. */
export function readEndpoint(value: string, port?: number): { readonly address: string; readonly port: number } | Mistake | null {
  const alone = canonicalAddress(value);
  if (alone !== null && port !== undefined) return { address: alone, port };
  if (alone !== null) return new Mistake(`${value} has no port`, `Write "[${alone}]:8067".`);
  const match = /^\[([^\]]*)\](?::(\d{1,5}))?$/.exec(value);
  const bracketed = match && canonicalAddress(match[1] as string);
  const number = match?.[2] === undefined ? port : Number(match[2]);
  if (!bracketed || number === undefined || number < 1 || number > 65535) return notAnAddress(value);
  return { address: bracketed, port: number };
}

export const mac = text("a MAC address", "52:54:00:d6:c2:a9", (value): Mac | Mistake | null => {
  const result = parseMac(value);
  if (result !== null && (Number.parseInt(result.slice(0, 2), 16) & 1 || result === "00:00:00:00:00:00"))
    return new Mistake(`${value} is no machine's MAC address`, "Give the address of its network card.");
  return result;
});

export const uuid = text("an SMBIOS UUID", "4c4c4544-0044-4810-8031-b4c04f4e3732", (value) => {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(value)) return null;
  const uuid = value.toLowerCase();
  return isPlaceholderUuid(uuid)
    ? new Mistake(`${uuid} is what boards without a UUID send, and tells none of them`, "Delete it, and name the machine by its mac.")
    : uuid;
});

export const duid = text("a DUID in hex", "00:03:00:01:52:54:00:d6:c2:a9", (value) => {
  const hex = value.replace(/[:-]/g, "").toLowerCase();
  return /^[0-9a-f]{6,260}$/.test(hex) && hex.length % 2 === 0 ? hex : null; // RFC 9915 §11.1: a type and 1 to 128 octets
});

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** A DNS name in lower case, without the final dot. */
export const domainName = text("a domain name", "rack.example", (value) => {
  const name = value.toLowerCase().replace(/\.$/, "");
  return name.length <= 253 && name.split(".").every((label) => LABEL.test(label)) ? name : null;
});

export const machineName = text("a machine's name", "node-01", (value) => {
  const name = value.toLowerCase();
  if (LABEL.test(name)) return name;
  if (name.includes(".")) return new Mistake(`${show(value)} has dots`, "Give the first label alone; `domain` is the rest.");
  return new Mistake(`${show(value)} is not a machine's name`, "Letters, digits and hyphens, at most 63 of them.");
});

/** A name of ours: of a network or of a profile. */
export const label = text("a name", "provisioning", (value) =>
  /^[\w][\w.:@-]{0,63}$/.test(value)
    ? value
    : new Mistake(`${show(value)} is not a name`, "Letters, digits, hyphens, dots and underscores."),
);

export const interfaceName = text("an interface's name", "eth1", (value) => (/^[^\s/]{1,15}$/.test(value) ? value : null));

export const archByName = text("a client architecture", "x64-uefi", (value) => {
  const number = archNumber(value.toLowerCase());
  const others = "Write e.g. x64-uefi, x64-uefi-http, arm64-uefi, or IANA's number.";
  return number ?? new Mistake(`${show(value)} is no client architecture`, suggest(value, ARCH_NAMES, others));
});

export const flag = z.boolean({ error: expected("true or false", "true") });

export const integer = (min: number, max: number, example = min) => {
  const error = expected(`a whole number from ${min} to ${max}`, `${example}`);
  return z.int({ error }).min(min, { error }).max(max, { error });
};

export const port = integer(1, 65535, 80);

export function choice<const T extends string>(...words: readonly T[]) {
  const all = words.join(", ");
  return z.enum(words, {
    error: ({ input }) => {
      if (typeof input !== "string") return expected(`one of ${all}`, words[0] as string)({ input });
      return new Mistake(`${show(input)} is none of ${all}`, suggest(input, words, `Write one of ${all}.`)).message;
    },
  });
}

export const list = <S extends z.ZodType>(phrase: string, example: string, item: S) => z.array(item, { error: expected(phrase, example) });

/** A map with these keys and no others. The message for an unknown key is the list of the known ones, which the reporter needs. */
export const map = <S extends z.ZodRawShape>(phrase: string, example: string, shape: S) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === "unrecognized_keys" ? Object.keys(shape).join("\n") : expected(phrase, example)(issue)),
  });

/** A map with keys of the operator's choosing. */
export const record = <K extends z.ZodType<string, string>, V extends z.ZodType>(phrase: string, example: string, key: K, value: V) =>
  z.record(key, value, { error: expected(phrase, example) });

export const either = <const S extends readonly [z.ZodType, z.ZodType, ...z.ZodType[]]>(phrase: string, example: string, options: S) =>
  z.union(options, { error: expected(phrase, example) });

/** A key that may be left out: null then. */
export const optional = <S extends z.ZodType>(schema: S) => schema.optional().transform((value) => value ?? null);

/** `false` turns a service off: null then. */
export const orOff = <S extends z.ZodType>(name: string, schema: S) =>
  either(`false or the settings of ${name}`, "false", [z.literal(false), schema]).transform((value) => (value === false ? null : value));
