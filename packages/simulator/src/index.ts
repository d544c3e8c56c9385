export * from "./machine.ts";
/** The simulator's program: see there. */
export const simulatorProgram = new URL("./main.ts", import.meta.url);
