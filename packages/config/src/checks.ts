/**
 * What each part says that contradicts another part, found before anything starts. Pure over the picture: run once over the file,
 * and again over the networks that the host completed, where prefixes and addresses are known that the file left out.
 */
import type { Appliance } from "./appliance.ts";
import { checkMachines } from "./check-machines.ts";
import { checkNetworks } from "./check-networks.ts";
import { checkServices } from "./check-services.ts";
import type { Finding } from "./problem.ts";

export function checkAppliance(appliance: Appliance): Finding[] {
  return [...checkNetworks(appliance), ...checkMachines(appliance), ...checkServices(appliance)];
}
