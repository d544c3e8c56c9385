export type * from "./link.ts";
export type * from "./types.ts";
export * from "./worker.ts";
