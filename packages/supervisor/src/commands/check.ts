import { checkBootFiles } from "@netboot6/boot";
import { checkAppliance, type Finding, formatProblem, loadAppliance, type Network, readHost, resolveNetworks } from "@netboot6/config";
import { forwards } from "@netboot6/ra";

/** Prints what is wrong and what is missing. Exit codes: 0 good; 1 the host is not ready for it; 2 the file is wrong. */
export async function check(file: string): Promise<number> {
  const loaded = await loadAppliance(file);
  const problems = "appliance" in loaded ? loaded.warnings : loaded.problems;
  for (const problem of problems) console.log(formatProblem(problem));
  if (!("appliance" in loaded)) return 2;
  const { appliance, locate } = loaded;
  const { networks, waiting } = resolveNetworks(appliance, readHost());
  // Once the host told its prefixes, more contradictions can be seen.
  const seen = new Set(problems.map(({ id, key }) => `${id} ${key}`));
  const routing = networks.flatMap((network, index) => checkRouting(network, index));
  const findings = [...routing, ...(waiting.length === 0 ? checkAppliance({ ...appliance, networks }) : []), ...checkBootFiles(appliance)];
  const later = findings.map(locate).filter(({ id, key }) => !seen.has(`${id} ${key}`));
  for (const problem of later) console.log(formatProblem(problem));
  for (const line of waiting) console.log(`missing: ${line}`);
  for (const network of networks)
    console.log(
      `network ${network.name}: our address is ${network.address}, the prefix ${network.prefix.address}/${network.prefix.length}`,
    );
  if (later.some(({ severity }) => severity === "error")) return 2;
  if (waiting.length > 0) return 1;
  console.log(problems.length + later.length === 0 ? `${file}: good` : `${file}: it would start; see above`);
  return 0;
}

/** A router lifetime that the host's forwarding contradicts, and what it costs. */
function checkRouting({ advertise, link }: Network, index: number): Finding[] {
  if (!link || advertise === null || advertise === "observe") return [];
  const path = ["networks", index];
  const forwarding = forwards(link.name);
  if (advertise.routerLifetime === "auto" && !forwarding)
    return [
      {
        id: "no-router",
        severity: "warning",
        path,
        what: "this host does not forward IPv6, so it advertises itself as no router; with no other one on the link every UEFI HTTP boot waits about 10 s",
        mend: `If there is no other router: sysctl -w net.ipv6.conf.all.forwarding=1, or routerLifetime: 30m.`,
      },
    ];
  if (advertise.routerLifetime !== "auto" && advertise.routerLifetime > 0 && !forwarding)
    return [
      {
        id: "router-that-does-not-forward",
        severity: "warning",
        path: [...path, "advertise", "routerLifetime"],
        what: "machines will take this host for their router, and it does not forward IPv6: nothing beyond the link answers them",
        mend: "sysctl -w net.ipv6.conf.all.forwarding=1, if it has a way out.",
      },
    ];
  return [];
}
