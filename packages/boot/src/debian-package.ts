/**
 * Debian packages unpacked beside the host, not installed: by the host's own apt, through the mirror and proxy that it has already and
 * checked with Debian's keys, but with sources, lists and state of our own, so that nothing about the host changes.
 */
import { execFile, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, mkdir, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { DebianSource } from "./catalogue.ts";

const run = promisify(execFile);

/** A package's files lie under `dir` as they would under `/`. */
export interface UnpackedPackage {
  readonly dir: string;
  readonly version: string;
}

export interface DownloadProgress {
  readonly what: "package index" | "package" | "file" | "copying" | "unpacking" | "checksum";
  /** 0..1 */
  readonly fraction: number;
  /** Bytes; null where it is not known. */
  readonly total: number | null;
}

export interface DownloadOptions {
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly signal?: AbortSignal;
}

/** Files are read in such pieces. */
export const PIECE_BYTES = 1024 * 1024;

/** What went wrong, in an operator's words. */
export class AssetError extends Error {}

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";
/** Of the package apt. It goes on with a file that is there in part, which `apt-get download` does not. */
const APT_HELPER = "/usr/lib/apt/apt-helper";
/** Suites that a Debian archive has; other archives may use such a name too, but not Debian's key. */
const DEBIAN_SUITES = /^(bookworm|trixie|forky|sid|oldoldstable|oldstable|stable|testing|unstable)$/;

/** The package as it is installed here, where it is whole and has these files. */
export async function installedPackage(name: string, files: readonly string[]): Promise<UnpackedPackage | null> {
  try {
    await Promise.all(files.map((file) => access(join("/", file))));
    const altered = await run("dpkg", ["--verify", name]);
    const { stdout } = await run("dpkg-query", ["-W", "-f", "$" + "{Version}", name]);
    return altered.stdout === "" ? { dir: "/", version: stdout } : null;
  } catch {
    return null;
  }
}

/** Downloads a package of a Debian release into `parts`, where it stays if it is broken off, and unpacks it in `dir`. */
export async function downloadPackage(
  source: DebianSource,
  dir: string,
  parts: string,
  options: DownloadOptions = {},
): Promise<UnpackedPackage> {
  const { suite, package: name, architecture } = source;
  await access(KEYRING).catch(() => {
    throw new AssetError(`Debian's keys are missing (${KEYRING}): install the package debian-archive-keyring`);
  });
  const apt = await privateApt(dir, architecture);
  await updateIndex(apt, dir, suite, options);

  const uris = await apt("apt-get", ["download", "--print-uris", name]);
  const [, uri, size, sum] = /^'([^']*)' \S+ (\d+) SHA256:([0-9a-f]{64})\s*$/m.exec(uris) ?? [];
  if (uri === undefined) throw new AssetError(`Debian ${suite} has no package ${name}`);
  await mkdir(parts, { recursive: true });
  const archive = join(parts, `${sum}.part`);
  // Another content than Debian's signed index says is set aside by apt under this name.
  await apt(APT_HELPER, ["download-file", uri, archive, `SHA256:${sum}`], { ...options, what: "package", total: Number(size) }).finally(
    () => rm(`${archive}.FAILED`, { force: true }),
  );

  const unpacked = join(dir, "unpacked");
  await run("dpkg-deb", ["--extract", archive, unpacked], options);
  const version = await run("dpkg-deb", ["--field", archive, "Version"]);
  await rm(archive);
  return { dir: unpacked, version: version.stdout.trim() };
}

interface AptOptions extends DownloadOptions {
  readonly what?: DownloadProgress["what"];
  readonly total?: number;
}

/** Runs one of apt's programs and returns what it printed. */
type Apt = (program: string, args: readonly string[], options?: AptOptions) => Promise<string>;

