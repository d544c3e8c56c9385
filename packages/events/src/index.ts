export * from "./bus.ts";
export * from "./describe.ts";
export type * from "./link.ts";
export * from "./relays.ts";
export * from "./timeline.ts";
export type * from "./types.ts";
export * from "./worker.ts";
