/** The host's own resolvers, resolv.conf(5). */
import { isIP } from "node:net";
import { canonicalAddress } from "@netboot6/codec";
import type { Upstream } from "@netboot6/config";

/** In the file's order. IPv4 resolvers and zones (`fe80::1%eth0`) are usable too; `ours` are answered here: to ask them would go in circles. */
export function readResolvConf(text: string, ours: (address: string) => boolean = () => false): Upstream[] {
  const addresses = [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)].flatMap(([, named = ""]) => {
    const [address = "", zone] = named.split("%");
    if (isIP(address) === 4) return [address];
    const canonical = canonicalAddress(address);
    return canonical === null ? [] : [zone === undefined ? canonical : `${canonical}%${zone}`];
  });
  return [...new Set(addresses)].filter((address) => !ours(address)).map((address) => ({ address, port: 53, tlsName: null }));
}
