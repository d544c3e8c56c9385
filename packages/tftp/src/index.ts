export { startTftp, type TftpSettings } from "./service.ts";
/** The service as a worker thread's whole program. */
export const tftpWorker = new URL("./worker.ts", import.meta.url);