async function privateApt(dir: string, architecture?: string): Promise<Apt> {
  for (const part of ["sources", "lists/partial", "cache/archives/partial"]) await mkdir(join(dir, part), { recursive: true });
  // What the host wants done after an update is for its own lists.
  await writeFile(join(dir, "apt.conf"), "#clear APT::Update;\n");
  const settings = {
    "Dir::State": dir,
    "Dir::State::status": "/dev/null",
    "Dir::State::lists": join(dir, "lists"),
    "Dir::Cache": join(dir, "cache"),
    "Dir::Etc::sourcelist": "/dev/null",
    "Dir::Etc::sourceparts": join(dir, "sources"),
    "Dir::Etc::preferences": "/dev/null",
    "Dir::Etc::preferencesparts": "/dev/null",
    "APT::Default-Release": "",
    ...(architecture ? { "APT::Architecture": architecture, "APT::Architectures": architecture } : {}),
    "APT::Status-Fd": "3",
    // apt's own user may not write here; the archive is checked by its signature either way.
    "APT::Sandbox::User": "root",
    "APT::Get::AllowUnauthenticated": "false",
    "Acquire::AllowInsecureRepositories": "false",
    "Acquire::Languages": "none",
  };
  const flags = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  return (program, args, options = {}) => runApt(program, ["-c", join(dir, "apt.conf"), ...flags, ...args], dir, options);
}

/** Makes the index of `suite` from the first of the host's archives that has it, signed by Debian. */
async function updateIndex(apt: Apt, dir: string, suite: string, options: DownloadOptions): Promise<void> {
  const archives = await debianArchives();
  if (archives.length === 0) throw new AssetError("apt has no Debian archive among its sources");
  const failures: string[] = [];
  for (const archive of archives) {
    const source = `Types: deb\nURIs: ${archive}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`;
    await writeFile(join(dir, "sources", "debian.sources"), source);
    try {
      await apt("apt-get", ["update"], { ...options, what: "package index" });
      return;
    } catch (cause) {
      options.signal?.throwIfAborted();
      failures.push(`${archive}: ${(cause as Error).message}`);
    }
  }
  throw new AssetError(`no archive that apt knows gives Debian ${suite}: ${failures.join("; ")}`);
}

/** The addresses of the archives that apt has among its sources, Debian's or named alike. */
async function debianArchives(): Promise<string[]> {
  const uris = await runApt("apt-get", ["update", "--print-uris"], "/");
  const found = uris.matchAll(/^'([^']+)\/dists\/([^/']+)\/(?:In)?Release'/gm);
  return [
    ...new Set([...found].flatMap(([, uri = "", suite = ""]) => (DEBIAN_SUITES.test(suite) && !uri.startsWith("cdrom:") ? uri : []))),
  ];
}

async function runApt(
  program: string,
  args: readonly string[],
  cwd: string,
  { what, total = 0, onProgress, signal }: AptOptions = {},
): Promise<string> {
  const env = { ...process.env, LC_ALL: "C" };
  const child = spawn(program, ["-q", ...args], { cwd, env, stdio: ["ignore", "pipe", "pipe", "pipe"], ...(signal ? { signal } : {}) });
  const said = ["", "", "", ""];
  for (const fd of [1, 2, 3]) {
    child.stdio[fd]?.on("data", (data) => {
      said[fd] += data;
      const percent = fd === 3 && what && /^dlstatus:\d+:([\d.]+):/.exec(String(data).trimEnd().split("\n").at(-1) ?? "")?.[1];
      if (percent) onProgress?.({ what, fraction: Number(percent) / 100, total: total || null });
    });
  }
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once("error", (cause: NodeJS.ErrnoException) => {
      if (cause.code === "ENOENT") reject(new AssetError("apt-get is missing: assets come from Debian packages, and take a Debian host"));
      else if (!signal?.aborted) reject(cause); // else its end is waited for: it may still write
    });
    child.once("close", resolve);
  });
  signal?.throwIfAborted();
  const [, stdout = "", stderr = ""] = said;
  if (code !== 0) {
    const errors = stderr.split("\n").flatMap((line) => /^E: (.*)/.exec(line)?.[1] ?? []);
    throw new AssetError(`apt-get could not get ${what ? `the ${what}` : args.at(-1)}: ${errors.join(" ") || `exit status ${code}`}`);
  }
  if (what) onProgress?.({ what, fraction: 1, total: total || null });
  return stdout;
}

export async function sha256(file: string, { onProgress, signal }: DownloadOptions = {}): Promise<string> {
  const { size: total } = await stat(file);
  const hash = createHash("sha256");
  let read = 0;
  for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES, ...(signal ? { signal } : {}) })) {
    hash.update(piece);
    read += piece.length;
    onProgress?.({ what: "checksum", fraction: read / total, total });
  }
  return hash.digest("hex");
}
