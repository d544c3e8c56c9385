import { runWorker } from "@netboot6/events";
import { startDns } from "./service.ts";

await runWorker(startDns);
