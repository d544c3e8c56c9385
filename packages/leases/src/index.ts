export * from "./kea.ts";
export * from "./lease.ts";
export * from "./leases.ts";
export { isDelegated, prefixText } from "./prefixes.ts";
