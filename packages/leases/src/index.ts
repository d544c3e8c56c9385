export * from "./kea.ts";
export * from "./lease.ts";
export * from "./leases.ts";
