import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, statSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { ip, namespaceNames, ProvisioningVlan } from "./index.ts";

const root = process.getuid?.() === 0 ? {} : { skip: "takes root" };

/** Network namespaces by inode, which is what is left of one without a name. */
const inodes = (vlan: string): number[] => namespaceNames(vlan).map((name) => statSync(`/run/netns/${name}`).ino);

function processesIn(namespaces: readonly number[]): string[] {
  const pids = readdirSync("/proc").filter((entry) => /^\d+$/.test(entry));
  return pids.filter((pid) => {
    try {
      return namespaces.includes(statSync(`/proc/${pid}/ns/net`).ino);
    } catch {
      return false;
    }
  });
}

test("machines behind two links reach the server, and closing leaves nothing", root, async () => {
  const vlan = new ProvisioningVlan();
  let used: number[] = [];
  try {
    const near = vlan.client("near");
    const { bridge, prefix, far } = vlan.relay();
    const behind = vlan.client("behind", { bridge });
    const tap = vlan.tap();
    near.up();
    near.namespace.ip(`addr add ${vlan.prefix}5/64 dev eth0`);
    behind.up();
    behind.namespace.ip(`addr add ${prefix}5/64 dev eth0\nroute add default via ${far}`);
    assert.match(vlan.switch.run(["ip", "-br", "link"]), new RegExp(`^${tap}`, "m"));
    assert.equal(vlan.server.run(["ip", "-4", "-br", "addr"]), "");

    const capture = await vlan.server.capture("prov0", `${vlan.dir}/prov0.pcap`, "tcp port 80");
    const server = vlan.server.spawn([
      process.execPath,
      "-e",
      "require('http').createServer((q, s) => s.end(q.socket.remoteAddress)).listen(80)",
    ]);
    for (const { namespace } of [near, behind]) {
      const got = await namespace.exec([
        "curl",
        "-sS",
        "--retry-connrefused",
        "--retry",
        "5",
        "--retry-delay",
        "1",
        `http://[${vlan.address}]/`,
      ]);
      assert.equal(got.code, 0, got.stderr);
      assert.equal(got.stdout, namespace === near.namespace ? `${vlan.prefix}5` : `${prefix}5`);
    }
    await capture.stop();
    const packets = await vlan.server.exec(["tcpdump", "-vnr", capture.file]);
    assert.match(packets.stdout, /2001:db8:0:2::5.*2001:db8:0:1::1/);
    assert.doesNotMatch(packets.stdout, /incorrect/, "checksums are in full");
    assert.equal(server.exitCode, null);
    assert.equal((await vlan.server.exec(["sleep", "9"], { timeout: 0.1 })).code, null);
    used = inodes(vlan.name);
    assert.ok(processesIn(used).length > 0);
  } finally {
    vlan.close();
  }
  vlan.close();
  assert.deepEqual(namespaceNames(vlan.name), []);
  assert.ok(!existsSync(vlan.dir));
  assert.deepEqual(processesIn(used), []);
});

for (const signal of ["SIGINT", "SIGTERM", "SIGKILL"] as const) {
  test(`an owner that ends by ${signal} leaves nothing, at the latest for the next one`, root, async () => {
    const script = `
      import { ProvisioningVlan } from ${JSON.stringify(fileURLToPath(new URL("./index.ts", import.meta.url)))};
      const vlan = new ProvisioningVlan();
      vlan.server.spawn(["sleep", "300"], { stdio: "ignore" });
      await vlan.server.exec(["true"]);
      console.log(vlan.name, vlan.dir);
      setInterval(() => {}, 1000);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: ["ignore", "pipe", "inherit"] });
    const [said] = await once(owner.stdout, "data", { signal: AbortSignal.timeout(20_000) });
    const [name, dir] = String(said).trim().split(" ") as [string, string];
    const used = inodes(name);
    assert.equal(used.length, 2);
    assert.ok(processesIn(used).length > 0);
    owner.kill(signal);
    assert.deepEqual(await once(owner, "exit", { signal: AbortSignal.timeout(20_000) }), [null, signal]);
    if (signal === "SIGKILL") new ProvisioningVlan().close();
    assert.deepEqual(namespaceNames(name), []);
    assert.ok(!existsSync(dir));
    assert.doesNotMatch(ip(["netns", "list"]), new RegExp(name));
    assert.deepEqual(processesIn(used), []);
  });
}
