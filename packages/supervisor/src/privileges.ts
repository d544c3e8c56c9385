/** The privileges it needs, and what to say where one is missing. It never changes its user: setuid would lose both for good. */
import { readFileSync } from "node:fs";
import type { Appliance } from "@netboot6/config";

const CAP_NET_BIND_SERVICE = 10n;
const CAP_NET_RAW = 13n;

export function missingPrivileges(appliance: Appliance): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`);
  const has = (capability: bigint): boolean => ((effective >> capability) & 1n) === 1n;
  const missing: string[] = [];
  if (!has(CAP_NET_RAW) && appliance.networks.some((network) => network.advertise !== null && !network.relayed))
    missing.push("CAP_NET_RAW: router advertisements go out of a raw socket");
  const lowest = Number(readFileSync("/proc/sys/net/ipv4/ip_unprivileged_port_start", "latin1"));
  const ports = lowPorts(appliance).filter(([port]) => port < lowest);
  if (!has(CAP_NET_BIND_SERVICE) && ports.length > 0)
    missing.push(`CAP_NET_BIND_SERVICE: ${ports.map(([port, service]) => `port ${port} (${service})`).join(", ")}`);
  return missing;
}

function lowPorts({ networks, http, tftp, dns, console: page }: Appliance): [port: number, service: string][] {
  const ports: [number, string][] = [];
  if (networks.some((network) => network.dhcp)) ports.push([547, "DHCPv6"]);
  if (http) ports.push([http.port, "HTTP"]);
  if (http?.tls) ports.push([http.tls.port, "HTTPS"]);
  if (tftp) ports.push([tftp.port, "TFTP"]);
  if (dns) ports.push([dns.port, "DNS"]);
  if (page) ports.push([page.port, "console"]);
  return ports;
}

export const PRIVILEGE_MEND =
  "start it as root, or with just these: setpriv --reuid netboot6 --regid netboot6 --clear-groups --inh-caps +net_raw,+net_bind_service --ambient-caps +net_raw,+net_bind_service netboot6 run, or by the systemd unit in docs/";
