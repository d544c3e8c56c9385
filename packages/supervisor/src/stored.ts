/** Whether what the store gives is what was put there: whoever reads it relies on its shape. */
import type { StoredBoot } from "@netboot6/events";
import { isLease } from "@netboot6/leases";
import type { Machine } from "@netboot6/machines";
import type { Stored } from "@netboot6/store";

/** Rows of kinds that are not known here are another version's. */
export function isWhole({ kind, key, value }: Stored): boolean {
  if (value === undefined || value === null) return false;
  if (kind === "lease") return isLease(value) && value.address === key;
  if (kind === "machine") return isMachine(value) && value.id === key;
  if (kind === "boot") return isBoot(value);
  return key !== "serverDuid" || (typeof value === "string" && /^([0-9a-f]{2})+$/.test(value));
}

type Unchecked<T> = { readonly [K in keyof T]?: unknown };

const isObject = (value: unknown): value is object => typeof value === "object" && value !== null;
const isText = (value: unknown): boolean => typeof value === "string";
const isTextOrNull = (value: unknown): boolean => value === null || isText(value);
const isListOf = (value: unknown, is: (each: unknown) => boolean): boolean => Array.isArray(value) && value.every(is);

function isMachine(value: object): value is Machine {
  const { id, macs, uuid, duids, ports, profile, boot }: Unchecked<Machine> = value;
  if (!isText(id) || !isListOf(macs, isText) || !isListOf(duids, isText) || !isTextOrNull(uuid) || !isTextOrNull(profile)) return false;
  if (ports !== undefined && !isListOf(ports, isObject)) return false; // older versions stored none
  if (!isObject(boot)) return false;
  const { stage, token }: Unchecked<Machine["boot"]> = boot;
  return ["new", "installing", "installed"].includes(stage as string) && isTextOrNull(token);
}

function isBoot(value: object): value is StoredBoot {
  const { machine, boot }: Unchecked<StoredBoot> = value;
  if (!isText(machine) || !isObject(boot)) return false;
  const { startedAt, stages, entries }: Unchecked<StoredBoot["boot"]> = boot;
  const isOfEvent = (name: "last" | "event") => (each: unknown) => isObject(each) && isObject((each as { [name]?: unknown })[name]);
  return typeof startedAt === "number" && isListOf(stages, isOfEvent("last")) && isListOf(entries, isOfEvent("event"));
}
