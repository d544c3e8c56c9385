/** Leases as an operator and a crash see them: listed, released, taken over from Kea; and never lost once acknowledged. */
import assert from "node:assert/strict";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { NETBOOT6, type ProvisioningVlan } from "@netboot6/lab";
import { CONFIGURATION, clientDuid, list, makeLoad, startTraced } from "./leases-setup.ts";
import { makeVlan, startAppliance } from "./setup.ts";

const KEA_FILE = new URL("../packages/leases/src/fixtures/kea-leases6.csv", import.meta.url);
const KEA_WROTE = 1795465259;
const CRASHES = 20;
const OUTSTANDING = 2000;
const ONLY_DHCPV6 = `${CONFIGURATION}dns: false\nhttp: false\ntftp: false\nconsole: false\n`;

const netboot6 = (vlan: ProvisioningVlan, ...args: string[]) =>
  vlan.server.exec([NETBOOT6, "leases", ...args, "--config", join(vlan.dir, "appliance.yaml")]);

test("leases are listed while it runs and while it does not", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  assert.equal((await netboot6(vlan)).stdout, "no leases\n");
  await makeLoad(vlan).run(1, 5, 1, 2);
  const { stdout, code } = await netboot6(vlan);
  assert.equal(code, 0);
  assert.match(stdout, /^ADDRESS +MACHINE +NETWORK +STATE +ENDS IN\n(2001:db8:0:1::\S+ +m-\S+ +prov0 +bound +\S+ \S+\n){2}$/);
  assert.deepEqual(
    (await list(vlan)).map(({ duid, state }) => `${duid} ${state}`).sort(),
    [1, 2].map((client) => `${clientDuid(client)} bound`),
  );
  assert.equal(await appliance.stop(), 0);
  const times = /(?<=bound +)\S.*/g;
  assert.equal((await netboot6(vlan)).stdout.replaceAll(times, ""), stdout.replaceAll(times, ""));
});

test("a lease is released through the running appliance with the console's token, and refused without one", async (t) => {
  const vlan = makeVlan(t);
  const first = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  await makeLoad(vlan).run(1, 5, 1, 1);
  const address = (await list(vlan))[0]?.address ?? "";
  const refused = await netboot6(vlan, "release", address);
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /need the console's token/);
  assert.equal((await list(vlan))[0]?.state, "bound");
  assert.equal(await first.stop(), 0);

  const second = await startAppliance(t, vlan, { configuration: `${CONFIGURATION}console: { token: a-long-word }\n` });
  const released = await netboot6(vlan, "release", address);
  assert.equal(released.stdout, `${address} is released\n`, released.stderr);
  assert.equal((await list(vlan))[0]?.state, "released");
  await second.waitFor((line) => line.event === "lease.released" && line.address === address, 2);
  const again = await netboot6(vlan, "release", address);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /is not leased/);
});

test("a lease is released in the store where the appliance is stopped; no address is wrong use", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  await makeLoad(vlan).run(1, 5, 1, 1);
  assert.equal(await appliance.stop(), 0);
  const address = (await list(vlan))[0]?.address ?? "";
  assert.equal((await netboot6(vlan, "release", address)).code, 0);
  assert.equal((await list(vlan))[0]?.state, "released");
  assert.equal((await netboot6(vlan, "release", "2001:db8::77")).code, 1);
  assert.equal((await netboot6(vlan, "release", "nonsense")).code, 2);
});

/** What kea-dhcp6 wrote, as if it were of now. */
function keaFile(vlan: ProvisioningVlan): string {
  const file = join(vlan.dir, "kea-leases6.csv");
  const later = Math.floor(Date.now() / 1000) - KEA_WROTE;
  const shifted = readFileSync(KEA_FILE, "latin1").replaceAll(/,(1795\d{6}),/g, (_, expire) => `,${Number(expire) + later},`);
  writeFileSync(file, shifted);
  return file;
}

test("kea-dhcp6's leases are taken over while the appliance is stopped, and their clients keep them", async (t) => {
  const vlan = makeVlan(t);
  const file = keaFile(vlan);
  const first = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  const running = await netboot6(vlan, "import", file);
  assert.equal(running.code, 1);
  assert.match(running.stderr, /stop the appliance first/);
  assert.equal(await first.stop(), 0);

  const done = await netboot6(vlan, "import", file);
  assert.equal(done.code, 0, done.stderr);
  assert.match(done.stdout, /^4 leases imported/);
  for (const left of [/1 left out: delegated by no network/, /1 left out: declined/, /1 left out: released/])
    assert.match(done.stdout, left);
  assert.match((await netboot6(vlan, "import", file)).stdout, /^0 leases imported.*4 left out: leased already/s);

  await startAppliance(t, vlan, { configuration: CONFIGURATION });
  const load = makeLoad(vlan);
  await load.run(1, 5, 7, 3);
  const acknowledged = load.acknowledged();
  for (const [i, client] of [7, 8, 9].entries()) assert.equal(acknowledged.get(client), `2001:db8:0:1::100${i}`);
});

