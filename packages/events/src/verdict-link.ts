/** Verdicts on what a machine hears and is told on its link: routers, DHCPv6, DNS. */
import type { BootRecord } from "./records.ts";
import { type Case, lastAsked, newest, type Rule, seconds } from "./verdict.ts";

/** Firmware asks again after 1, 2, 4 s: by then it has thrown two offers away. */
const OFFER_SECONDS = 8;
const OFFERS = 2;
/** How long firmware may take from its lease to its boot program, UEFI HTTP boot's wait for a router among it. */
const FETCH_SECONDS = 30;

/** Firmware that fails at HTTP boot is at the next entry of its boot order within a few minutes. */
const FALLBACK_MS = 300_000;
/** An installer that reaches its mirror looks it up once or twice. */
const LOOKED_UP = 4;
const LOOKED_UP_SECONDS = 30;
/** Debian's installer solicits twice though it hears the answer; iPXE six times where it hears none (docs/clients.md). */
const SOLICITATIONS = 4;
/** Who was silent for longer no longer tries. */
const TRIES_SECONDS = 180;

const offered = ({ boot, stage, silent }: Case) => {
  const offer = stage?.name === "firmware" || stage?.name === "ipxe" ? newest(boot, "dhcpv6.answered") : null;
  return offer?.event.answer === "Advertise" && (offer.count >= OFFERS || silent >= OFFER_SECONDS) ? offer : null;
};

const reason = (why: readonly string[], pattern: RegExp): string | undefined => why.find((text) => pattern.test(text));

