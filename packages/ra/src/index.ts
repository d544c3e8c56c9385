export { buildAdvertisement } from "./advertisement.ts";
export { type Found, findRouters } from "./find-routers.ts";
export { forwards } from "./host.ts";
export { type RaSettings, startRouterAdvertiser } from "./service.ts";
