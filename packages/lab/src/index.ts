export * from "./appliance.ts";
export * from "./disk.ts";
export * from "./machine.ts";
export * from "./namespace.ts";
export * from "./requirements.ts";
export * from "./simulated-rack.ts";
export * from "./uefi-variables.ts";
export * from "./vlan.ts";
