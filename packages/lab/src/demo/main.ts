/** `npm run demo`: the whole of a netboot on a provisioning VLAN inside this machine. Exit codes: 0 all machines came all the way; 1 not. */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { addAsset } from "@netboot6/boot";
import { STAGES } from "@netboot6/events";
import { Command, InvalidArgumentError } from "commander";
import { Appliance, BOOT_ASSETS } from "../appliance.ts";
import { Machine } from "../machine.ts";
import { SimulatedRack } from "../simulated-rack.ts";
import { ProvisioningVlan } from "../vlan.ts";
import { DemoView, type Watched } from "./view.ts";

interface Options {
  readonly simulated?: true;
  readonly machines: number;
  readonly seconds: number;
}

const number = (text: string): number => {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("a number from 1 on");
  return Number(text);
};
const options = new Command("demo")
  .description("Netboots machines over IPv6 alone, on a VLAN inside this machine.")
  .option("--simulated", "the simulator's machines instead of virtual ones: seconds, and no QEMU")
  .option("--machines <n>", "how many", number, 1)
  .option("--seconds <n>", "give up after so long", number, 420)
  .parse()
  .opts<Options>();

/** The waits of real machines, shortened to a tenth. */
const SIMULATED_PACE = 0.1;

const terminal = process.stdout.isTTY === true && process.stdin.isTTY === true;
const view = new DemoView(terminal);
const macOf = (i: number): string => `52:54:00:0b:${(i >> 8).toString(16).padStart(2, "0")}:${(i & 0xff).toString(16).padStart(2, "0")}`;
const uuidOf = (i: number): string => `11223344-5566-7788-99aa-bbccddee${i.toString(16).padStart(4, "0")}`;
const machines: (Watched & { mac: string; uuid: string })[] = Array.from({ length: options.machines }, (_, i) => ({
  id: `node-${String(i + 1).padStart(2, "0")}`,
  mac: macOf(i + 1),
  uuid: uuidOf(i + 1),
  poweredOn: null,
}));

const vlan = new ProvisioningVlan({ dad: true });
let appliance: Appliance | undefined;
let ending: Promise<never> | null = null;
/** Ends it once, with the first exit code. */
const end = (code: number): Promise<never> => {
  ending ??= (async () => {
    view.end();
    await appliance?.stop();
    vlan.close();
    process.exit(code);
  })();
  return ending;
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => void end(130));

try {
  await run();
} catch (error) {
  view.say(`demo: ${(error as Error).message}`);
  await end(1);
}

async function run(): Promise<void> {
  for (const name of ["ipxe", "debian-12"] as const) {
    const added = await addAsset(name, BOOT_ASSETS, {
      onProgress: ({ what, fraction }) => (view.footer = terminal ? `${name}: ${what} ${Math.round(fraction * 100)}%` : ""),
    });
    view.say(`boot-assets: ${added.source}`);
  }
  view.footer = "";
  const configuration = readFileSync(new URL("appliance.yaml", import.meta.url), "utf8")
    .replace("ROOT", BOOT_ASSETS)
    .concat("machines:\n", ...machines.map(({ id, mac }) => `  - { name: ${id}, mac: "${mac}" }\n`));
  appliance = new Appliance(vlan, { configuration });
  await appliance.ready();
  view.say(`the appliance is ready: ${vlan.address} on ${vlan.prefix}/64, no IPv4 anywhere; its files are in ${vlan.dir}`);
  for (const machine of machines) view.watch(machine);
  await appliance.follow((event) => view.read(event));

  const started = Date.now();
  const gone = options.simulated ? simulate() : powerOn();
  while (!ending && Date.now() - started < options.seconds * 1000 && machines.some(({ id }) => !view.isDone(id))) {
    const failed = await Promise.race([gone, new Promise<null>((resolve) => setTimeout(() => resolve(null), 100))]);
    if (failed) throw new Error(failed);
  }
  const come = machines.filter(({ id }) => view.isDone(id));
  view.footer = come.length === machines.length ? summary() : shortfall();
  if (terminal) await lookAround();
  await end(come.length === machines.length ? 0 : 1);
}

/** Switches virtual machines on; resolves only where one ends by itself. */
function powerOn(): Promise<string> {
  return Promise.race(
    machines.map((watched) => {
      const { id: name, mac, uuid } = watched;
      const machine = new Machine(vlan, { name, firmware: "uefi-http", mac, uuid });
      watched.poweredOn = Date.now();
      view.say(`${name}: a UEFI machine (QEMU, OVMF) is switched on; its console is in ${basename(machine.log)}`);
      return machine.off.then(() => `${name} switched itself off`);
    }),
  );
}

/** Switches simulated machines on; resolves only where one of them does not come all the way. */
async function simulate(): Promise<string> {
  const rack = new SimulatedRack(vlan, {
    machines: machines.map(({ id, mac, uuid }) => ({ name: id, mac, uuid })),
    pace: SIMULATED_PACE,
    onStep: ({ at, machine: name, step, detail }) => {
      const machine = machines.find(({ id }) => id === name);
      if (machine && step === "power-on") machine.poweredOn = at;
      if (step === "failed") view.say(`  ! ${name} stopped: ${detail}`);
    },
  });
  if ((await rack.exit) === 0) return new Promise(() => {});
  return `the simulator ended early: ${rack.failures.slice(0, 3).join("; ")}${rack.errors}`;
}

function summary(): string {
  const times = machines.map(({ id, poweredOn }) => ((view.stages(id).at(-1)?.startedAt ?? 0) - (poweredOn ?? 0)) / 1000);
  const slowest = Math.max(...times).toFixed(1);
  const what = options.simulated ? "simulated machine" : "UEFI machine";
  return machines.length === 1
    ? `A ${what} came all the way, from power-on to its installer's report, in ${slowest} s, over IPv6 alone.`
    : `${machines.length} ${what}s came all the way, from power-on to their installers' reports: the first in ${Math.min(...times).toFixed(1)} s, the last in ${slowest} s, over IPv6 alone.`;
}

function shortfall(): string {
  const short = machines.filter(({ id }) => !view.isDone(id));
  const first = short[0];
  const last = first && view.stages(first.id).at(-1);
  const label = STAGES.find(({ name }) => name === last?.name)?.label ?? "nothing heard of it";
  return `${short.length} of ${machines.length} did not come all the way within ${options.seconds} s; ${first?.id} came as far as: ${label}${last?.failed ? ` (${last.failed})` : ""}.`;
}

/** Stays up until q or Ctrl-C. */
async function lookAround(): Promise<void> {
  view.footer = `${machines.every(({ id }) => view.isDone(id)) ? summary() : shortfall()}
Look around: ip netns exec ${vlan.server.name} curl -s 'http://[::1]:8067/api/v1/machines/${machines[0]?.id}/timeline'
q or Ctrl-C ends it and removes everything.`;
  process.stdin.setRawMode(true).resume();
  await new Promise<void>((resolve) => {
    process.stdin.on("data", (keys) => {
      if (keys.includes("q") || keys.includes(3)) resolve();
    });
  });
  process.stdin.setRawMode(false).pause();
}
