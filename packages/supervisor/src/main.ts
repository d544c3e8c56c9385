/** The `netboot6` command. Exit codes: 0 done; 1 it failed; 2 wrong use, a bad configuration or a missing privilege. */
import { ASSETS } from "@netboot6/boot";
import { Command } from "commander";
import { addAssets } from "./commands/assets.ts";
import { check } from "./commands/check.ts";
import { run } from "./commands/run.ts";

const program = new Command("netboot6")
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
