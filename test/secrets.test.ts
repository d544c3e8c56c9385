/** A machine's secrets, over the wire: who is given them, and where they are never seen. */
import assert from "node:assert/strict";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { BOOT_ASSETS, type Client, NETBOOT6 } from "@netboot6/lab";
import { MAC, makeVlan, SLAAC_ADDRESS, startAppliance } from "./setup.ts";

const SECRET = "$6$geheim";
const CONFIGURATION = `
networks: [{ interface: prov0 }]
profiles: { os: { kernel: os/linux, cmdline: "answers={{ http }}/preseed/os.cfg" } }
machines: [{ name: node-01, mac: "${MAC}", vars: { disk: /dev/vda, root_password_hash: "${SECRET}" } }]
log: { level: debug }
`;

test("the machine has its secrets while it installs, known by its address or by the neighbour table; nobody else has, nor log nor API", async (t) => {
  const vlan = makeVlan(t);
  const root = join(vlan.dir, "boot-assets");
  mkdirSync(join(root, "preseed"), { recursive: true });
  cpSync(join(BOOT_ASSETS, "boot.ipxe"), join(root, "boot.ipxe"));
  writeFileSync(join(root, "preseed/os.cfg"), "disk {{ machine.vars.disk }}\npassword {{ machine.vars.root_password_hash }}\n");
  writeFileSync(join(root, "preseed/done.cfg"), "{{ done }}\n");
  const appliance = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  const [machine, stranger] = [vlan.client("machine", { mac: MAC }), vlan.client("stranger")];
  for (const client of [machine, stranger]) client.up();
  machine.namespace.ip(`addr replace ${SLAAC_ADDRESS}/64 dev eth0 nodad\naddr add 2001:db8:0:1::aaaa/64 dev eth0 nodad`);
  stranger.namespace.ip("addr add 2001:db8:0:1::bbbb/64 dev eth0 nodad");
  const get = async (client: Client, path: string, from: string): Promise<string> => {
    const url = `http://[${vlan.address}]${path}`;
    return (await client.namespace.exec(["curl", "-sS", "--interface", from, url])).stdout;
  };
  const answers = (client: Client, from: string, query = ""): Promise<string> => get(client, `/preseed/os.cfg${query}`, from);
  const claims = `?mac=${MAC}`;

  // Its own MAC contradicts it.
  assert.match(
    await answers(stranger, "2001:db8:0:1::bbbb", claims),
    /^preseed\/os\.cfg:1:9: undefined variable: machine\.vars\.disk: m-\w+ has none among its vars$/m,
  );
  assert.match(await get(machine, "/boot.ipxe", SLAAC_ADDRESS), /answers=http/);
  assert.equal(await answers(machine, SLAAC_ADDRESS), `disk /dev/vda\npassword ${SECRET}\n`);
  const head = await machine.namespace.exec(["curl", "-sSI", "--interface", SLAAC_ADDRESS, `http://[${vlan.address}]/preseed/os.cfg`]);
  assert.match(head.stdout, /^HTTP\/1\.1 200 .*^cache-control: no-store\r$/ims, "no proxy on the way keeps it");
  // A privacy address tells nothing; the neighbour table of the appliance's host has its MAC.
  assert.equal(await answers(machine, "2001:db8:0:1::aaaa"), `disk /dev/vda\npassword ${SECRET}\n`);
  const privacy = Array.from({ length: 40 }, (_, i) => `2001:db8:0:1::aa00:${i}`);
  machine.namespace.ip(privacy.map((address) => `addr add ${address}/64 dev eth0 nodad`).join("\n"));
  const all = await Promise.all(privacy.map((address) => answers(machine, address)));
  assert.deepEqual(new Set(all), new Set([`disk /dev/vda\npassword ${SECRET}\n`]), "many at once, too");
  assert.doesNotMatch(await answers(stranger, "2001:db8:0:1::bbbb", claims), /geheim/);
  const others = await get(stranger, `/preseed/done.cfg${claims}`, "2001:db8:0:1::bbbb");

  const done = (await get(machine, "/preseed/done.cfg", SLAAC_ADDRESS)).trim();
  assert.notEqual(others.trim(), done, "a URL of its own");
  assert.match(done, /\/done\/[0-9a-f]{32}$/);
  assert.equal(await get(machine, new URL(done).pathname, SLAAC_ADDRESS), "done\n");
  assert.match(await answers(machine, SLAAC_ADDRESS), /not given: node-01 is not installing/);

  const shown = [JSON.stringify(appliance.lines)];
  for (const path of [
    "/machines",
    "/machines/node-01",
    "/machines/node-01/timeline",
    "/config",
    "/assets",
    "/networks",
    `/explain?mac=${MAC}`,
  ])
    shown.push(JSON.stringify(await appliance.get(path)));
  shown.push((await vlan.server.exec([NETBOOT6, "explain", "-c", appliance.file, "--mac", MAC, "--user-class", "iPXE"])).stdout);
  for (const text of shown) assert.ok(!text.includes("geheim") && !text.includes(done.slice(-32)), text);
});
