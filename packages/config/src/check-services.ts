import { type Address, sameUuid } from "@netboot6/codec";
import type { Allow, Appliance, BootRule, Listen } from "./appliance.ts";
import { archName, isUefiPxe } from "./arch.ts";
import { overlap } from "./check-networks.ts";
import { error, type Finding, type Path, suggest, warning } from "./problem.ts";

export function checkServices(appliance: Appliance): Finding[] {
  return [
    ...checkRules(appliance),
    ...checkDns(appliance),
    ...checkAccess(appliance),
    ...checkConsole(appliance),
    ...checkPorts(appliance),
  ];
}

function checkRules({ boot, networks, http, tftp }: Appliance): Finding[] {
  const findings: Finding[] = [];
  const rules = boot.rules ?? [];
  const names = networks.map(({ name }) => name);
  const served = networks.filter(({ dhcp }) => dhcp).map(({ name }) => name);
  rules.forEach((rule, index) => {
    const at: Path = ["boot", "rules", index];
    const before = coveredBy(rule, rules.slice(0, index), served);
    if (before !== null)
      findings.push(
        error(
          "rule-never-matches",
          at,
          `${before.map((earlier) => `boot.rules[${earlier}]`).join(" or ")} matches first whenever this one would`,
          "Move it up, or delete it.",
        ),
      );
    if (rule.network !== null && names.includes(rule.network) && !served.includes(rule.network))
      findings.push(
        error(
          "rule-never-matches",
          [...at, "network"],
          `DHCPv6 is off on network ${rule.network}`,
          "Turn dhcp on there, or delete the rule.",
        ),
      );
    if (rule.network !== null && !names.includes(rule.network))
      findings.push(
        error(
          "rule-unknown-network",
          [...at, "network"],
          `no network is called ${rule.network}`,
          suggest(rule.network, names, `There are: ${names.join(", ")}.`),
        ),
      );
    const bases = { http: http !== null, https: Boolean(http?.tls), tftp: tftp !== null };
    for (const [base, on] of Object.entries(bases))
      if (!on && new RegExp(`\\{\\{-?\\s*${base}\\b`).test(rule.url))
        findings.push(
          error(
            "rule-needs-service",
            [...at, "url"],
            `{{ ${base} }}, and ${base === "https" ? "http.tls is not set" : `${base} is off`}`,
            "Turn it on, or give another URL.",
          ),
        );
    const pxe = rule.arch?.find(isUefiPxe);
    if (
      pxe !== undefined &&
      rule.userClass === null &&
      /^(https?:|\{\{-?\s*https?\b)/.test(rule.url) &&
      !rule.vendorClass?.startsWith("HTTPClient")
    )
      findings.push(
        warning(
          "http-url-for-pxe",
          [...at, "url"],
          `UEFI PXE firmware (${archName(pxe)}) takes no HTTP URL, unless its ROM is iPXE`,
          "Write {{ tftp }}.",
        ),
      );
    const later = rules.slice(index + 1).some(({ userClass }) => userClass === "iPXE");
    if (rule.userClass === null && rule.arch?.some(isUefiPxe) && later)
      findings.push(
        warning(
          "ipxe-would-loop",
          at,
          "iPXE under UEFI sends this architecture too, and would be given its boot program again and again",
          "Move the rule with `userClass: iPXE` before it.",
        ),
      );
  });
  return findings;
}

/**
 * The earlier rules that together match whatever `rule` matches; null where none do. A client matches by one of its architectures and
 * on one network, so each of them is asked for by itself.
 */
function coveredBy(rule: BootRule, earlier: readonly BootRule[], served: readonly string[]): number[] | null {
  const found = new Set<number>();
  for (const arch of rule.arch ?? [null])
    for (const network of rule.network === null && served.length > 0 ? served : [rule.network]) {
      const part = { ...rule, arch: arch === null ? null : [arch], network };
      const index = earlier.findIndex((each) => covers(each, part));
      if (index < 0) return null;
      found.add(index);
    }
  return [...found].toSorted((a, b) => a - b);
}

/** Does `earlier` match whatever `later` matches? */
function covers(earlier: BootRule, later: BootRule): boolean {
  const same = (key: "userClass" | "mac" | "network") => earlier[key] === null || earlier[key] === later[key];
  return (
    same("userClass") &&
    same("mac") &&
    (earlier.uuid === null || (later.uuid !== null && sameUuid(earlier.uuid, later.uuid))) &&
    same("network") &&
    (earlier.vendorClass === null || later.vendorClass?.startsWith(earlier.vendorClass) === true) &&
    (earlier.arch === null || later.arch?.every((arch) => earlier.arch?.includes(arch)) === true)
  );
}

function checkDns({ dns, networks }: Appliance): Finding[] {
  const ours = networks.flatMap(({ address }) => (address === null ? [] : [address]));
  const findings: Finding[] = [];
  if (!dns)
    networks.forEach(({ advertise, dhcp }, index) => {
      const told = { advertise: advertise === "observe" ? null : advertise?.dns, dhcp: dhcp?.dns };
      for (const [key, servers] of Object.entries(told))
        if (servers?.some((server) => ours.includes(server)))
          findings.push(
            error(
              "dns-is-off",
              ["networks", index, key, "dns"],
              "machines are told to ask us, and dns is off",
              "Turn dns on, or name another resolver.",
            ),
          );
    });
  const answers: readonly Address[] = dns ? ["::1", ...ours, ...(dns.listen === "networks" ? [] : dns.listen)] : [];
  dns?.upstreams?.forEach(({ address, port }, index) => {
    if (port === dns.port && answers.includes(address))
      findings.push(
        error(
          "upstream-loop",
          ["dns", "upstreams", index],
          `${address} is this forwarder itself`,
          "Give a resolver elsewhere, or on another port.",
        ),
      );
  });
  return findings;
}

/** Networks that an access list shuts out altogether. */
function checkAccess({ dns, http, networks }: Appliance): Finding[] {
  const findings: Finding[] = [];
  const check = (service: string, allow: Allow | undefined, used: (network: Appliance["networks"][number]) => boolean) => {
    if (allow === undefined || allow === "networks") return;
    for (const network of networks) {
      const { prefix } = network;
      if (prefix && used(network) && !allow.some((each) => overlap(each, prefix)))
        findings.push(
          error(
            "network-not-allowed",
            [service, "allow"],
            `refuses the machines on ${network.name}`,
            `Add ${prefix.address}/${prefix.length}, or write networks.`,
          ),
        );
    }
  };
  check("http", http?.allow, () => true);
  check("dns", dns?.allow, ({ advertise, dhcp, address }) =>
    [advertise === "observe" ? undefined : advertise?.dns, dhcp?.dns].some(
      (servers) => servers === null || (address !== null && servers?.includes(address)),
    ),
  );
  return findings;
}

function checkConsole({ console }: Appliance): Finding[] {
  if (!console || console.host === "::1" || console.token !== null) return [];
  return [
    error(
      "console-needs-token",
      ["console", "listen"],
      "off loopback anyone could use the console",
      'Give a token, or listen on "[::1]:8067".',
    ),
  ];
}

export interface Listening {
  /** As an operator calls it. */
  readonly name: string;
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** The networks' own where they are known. */
  readonly addresses: readonly Address[];
  readonly listen: Listen;
  readonly path: Path;
}

/** What the appliance listens on. */
export function listenings({ http, dns, tftp, console, networks }: Appliance): Listening[] {
  const own = [...networks.flatMap(({ address }) => address ?? []), "::1"];
  const listening = (name: string, protocol: "tcp" | "udp", port: number, listen: Listen, path: Path): Listening => ({
    name,
    protocol,
    port,
    addresses: listen === "networks" ? own : listen,
    listen,
    path,
  });
  const all: Listening[] = [];
  if (networks.some(({ dhcp }) => dhcp)) all.push(listening("DHCPv6", "udp", 547, "networks", ["networks"]));
  if (http) all.push(listening("http", "tcp", http.port, http.listen, ["http", "port"]));
  if (dns) for (const protocol of ["tcp", "udp"] as const) all.push(listening("dns", protocol, dns.port, dns.listen, ["dns", "port"]));
  if (http?.tls) all.push(listening("https", "tcp", http.tls.port, http.listen, ["http", "tls", "port"]));
  if (tftp) all.push(listening("tftp", "udp", tftp.port, tftp.listen, ["tftp", "port"]));
  if (console) all.push(listening("the console", "tcp", console.port, [console.host], ["console", "listen"]));
  return all;
}

/** Two services on one port of one address: the second would not start. */
function checkPorts(appliance: Appliance): Finding[] {
  const services = listenings(appliance);
  const meet = (a: Listen, b: Listen) =>
    a === "networks" || b === "networks" || b.includes("::") || a.some((address) => address === "::" || b.includes(address));
  return services.flatMap((service, index) => {
    const other = services
      .slice(0, index)
      .find(({ protocol, port, listen }) => protocol === service.protocol && port === service.port && meet(listen, service.listen));
    if (!other) return [];
    return [error("port-taken", service.path, `port ${service.port} is ${other.name}'s`, `Give ${service.name} another.`)];
  });
}
