/** A rack of the simulator's machines, in a namespace of its own on the VLAN. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { type MachineSpec, simulatorProgram } from "@netboot6/simulator";
import type { Client, ProvisioningVlan } from "./vlan.ts";

/** What the simulator tells of its machines. */
export interface SimulatedStep {
  /** Unix milliseconds. */
  readonly at: number;
  readonly machine?: string;
  /** `power-on`, `firmware`, `leased`, `program`, `ipxe`, `script`, `kernel`, `initrd`, `installer`, `answers`, `done`, `failed`; at last `ended`. */
  readonly step: string;
  readonly detail?: string;
}

export interface RackOptions {
  readonly machines: readonly MachineSpec[];
  /** How long the waits of real machines that need no packet take: 1 as long as theirs, 0 not at all. */
  readonly pace?: number;
  /** Seconds over which they are switched on. */
  readonly spread?: number;
  readonly onStep?: (step: SimulatedStep) => void;
  /** Put before the simulator's command. */
  readonly before?: readonly string[];
}

let racks = 0;

export class SimulatedRack {
  readonly steps: SimulatedStep[] = [];
  /** Its exit code: 0 where all machines came all the way. */
  readonly exit: Promise<number | null>;
  errors = "";
  readonly #simulator: ChildProcess;
  readonly #client: Client;

  constructor(vlan: ProvisioningVlan, { machines, pace = 0, spread = 0, onStep, before = [] }: RackOptions) {
    const client = vlan.client(`rack${++racks}`);
    this.#client = client;
    // The machines configure themselves; the kernel's own answers to advertisements would add addresses that are nobody's.
    client.namespace.sysctl({
      "ipv6/conf/default/accept_ra": 0,
      "ipv6/conf/eth0/accept_ra": 0,
      "ipv6/conf/all/accept_ra": 0,
      "ipv6/conf/eth0/addr_gen_mode": 1,
      "ipv6/conf/default/addr_gen_mode": 1,
    });
    client.up();
    const argv = [...before, process.execPath, "--disable-warning=ExperimentalWarning", fileURLToPath(simulatorProgram)];
    const simulator: ChildProcess = client.namespace.spawn(
      [...argv, "--interface", "eth0", "--pace", String(pace), "--spread", String(spread)],
      { stdio: ["pipe", "pipe", "pipe"] },
    );
    this.#simulator = simulator;
    simulator.stdin?.end(JSON.stringify(machines));
    simulator.stderr?.on("data", (data) => {
      this.errors += data;
    });
    if (simulator.stdout)
      createInterface({ input: simulator.stdout }).on("line", (line) => {
        const step = JSON.parse(line) as SimulatedStep;
        this.steps.push(step);
        onStep?.(step);
      });
    this.exit = new Promise((resolve) => simulator.once("close", resolve));
  }

  /** Switches all of it off. */
  async stop(): Promise<void> {
    this.#simulator.kill();
    await this.exit;
    // Their addresses outlive the simulator: the kernel would go on answering for them.
    this.#client.namespace.ip(`link set ${this.#client.interface} down`);
  }

  /** Why machines failed, by machine. */
  get failures(): string[] {
    return this.steps.filter(({ step }) => step === "failed").map(({ machine, detail }) => `${machine}: ${detail}`);
  }
}
