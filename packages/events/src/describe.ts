/** Events in words: what a log line, the timeline and the terminal say. */
import { isOptional } from "./stages.ts";
import type { BootEvent, EventBody } from "./types.ts";

export type Level = "debug" | "info" | "warn" | "error";

/** How loud an event is in the log; null: never logged. */
export function levelOf(event: EventBody): Level | null {
  switch (event.type) {
    case "http.progress":
    case "tftp.progress":
      return null;
    case "http.started":
    case "tftp.started":
    case "ra.solicited":
    case "dns.answered":
    case "dns.counted":
    case "wire.dropped":
    case "machine.learned":
      return "debug";
    case "dhcpv6.answered":
      // What was leased to a system is told; what it was only offered is not.
      return event.answer === "Advertise" && event.clientKind === "system" ? "debug" : "info";
    case "ra.sent":
      return event.why === "periodic" || event.why === "solicited" ? "debug" : "info";
    case "http.finished":
      if (event.status === 404 && isOptional(event.path)) return "debug";
      return event.status >= 400 || event.why !== undefined ? "warn" : event.method === "HEAD" ? "debug" : "info";
    case "tftp.finished":
      if (event.status === "refused" && isOptional(event.path)) return "debug";
      return event.status === "aborted" || (event.status === "sent" && event.why === undefined) ? "info" : "warn";
    case "dhcpv6.dropped":
    case "http.tlsFailed":
    case "appliance.waiting":
    case "appliance.warned":
    case "appliance.refused":
    case "ra.warned":
    case "machine.stuck":
      return "warn";
    case "ra.heard":
      return event.differences.length > 0 || event.state === "withdrawn" ? "warn" : "info";
    case "ra.link":
      return event.up ? "info" : "warn";
    case "service.failed":
      return "error";
    case "dns.upstream":
      return event.state === "down" ? "warn" : "info";
    default:
      return "info";
  }
}

export const formatBytes = (bytes: number): string =>
  bytes < 1e4 ? `${bytes} B` : bytes < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

/** One line, without the machine's name. */
export function describe(event: EventBody | BootEvent): string {
  switch (event.type) {
    case "appliance.ready":
      return "ready";
    case "appliance.waiting":
      return `waiting: ${event.why}`;
    case "appliance.warned":
      return event.why;
    case "appliance.resumed":
      return "what was waited for is there";
    case "appliance.stopping":
      return `stopping: ${event.why}`;
    case "appliance.reloaded":
      return "the configuration is reloaded";
    case "appliance.refused":
      return `the configuration is not reloaded, the old one stays: ${event.why}`;
    case "service.ready":
      return `${event.service} answers on ${event.listens.join(", ")}`;
    case "service.failed":
      return `${event.service} failed: ${event.why}; started again in ${event.retry} s`;
    case "ra.solicited":
      return `router solicitation on ${event.interface}`;
    case "ra.sent":
      return `router advertisement (${event.why}) on ${event.interface} to ${event.to}`;
    case "ra.heard":
      return `router ${event.router} advertises on ${event.interface} with M=${event.managed ? 1 : 0} O=${event.other ? 1 : 0}: ${event.why}${event.differences.length > 1 ? `; and ${event.differences.length - 1} more` : ""}`;
    case "ra.link":
      return event.up ? `${event.interface} is up: advertising begins anew` : `${event.interface} is down: nothing is advertised on it`;
    case "ra.warned":
      return `${event.interface}: ${event.why}`;
    case "ra.mended":
      return event.rule === "no-router" ? `${event.interface}: a router is there` : `${event.interface}: what it is taken for, it is`;
    case "dhcpv6.answered": {
      const got = [...event.addresses, ...(event.bootfileUrl === undefined ? [] : [event.bootfileUrl])].join(", ");
      return `DHCPv6 ${event.message} (${event.clientKind}) answered with ${event.answer}${got === "" ? "" : `: ${got}`}`;
    }
    case "dhcpv6.dropped":
      return `DHCPv6 ${event.message} not answered: ${event.why}`;
    case "dns.answered":
      return `DNS ${event.name} ${event.qtype}: ${event.rcode} (${event.from})`;
    case "dns.counted":
      return `DNS ${event.count} more answers within a second: ${event.rcode} (${event.from})`;
    case "dns.upstream":
      return `DNS upstream ${event.upstream} is ${event.state}: ${event.why}`;
    case "http.started":
      return `HTTP ${event.path} (${formatBytes(event.size)})`;
    case "http.progress":
      return `HTTP ${event.path} ${formatBytes(event.sent)} of ${formatBytes(event.size)}`;
    case "http.finished": {
      const cut = event.complete ? "" : ", broken off";
      return `HTTP ${event.method} ${event.path}: ${event.status}, ${formatBytes(event.sent)} in ${event.seconds.toFixed(1)} s${cut}${event.why === undefined ? "" : `: ${event.why}`}`;
    }
    case "http.tlsFailed":
      return `HTTPS: no session: ${event.why}`;
    case "tftp.started":
      return `TFTP ${event.path} (${formatBytes(event.size)})`;
    case "tftp.progress":
      return `TFTP ${event.path} ${formatBytes(event.sent)} of ${formatBytes(event.size)}`;
    case "tftp.finished":
      return `TFTP ${event.path}: ${event.status}, ${formatBytes(event.sent)} in ${event.seconds.toFixed(1)} s${event.why === undefined ? "" : `: ${event.why}`}`;
    case "machine.rendered":
      return `rendered ${event.path} for profile ${event.profile}: ${event.why}`;
    case "machine.done":
      return `reports its installation done (profile ${event.profile})`;
    case "machine.stuck":
      return `stands still: ${event.text} ${event.mend}`;
    case "machine.goesOn":
      return "goes on";
    case "machine.learned":
      return `learned ${event.what}`;
    case "operator.acted":
      return `an operator ${event.what}`;
    case "lease.released":
      return `${event.address} is released: ${event.why}`;
    case "wire.dropped":
      return `${event.service} dropped ${event.count}: ${event.why}`;
  }
}
