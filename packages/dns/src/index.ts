export type { LocalName } from "./local.ts";
export { type DnsSettings, startDns } from "./service.ts";
/** The service as a worker thread's whole program. */
export const dnsWorker = new URL("./worker.ts", import.meta.url);
