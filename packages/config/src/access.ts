/** Where the services listen, whom they answer and whom they ask, from the configuration and the networks as they are. */
import { type Address, addressToBigInt, isLinkLocal } from "@netboot6/codec";
import type { Allow, Listen, Network, Upstream } from "./appliance.ts";

/** The addresses to listen on. A zone stands where one is needed: `fe80::1%eth1`. */
export function listenAddresses(listen: Listen, networks: readonly Network[]): Address[] {
  if (listen !== "networks") return [...listen];
  return [...new Set([...networks.map((network) => network.address), "::1"])];
}

/** Whether an address may ask. The address is without a zone. */
export function accessList(allow: Allow, networks: readonly Network[]): (address: Address) => boolean {
  const byNetworks = allow === "networks";
  const prefixes = byNetworks ? networks.map((network) => network.prefix) : allow;
  return (address) => {
    if (byNetworks && (address === "::1" || isLinkLocal(address))) return true;
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
