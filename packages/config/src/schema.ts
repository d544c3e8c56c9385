/**
 * The whole of `appliance.yaml`. Parsing and defaults only; what contradicts what is in `checks.ts`. The descriptions are shown
 * by editors, through `appliance.schema.json`.
 */
import { addressBytes } from "@netboot6/codec";
import { z } from "zod";
import { CPUS } from "./arch.ts";
import { network } from "./schema-networks.ts";
import * as v from "./values.ts";

const url = v.nonEmpty("a URL", '"{{ http }}/boot.ipxe"').describe("The URL; a template: {{ http }}, {{ tftp }}, {{ machine.name }} ...");

const oneArch = v.either("a client architecture", "x64-uefi", [v.archByName, v.integer(0, 65535, 7)]);
const arch = v
  .either("a client architecture or a list of them", "[x64-uefi, ebc]", [
    oneArch,
    v
      .list("a list of client architectures", "[x64-uefi, ebc]", oneArch)
      .min(1, { error: () => "no architecture\nGive one, or delete the key." }),
  ])
  .transform((value): readonly number[] => (typeof value === "number" ? [value] : value))
  .describe("Client architecture (RFC 5970): IANA name or number, or a list");

const rule = v.map("a rule", '{ arch: x64-uefi-http, url: "{{ http }}/ipxe/x86_64/ipxe.efi" }', {
  userClass: v.optional(v.nonEmpty("a user class", "iPXE")).describe("User class (option 15), exact"),
  vendorClass: v.optional(v.nonEmpty("a vendor class", "HTTPClient")).describe("Vendor class (option 16), its beginning"),
  arch: v.optional(arch),
  mac: v.optional(v.mac).describe("MAC address of the machine"),
  uuid: v.optional(v.uuid).describe("SMBIOS UUID of the machine, in either byte order"),
  network: v.optional(v.label).describe("Name of the network the machine is on"),
  url,
  params: v
    .list(
      "a list of texts",
      '["quiet"]',
      v.text("a text", "quiet", (value) => value),
    )
    .prefault([])
    .describe("Boot file parameters (option 60)"),
});

const asset = v.nonEmpty("a path under boot-assets or a URL", "debian-12/linux");
const byCpu = v.map(
  "paths by architecture",
  "{ x64: a/linux, arm64: b/linux }",
  Object.fromEntries(CPUS.map((cpu) => [cpu, asset.optional()])) as Record<(typeof CPUS)[number], z.ZodOptional<typeof asset>>,
);
const assets = v
  .either("a path under boot-assets, a URL, or either by architecture", "debian-12/linux", [asset, byCpu])
  .transform((value): Readonly<Record<string, string>> => (typeof value === "string" ? { any: value } : (value as Record<string, string>)));

const bootProgram = v.choice("ipxe", "grub", "shim-grub");
const KINDS = ["kernel", "script", "disk", "poll"] as const;

