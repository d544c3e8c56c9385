/** The values that a machine's templates see, from the configuration and what is known of the machine. */
import { type Address, formatPrefix, type Mac } from "@netboot6/codec";
import { type Appliance, isSecretName, type Network } from "@netboot6/config";
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
  /** `{{ done }}`, and `vars` whose names say that they are secrets: given; shown as asterisks; or withheld, and why. */
  readonly secrets: "given" | "blank" | { readonly why: string };
}

const BLANK = "***";

export function templateValues({ appliance, network, machine, mac, address, vars, secrets }: ValuesOf): TemplateValues {
  const http = appliance.http && baseUrl("http", `[${network.address}]`, appliance.http.port, 80);
  const { stage, token } = machine.boot;
  const done = http !== null && token !== null && stage === "installing" ? `${http}/done/${secrets === "blank" ? BLANK : token}` : null;
  const names: string[] = [];
  const seen = secrets === "given" ? vars : (withoutSecrets(vars, "machine.vars", secrets === "blank", names) as typeof vars);
  const withheld = typeof secrets === "string" ? null : { names: http === null ? names : [...names, "done"], why: secrets.why };
  return {
    http,
    https: appliance.http?.tls ? baseUrl("https", appliance.http.tls.name ?? `[${network.address}]`, appliance.http.tls.port, 443) : null,
    tftp: appliance.tftp && baseUrl("tftp", `[${network.address}]`, appliance.tftp.port, 69),
    site: appliance.site,
    domain: appliance.domain,
    machine: { name: machine.id, mac: mac ?? machine.macs[0] ?? "", uuid: machine.uuid ?? "", address: address ?? "", vars: seen },
    network: { name: network.name, prefix: formatPrefix(network.prefix), address: network.address },
    done: withheld ? null : done,
    withheld,
  };
}

/** `names` takes the paths of what was left out, or blanked. */
function withoutSecrets(value: unknown, path: string, blank: boolean, names: string[]): unknown {
  if (Array.isArray(value)) return value.map((each, i) => withoutSecrets(each, `${path}[${i}]`, blank, names));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([key, each]): [string, unknown][] => {
      if (!isSecretName(key)) return [[key, withoutSecrets(each, `${path}.${key}`, blank, names)]];
      names.push(`${path}.${key}`);
      return blank ? [[key, BLANK]] : [];
    }),
  );
}

const baseUrl = (scheme: string, host: string, port: number, usual: number): string =>
  `${scheme}://${host}${port === usual ? "" : `:${port}`}`;
