/** The `netboot6` command. Exit codes: 0 done; 1 it failed, or something stands still; 2 wrong use, a bad configuration, no appliance. */
import { ASSETS } from "@netboot6/boot";
import { STAGES } from "@netboot6/events";
import { Argument, Command, Option } from "commander";
import { type AddAssetOptions, type AssetOptions, addAssets, checkAssets, listAssets } from "./commands/assets.ts";
import { check } from "./commands/check.ts";
import { completion, SHELLS } from "./commands/completion.ts";
import { type EventsOptions, events } from "./commands/events.ts";
import { type ExplainOptions, explain } from "./commands/explain.ts";
import { importLeases } from "./commands/import-leases.ts";
import { listLeases, releaseLease } from "./commands/leases.ts";
import { type ListOptions, listMachines, MACHINE_ACTIONS, type MachineOptions, machine } from "./commands/machines.ts";
import { run } from "./commands/run.ts";
import { status } from "./commands/status.ts";
import { watch } from "./commands/watch.ts";

const config = ["-c, --config <file>", "the configuration", "appliance.yaml"] as const;
const json = ["--json", "as JSON"] as const;
const exitCodes = (one: string): string => `\nExit codes: 0 done; 1 ${one}; 2 wrong use, or a bad configuration.`;
const exitCodesOfApi = (one: string): string =>
  `\nExit codes: 0 done; 1 ${one}; 2 wrong use, a bad configuration, or no appliance answers.`;

/** What a command gives is the exit code. */
const ends =
  <Args extends unknown[]>(act: (...args: Args) => Promise<number>) =>
  async (...args: Args): Promise<void> => {
    process.exitCode = await act(...args);
  };

const program = new Command("netboot6")
  .enablePositionalOptions()
  .description("Netboots racks of servers over IPv6 alone.")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
program
  .command("run")
  .description("run the appliance in the foreground")
  .option(...config)
  .addHelpText("after", "\nExit codes: 0 a signal ended it; 1 it could not end in time; 2 it could not start.")
  .action(async (options: { config: string }) => run(options.config));
program
  .command("check")
  .description("check the configuration against itself and this host")
  .option(...config)
  .option(...json)
  .addHelpText("after", "\nExit codes: 0 good; 1 the host is not ready for it; 2 the file is wrong.")
  .action(ends((options: { config: string; json?: true }) => check(options.config, options.json)));
program
  .command("explain")
  .description("what a machine would get, and why; nothing is sent")
  .option(...config)
  .option("--mac <mac>", "of its card")
  .option("--uuid <uuid>", "of its board")
  .option("--arch <name>", "what its firmware is: a name or number of IANA's, e.g. x64-uefi-http; default: a system")
  .option("--user-class <text>", "what it calls itself, e.g. iPXE")
  .option("--network <name>", "on this network; default: the first one")
  .option("--relay <address>", "through this relay")
  .option("--pcap <file>", "from its own messages in this capture")
  .option(...json)
  .addHelpText("after", "\nExit codes: 0 it is answered; 1 it is not; 2 wrong use or a bad configuration.")
  .action(ends((options: ExplainOptions) => explain(options)));
program
  .command("status")
  .description("services, networks and machines of the running appliance in a few lines")
  .option(...config)
  .option(...json)
  .addHelpText("after", exitCodesOfApi("a machine stands still, or a service does not answer"))
  .action(ends(status));
program
  .command("machines")
  .description("the machines it knows, how far each has come, and what it stands still at")
  .option(...config)
  .option("--network <name>", "on this network")
  .addOption(new Option("--stage <name>", "whose newest boot has come to this stage").choices(STAGES.map(({ name }) => name)))
  .option("--stuck", "that stand still")
  .option("--search <text>", "with this in their name, MAC, UUID, address, DUID, profile or network")
  .option(...json)
  .addHelpText("after", exitCodesOfApi("one of them stands still"))
  .action(ends((options: ListOptions) => listMachines(options)));
program
  .command("machine")
  .description("one machine: its boots, what was decided and why; or change what it boots")
  .argument("<name>", "its name, MAC or UUID")
  .addArgument(
    new Argument("[action]", "profile NAME: boot that from now on, `-`: what the configuration says; boot-again; forget").choices(
      MACHINE_ACTIONS,
    ),
  )
  .argument("[value]", "the profile's name")
  .option(...config)
  .option("--boot <n>", "an earlier boot: 1 is the newest, 2 the one before it")
  .option(...json)
  .addHelpText("after", exitCodesOfApi("it stands still, is not known, or the change is refused"))
  .action(
    ends((name: string, action: (typeof MACHINE_ACTIONS)[number] | undefined, value: string | undefined, options: MachineOptions) =>
      machine(name, action, value, options),
    ),
  );