const profile = v
  .map("a profile", "{ kernel: debian-12/linux, initrd: [debian-12/initrd.gz] }", {
    kernel: assets.optional().describe("Path under boot-assets or whole URL; or by architecture: { x64: a/linux, arm64: b/linux }"),
    initrd: v.list("a list of paths", "[debian-12/initrd.gz]", assets).optional().describe("Initial RAM disks, in this order"),
    cmdline: v
      .text("a kernel command line", '"auto=true"', (value) => value)
      .optional()
      .describe("Kernel command line; a template"),
    script: v
      .nonEmpty("a path under boot-assets", "ubuntu.ipxe")
      .optional()
      .describe("A script of one's own, a template: iPXE's, or GRUB's where that is the boot program"),
    disk: z
      .literal(true, { error: v.expected("true", "disk: true") })
      .optional()
      .describe("Boot the disk"),
    poll: v.duration.optional().describe("Keep asking until an operator picks a profile"),
    once: v.flag.optional().describe("After the installer reports done, the machine boots its disk; default: true"),
    bootProgram: bootProgram.optional().describe("What the built-in rules hand to firmware; default: ipxe"),
  })
  .transform((value, context) => {
    const kinds = KINDS.filter((kind) => value[kind] !== undefined);
    const [kind] = kinds;
    if (kind === undefined) return v.fail(context, "does not say what to boot", "Give one of kernel, script, disk: true or poll: 30s.");
    if (kinds.length > 1) return v.fail(context, `${kinds.join(" and ")} together`, "Keep one of them.", [kinds[1] as string]);
    const allowed: readonly string[] =
      kind === "kernel"
        ? [kind, "initrd", "cmdline", "once", "bootProgram"]
        : kind === "script"
          ? [kind, "once", "bootProgram"]
          : [kind, "bootProgram"];
    const odd = (Object.keys(value) as (keyof typeof value)[]).find((key) => value[key] !== undefined && !allowed.includes(key));
    if (odd) return v.fail(context, `has no meaning beside ${kind}`, "Delete it.", [odd]);
    const { once = true, bootProgram = "ipxe" } = value;
    if (value.kernel) {
      const { kernel, initrd = [], cmdline = "" } = value;
      return { kind: "kernel" as const, kernel, initrd, cmdline, once, bootProgram };
    }
    if (value.script) return { kind: "script" as const, script: value.script, once, bootProgram };
    return value.poll === undefined ? { kind: "disk" as const, bootProgram } : { kind: "wait" as const, poll: value.poll, bootProgram };
  });

const variable = v.text("a variable's name", "disk", (value) => (/^[a-zA-Z_][\w-]*$/.test(value) ? value : null));

const port = v
  .map("a relay's port", '{ relay: "2001:db8:0:2::fe", interfaceId: "Eth1/7" }', {
    relay: v.hostAddress.describe("The relay's address: its link-address, or the one that its packets come from"),
    interfaceId: v.optional(v.portText("an interface-id", '"Eth1/7"')).describe("Interface-Id (option 18) that it gives; or hex: 0x0a17"),
    remoteId: v
      .optional(v.portText("a remote-id", '"switch-3"'))
      .describe("Remote-ID (option 37) that it gives, without the enterprise number; or hex: 0x0a17"),
  })
  .transform((value, context) => {
    if (value.interfaceId !== null || value.remoteId !== null) return value;
    return v.fail(context, "does not say which port", 'Give interfaceId, e.g. "Eth1/7", or remoteId.');
  });

const machine = v
  .map("a machine", '{ name: node-01, mac: "52:54:00:d6:c2:a9" }', {
    name: v.optional(v.machineName).describe("Letters, digits, hyphens; a machine without one is called m-525400d6c2a9 after its MAC"),
    mac: z
      .union([v.mac, v.list("a list", '["52:54:00:d6:c2:a9"]', v.mac)], {
        error: v.expectedText("a MAC address or a list of them", '"52:54:00:d6:c2:a9"'),
      })
      .transform((value): readonly string[] => (typeof value === "string" ? [value] : value))
      .prefault([])
      .describe("MAC address, or a list: the ports of one machine"),
    duid: v.optional(v.duid).describe("DHCP unique identifier, in hex"),
    uuid: v.optional(v.uuid).describe("SMBIOS UUID, in either byte order"),
    port: v.optional(port).describe("Whatever stands in that slot"),
    address: v.optional(v.hostAddress).describe("Its address"),
    prefix: v.optional(v.networkPrefix).describe("The prefix that is delegated to it"),
    profile: v.optional(v.label).describe("What it boots; default: the network's profile, else the appliance's"),
    vars: v
      .record("a map of values", "{ disk: /dev/nvme0n1 }", variable, z.unknown())
      .prefault({})
      .describe("Free values for templates: {{ machine.vars.disk }}"),
  })
  .transform(({ mac: macs, ...rest }, context) => {
    if (macs.length === 0 && rest.duid === null && rest.uuid === null && rest.port === null)
      return v.fail(context, "nothing tells this machine from others", "Give its mac, uuid, duid or port.");
    if (macs.length === 0 && rest.duid === null && rest.uuid === null && rest.name === null)
      return v.fail(context, "a slot without a name", "Name the machine: its port tells no name.");
    return { ...rest, macs };
  });

