import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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

/** Stands in for apt-get: an archive with the one package ipxe. */
function aptGet(script: Record<"archives" | "update" | "sum", string>): void {
  writeFileSync(
    join(dir, "bin/apt-get"),
    `#!/bin/sh
for word; do last=$word; done
case " $* " in
  *" update --print-uris "*) ${script.archives} ;;
  *" update "*) ${script.update} ;;
  *" download --print-uris "*) echo "'http://mirror/ipxe.deb' ipxe_2_all.deb $(wc -c <${dir}/ipxe.deb) SHA256:${script.sum}" ;;
  *" download "*) cp ${dir}/ipxe.deb ipxe_2_all.deb; echo dlstatus:1:50.0:half >&3 ;;
esac
`,
  );
}

const ARCHIVES = `echo "'http://other/apt/dists/nodistro/InRelease' x 0"; echo "'http://mirror/debian/dists/bookworm/InRelease' x 0"`;

before(() => {
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
  rmSync(dir, { recursive: true });
});

test("files come out of the package once, and again where they were changed", debian, async () => {
  execFileSync("dpkg-deb", ["--build", join(dir, "tree"), join(dir, "ipxe.deb")]);
  sum = await sha256(join(dir, "ipxe.deb"));
  aptGet({ archives: ARCHIVES, update: `grep -q 'URIs: http://mirror/debian$' sources/debian.sources`, sum });
  const root = join(dir, "root");
  const seen: DownloadProgress[] = [];
  const added = await addAsset("ipxe", root, { renew: true, onProgress: (progress) => seen.push(progress) });
  assert.deepEqual([added.source, added.alreadyThere], ["ipxe 2-1", false]);
  assert.deepEqual(
    seen.filter(({ what }) => what === "package").map(({ fraction }) => fraction),
    [0.5, 1],
  );
  const file = join(root, "ipxe/arm64/ipxe.efi");
  assert.equal(readFileSync(file, "utf8"), "content of usr/lib/ipxe/ipxe-arm64.efi");
  assert.deepEqual(readdirSync(root), [".assets", "ipxe"]);

  assert.equal((await addAsset("ipxe", root)).alreadyThere, true);
  assert.equal((await addAsset("ipxe", root, { renew: true })).alreadyThere, true, "no newer version");
  writeFileSync(file, "spoilt");
  assert.equal((await addAsset("ipxe", root, { renew: true })).alreadyThere, false);
  assert.equal(readFileSync(file, "utf8"), "content of usr/lib/ipxe/ipxe-arm64.efi");
});

test("what fails is told, and leaves nothing behind", debian, async () => {
  const root = join(dir, "refused");
  const refused = async (script: Parameters<typeof aptGet>[0], why: RegExp): Promise<void> => {
    aptGet(script);
    await assert.rejects(addAsset("ipxe", root, { renew: true }), (cause) => cause instanceof AssetError && why.test(cause.message));
    assert.deepEqual(readdirSync(root), []);
  };
  await refused({ archives: ":", update: ":", sum }, /no Debian archive among its sources/);
  await refused(
    { archives: ARCHIVES, update: "echo 'E: The repository is not signed.' >&2; exit 100", sum },
    /mirror.*The repository is not signed\./,
  );
  await refused({ archives: ARCHIVES, update: ":", sum: "0".repeat(64) }, /ipxe_2_all\.deb is not what Debian's signed index says/);
  aptGet({ archives: ARCHIVES, update: "exec sleep 20", sum });
  await assert.rejects(addAsset("ipxe", root, { renew: true, signal: AbortSignal.timeout(300) }), { name: "TimeoutError" });
  assert.deepEqual(readdirSync(root), []);
});