export const LINK_RULES: Readonly<Record<string, Rule>> = {
  "advertisements-lost": ({ boot, stage, silent }) => {
    const asked = stage === null || silent < OFFER_SECONDS ? 0 : askedInVain(boot);
    return asked >= SOLICITATIONS
      ? {
          text: `it asked for a router ${asked} times, was answered each time, and goes no further: our advertisements do not reach it.`,
          mend: "RA guard on a switch drops them: trust the port that this host is on. If not, look for a filter on the way.",
        }
      : null;
  },
  "rival-router": ({ boot, world, network, stage, silent }) => {
    if (stage?.name !== "program" || silent < FETCH_SECONDS) return null;
    // A program that was refused, or an iPXE without IPv6, solicits no router.
    const asked = newest(boot, "ra.solicited");
    if (asked === null || asked.event.at < (stage.endedAt ?? stage.startedAt)) return null;
    const rival = world.routers(network).find(({ managed, other }) => !managed && !other);
    return rival
      ? {
          text: `iPXE asked for routers and then for nothing: router ${rival.router} advertises M=0 O=0, and iPXE that hears it first does not ask for a boot file.`,
          mend: "Turn that router's advertisements off on this network, or set its O flag.",
        }
      : null;
  },
  "pool-full": ({ boot }) => {
    const last = newest(boot, "dhcpv6.answered");
    const full = last && last.event.addresses.length === 0 ? reason(last.event.why, /is full/) : undefined;
    return full === undefined ? null : { text: `it was given no address: ${full}.`, mend: "Make dhcp.pool larger, or release leases." };
  },
  "no-addresses-leased": ({ boot, stage }) => {
    const last = stage?.name === "firmware" ? newest(boot, "dhcpv6.answered") : null;
    const none = last && last.event.addresses.length === 0 ? reason(last.event.why, /leases no addresses/) : undefined;
    return none === undefined
      ? null
      : {
          text: `firmware asks for an address, and ${none}.`,
          mend: "UEFI boots with a leased address only: set dhcp.pool to auto or a range.",
        };
  },
  "no-boot-file": (is) => {
    const last = is.stage?.name === "firmware" ? newest(is.boot, "dhcpv6.answered") : null;
    const none = last && last.event.bootfileUrl === undefined ? reason(last.event.why, /no boot rule/) : undefined;
    return none === undefined
      ? null
      : {
          text: `firmware was given no boot file: ${none}.`,
          mend: "Put the boot program of its architecture under boot-assets (`netboot6 assets add ipxe`), or add a boot rule.",
        };
  },
  "http-url-for-pxe": ({ boot, stage }) => {
    const last = stage?.name === "firmware" ? newest(boot, "dhcpv6.answered") : null;
    return last && last.event.clientKind === "firmware-pxe" && last.event.bootfileUrl?.startsWith("http")
      ? {
          text: `its firmware does PXE, which speaks TFTP only, and was given ${last.event.bootfileUrl}.`,
          mend: "Give that architecture a {{ tftp }} URL in boot.rules, or set the firmware to HTTP boot.",
        }
      : null;
  },
  "tftp-instead-of-http": ({ boots, boot, stage, silent }) => {
    const last =
      (stage?.name === "firmware" || stage?.name === "program") && silent >= OFFER_SECONDS ? newest(boot, "dhcpv6.answered") : null;
    if (last?.event.clientKind !== "firmware-pxe") return null;
    const http = boots.slice(-2).map((each) => newest(each, "dhcpv6.answered", ({ clientKind }) => clientKind === "firmware-http"));
    const before = http.find((each) => each !== null && last.event.at - each.event.at < FALLBACK_MS);
    return before
      ? {
          text: "its firmware gave up HTTP boot, went on with PXE by TFTP, and stands there.",
          mend: "See what HTTP boot failed at, in this boot or the one before; or set the firmware to PXE alone.",
        }
      : null;
  },
  "two-servers": ({ boot, stage }) => {
    const other =
      stage?.name === "firmware" || stage?.name === "ipxe" ? newest(boot, "dhcpv6.dropped", ({ why }) => /another server/.test(why)) : null;
    return other
      ? {
          text: "it took the offer of another DHCPv6 server on this network.",
          mend: "Turn the other server off here; `dhcp.preference: 255` makes most clients take ours at once.",
        }
      : null;
  },
  "offer-not-taken": (is) => {
    const offer = offered(is);
    return offer
      ? {
          text: `it got ${offer.count} offers and requested none: its vendor class is ${offer.event.vendorClass ?? "missing"}, the last named ${offer.event.bootfileUrl ?? "no boot file"}.`,
          mend: "Its firmware wants something else in the offer: `netboot6 explain --pcap` shows what it sent and is told. See whether another server answers too.",
        }
      : null;
  },
  "duplicate-duid": ({ boot, world, silent }) => {
    const last = silent >= OFFER_SECONDS ? newest(boot, "dhcpv6.answered", ({ clientKind }) => clientKind !== "system") : null;
    const machine = last?.event.machine;
    const other = last && machine !== undefined ? world.alsoShows(last.event.duid, machine) : null;
    return other === null
      ? null
      : {
          text: `${other} shows the same DUID, ${last?.event.duid}: two boards have one UUID, or one machine has two names.`,
          mend: "Give each board a UUID of its own in its firmware's setup, and name both machines by their MACs.",
        };
  },
  "no-router": ({ boot, world, network, stage, silent }) =>
    (stage?.name === "firmware" || stage?.name === "program") &&
    silent >= OFFER_SECONDS &&
    !world.hasRouter(network) &&
    // We do not hear what is advertised behind a relay.
    newest(boot, "dhcpv6.answered")?.event.relay === undefined
      ? {
          text: `no router is heard on network ${network}: a machine forms no address there, and UEFI HTTP boot waits 10 s for one.`,
          mend: "Let the appliance advertise (delete `advertise: false`), or turn the router's advertisements on; with `advertise: observe` the appliance hears them.",
        }
      : null,
  "program-not-asked-for": ({ boot, stage, silent }) => {
    const last = stage?.name === "firmware" && stage.endedAt !== null && silent >= FETCH_SECONDS ? newest(boot, "dhcpv6.answered") : null;
    return last?.event.bootfileUrl
      ? {
          text: `it has its address and was told ${last.event.bootfileUrl} ${seconds(silent)} ago, and has not asked for it.`,
          mend: "Look at its screen; a firewall between, an address that is taken twice, or a URL that it cannot reach keep it from asking.",
        }
      : null;
  },
  "address-taken": ({ boot }) => {
    const last = newest(boot, "dhcpv6.answered");
    return last?.event.message === "Decline"
      ? {
          text: "it found another host on the address that it was leased.",
          mend: "Find who else has it (`ip -6 neigh`), and keep that address out of dhcp.pool.",
        }
      : null;
  },
  "not-served": ({ boot }) => {
    const last = lastAsked(boot);
    return last?.type === "dhcpv6.dropped" && newest(boot, "dhcpv6.answered") === null
      ? { text: `its ${last.message} is not answered: ${last.why}.`, mend: mendOfDrop(last.why) }
      : null;
  },
  "name-without-address": ({ boot }) => {
    const [before, last] = boot.entries.slice(-2).map(({ event }) => event);
    // Resolvers ask for A beside AAAA: that answer may come last.
    const asked = last?.type === "dns.answered" && last.qtype === "A" ? before : last;
    return asked?.type === "dns.answered" && asked.qtype === "AAAA" && asked.rcode === "NOERROR" && asked.empty
      ? {
          text: `it asked for ${asked.name}, which has no IPv6 address.`,
          mend: "Name a mirror that has one; or a NAT64 gateway and dns.dns64.",
        }
      : null;
  },
  "mirror-unreachable": ({ boot, stage, silent }) => {
    if (stage?.name !== "installer" && stage?.name !== "answers") return null;
    const last = boot.entries.at(-1)?.event;
    if (last?.type !== "dns.answered" || last.rcode !== "NOERROR" || last.from === "local" || silent > TRIES_SECONDS) return null;
    const same = boot.entries.filter(({ event }) => event.type === "dns.answered" && event.name === last.name && event.qtype === "AAAA");
    const since = (last.at - (same[0]?.event.at ?? last.at)) / 1000;
    return same.length >= LOOKED_UP && since >= LOOKED_UP_SECONDS
      ? {
          text: `it looked ${last.name} up ${same.length} times in ${seconds(since)}: that has an address and is not reached.`,
          mend: "Give the link a way out (a router that forwards; NAT64 and dns.dns64 for IPv4), or name a mirror on this side.",
        }
      : null;
  },
  "dns-failed": ({ boot, world }) => {
    const last = boot.entries.at(-1)?.event;
    // What stops an installer is a name without an address; that of its own address it asks for in passing.
    if (last?.type !== "dns.answered" || (last.qtype !== "AAAA" && last.qtype !== "A")) return null;
    const down = [...world.upstreamsDown].map(([upstream, why]) => `${upstream}: ${why}`).join("; ");
    if (last.from === "refused") return { text: `its question for ${last.name} was refused.`, mend: "Add its prefix to dns.allow." };
    if (last.from === "failed")
      return {
        text: `${last.name} could not be resolved${down === "" ? "" : `: ${down}`}.`,
        mend: "Look at dns.upstreams: none of them answers.",
      };
    return last.rcode === "NXDOMAIN"
      ? { text: `it asked for ${last.name}, and there is no such name.`, mend: "Correct the name in its kernel arguments or answers file." }
      : null;
  },
};

/** How often it asked for a router since it did anything else, and was answered. */
function askedInVain({ entries }: BootRecord): number {
  const since = entries.findLastIndex(({ event }) => event.type !== "ra.solicited" && event.type !== "ra.sent") + 1;
  return entries.slice(since).filter(({ event }) => event.type === "ra.sent").length;
}

function mendOfDrop(why: string): string {
  if (/link-address/.test(why)) return "Add a relayed network whose prefix holds that link-address, or list it under linkAddresses.";
  if (/not among the relays/.test(why)) return "Add the relay to `relays` of that network.";
  if (/DHCPv6 is off/.test(why)) return "Delete `dhcp: false` of that network.";
  if (/no network on/.test(why)) return "Add the interface under networks.";
  return "The reason says what was wrong with it.";
}
