export { macOfId, newId } from "./configured.ts";
export * from "./machine.ts";
export * from "./machines.ts";
