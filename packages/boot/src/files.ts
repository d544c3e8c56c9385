/**
 * What stands behind a path that a machine asks for over HTTP or TFTP: a file under boot-assets, one rendered for it, or a
 * script made for it. Nothing outside of the root, no dot files, no symlinks out: those are missing, like what is not there.
 */
import { readFile, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, matchesGlob, relative, sep } from "node:path";
import { type Address, type Mac, parseMac } from "@netboot6/codec";
import type { Link } from "@netboot6/events";
import { type FileOnDisk, onDisk } from "./file-cache.ts";
import { goesInto, isIpxeScript, NO_IPXE_SCRIPT } from "./goes-into.ts";
import { grubCommands, grubConfig, grubError, isBuiltInGrubConfig, isGrubConfig } from "./grub.ts";
import { MeantFiles } from "./meant.ts";
import { autoexecScript, type BootState, bootScript, errorScript, profileCommands } from "./script.ts";
import { compileTemplate, TemplateError } from "./templates.ts";

export interface FilesSettings {
  /** Absolute. */
  readonly root: string;
  /** Glob patterns under the root of files that are rendered, never shown as source. */
  readonly templates: readonly string[];
}

export type Found =
  | ({ readonly kind: "file" /** under the root, without a leading slash */; readonly name: string } & FileOnDisk)
  | { readonly kind: "text"; readonly name: string; readonly body: Buffer; readonly state: BootState }
  | { readonly kind: "directory"; readonly file: string; readonly name: string }
  | { readonly kind: "missing"; readonly why: string }
  /** A template is wrong: the text says where. `script`: one that prints it, for iPXE or GRUB to run. */
  | { readonly kind: "broken"; readonly why: string; readonly body: Buffer; readonly script: boolean };

type Place = Extract<Found, { kind: "directory" }> | (Extract<Found, { kind: "file" }> & { readonly template: boolean }) | null;

/** What a path leads to. */
interface Look {
  readonly at: number;
  readonly name: string;
  place: Place | Promise<Place>;
}

/** For so long what was seen on disk is taken as it was. */
const LOOK_MS = 100;
const MAX_LOOKED = 1_000;

export interface Claims {
  readonly mac?: Mac;
  readonly uuid?: string;
}

export class BootFiles {
  readonly #settings: FilesSettings;
  readonly #ask: Link["ask"];
  readonly #meant: MeantFiles;
  readonly #looked = new Map<string, Look>();

  constructor(settings: FilesSettings, ask: Link["ask"]) {
    this.#settings = settings;
    this.#meant = new MeantFiles(settings.root);
    this.#ask = ask;
  }

  /** `path` is decoded, and begins with a slash or not. No promise for a file that was looked at a moment ago. */
  find(path: string, client: Address, claims: Claims = {}): Found | Promise<Found> {
    const look = this.#look(path);
    if (look === null) return { kind: "missing", why: "not a path under boot-assets" };
    const { name, place } = look;
    return place instanceof Promise ? place.then((is) => this.#at(is, name, client, claims)) : this.#at(place, name, client, claims);
  }

  #at(here: Place, name: string, client: Address, claims: Claims): Found | Promise<Found> {
    if (here === null) return this.#made(name, client, claims);
    return here.kind === "file" && here.template ? this.#render(name, here.file, client, claims, null) : here;
  }

  async #made(name: string, client: Address, claims: Claims): Promise<Found> {
    const generated = await this.#generated(name);
    if (!generated) return { kind: "missing", why: await this.#missing(name, "") };
    return this.#render(name, null, client, claims, generated);
  }

