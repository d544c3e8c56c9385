export * from "./access.ts";
export type * from "./appliance.ts";
export { ARCH_NAMES, archName, archNumber, CPUS, isUefiPxe } from "./arch.ts";
export { checkAppliance } from "./checks.ts";
export { type HostAddress, type HostInterface, parseIfInet6, readHost, resolveNetworks } from "./host.ts";
export { type Loaded, loadAppliance } from "./load.ts";
export { type Finding, formatKey, formatProblem, type Path, type Problem, type Severity } from "./problem.ts";
export * from "./secrets.ts";
