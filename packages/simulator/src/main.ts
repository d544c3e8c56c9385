/**
 * A rack of simulated machines on one interface: reads what they are as JSON from standard input, writes what they do as JSON
 * lines, ends with exit code 0 where all came all the way. Run it in a network namespace.
 */
import { parseArgs } from "node:util";
import { IpCommands } from "./link.ts";
import { bootMachine, type MachineSpec } from "./machine.ts";

const { values } = parseArgs({
  options: {
    interface: { type: "string", default: "eth0" },
    pace: { type: "string", default: "0" },
    spread: { type: "string", default: "0" },
  },
});
let input = "";
for await (const chunk of process.stdin.setEncoding("utf8")) input += chunk;
const specs = JSON.parse(input) as MachineSpec[];
const pace = Number(values.pace);
/** Seconds over which the machines are switched on. */
const spread = Number(values.spread);

const tell = (line: object): void => void process.stdout.write(`${JSON.stringify({ at: Date.now(), ...line })}\n`);
const commands = new IpCommands();
const results = await Promise.all(
  specs.map(async (spec, i) => {
    await new Promise((resolve) => setTimeout(resolve, (spread * 1000 * i) / specs.length));
    tell({ machine: spec.name, step: "power-on" });
    return bootMachine(spec, {
      rackInterface: values.interface,
      interface: `m${i}`,
      commands,
      pace,
      report: (step, detail) => tell({ machine: spec.name, step, ...(detail === undefined ? {} : { detail }) }),
    });
  }),
);
const failed = results.filter(({ failure }) => failure !== null);
tell({
  step: "ended",
  machines: results.length,
  failed: failed.length,
  seconds: results.map(({ seconds }) => seconds),
  dhcpv6Resent: results.reduce((sum, result) => sum + result.dhcpv6Resent, 0),
});
process.exit(failed.length === 0 ? 0 : 1);
