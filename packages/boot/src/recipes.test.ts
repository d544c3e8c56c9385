/** Every recipe in docs/ is taken as it stands, and what it serves is rendered for a machine. */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { parsePrefix } from "@netboot6/codec";
import { type Appliance, loadAppliance, type Network } from "@netboot6/config";
import { NOBODY } from "@netboot6/machines";
import { parse } from "yaml";
import { checkBootFiles } from "./check.ts";
import { BootFiles } from "./files.ts";
import { grubConfig } from "./grub.ts";
import type { BootState } from "./script.ts";
import { templateValues } from "./values.ts";

const folder = fileURLToPath(new URL("../../../docs/recipes", import.meta.url));
const root = fileURLToPath(new URL("../../../boot-assets", import.meta.url));
const dir = mkdtempSync(join(tmpdir(), "netboot6-recipes-"));
after(() => rmSync(dir, { recursive: true }));

const vars = {
  disk: "/dev/nvme0n1",
  password_hash: "$6$salt$hash",
  root_password_hash: "$6$salt$hash",
  ssh_key: 'ssh-ed25519 AAAA "me"@rack',
  talos: { type: "worker", token: "abc.def", endpoint: "https://[2001:db8::1]:6443" },
};
const network = { name: "n", address: "2001:db8::1", prefix: parsePrefix("2001:db8::/64") } as unknown as Network;
const machine = {
  ...NOBODY,
  id: "node-01",
  macs: ["52:54:00:0b:00:01"],
  boot: { stage: "installing", token: "f".repeat(32), since: 0 },
} as const;

async function load(recipe: string): Promise<Appliance> {
  const file = join(dir, "appliance.yaml");
  writeFileSync(file, `networks: [{ interface: eth1 }]\nhttp: { root: ${root} }\ninclude: [${join(folder, recipe)}]\n`);
  const loaded = await loadAppliance(file);
  assert.ok("appliance" in loaded, JSON.stringify(loaded));
  assert.deepEqual(loaded.warnings, []);
  return loaded.appliance;
}

for (const recipe of readdirSync(folder))
  test(`${recipe}: good, but for boot files that are to be brought; its script, GRUB's and its answers are rendered`, async () => {
    const appliance = await load(recipe);
    for (const { id, what } of checkBootFiles(appliance)) assert.equal(id, "missing-boot-file", what);
    const [[profileName, profile]] = Object.entries(appliance.profiles) as [[string, Appliance["profiles"][string]]];
    const values = templateValues({ appliance, network, machine, mac: null, address: null, vars, secrets: "given" });
    const state: BootState = { values, machine: "node-01", network: "n", profileName, profile, installed: false, stopped: null, why: "" };
    const files = new BootFiles(appliance.http as NonNullable<Appliance["http"]>, async () => state);
    const render = async (path: string): Promise<string> => {
      const found = await files.find(path, "2001:db8::5");
      assert.ok(found.kind === "text", `${path}: ${JSON.stringify(found)}`);
      return found.body.toString();
    };
    const script = await render("/boot.ipxe");
    assert.match(script, /^#!ipxe\n/);
    assert.match(script, /kernel http:\/\/\[2001:db8::1\]\//);
    const grub = grubConfig(state);
    if (spawnSync("grub-script-check", ["--version"]).status === 0) execFileSync("grub-script-check", { input: grub });

    const answers = [
      ...script.matchAll(/http:\/\/\[2001:db8::1\](\/(?:preseed|autoinstall|kickstart|ignition|talos)\/[^\s;]*\.?(?:cfg|ks|ign|yaml)?)/g),
    ]
      .map(([, path]) => path as string)
      .filter((path) => !/vmlinuz|initramfs/.test(path))
      .flatMap((path) =>
        path.endsWith("/")
          ? [`${path}user-data`, `${path}meta-data`]
          : path.endsWith("-live.ign")
            ? [path, path.replace("-live", "")]
            : path,
      );
    if (!/alpine/.test(recipe)) assert.ok(answers.length > 0, script);
    let whole = "";
    for (const path of new Set(answers)) {
      const text = await render(path);
      if (path.endsWith(".ign")) assert.equal(JSON.parse(text).ignition.version, "3.4.0");
      if (/-data$|\.yaml$/.test(path)) assert.ok(parse(text));
      if (/talos/.test(recipe)) {
        const { machine, cluster } = parse(text);
        assert.deepEqual([machine.type, machine.token], [vars.talos.type, vars.talos.token]);
        assert.deepEqual([machine.network.hostname, machine.install.disk], ["node-01", vars.disk]);
        assert.equal(cluster.controlPlane.endpoint, vars.talos.endpoint);
      }
      whole += text;
    }
    assert.equal(whole.includes("/done/"), profile.kind === "kernel" && profile.once, "who installs once reports it");
  });