const listen = v
  .either('"networks" or a list of addresses', "networks", [
    z.literal("networks"),
    v.list("a list", '["2001:db8:0:1::1"]', v.address).min(1, { error: () => "no address\nGive one, or write networks." }),
  ])
  .prefault("networks")
  .describe("networks: each network's address, and ::1; or a list of addresses");
const allow = v
  .either('"networks" or a list of prefixes', "networks", [z.literal("networks"), v.list("a list", "[2001:db8::/32]", v.prefixOrAddress)])
  .prefault("networks");
const path = v.nonEmpty("a path", "boot-assets");

const http = v.map("the settings of http", "{ port: 80 }", {
  port: v.port.prefault(80),
  listen,
  allow: allow.describe(
    "networks: the networks' prefixes, link-local on their interfaces, loopback; or a list of prefixes. Others get 403",
  ),
  root: path.prefault("boot-assets").describe("The folder that is served"),
  listing: v.flag.prefault(false).describe("Directory pages"),
  templates: v
    .list("a list of file patterns", '["*.ipxe"]', v.nonEmpty("a file pattern", '"*.ipxe"'))
    .prefault(["**/*.ipxe", "grub/*.cfg", "preseed/*.cfg", "autoinstall/*", "kickstart/*.ks", "ignition/*.ign", "talos/*.yaml"])
    .describe("Files rendered for the machine that asks, never shown as source; all others are served as they are"),
  cache: v.sizeOrAuto.prefault("auto").describe("Memory for files at most; auto: a quarter of what this host, or its cgroup, has"),
  tls: v
    .optional(
      v.map("the settings of tls", "{ cert: cert.pem, key: key.pem }", {
        cert: path,
        key: path,
        port: v.port.prefault(443),
        name: v.optional(v.domainName),
      }),
    )
    .describe("HTTPS boot, {{ https }}; default: none"),
});

export const httpDefaults = http.parse({});

