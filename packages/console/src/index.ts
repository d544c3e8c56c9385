export { Readings } from "./readings.ts";
export type { AssetsView, LeaseView, MachineView, NetworkView, StatusView, TimelineView } from "./schemas.ts";
export { startConsole } from "./service.ts";
export type { ConsoleSettings } from "./sources.ts";
