import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { EventEmitter, once } from "node:events";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { AssetError, addAsset, type DownloadProgress } from "./assets.ts";
import { ASSETS } from "./catalogue.ts";
import { sha256 } from "./debian-package.ts";

const debian = {
  skip: existsSync("/usr/bin/dpkg-deb") && existsSync("/usr/share/keyrings/debian-archive-keyring.gpg") ? false : "takes Debian",
};
const dir = mkdtempSync(join(tmpdir(), "assets-test-"));
const path = process.env.PATH;
let sum = "";
const asked: (string | undefined)[] = [];
let cutAt = Number.POSITIVE_INFINITY;
let restMayCome = Promise.resolve();
let url = "";
const mirror = createServer((request, response) => {
  const { range } = request.headers;
  asked.push(range);
  const start = Number(/^bytes=(\d+)-$/.exec(range ?? "")?.[1] ?? 0);
  const whole = readFileSync(join(dir, "ipxe.deb"));
  const about = { "content-length": whole.length - start, "accept-ranges": "bytes", "last-modified": "Sat, 01 Aug 2026 00:00:00 GMT" };
  const part = { "content-range": `bytes ${start}-${whole.length - 1}/${whole.length}` };
  response.writeHead(start > 0 ? 206 : 200, start > 0 ? { ...about, ...part } : about);
  if (cutAt < whole.length) {
    response.write(whole.subarray(start, cutAt));
  } else {
    const half = Math.ceil((start + whole.length) / 2);
    response.write(whole.subarray(start, half));
    void restMayCome.then(() => response.end(whole.subarray(half)));
  }
});

/** Stands in for apt-get: an archive with the one package ipxe, which apt's own helper fetches. */
function aptGet(script: Record<"archives" | "update" | "sum", string>): void {
  writeFileSync(
    join(dir, "bin/apt-get"),
    `#!/bin/sh
for word; do last=$word; done
case " $* " in
  *" update --print-uris "*) ${script.archives} ;;
  *" update "*) ${script.update} ;;
  *" download --print-uris "*) echo "'${url}/ipxe.deb' ipxe_2_all.deb $(wc -c <${dir}/ipxe.deb) SHA256:${script.sum}" ;;
esac
`,
  );
}

const ARCHIVES = `echo "'http://other/apt/dists/nodistro/InRelease' x 0"; echo "'http://mirror/debian/dists/bookworm/InRelease' x 0"`;

before(async () => {
  await new Promise<void>((resolve) => mirror.listen(0, "::1", resolve));
  url = `http://[::1]:${(mirror.address() as AddressInfo).port}`;
  // Not by this host's proxy.
  writeFileSync(join(dir, "apt.conf"), 'Dir::Etc::main "/dev/null"; Dir::Etc::parts "/dev/null";\n');
  process.env.APT_CONFIG = join(dir, "apt.conf");
  const tree = join(dir, "tree");
  for (const file of Object.values(ASSETS.ipxe.packages[0].files)) {
    mkdirSync(dirname(join(tree, file)), { recursive: true });
    writeFileSync(join(tree, file), `content of ${file}`);
  }
  mkdirSync(join(tree, "DEBIAN"));
  writeFileSync(join(tree, "DEBIAN/control"), "Package: ipxe\nVersion: 2-1\nArchitecture: all\nMaintainer: nobody\nDescription: test\n");
  mkdirSync(join(dir, "bin"));
  writeFileSync(join(dir, "bin/apt-get"), "");
  chmodSync(join(dir, "bin/apt-get"), 0o755);
  process.env.PATH = `${join(dir, "bin")}:${path}`;
});

after(() => {
  process.env.PATH = path;
  delete process.env.APT_CONFIG;
  mirror.closeAllConnections();
  mirror.close();
  rmSync(dir, { recursive: true });
});