test("a delegated prefix is taken over from Kea, listed and released, in the store and through the console", async (t) => {
  const vlan = makeVlan(t);
  const file = keaFile(vlan);
  const delegating = CONFIGURATION.replace("managed: true", 'delegate: { prefix: "2001:db8:8000::/48", length: 64 }, managed: true');
  const configuration = `${delegating}console: { token: a-long-word }\n`;
  const first = await startAppliance(t, vlan, { configuration });
  assert.equal(await first.stop(), 0);
  assert.match((await netboot6(vlan, "import", file)).stdout, /^5 leases imported/);
  assert.match((await netboot6(vlan)).stdout, /^2001:db8:8000::\/64 +m-5254000b0002 +prov0 +bound/m);
  assert.equal((await netboot6(vlan, "release", "2001:db8:8000::/64")).stdout, "2001:db8:8000::/64 is released\n");
  assert.equal((await list(vlan)).find(({ address }) => address === "2001:db8:8000::/64")?.state, "released");
  const again = await netboot6(vlan, "import", file);
  assert.match(again.stdout, /^0 leases imported.*1 left out: leased here later, and ended/s);
  rmSync(join(vlan.dir, "state"), { recursive: true });
  assert.match((await netboot6(vlan, "import", file)).stdout, /^5 leases imported/);
  await startAppliance(t, vlan, { configuration });
  const released = await netboot6(vlan, "release", "2001:db8:8000::/64");
  assert.equal(released.stdout, "2001:db8:8000::/64 is released\n", released.stderr);
});

test(`killed ${CRASHES} times among ${OUTSTANDING} exchanges: no acknowledged lease is lost, no address has two owners`, async (t) => {
  const vlan = makeVlan(t);
  const load = makeLoad(vlan);
  const clientOf = new Map<string, number>();
  const check = async (): Promise<void> => {
    const stored = new Map((await list(vlan)).map((lease) => [lease.address, lease]));
    for (const [address, client] of clientOf) {
      assert.equal(stored.get(address)?.duid, clientDuid(client), `${address} was acknowledged to client ${client}`);
      assert.equal(stored.get(address)?.state, "bound");
    }
  };
  for (let crash = 0; crash < CRASHES; crash++) {
    const appliance = await startAppliance(t, vlan, { configuration: ONLY_DHCPV6 });
    await check();
    const running = load.start(OUTSTANDING, 30, 1 + crash * 1_000_000);
    await load.acknowledges(1);
    await new Promise((resolve) => setTimeout(resolve, 20 * (crash % 10)));
    appliance.signal("SIGKILL");
    await appliance.exit;
    await running.end();
    const acknowledged = load.acknowledged();
    assert.ok(acknowledged.size > 0);
    for (const [client, address] of acknowledged) {
      assert.ok(!clientOf.has(address), `${address} is client ${clientOf.get(address)}'s and ${client}'s`);
      clientOf.set(address, client);
    }
  }
  await startAppliance(t, vlan, { configuration: ONLY_DHCPV6 });
  await check();
  t.diagnostic(`${clientOf.size} acknowledged leases`);
});

test("between the arrival of each Request and its Reply an fsync was begun and ended", async (t) => {
  const vlan = makeVlan(t);
  const appliance = await startAppliance(t, vlan, { configuration: CONFIGURATION });
  const trace = await startTraced(vlan, appliance.pid, []);
  const load = makeLoad(vlan);
  // One at a time each Request has an fsync to itself; many at once share them.
  await load.run(1, 60, 1, 500);
  await load.run(32, 60, 10_000, 500);
  const { requests, replies, uncovered } = await trace.end();
  assert.ok(requests >= 1000 && replies >= 1000, `${requests} Requests and ${replies} Replies seen`);
  assert.deepEqual(uncovered, []);
});

for (const [what, injection, said] of [
  ["stalls", "delay_enter=20000000", null],
  ["fails", "error=EIO", /could not be stored/],
] as const)
  test(`while fsync ${what} no Reply to a Request leaves; advertisements and Information-request are answered`, async (t) => {
    const vlan = makeVlan(t);
    const appliance = await startAppliance(t, vlan, { configuration: CONFIGURATION });
    const load = makeLoad(vlan);
    const trace = await startTraced(vlan, appliance.pid, [`--inject=fsync,fdatasync:${injection}`]);
    assert.equal((await load.run(4, 4, 1)).exchanges, 0);
    await informationIsGiven(t, vlan);
    assert.equal((await load.run(4, 2, 100)).exchanges, 0);
    const { replies } = await trace.end();
    assert.equal(replies, 1, "the Information-request's");
    if (said) await appliance.waitFor((line) => line.event === "dhcpv6.dropped" && said.test(line.msg), 2);
    assert.ok((await load.run(4, 10, 200, 4)).exchanges >= 4, "it goes on once the disk does");
  });

async function informationIsGiven(t: TestContext, vlan: ProvisioningVlan): Promise<void> {
  const asker = vlan.client("ask");
  asker.up();
  await new Promise((resolve) => setTimeout(resolve, 300));
  const advertised = await asker.namespace.exec(["rdisc6", "-1", "-r", "3", "-w", "1500", "eth0"]);
  assert.match(advertised.stdout, /Prefix/);
  const file = (name: string): string => join(vlan.dir, `dhclient.${name}`);
  const argv = ["dhclient", "-6", "-S", "-1", "-v", "-sf", "/bin/true", "-lf", file("leases"), "-pf", file("pid"), "eth0"];
  const informed = await asker.namespace.exec(argv, { timeout: 10 });
  t.diagnostic(`dhclient: exit ${informed.code}`);
  assert.match(informed.stderr, /RCV: Reply message/);
}
