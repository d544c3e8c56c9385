export * from "./bus.ts";
export * from "./describe.ts";
export type * from "./link.ts";
export * from "./relays.ts";
export { STAGES, type StageName } from "./stages.ts";
export { type Boot, type Entry, type MachineTimeline, type Stage, type StoredBoot, Timelines } from "./timeline.ts";
export type * from "./types.ts";
export { VERDICTS, type Verdict } from "./verdict.ts";
export * from "./worker.ts";
