/** What the tests that stage faults share: machines, what is told of them, and which rules were told by now. */
import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { TestContext } from "node:test";
import type { BootEvent, StoredBoot } from "@netboot6/events";
import { type Appliance, Clock, type Namespace, type ProvisioningVlan, SimulatedRack } from "@netboot6/lab";
import { readStored } from "@netboot6/store";
import { bootAssets, startAppliance } from "./setup.ts";

export const MACHINE = (n: number) => ({
  name: `n${n}`,
  mac: `52:54:00:0c:00:0${n}`,
  uuid: `11223344-5566-7788-99aa-bbccddeeff0${n}`,
});

/** The rules whose verdict was read. */
export const staged = new Set<string>();

/** An iPXE and what else is put under boot-assets, by path. */
export async function assets(vlan: ProvisioningVlan, files: Readonly<Record<string, string | Buffer>>, ipxe = true): Promise<void> {
  const root = join(vlan.dir, "boot-assets");
  const programs = await bootAssets();
  mkdirSync(join(root, "ipxe/x86_64"), { recursive: true });
  if (ipxe) copyFileSync(join(programs, "ipxe/x86_64/ipxe.efi"), join(root, "ipxe/x86_64/ipxe.efi"));
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  }
}

interface Said {
  readonly rule: string;
  readonly text: string;
  readonly mend: string;
}

/** The verdict as the log tells it and the API gives it. */
export async function verdict(appliance: Appliance, machine: string, rule: string, within = 20): Promise<string> {
  const line = await appliance.waitFor((each) => each.event === "machine.stuck" && each.machine === machine && each.rule === rule, within);
  const { verdict: told } = await appliance.get<{ verdict: Said }>(`/machines/${machine}/timeline`);
  assert.equal(told.rule, rule);
  assert.equal(line.msg, `stands still: ${line.text} ${line.mend}`);
  staged.add(rule);
  return `${told.text} ${told.mend}`;
}

/** Waits until the last event of a machine's stage, as it is stored, is such a one: what a crash leaves, too. */
export async function stored(vlan: ProvisioningVlan, n: number, fits: (event: BootEvent) => boolean, within = 20): Promise<void> {
  const isStored = (): boolean =>
    readStored(join(vlan.dir, "state"), "boot")
      .map(({ value }) => value as StoredBoot)
      .some(({ machine, boot }) => machine === MACHINE(n).name && boot.stages.some(({ last }) => fits(last)));
  for (const end = Date.now() + within * 1000; !isStored(); await new Promise((resolve) => setTimeout(resolve, 50)))
    assert.ok(Date.now() < end, `n${n}: not stored within ${within} s`);
}

export interface InTime {
  readonly appliance: Appliance;
  readonly clock: Clock;
}

/** The appliance with a clock of its own. */
export async function startInTime(t: TestContext, vlan: ProvisioningVlan, configuration: string): Promise<InTime> {
  const clock = new Clock(join(vlan.dir, "clock"));
  return { appliance: await startAppliance(t, vlan, { configuration, before: clock.before }), clock };
}

/** So many seconds later: what is told of these machines. */
type Later = readonly [ahead: number, Readonly<Record<string, readonly [rule: string, says: RegExp]>>];

export async function passes(t: TestContext, { appliance, clock }: InTime, all: readonly Later[]): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, 1000)); // what happened until now is told by then
  for (const [ahead, told] of all) {
    clock.set(ahead);
    for (const [name, [rule, says]] of Object.entries(told))
      await t.test(`${ahead} s later, ${name}: ${rule}`, async () => assert.match(await verdict(appliance, name, rule), says));
  }
}

export const rack = (vlan: ProvisioningVlan, ...machines: number[]): SimulatedRack =>
  new SimulatedRack(vlan, { machines: machines.map(MACHINE) });

/** A simulated machine that is switched off when it comes to that step; resolves once it is. */
export function until(vlan: ProvisioningVlan, n: number, last: string, pace = 1): Promise<void> {
  return new Promise((resolve, reject) => {
    const one: SimulatedRack = new SimulatedRack(vlan, {
      machines: [MACHINE(n)],
      pace,
      onStep: ({ step }) => {
        if (step === last) one.stop().then(resolve, reject);
        else if (step === "ended") reject(new Error(`n${n} did not come to ${last}: ${one.failures}`));
      },
    });
  });
}

/** A DHCPv6 client that says what scripted-client.ts is told to. */
export async function script(namespace: Namespace, kind: string, duid: string, ...steps: string[]): Promise<void> {
  const program = join(import.meta.dirname, "scripted-client.ts");
  const argv = [process.execPath, "--disable-warning=ExperimentalWarning", program, kind, duid, ...steps];
  const { code, stderr } = await namespace.exec(argv, { timeout: 60 });
  assert.equal(code, 0, stderr);
}

/** A resolver on the VLAN at 2001:db8:0:1::53, with these records of the zone `example`. */
export function startResolver(vlan: ProvisioningVlan, ...records: string[]): void {
  const resolver = vlan.client("resolver");
  resolver.up();
  resolver.namespace.ip("addr add 2001:db8:0:1::53/64 dev eth0");
  const zone = join(vlan.dir, "unbound.conf");
  writeFileSync(
    zone,
    `server:
  interface: 2001:db8:0:1::53
  access-control: ::/0 allow
  local-zone: "example." static
${records.map((record) => `  local-data: "${record}"\n`).join("")}  username: ""
  chroot: ""
  use-syslog: no
  do-daemonize: no
  pidfile: "${join(vlan.dir, "unbound.pid")}"
`,
  );
  resolver.namespace.spawn(["unbound", "-d", "-c", zone], { stdio: "ignore" });
}
