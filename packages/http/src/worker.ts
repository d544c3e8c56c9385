import { setPriority } from "node:os";
import { runWorker } from "@netboot6/events";
import { startHttp } from "./service.ts";

// On Linux this thread alone: where downloads take all of a core, DHCPv6 and router advertisements on the main thread go first.
setPriority(5);
await runWorker(startHttp);
