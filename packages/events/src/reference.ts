/** What each event of the log means, and what to do about it: docs/log.md is made from this. */
import type { EventType } from "./types.ts";

interface Meaning {
  /** The levels that it is logged at. */
  readonly level: string;
  readonly means: string;
  /** "": nothing. Links are those of docs/. */
  readonly todo: string;
}

const EVENTS: Readonly<Record<EventType, Meaning>> = {
  "appliance.ready": { level: "info", means: "every service answers", todo: "" },
  "appliance.waiting": {
    level: "warn",
    means: "the host lacks what the configuration names: an interface, an address",
    todo: "Mend the host; it goes on by itself ([troubleshooting.md](troubleshooting.md#netboot6-does-not-start))",
  },
  "appliance.resumed": { level: "info", means: "what was waited for is there", todo: "" },
  "appliance.warned": {
    level: "warn",
    means: "it starts, and something will not work as configured",
    todo: "The line says what and how to mend it; `netboot6 check` says it too",
  },
  "appliance.stopping": { level: "info", means: "it ends, and why", todo: "" },
  "appliance.reloaded": { level: "info", means: "the new configuration, or the host's new addresses, are in force", todo: "" },
  "appliance.refused": {
    level: "warn",
    means: "the new configuration is not in force; the old one stays",
    todo: "Mend the file where the line says, and reload",
  },
  "service.ready": { level: "info", means: "one service answers, and on what", todo: "" },
  "service.failed": { level: "error", means: "a service ended; it is started again by itself", todo: "If it comes again, report the line" },
  "ra.solicited": { level: "debug", means: "a machine asks for a router", todo: "" },
  "ra.sent": { level: "info, debug", means: "a router advertisement went out, and why", todo: "" },
  "ra.heard": {
    level: "warn",
    means: "another router is on the link, and what will go wrong",
    todo: "[verdicts.md](verdicts.md#the-link-routers-dhcpv6-dns): `rival-router`",
  },
  "ra.link": { level: "info, warn", means: "a link went down or came up", todo: "Cable, switch port" },
  "ra.warned": {
    level: "warn",
    means: "the link has no router at all, or one that does not forward, and the cost",
    todo: "The line says the mend",
  },
  "ra.mended": { level: "info", means: "what `ra.warned` told of is over", todo: "" },
  "dhcpv6.answered": { level: "info, debug", means: "a DHCPv6 message was answered; `why` has the reason of each decision", todo: "" },
  "dhcpv6.dropped": {
    level: "warn",
    means: "a DHCPv6 message was not answered, and why",
    todo: "[verdicts.md](verdicts.md): `not-served`",
  },
  "lease.released": { level: "info", means: "an operator ended a lease", todo: "" },
  "operator.acted": { level: "info", means: "an operator chose a profile, let a machine boot again, or forgot one", todo: "" },
  "dns.answered": { level: "debug", means: "a DNS question was answered, and from where", todo: "" },
  "dns.counted": { level: "debug", means: "so many more answers of one kind, of who asks often", todo: "" },
  "dns.upstream": {
    level: "info, warn",
    means: "an upstream resolver answers again, or no longer; or it is asked no more",
    todo: "Look at `dns.upstreams` and the way there",
  },
  "http.started": { level: "debug", means: "a download of more than 256 KiB began", todo: "" },
  "http.progress": { level: "not logged", means: "so much of it went out", todo: "" },
  "http.finished": {
    level: "info, warn",
    means: "a request was answered; warn: refused, missing or broken",
    todo: "[verdicts.md](verdicts.md#files-and-scripts)",
  },
  "http.tlsFailed": {
    level: "warn",
    means: "a client of HTTPS and this server came to no session; `unknown ca`: it does not trust the certificate",
    todo: "[verdicts.md](verdicts.md#files-and-scripts): `certificate-refused`",
  },
  "tftp.started": { level: "debug", means: "a transfer began", todo: "" },
  "tftp.progress": { level: "not logged", means: "so much of it went out", todo: "" },
  "tftp.finished": {
    level: "info, warn",
    means: "a transfer ended; `aborted` after 0 B is how UEFI asks for the size",
    todo: "[verdicts.md](verdicts.md#files-and-scripts)",
  },
  "machine.learned": { level: "debug", means: "a MAC, UUID, DUID or port that a machine was not known by before", todo: "" },
  "machine.rendered": { level: "info", means: "a script or answers file was made for it, of which profile, and why", todo: "" },
  "machine.done": { level: "info", means: "it reports its installation done", todo: "" },
  "machine.stuck": {
    level: "warn",
    means: "a verdict: why its boot goes no further",
    todo: "[verdicts.md](verdicts.md), by the line's `rule`",
  },
  "machine.goesOn": { level: "info", means: "the end of that verdict", todo: "" },
  "wire.dropped": {
    level: "debug",
    means: "packets that were no message, or too many, counted",
    todo: "Many of them: look who sends them",
  },
};

/** Whether events have this type, or a type that begins with it: `dhcpv6.answered`, `dhcpv6`. */
export const isEventType = (type: string): boolean => Object.keys(EVENTS).some((each) => each === type || each.startsWith(`${type}.`));

/** The page's table, in Markdown. */
export function eventTable(): string {
  const heads = ["event", "level", "it means", "what to do"];
  const rows = Object.entries(EVENTS).map(([type, { level, means, todo }]) => [`\`${type}\``, level, means, todo]);
  const widths = heads.map((head, column) => Math.max(head.length, ...rows.map((row) => (row[column] as string).length)));
  const line = (cells: readonly string[], fill = " "): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] as number, fill)).join(" | ")} |`;
  return [
    line(heads),
    line(
      heads.map(() => ""),
      "-",
    ),
    ...rows.map((row) => line(row)),
  ].join("\n");
}
