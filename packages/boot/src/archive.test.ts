/** Files, tarballs and images brought under boot-assets from a real HTTP server and from this host. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { addFile } from "./archive.ts";
import { AssetError, type DownloadProgress } from "./assets.ts";
import { readReceipts } from "./receipts.ts";

const archives = { skip: spawnSync("bsdtar", ["--version"]).status === 0 ? false : "takes libarchive-tools" };
const dir = mkdtempSync(join(tmpdir(), "netboot6-archive-"));
const content = randomBytes(300_000);
const sum = createHash("sha256").update(content).digest("hex");
const asked: (string | undefined)[] = [];
let cutAt = 0;
let url = "";

const server = createServer((request, response) => {
  const range = request.headers.range;
  asked.push(range);
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  if (request.url === "/led") return void response.writeHead(302, { location: "/file" }).end();
  if (request.url === "/circle") return void response.writeHead(302, { location: "/circle" }).end();
  if (request.url === "/os.tar.gz") return void response.end(readFileSync(join(dir, "os.tar.gz")));
  if (request.url !== "/file") return void response.writeHead(404).end();
  if (start >= content.length) return void response.writeHead(416).end();
  response.writeHead(start > 0 ? 206 : 200, { "content-length": content.length - start });
  if (cutAt > start) response.write(content.subarray(start, cutAt), () => setTimeout(() => response.destroy(), 200));
  else response.end(content.subarray(start));
});

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "::1", resolve));
  url = `http://[::1]:${(server.address() as AddressInfo).port}/file`;
});
after(() => {
  server.close();
  rmSync(dir, { recursive: true });
});

const refused = (why: RegExp) => (error: Error) => error instanceof AssetError && why.test(error.message);
const there = (root: string): string[] => readdirSync(root).filter((name) => name !== ".incoming" && name !== ".assets");

test("a download that is broken off goes on where it stood, and is in place only when it is whole", async () => {
  const root = join(dir, "resumed");
  const asset = { from: url, sha256: sum, to: "os/image.iso", extract: null };
  cutAt = 100_000;
  await assert.rejects(addFile(asset, root), refused(/broken off; the same command goes on where it stood/));
  assert.deepEqual(there(root), []);
  cutAt = 0;
  asked.length = 0;
  const fractions: number[] = [];
  const added = await addFile({ ...asset, onProgress: ({ fraction }) => fractions.push(fraction) }, root);
  assert.deepEqual(asked, ["bytes=100000-"]);
  assert.ok((fractions[0] ?? 0) > 0.33 && fractions.at(-1) === 1, fractions.join());
  assert.deepEqual([added.alreadyThere, added.files], [false, ["os/image.iso"]]);
  assert.ok(readFileSync(join(root, "os/image.iso")).equals(content));
  assert.deepEqual(readdirSync(join(root, ".incoming")), []);
  assert.equal((await addFile(asset, root)).alreadyThere, true);
  assert.equal(asked.length, 1, "nobody was asked again");
  const newer = randomBytes(1000);
  writeFileSync(join(dir, "newer"), newer);
  const other = { ...asset, from: join(dir, "newer"), sha256: createHash("sha256").update(newer).digest("hex") };
  assert.equal((await addFile(other, root)).alreadyThere, false);
  assert.ok(readFileSync(join(root, "os/image.iso")).equals(newer), "another takes its place");
});

test("a download goes on where it stood through a redirect, and where all of it was there before it was put in place", async () => {
  const root = join(dir, "gone-on");
  mkdirSync(join(root, ".incoming"), { recursive: true });
  for (const [from, have, ranges] of [
    [url.replace("file", "led"), 100_000, ["bytes=100000-", "bytes=100000-"]],
    [url, content.length, ["bytes=300000-"]],
  ] as const) {
    writeFileSync(join(root, ".incoming", `${sum}.part`), content.subarray(0, have));
    asked.length = 0;
    await addFile({ from, sha256: sum, to: "os/image.iso", extract: null }, root);
    assert.deepEqual(asked, ranges);
    assert.ok(readFileSync(join(root, "os/image.iso")).equals(content));
  }
});

test("another file than expected, one that is not there, a path that leaves the root: told, and what was there stays", async () => {
  const root = join(dir, "refused");
  mkdirSync(join(root, "os"), { recursive: true });
  writeFileSync(join(root, "os/linux"), "old");
  const asset = { from: url, sha256: "0".repeat(64), to: "os/linux", extract: null };
  await assert.rejects(addFile(asset, root), refused(new RegExp(`its SHA-256 is ${sum}`)));
  assert.deepEqual(readdirSync(join(root, ".incoming")), [], "it is not gone on with");
  await assert.rejects(addFile({ ...asset, sha256: "abc" }, root), refused(/abc is no SHA-256 in hex/));
  await assert.rejects(addFile({ ...asset, from: `${url}-not` }, root), refused(/404 Not Found/));
  await assert.rejects(addFile({ ...asset, from: url.replace("file", "led") }, root), refused(/its SHA-256 is/), "followed to the file");
  await assert.rejects(addFile({ ...asset, from: url.replace("file", "circle") }, root), refused(/does not end/));
  await assert.rejects(addFile({ ...asset, from: "http://[::1]:1/x" }, root), refused(/^http:\/\/\[::1\]:1\/x: /));
  await assert.rejects(addFile({ ...asset, sha256: null }, root), refused(/takes --sha256/));
  await assert.rejects(addFile({ ...asset, from: join(dir, "nothing"), sha256: null }, root), refused(/no such file/));
  for (const to of ["../x", ".hidden", ""]) await assert.rejects(addFile({ ...asset, to }, root), refused(/no path under boot-assets/));
  assert.equal(readFileSync(join(root, "os/linux"), "utf8"), "old");
});

test("a tarball is unpacked, all of it or what is named, and takes the folder's place at once", archives, async () => {
  const tree = join(dir, "tree");
  mkdirSync(join(tree, "casper"), { recursive: true });
  writeFileSync(join(tree, "casper/vmlinuz"), "kernel");
  writeFileSync(join(tree, "readme"), "words", { mode: 0o400 });
  const tarball = join(dir, "os.tar.gz");
  execFileSync("tar", ["-C", tree, "-czf", tarball, "casper", "readme"]);
  const root = join(dir, "unpacked");
  mkdirSync(join(root, "os"), { recursive: true });
  writeFileSync(join(root, "os/old"), "");
  const steps = new Map<string, number>();
  const onProgress = ({ what, fraction }: DownloadProgress): unknown => steps.set(what, fraction);
  const asset = { from: tarball, sha256: null, to: "os", extract: ["casper/*"], onProgress };
  assert.deepEqual((await addFile(asset, root)).files, ["os/casper/vmlinuz"]);
  assert.equal(existsSync(join(root, "os/old")), false);
  assert.deepEqual((await addFile({ ...asset, extract: [] }, root)).files.toSorted(), ["os/casper/vmlinuz", "os/readme"]);
  assert.deepEqual([[...steps.keys()], steps.get("checksum")], [["unpacking", "checksum"], 1]);
  assert.ok(existsSync(tarball), "a file of this host stays where it is");
  assert.equal(statSync(join(root, "os/readme")).mode & 0o777, 0o644, "whoever serves it may read it");
  await assert.rejects(addFile({ ...asset, sha256: "0".repeat(64) }, root), refused(/has another SHA-256/));
  const sha256 = createHash("sha256").update(readFileSync(tarball)).digest("hex");
  const net = await addFile({ from: url.replace("file", "os.tar.gz"), sha256, to: "net", extract: [] }, root);
  assert.deepEqual(net.files.toSorted(), ["net/casper/vmlinuz", "net/readme"]);
  assert.deepEqual(readdirSync(join(root, ".incoming")), []);
  writeFileSync(tarball, "no archive");
  await assert.rejects(addFile({ ...asset, extract: [] }, root), refused(/cannot be unpacked/));
  assert.ok(existsSync(join(root, "os/readme")), "what was there stays");
});

test("a file of this host is copied, and its checksum compared on the way", async () => {
  const from = join(dir, "kernel");
  writeFileSync(from, content);
  const root = join(dir, "copied");
  const fractions: number[] = [];
  const asset = { from, sha256: null, to: "os/linux", extract: null };
  await addFile({ ...asset, onProgress: ({ what, fraction }) => what === "copying" && fractions.push(fraction) }, root);
  assert.equal(fractions.at(-1), 1);
  assert.ok(readFileSync(join(root, "os/linux")).equals(content));
  assert.equal((await readReceipts(root)).get("os_linux")?.sha256["os/linux"], sum);
  await assert.rejects(addFile({ ...asset, sha256: "0".repeat(64), to: "os/other" }, root), refused(/has another SHA-256/));
  assert.deepEqual(readdirSync(join(root, "os")), ["linux"]);
});

test("an ISO image is unpacked", {
  skip: archives.skip || (spawnSync("bsdtar", ["--format=iso9660", "-cf", "/dev/null", "/dev/null"]).status !== 0 && "no iso9660"),
}, async () => {
  const tree = join(dir, "iso-tree");
  mkdirSync(join(tree, "images/pxeboot"), { recursive: true });
  writeFileSync(join(tree, "images/pxeboot/vmlinuz"), "kernel");
  writeFileSync(join(tree, ".treeinfo"), "[general]");
  const image = join(dir, "os.iso");
  execFileSync("bsdtar", ["--format=iso9660", "-cf", image, "-C", tree, "."]);
  const root = join(dir, "iso");
  await addFile({ from: image, sha256: null, to: "rocky-9", extract: [] }, root);
  assert.equal(readFileSync(join(root, "rocky-9/images/pxeboot/vmlinuz"), "utf8"), "kernel");
  assert.ok(existsSync(join(root, "rocky-9/.treeinfo")));
});
