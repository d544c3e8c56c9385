export { claimName } from "./fqdn.ts";
export { handle, type Incoming, type Outcome, type ServerState } from "./server.ts";
export * from "./service.ts";
