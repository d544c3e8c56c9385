import { addressToBigInt, eui64Address, formatPrefix, type Prefix, prefixContains } from "@netboot6/codec";
import type { Appliance, MachineConfig, NetworkConfig } from "./appliance.ts";
import { overlap } from "./check-networks.ts";
import { error, type Finding, type Path, repeats, suggest, warning } from "./problem.ts";

export function checkMachines(appliance: Appliance): Finding[] {
  const { machines, networks } = appliance;
  const findings = [...checkProfiles(appliance), ...duplicates(machines), ...checkRecords(appliance)];
  machines.forEach((machine, index) => {
    if (machine.prefix !== null) findings.push(...checkPrefix(machine.prefix, index, appliance));
    if (machine.address === null) return;
    const path: Path = ["machines", index, "address"];
    const network = networks.find(({ prefix }) => prefix && prefixContains(prefix, machine.address as string));
    if (networks.some(({ address }) => address === machine.address))
      findings.push(error("address-is-ours", path, `${machine.address} is the appliance's own`, "Give the machine another."));
    else if (network) findings.push(...checkAddress(machine, machine.address, network, path));
    else if (networks.every(({ prefix }) => prefix !== null))
      findings.push(
        error(
          "address-in-no-network",
          path,
          `${machine.address} is in no network`,
          `Give one in ${networks.map(({ prefix }) => prefix && formatPrefix(prefix)).join(" or ")}.`,
        ),
      );
  });
  return findings;
}

/** A reserved prefix is one of those that a network delegates, or lies outside of all that is in use. */
function checkPrefix(prefix: Prefix, index: number, { machines, networks }: Appliance): Finding[] {
  const path: Path = ["machines", index, "prefix"];
  const findings: Finding[] = [];
  const onLink = networks.find((network) => network.prefix && overlap(network.prefix, prefix));
  if (onLink)
    findings.push(
      error("prefix-on-link", path, `overlaps with the prefix of ${onLink.name}, which is on a link`, "Give one that is on no link."),
    );
  for (const { name, dhcp } of networks) {
    const delegate = dhcp?.delegate;
    if (delegate && overlap(delegate.prefix, prefix) && prefix.length !== delegate.length)
      findings.push(
        error(
          "prefix-length",
          path,
          `${name} delegates prefixes of /${delegate.length} there`,
          `Give a /${delegate.length}, or one outside.`,
        ),
      );
  }
  const first = machines.findIndex((other) => other.prefix && overlap(other.prefix, prefix));
  if (first < index)
    findings.push(
      error(
        "duplicate-machine-prefix",
        path,
        `${formatPrefix(prefix)} overlaps with the prefix of ${machines[first]?.name ?? `machines[${first}]`}`,
        "Give each machine its own.",
      ),
    );
  return findings;
}

function checkAddress({ macs }: MachineConfig, address: string, network: NetworkConfig, path: Path): Finding[] {
  const { advertise, dhcp, prefix } = network;
  if (!dhcp)
    return [warning("address-without-dhcp", path, `dhcp is off on ${network.name}, so nothing leases it`, "Turn dhcp on, or delete it.")];
  if (!prefix || prefix.length > 64 || dhcp.managed || advertise === null || advertise === "observe" || !advertise.autonomous) return [];
  const formed = macs.map((mac) => eui64Address(prefix, mac));
  if (formed.length === 0 || formed.includes(address) || addressToBigInt(address) > prefix.last) return [];
  const what = `iPXE, installers and systems form ${formed[0]} themselves and do not ask for ${address}`;
  return [warning("address-differs-from-slaac", path, what, "Give that address, or dhcp: { managed: true } and autonomous: false.")];
}

/** A record goes before a machine's own name. */
function checkRecords({ dns, domain, machines }: Appliance): Finding[] {
  return Object.keys(dns?.records ?? {}).flatMap((record) => {
    const name = record.toLowerCase().replace(/\.$/, "");
    const hidden = machines.find(
      (machine) => machine.name !== null && name === [machine.name, domain].filter(Boolean).join(".").toLowerCase(),
    );
    if (!hidden) return [];
    const what = `it takes the place of machine ${hidden.name}'s own name, whatever its address is`;
    return [warning("record-hides-machine", ["dns", "records", record], what, "Delete the record, or name one of the two otherwise.")];
  });
}

const portKey = ({ port }: MachineConfig): string | null =>
  port && `${[port.interfaceId, port.remoteId].filter((name) => name !== null).join(" and ")} of relay ${port.relay}`;

function duplicates(machines: readonly MachineConfig[]): Finding[] {
  const nameOf = (index: number) => machines[index]?.name ?? `machines[${index}]`;
  const taken = (key: "name" | "duid" | "address" | "uuid" | "port") => (index: number, value: string, first: number) =>
    error(`duplicate-machine-${key}`, ["machines", index, key], `${value} is ${nameOf(first)}'s`, "Give each machine its own.");
  const findings = [
    ...repeats(machines, ({ name }) => name, taken("name")),
    ...repeats(machines, ({ duid }) => duid, taken("duid")),
    ...repeats(machines, ({ address }) => address, taken("address")),
    ...repeats(machines, ({ uuid }) => uuid, taken("uuid")),
    ...repeats(machines, portKey, taken("port")),
  ];
  const ports = machines.flatMap(({ macs }, machine) => macs.map((mac, place) => ({ machine, mac, place })));
  return findings.concat(
    repeats(
      ports,
      ({ mac }) => mac,
      (index, mac, first) => {
        const { machine = 0, place = 0 } = ports[index] ?? {};
        const path: Path = machines[machine]?.macs.length === 1 ? ["machines", machine, "mac"] : ["machines", machine, "mac", place];
        return error("duplicate-machine-mac", path, `${mac} is ${nameOf(ports[first]?.machine ?? 0)}'s`, "Give each machine its own.");
      },
    ),
  );
}

function checkProfiles({ profiles, defaultProfile, networks, machines }: Appliance): Finding[] {
  const known = Object.keys(profiles);
  const check = (profile: string | null, path: Path): Finding[] => {
    if (profile === null || known.includes(profile)) return [];
    const otherwise = known.length > 0 ? `Define it under profiles, or name one of ${known.join(", ")}.` : "Define it under profiles.";
    return [error("unknown-profile", path, `no profile is called ${profile}`, suggest(profile, known, otherwise))];
  };
  return [
    ...check(defaultProfile, ["defaultProfile"]),
    ...networks.flatMap((network, index) => check(network.defaultProfile, ["networks", index, "defaultProfile"])),
    ...machines.flatMap((machine, index) => check(machine.profile, ["machines", index, "profile"])),
  ];
}
