/** What the advertiser reads of its host. */
import { readFileSync } from "node:fs";
import { type Link, parseIfInet6 } from "@netboot6/config";

function read(file: string): string {
  try {
    return readFileSync(file, "latin1").trim();
  } catch {
    return ""; // the interface is gone
  }
}

/** Whether the host forwards IPv6 from this interface. */
export const forwards = (name: string): boolean => !["", "0"].includes(read(`/proc/sys/net/ipv6/conf/${name}/forwarding`));

/** Whether an advertisement can leave from the link's own address: there is a carrier, and the address is there and ours. */
export function isUp({ name, index, linkLocal }: Link): boolean {
  if (["", "down", "lowerlayerdown", "notpresent"].includes(read(`/sys/class/net/${name}/operstate`))) return false;
  return parseIfInet6(read("/proc/net/if_inet6")).some(
    (each) => each.index === index && each.address === linkLocal && !each.tentative && !each.duplicate,
  );
}
