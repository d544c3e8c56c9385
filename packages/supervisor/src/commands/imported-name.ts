/** The names that clients went by before, as if they claimed them here (RFC 4704). */
import type { Appliance } from "@netboot6/config";
import type { Registry } from "../registry.ts";

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const MAX_NAME = 253;

/** The whole name; or why the machine may not have it. `hostname`: whole where it ends with a dot; `now`: Unix seconds. */
export function importedName(
  hostname: string,
  machine: string,
  { domain, dns }: Appliance,
  { machines, leases }: Registry,
  now: number,
): { readonly name: string } | { readonly why: string } {
  const labels = hostname.toLowerCase().replace(/\.$/, "").split(".");
  const given = labels.join(".");
  const foreign = hostname.endsWith(".") && labels.length > 1;
  const name = given.endsWith(`.${domain}`) || foreign ? given : `${given}.${domain}`;
  if (domain === "") return { why: "no domain is configured" };
  if (!labels.every((label) => LABEL.test(label)) || name.length > MAX_NAME) return { why: "no host can have it" };
  if (!name.endsWith(`.${domain}`)) return { why: `not under ${domain}` };
  if (machines.config(machine)?.name) return { why: "the configuration names its machine" };
  if (dns && Object.hasOwn(dns.records, name)) return { why: "it is one of dns.records" };
  const label = name.slice(0, -domain.length - 1);
  if (label !== machine && (machines.config(label) || machines.byId(label))) return { why: "another machine is called so" };
  return (leases.claimant(name, now) ?? machine) === machine ? { name } : { why: "another machine has it" };
}
