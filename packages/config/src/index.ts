export * from "./access.ts";
export type * from "./appliance.ts";
export { ARCH_NAMES, archName, archNumber, CPUS, isUefiPxe } from "./arch.ts";
export { type Listening, listenings } from "./check-services.ts";
export { checkAppliance } from "./checks.ts";
export { type HostAddress, type HostInterface, parseIfInet6, readHost, resolveNetworks } from "./host.ts";
export { type Loaded, loadAppliance } from "./load.ts";
export {
  FINDING_IDS,
  type Finding,
  type FindingId,
  formatKey,
  formatProblem,
  type Path,
  type Problem,
  type Severity,
  warning,
} from "./problem.ts";
export * from "./secrets.ts";