program
  .command("watch")
  .description("every machine's boot as it goes on; without a terminal a line for each event")
  .option(...config)
  .option("--json", "each event as JSON")
  .addHelpText("after", exitCodesOfApi("it is refused"))
  .action(ends(watch));
program
  .command("events")
  .description("what happens, as it happens; until Ctrl-C")
  .option(...config)
  .option("--machine <name>", "of this machine alone: its name, MAC or UUID")
  .option("--type <type...>", "of these types alone, e.g. machine.stuck; dhcpv6 is all that begin with it")
  .addOption(new Option("--level <level>", "as loud as this in the log, or louder").choices(["debug", "info", "warn", "error"]))
  .option("--last <n>", "so many of those that were, first")
  .option("--json", "each as JSON")
  .addHelpText("after", exitCodesOfApi("it is refused"))
  .action(ends((options: EventsOptions) => events(options)));
const leases = program
  .command("leases")
  .description("the leases there are, read from the store, whether the appliance runs or not")
  .enablePositionalOptions()
  .option(...config)
  .option(...json)
  .addHelpText("after", exitCodes("it failed"))
  .hook("preSubcommand", (all, one) => {
    // What stands before the subcommand's name is meant for it.
    for (const key of ["config", "json"])
      if (all.getOptionValueSource(key) === "cli") one.setOptionValueWithSource(key, all.getOptionValue(key), "cli");
  })
  .action(ends(listLeases));
leases
  .command("release")
  .description("end a lease: through the console's API where the appliance runs, else in the store")
  .argument("<address>")
  .option(...config)
  .option(...json)
  .addHelpText("after", exitCodes("it is not leased, or cannot be ended"))
  .action(ends(releaseLease));
leases
  .command("import")
  .description("take over the leases of kea-dhcp6; the appliance must be stopped")
  .argument("<file>", "Kea's kea-leases6.csv; what its clean-up left beside it (.completed, .2, .1) is read too")
  .option(...config)
  .option(...json)
  .addHelpText("after", exitCodes("it failed"))
  .action(ends(importLeases));
const assets = program.command("assets").description("the files under boot-assets");
assets
  .command("add")
  .description(`bring boot files out of Debian packages: ${Object.keys(ASSETS).join(", ")}; or a file, tarball or ISO image`)
  .argument("<name...>", "of those; or a URL or a file of this host, with --to")
  .option(...config)
  .option("--root <folder>", "bring them here instead of the configuration's http.root")
  .option("--renew", "ask Debian for newer ones even where they are there")
  .option("--to <path>", "under boot-assets: where the file goes, or the folder that it is unpacked to")
  .option("--sha256 <hex>", "what the file's checksum must be; a URL takes one")
  .option("--extract [pattern...]", "unpack it: all of it, or the files that are called so, e.g. 'casper/*'")
  .option(...json)
  .addHelpText("after", exitCodes("it failed"))
  .action(ends((names: string[], options: AddAssetOptions) => addAssets(names, options)));
assets
  .command("list")
  .description("what is there, where it came from, who uses it, and what is missing")
  .option(...config)
  .option("--root <folder>", "look here instead of the configuration's http.root")
  .option(...json)
  .addHelpText("after", exitCodes("the configuration names what is not there"))
  .action(ends((options: AssetOptions & { json?: true }) => listAssets(options)));
assets
  .command("check")
  .description("whether what was brought is as it was, by its checksums")
  .option(...config)
  .option("--root <folder>", "look here instead of the configuration's http.root")
  .option(...json)
  .addHelpText("after", exitCodes("a file is missing or altered"))
  .action(ends((options: AssetOptions & { json?: true }) => checkAssets(options)));
program
  .command("completion")
  .description("a completion script for your shell: netboot6 completion bash > /etc/bash_completion.d/netboot6")
  .addArgument(new Argument("<shell>").choices(SHELLS))
  .action((shell: (typeof SHELLS)[number]) => console.log(completion(program, shell)));
await program.parseAsync();
