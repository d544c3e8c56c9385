/** Where the services listen, whom they answer and whom they ask, from the configuration and the networks as they are. */
import { type Address, addressToBigInt, isLinkLocal } from "@netboot6/codec";
import type { Allow, Listen, Network, Upstream } from "./appliance.ts";

/** The addresses to listen on. */
export function listenAddresses(listen: Listen, networks: readonly Network[]): Address[] {
  if (listen !== "networks") return [...listen];
  return [...new Set([...networks.map((network) => network.address), "::1"])];
}

/** Whether a client may ask. It is a socket's text of its address: a link-local one has the zone where it is, `fe80::1%eth1`. */
export function accessList(allow: Allow, networks: readonly Network[]): (client: string) => boolean {
  const byNetworks = allow === "networks";
  const prefixes = byNetworks ? networks.map((network) => network.prefix) : allow;
  const interfaces = new Set(networks.map((network) => network.link?.name));
  return (client) => {
    const [address = "", zone] = client.split("%");
    if (byNetworks && (address === "::1" || (zone !== undefined && isLinkLocal(address) && interfaces.has(zone)))) return true;
    const value = addressToBigInt(address);
    return prefixes.some((prefix) => value >= prefix.first && value <= prefix.last);
  };
}

/** An upstream resolver as the configuration writes it. */
export function upstreamText({ address, port, tlsName }: Upstream): string {
  const bracketed = address.includes(":") ? `[${address}]` : address;
  if (tlsName !== null) return `tls://${bracketed}${port === 853 ? "" : `:${port}`}#${tlsName}`;
  return port === 53 ? address : `${bracketed}:${port}`;
}
