/** The `netboot6` command. Exit codes: 0 done; 1 it failed; 2 wrong use, a bad configuration or a missing privilege. */
import { ASSETS } from "@netboot6/boot";
import { Command } from "commander";
import { addAssets } from "./commands/assets.ts";
import { check } from "./commands/check.ts";
import { type ExplainOptions, explain } from "./commands/explain.ts";
import { importLeases } from "./commands/import-leases.ts";
import { listLeases, releaseLease } from "./commands/leases.ts";
import { run } from "./commands/run.ts";

const EXIT_CODES = "\nExit codes: 0 done; 1 it failed; 2 wrong use or a bad configuration.";
const program = new Command("netboot6")
  .enablePositionalOptions()
  .description("Netboots racks of servers over IPv6 alone.")
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));
const config = ["-c, --config <file>", "the configuration", "appliance.yaml"] as const;
program
  .command("run")
  .description("run the appliance in the foreground")
  .option(...config)
  .action(async (options: { config: string }) => run(options.config));
program
  .command("check")
  .description("check the configuration against itself and this host")
  .option(...config)
  .action(async (options: { config: string }) => {
    process.exitCode = await check(options.config);
  });
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
  .option("--json", "as JSON")
  .addHelpText("after", "\nExit codes: 0 it is answered; 1 it is not; 2 wrong use or a bad configuration.")
  .action(async (options: ExplainOptions) => {
    process.exitCode = await explain(options);
  });
const leases = program
  .command("leases")
  .description("the leases there are, read from the store, whether the appliance runs or not")
  .enablePositionalOptions()
  .option(...config)
  .option("--json", "as JSON")
  .addHelpText("after", EXIT_CODES)
  .action(async (options: { config: string; json?: true }) => {
    process.exitCode = await listLeases(options);
  });
leases
  .command("release")
  .description("end a lease: through the console's API where the appliance runs, else in the store")
  .argument("<address>")
  .option(...config)
  .addHelpText("after", EXIT_CODES)
  .action(async (address: string, options: { config: string }) => {
    process.exitCode = await releaseLease(address, options.config);
  });
leases
  .command("import")
  .description("take over the leases of kea-dhcp6; the appliance must be stopped")
  .argument("<file>", "Kea's kea-leases6.csv; what its clean-up left beside it (.completed, .2, .1) is read too")
  .option(...config)
  .addHelpText("after", EXIT_CODES)
  .action(async (file: string, options: { config: string }) => {
    process.exitCode = await importLeases(file, options.config);
  });
const assets = program.command("assets").description("the files under boot-assets");
assets
  .command("add")
  .description(`bring boot files out of Debian packages: ${Object.keys(ASSETS).join(", ")}`)
  .argument("<name...>")
  .option(...config)
  .option("--root <folder>", "bring them here instead of the configuration's http.root")
  .option("--renew", "ask Debian for newer ones even where they are there")
  .action(async (names: string[], options: { config: string; root?: string; renew?: true }) => {
    process.exitCode = await addAssets(names, options);
  });
await program.parseAsync();
