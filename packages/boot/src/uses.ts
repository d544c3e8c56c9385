/** What of the configuration names which file under boot-assets. */
import type { Appliance } from "@netboot6/config";
import { rulesInForce } from "./rules.ts";

/** By path, the profiles and boot rules that name it. */
export function usesOf(appliance: Appliance): Map<string, string[]> {
  const uses = new Map<string, string[]>();
  const use = (path: string, by: string): void => void uses.set(path, [...(uses.get(path) ?? []), by]);
  for (const [name, profile] of Object.entries(appliance.profiles)) {
    if (profile.kind === "script") use(profile.script, `profile ${name}: script`);
    if (profile.kind !== "kernel") continue;
    for (const path of Object.values(profile.kernel)) use(path, `profile ${name}: kernel`);
    for (const initrd of profile.initrd) for (const path of Object.values(initrd)) use(path, `profile ${name}: initrd`);
    for (const path of pathsInCmdline(profile.cmdline)) use(path, `profile ${name}: cmdline`);
  }
  for (const [index, { url }] of rulesInForce(appliance).entries()) {
    const path = /^\{\{-?\s*(?:https?|tftp)\s*-?\}\}\/+([^?{]+)$/.exec(url)?.[1];
    if (path !== undefined) use(path, `boot rule ${index + 1}`);
  }
  return uses;
}

/** What a kernel's command line names under boot-assets; a path with a value in it differs between machines, and is none. */
export function pathsInCmdline(cmdline: string): string[] {
  return [...cmdline.matchAll(/\{\{-?\s*https?\s*-?\}\}\/+([^\s"'{?#]+)(?=[\s"'?#]|$)/g)].map(([, path]) => path as string);
}
