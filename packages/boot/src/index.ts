export * from "./assets.ts";
export * from "./client-kind.ts";
export * from "./file-cache.ts";
export * from "./files.ts";
export * from "./rules.ts";
export * from "./script.ts";
export * from "./templates.ts";
export * from "./values.ts";
