export { type HttpSettings, startHttp } from "./service.ts";
/** The service as a worker thread's whole program. */
export const httpWorker = new URL("./worker.ts", import.meta.url);