const upstream = v
  .text("an upstream resolver", '"2001:4860:4860::8888"', (value) => {
    const tls = /^tls:\/\/([^#]*)(?:#(.+))?$/.exec(value);
    const endpoint = v.readEndpoint(tls ? (tls[1] as string) : value, tls ? 853 : 53);
    return endpoint && "address" in endpoint ? { ...endpoint, tlsName: tls ? (tls[2] ?? endpoint.address) : null } : endpoint;
  })
  .describe('Address, "[address]:port" or "tls://[address]#name"');

const dns64 = v.prefix
  .refine(({ length }) => [32, 40, 48, 56, 64, 96].includes(length), {
    error: () => "not a length that NAT64 has\nRFC 6052 knows /96, /64, /56, /48, /40 and /32.", // §2.2
  })
  .refine(({ address }) => addressBytes(address)[8] === 0, {
    error: () => "bits 64 to 71 are not zero\nTake a prefix where they are, e.g. 64:ff9b::/96.", // §2.2
  });

const dns = v.map("the settings of dns", "{ upstreams: [2001:4860:4860::8888] }", {
  port: v.port.prefault(53),
  listen,
  upstreams: v
    .optional(
      v
        .list("a list of resolvers", '["2001:4860:4860::8888"]', upstream)
        .min(1, { error: () => "no resolver\nGive one, or delete the key." }),
    )
    .describe("Default: the host's resolv.conf"),
  allow: allow.describe("Who may ask; default: networks. Others get REFUSED"),
  rateLimit: v
    .either("false or queries per second", "1000", [z.literal(false), v.integer(1, 10_000_000, 1000)])
    .transform((value) => (value === false ? null : value))
    .prefault(1000)
    .describe("Queries a second that one address may send; more get no answer. false: any number"),
  records: v
    .record(
      "a map of names",
      "{ mirror.rack.example: [2001:db8:0:1::1] }",
      v.domainName,
      v.list("a list of addresses", "[2001:db8::1]", v.address),
    )
    .prefault({})
    .describe("Local names beside the machines' own; they win over machines, machines over names that clients claim"),
  dns64: v.optional(dns64).describe("Synthesise AAAA from A (RFC 6147); default: none"),
  cache: v
    .map("the settings of the cache", "{ entries: 100000 }", {
      entries: v.integer(0, 10_000_000, 100_000).prefault(100_000),
      serveStale: v.duration.prefault("1d").describe("How long expired answers may be served while no upstream answers (RFC 8767)"),
    })
    .prefault({}),
});

const console = v.map("the settings of the console", '{ listen: "[::1]:8067" }', {
  listen: v.text("an address with a port", '"[::1]:8067"', (value) => v.readEndpoint(value)).prefault("[::1]:8067"),
  token: v
    .either("a token or null", "null", [z.null(), v.nonEmpty("a token", '"a long random word"')])
    .prefault(null)
    .describe("Off loopback a token is required"),
});

const profiles = v.record("a map of profiles", "{ debian-12: { kernel: debian-12/linux } }", v.label, profile).prefault({});
const machines = v.list("a list of machines", '- { name: node-01, mac: "52:54:00:d6:c2:a9" }', machine).prefault([]);

/** A file that `include` names. */
export const includedSchema = v.map("machines and profiles", "machines: [...]", { profiles, machines });

export const applianceSchema = v.map("a map of settings", "networks: [{ interface: eth1 }]", {
  site: v.nonEmpty("a name", "rack-lab").optional().describe("A name for logs, metrics and the console; default: the host's name"),
  domain: v.domainName.optional().describe("Domain of the machines: DHCPv6 domain search, DNSSL, local DNS names; default: none"),
  networks: v
    .list("a list of networks", "- interface: eth1", network)
    .min(1, { error: () => "no network\nGive one: - interface: eth1." })
    .describe("The IPv6 subnets served; at least one"),
  boot: v
    .map("the settings of boot", "{ rules: [...] }", {
      rules: v
        .optional(v.list("a list of rules", '- { userClass: iPXE, url: "{{ http }}/boot.ipxe" }', rule))
        .describe("The first match wins"),
    })
    .prefault({})
    .describe("What the DHCPv6 answer's bootfile-url is"),
  profiles: profiles.describe("What a machine boots; one named by defaultProfile or by the machine"),
  defaultProfile: v.optional(v.label).describe("For machines that name none; default: the only profile, else wait"),
  machines: machines.describe("Reservations and names; a machine is known by any of mac, duid, uuid, port"),
  include: v
    .list("a list of file patterns", '["machines.d/*.yaml"]', v.nonEmpty("a file pattern", '"machines.d/*.yaml"'))
    .prefault([])
    .describe("More files of machines and profiles; default: none"),
  http: v.orOff("http", http).prefault({}).describe("HTTP server; false turns it off"),
  tftp: v
    .orOff("tftp", v.map("the settings of tftp", "{ port: 69 }", { port: v.port.prefault(69) }))
    .prefault({})
    .describe("TFTP server: read-only; root, listen, allow and templates are http's; false turns it off"),
  dns: v.orOff("dns", dns).prefault({}).describe("DNS forwarder; false turns it off"),
  state: v
    .map("the settings of state", "{ dir: state }", {
      dir: path.prefault("state").describe("Folder of the embedded store"),
      database: v.nonEmpty("a URL", "postgres://user@host/netboot6").optional().describe("Shared by several appliances"),
    })
    .prefault({})
    .describe("Leases, identities, boot state, timelines"),
  console: v.orOff("the console", console).prefault({}).describe("Web console, JSON API, /metrics; false turns it off"),
  log: v
    .map("the settings of log", "{ level: info }", {
      level: v.choice("trace", "debug", "info", "warn", "error", "silent").prefault("info"),
      format: v.optional(v.choice("json", "pretty")).describe("Default: pretty on a terminal, else json"),
    })
    .prefault({}),
  mirrors: z.unknown().optional().describe("Reserved"),
});