test("files come out of the package once, and again where they were changed", debian, async () => {
  execFileSync("dpkg-deb", ["--build", join(dir, "tree"), join(dir, "ipxe.deb")]);
  sum = await sha256(join(dir, "ipxe.deb"));
  aptGet({ archives: ARCHIVES, update: `grep -q 'URIs: http://mirror/debian$' sources/debian.sources`, sum });
  const root = join(dir, "root");
  const fractions: number[] = [];
  const halfTold = new EventEmitter();
  const told = once(halfTold, "told", { signal: AbortSignal.timeout(10_000) });
  restMayCome = told.then(
    () => undefined,
    () => undefined,
  );
  const onProgress = ({ what, fraction }: DownloadProgress): void => {
    if (what !== "package") return;
    fractions.push(fraction);
    if (fraction > 0 && fraction < 1) halfTold.emit("told");
  };
  const added = await addAsset("ipxe", root, { renew: true, onProgress });
  assert.deepEqual([added.source, added.alreadyThere], ["ipxe 2-1", false]);
  await told;
  assert.equal(fractions.at(-1), 1);
  const file = join(root, "ipxe/arm64/ipxe.efi");
  assert.equal(readFileSync(file, "utf8"), "content of usr/lib/ipxe/ipxe-arm64.efi");
  assert.deepEqual(readdirSync(root), [".assets", ".incoming", "ipxe"]);

  assert.equal((await addAsset("ipxe", root)).alreadyThere, true);
  assert.equal((await addAsset("ipxe", root, { renew: true })).alreadyThere, true, "no newer version");
  writeFileSync(file, "spoilt");
  assert.equal((await addAsset("ipxe", root, { renew: true })).alreadyThere, false);
  assert.equal(readFileSync(file, "utf8"), "content of usr/lib/ipxe/ipxe-arm64.efi");

  const control = join(dir, "tree/DEBIAN/control");
  writeFileSync(control, readFileSync(control, "utf8").replace("2-1", "2-2"));
  execFileSync("dpkg-deb", ["--build", join(dir, "tree"), join(dir, "ipxe.deb")]);
  sum = await sha256(join(dir, "ipxe.deb"));
  aptGet({ archives: ARCHIVES, update: ":", sum });
  const newer = await addAsset("ipxe", root, { renew: true });
  assert.deepEqual([newer.source, newer.alreadyThere], ["ipxe 2-2", false]);
});

const nothingIsLeft = (root: string): void =>
  assert.deepEqual(
    readdirSync(root, { recursive: true }).filter((name) => name !== ".incoming"),
    [],
  );

test("a package whose download was broken off goes on where it stood", debian, async (t) => {
  const root = join(dir, "resumed");
  aptGet({ archives: ARCHIVES, update: ":", sum });
  cutAt = 400;
  t.after(() => {
    cutAt = Number.POSITIVE_INFINITY;
  });
  const broken = addAsset("ipxe", root, { renew: true, signal: AbortSignal.timeout(3000) });
  await assert.rejects(broken, { name: "TimeoutError" });
  cutAt = Number.POSITIVE_INFINITY;
  asked.length = 0;
  assert.equal((await addAsset("ipxe", root, { renew: true })).alreadyThere, false);
  assert.deepEqual(asked, ["bytes=400-"]);
  assert.deepEqual(readdirSync(join(root, ".incoming")), []);
});

test("what fails is told, and leaves nothing behind", debian, async () => {
  const root = join(dir, "refused");
  const refused = async (script: Parameters<typeof aptGet>[0], why: RegExp): Promise<void> => {
    aptGet(script);
    await assert.rejects(addAsset("ipxe", root, { renew: true }), (cause) => cause instanceof AssetError && why.test(cause.message));
    nothingIsLeft(root);
  };
  await refused({ archives: ":", update: ":", sum }, /no Debian archive among its sources/);
  await refused(
    { archives: ARCHIVES, update: "echo 'E: The repository is not signed.' >&2; exit 100", sum },
    /mirror.*The repository is not signed\./,
  );
  await refused({ archives: ARCHIVES, update: ":", sum: "0".repeat(64) }, /could not get the package: .*Hash Sum mismatch/);
  aptGet({ archives: ARCHIVES, update: "exec sleep 20", sum });
  await assert.rejects(addAsset("ipxe", root, { renew: true, signal: AbortSignal.timeout(300) }), { name: "TimeoutError" });
  nothingIsLeft(root);
});
