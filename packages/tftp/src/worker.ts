import { runWorker } from "@netboot6/events";
import { startTftp } from "./service.ts";

await runWorker(startTftp);