  async #render(
    name: string,
    file: string | null,
    client: Address,
    claims: Claims,
    generated: ((state: BootState) => string) | null,
  ): Promise<Found> {
    const state = (await this.#ask({ ask: "machine", path: `/${name}`, client, claims })) as BootState;
    try {
      const text = generated && !(isBootScript(name) && usesScript(state)) ? generated(state) : await this.#template(file, name, state);
      return { kind: "text", name, body: Buffer.from(text, "utf8"), state };
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      return { kind: "broken", why: error.message, ...errorBody(name, error.message) };
    }
  }

  async #template(file: string | null, name: string, state: BootState): Promise<string> {
    // A profile's own script takes the place of the one that the boot program asks for, made or not.
    const own = isBootScript(name) && usesScript(state) && state.profile.kind === "script";
    if (own && (state.profile.bootProgram === "ipxe") === isGrubConfig(name))
      throw new TemplateError(`profile ${state.profileName} is a script for ${state.profile.bootProgram}, and ${name} is another's`);
    const source = own ? state.profile.script : name;
    const path = own || file === null ? await this.#inside(source) : file;
    if (path === null) throw new TemplateError(await this.#missing(source, `: ${source}, the script of profile ${state.profileName}`));
    const script =
      isBootScript(name) && !usesScript(state) ? (isGrubConfig(name) ? grubCommands(state).join("\n") : profileCommands(state)) : null;
    const values = script === null ? state.values : { ...state.values, script };
    // A profile's script is for the boot program, whatever it is called.
    const into = goesInto(own ? name : source);
    const text = compileTemplate(await readFile(path, "utf8"), source, into)(values);
    if (into === "iPXE script" && !isIpxeScript(text)) throw new TemplateError(`${source}:1:1: ${NO_IPXE_SCRIPT}`);
    return text;
  }

  async #missing(name: string, which: string): Promise<string> {
    return `no such file under boot-assets${which}${await this.#meant.suggest(name, performance.now())}`;
  }

  async #generated(name: string): Promise<((state: BootState) => string) | null> {
    if (name === "boot.ipxe") return bootScript;
    if (isBuiltInGrubConfig(name)) return grubConfig;
    const made = isGrubConfig(name)
      ? grubConfig
      : basename(name) === "autoexec.ipxe"
        ? ({ values }: BootState) => autoexecScript(values)
        : null;
    if (made === null) return null;
    const beside = await this.#inside(dirname(name));
    return beside === null ? null : made;
  }

  #isTemplate(name: string): boolean {
    return this.#settings.templates.some((pattern) => matchesGlob(name, pattern));
  }

  /** What is there now, or was a moment ago: a rack asks for the same few files all at once. */
  #look(path: string): Look | null {
    const now = performance.now();
    const looked = this.#looked.get(path);
    if (looked && now - looked.at < LOOK_MS) return looked;
    const name = safeName(path);
    if (name === null) return null;
    if (this.#looked.size >= MAX_LOOKED) this.#looked.clear();
    const place = this.#onDisk(name);
    const look: Look = { at: now, name, place };
    this.#looked.set(path, look);
    void place.then((is) => {
      look.place = is;
    });
    return look;
  }

  async #onDisk(name: string): Promise<Place> {
    const file = await this.#inside(name);
    const info = file === null ? null : await stat(file).catch(() => null);
    if (file !== null && info?.isDirectory()) return { kind: "directory", name, file };
    if (file === null || !info?.isFile()) return null;
    // A symlink is no way round: a template is one by each of its names.
    const real = relative(await realpath(this.#settings.root), file);
    return { kind: "file", name, template: this.#isTemplate(name) || this.#isTemplate(real), ...onDisk(file, info) };
  }

  /** The real path, where it exists and lies under the root. */
  async #inside(name: string): Promise<string | null> {
    const root = await realpath(this.#settings.root).catch(() => null);
    if (root === null) return null;
    const file = await realpath(join(root, name)).catch(() => null);
    return file !== null && (file === root || file.startsWith(root + sep)) ? file : null;
  }
}

/** What a boot program asks for to know what to boot. `path` begins with a slash or not. */
export const isBootScript = (path: string): boolean => /^\/?boot\.ipxe$/.test(path) || isGrubConfig(path);

function errorBody(name: string, what: string): { body: Buffer; script: boolean } {
  const script = name.endsWith(".ipxe") ? errorScript(what) : isGrubConfig(name) ? grubError(what) : null;
  return { body: Buffer.from(script ?? `${what}\n`), script: script !== null };
}

const usesScript = (state: BootState): boolean => state.profile.kind === "script" && !state.installed && state.stopped === null;

/** What installers of the RHEL family look for in their tree (anaconda's `inst.stage2`). */
const DOT_FILES: ReadonlySet<string> = new Set([".treeinfo", ".discinfo"]);

/** The path without empty segments; null for what could leave the root or names a dot file. */
export function safeName(path: string): string | null {
  if (path.includes("\0") || path.includes("\\")) return null;
  const segments = path.split("/").filter((segment) => segment !== "");
  return segments.some((segment) => segment.startsWith(".") && !DOT_FILES.has(segment)) ? null : segments.join("/");
}

/** `?mac=` and `?uuid=` of a request, where they are well formed. */
export function readClaims(query: URLSearchParams): Claims {
  const mac = parseMac(query.get("mac") ?? "");
  const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.exec(query.get("uuid") ?? "")?.[0].toLowerCase();
  return { ...(mac === null ? {} : { mac }), ...(uuid === undefined ? {} : { uuid }) };
}
