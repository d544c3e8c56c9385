import { z } from "zod";
import type { AdvertiseConfig, DhcpConfig, NetworkConfig, Pool } from "./appliance.ts";
import * as v from "./values.ts";

const preference = v.choice("low", "medium", "high").prefault("medium");
const servers = (example: string) => v.optional(v.list("a list of addresses", example, v.address));
const search = v.optional(v.list("a list of domains", "[rack.example]", v.domainName));

const pref64 = v.prefix.refine(({ length }) => [32, 40, 48, 56, 64, 96].includes(length), {
  error: () => "not a length that NAT64 has\nRFC 8781 knows /96, /64, /56, /48, /40 and /32.", // §4
});

const mtuError = v.expected("0 or a number from 1280 to 65535", "1500");
const mtu = z
  .int({ error: mtuError })
  .min(0, { error: mtuError })
  .max(65535, { error: mtuError })
  .refine((value) => value === 0 || value >= 1280, { error: mtuError });

const advertise = v.map("the settings of advertise", "{ interval: [5s, 60s] }", {
  interval: z
    .tuple([v.duration, v.duration], { error: v.expected("a list of two durations", "[5s, 60s]") })
    .prefault(["5s", "60s"])
    .describe("MinRtrAdvInterval, MaxRtrAdvInterval"),
  routerLifetime: v.durationOrAuto.prefault("auto").describe("auto: 3 x max interval where the host forwards IPv6, else 0s; or a duration"),
  preference: preference.describe("Default router preference (RFC 4191)"),
  hopLimit: v.integer(0, 255, 64).prefault(64),
  mtu: v.optional(mtu).describe("Default: the interface's; option left out when 0"),
  onLink: v.flag.prefault(true).describe("L flag of the prefix"),
  autonomous: v.flag.prefault(true).describe("A flag: machines may form their own address (SLAAC)"),
  validLifetime: v.duration.prefault("1d"),
  preferredLifetime: v.duration.prefault("4h"),
  dns: servers("[2001:db8:0:1::1]").describe("RDNSS (RFC 8106); default: the network's address when dns is on"),
  search: search.describe("DNSSL; default: the domain"),
  dnsLifetime: v.optional(v.duration).describe("Default: 3 x max interval"),
  routes: v
    .list(
      "a list of routes",
      '- { prefix: "2001:db8:100::/48" }',
      v.map("a route", '{ prefix: "2001:db8:100::/48" }', { prefix: v.prefix, lifetime: v.duration.prefault("30m"), preference }),
    )
    .prefault([])
    .describe("Route information (RFC 4191)"),
  pref64: v.optional(pref64).describe("NAT64 prefix (RFC 8781); default: none"),
}) satisfies z.ZodType<AdvertiseConfig>;

const pool = v
  .text('a range, a prefix, "none" or "auto"', "2001:db8:0:1::1000-2001:db8:0:1::ffff", (value): Pool | v.Mistake | null => {
    if (value === "auto" || value === "none") return { kind: value };
    const range = v.readRange(value);
    return range && "first" in range ? { kind: "range", ...range } : range;
  })
  .prefault("auto")
  .describe(
    "A range a-b, a prefix, none (options only), or auto: EUI-64 addresses for known MACs where autonomous is true, else ::1000-::ffff",
  );

const dhcp = v.map("the settings of dhcp", "{ pool: auto }", {
  managed: v.flag.prefault(false).describe("M flag: systems are told to solicit an address"),
  pool,
  delegate: v
    .optional(
      v.map("a delegation", '{ prefix: "2001:db8:fff::/48", length: 60 }', { prefix: v.networkPrefix, length: v.integer(1, 128, 60) }),
    )
    .describe("Prefix delegation: each machine that asks gets a prefix of this length out of it; default: none"),
  rapidCommit: v.flag.prefault(true).describe("For clients that ask for it; never volunteered"),
  preference: v.integer(0, 255, 255).prefault(255).describe("255: the client takes this offer at once"),
  lifetimes: v
    .map("lifetimes", "{ renew: 1000s, rebind: 2000s, preferred: 3000s, valid: 4000s }", {
      renew: v.optional(v.duration).describe("T1; default: 1000s, or half of `preferred` where that is given"),
      rebind: v.optional(v.duration).describe("T2; default: 2000s, or 0.8 of `preferred` where that is given"),
      preferred: v.optional(v.duration).describe("Default: 3000s"),
      valid: v.duration.prefault("4000s"),
    })
    // RFC 9915 §21.4: 0.5 and 0.8 of the preferred lifetime are what a server should choose.
    .transform(({ renew, rebind, preferred, valid }) => ({
      renew: renew ?? (preferred === null ? 1000 : Math.floor(preferred * 0.5)),
      rebind: rebind ?? (preferred === null ? 2000 : Math.floor(preferred * 0.8)),
      preferred: preferred ?? 3000,
      valid,
    }))
    .prefault({}),
  dns: servers("[2001:db8:0:1::1]").describe("Default: as advertised"),
  search,
  ntp: v.list("a list of addresses", "[2001:db8:0:1::1]", v.address).prefault([]),
}) satisfies z.ZodType<DhcpConfig>;

const observe = { error: v.expected("false, observe or the settings of advertise", "{ interval: [5s, 60s] }") };

export const network = v
  .map("a network", "{ interface: eth1 }", {
    name: v.label.optional().describe("Default: the interface's name"),
    interface: v.optional(v.interfaceName).describe("On-link: advertised to, and DHCPv6 answered on"),
    relayed: v.flag.prefault(false).describe("Off-link: its top-of-rack switch relays DHCPv6 and advertises itself"),
    prefix: v.optional(v.networkPrefix).describe("Default: the prefix of the interface's first global (else unique-local) address"),
    address: v
      .optional(v.hostAddress)
      .describe("The appliance's own address on it; relayed: as these machines reach it, default: the first network's"),
    defaultProfile: v.optional(v.label).describe("Default: the appliance's"),
    advertise: z
      .union([z.literal(false), z.literal("observe"), advertise], observe)
      .optional()
      .describe("Router advertisements (RFC 4861); false sends none; observe only listens"),
    dhcp: v.orOff("dhcp", dhcp).prefault({}).describe("DHCPv6; false answers none"),
    relays: v
      .optional(v.list("a list of addresses or prefixes", "[2001:db8:0:2::fe]", v.prefixOrAddress))
      .describe("Who may relay for it: sources, or prefixes of them; default: anyone"),
    linkAddresses: v.optional(v.list("a list of addresses", "[2001:db8:0:2::fe]", v.address)).describe("Default: any inside the prefix"),
  })
  .transform((value, context): NetworkConfig => {
    const { relayed, interface: on } = value;
    const name = value.name ?? on;
    if (relayed && on !== null)
      return v.fail(context, "an interface on a relayed network", "Delete interface, or relayed: true.", ["interface"]);
    if (!relayed && on === null) return v.fail(context, "missing", "Name the interface it is on, or say relayed: true.", ["interface"]);
    if (name === null) return v.fail(context, "missing", "Give the relayed network a name.", ["name"]);
    if (relayed && value.advertise) return v.fail(context, "relayed networks advertise themselves", "Delete it.", ["advertise"]);
    for (const key of ["relays", "linkAddresses"] as const)
      if (!relayed && value[key] !== null)
        return v.fail(context, "only a relayed network has these", "Say relayed: true, or delete it.", [key]);
    const advertise = value.advertise === undefined ? (relayed ? null : ADVERTISE) : value.advertise || null;
    return { ...value, name, advertise };
  });

const ADVERTISE = advertise.parse({});
