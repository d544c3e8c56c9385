import { runWorker } from "@netboot6/events";
import { startHttp } from "./service.ts";

await runWorker(startHttp);
