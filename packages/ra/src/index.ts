export { buildAdvertisement } from "./advertisement.ts";
export { forwards } from "./host.ts";
export { type RaSettings, startRouterAdvertiser } from "./service.ts";
