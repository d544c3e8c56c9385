/** The values that a machine's templates see, from the configuration and what is known of the machine. */
import { type Address, formatPrefix, type Mac } from "@netboot6/codec";
import type { Appliance, Network } from "@netboot6/config";
import type { Machine } from "@netboot6/machines";
import type { TemplateValues } from "./templates.ts";

export interface ValuesOf {
  readonly appliance: Appliance;
  readonly network: Network;
  readonly machine: Machine;
  /** The interface that asks; null: its first known. */
  readonly mac: Mac | null;
  readonly address: Address | null;
  readonly vars: Readonly<Record<string, unknown>>;
}

export function templateValues({ appliance, network, machine, mac, address, vars }: ValuesOf): TemplateValues {
  const http = appliance.http && baseUrl("http", `[${network.address}]`, appliance.http.port, 80);
  const { stage, token } = machine.boot;
  return {
    http,
    https: appliance.http?.tls ? baseUrl("https", appliance.http.tls.name ?? `[${network.address}]`, appliance.http.tls.port, 443) : null,
    tftp: appliance.tftp && baseUrl("tftp", `[${network.address}]`, appliance.tftp.port, 69),
    site: appliance.site,
    domain: appliance.domain,
    machine: { name: machine.id, mac: mac ?? machine.macs[0] ?? "", uuid: machine.uuid ?? "", address: address ?? "", vars },
    network: { name: network.name, prefix: formatPrefix(network.prefix), address: network.address },
    done: http !== null && token !== null && stage === "installing" ? `${http}/done/${token}` : null,
  };
}

const baseUrl = (scheme: string, host: string, port: number, usual: number): string =>
  `${scheme}://${host}${port === usual ? "" : `:${port}`}`;
