/**
 * The typed picture of `appliance.yaml`: what every service is given. Addresses, prefixes and MACs are parsed and canonical,
 * durations are whole seconds, paths are absolute. `null` means "derived later" or "off", as each field says.
 */
import type { Address, Mac, Prefix } from "@netboot6/codec";

export interface Appliance {
  /** The file it was read from, absolute; messages name it. */
  readonly file: string;
  readonly site: string;
  /** "" where none is configured. */
  readonly domain: string;
  readonly networks: readonly NetworkConfig[];
  readonly boot: { readonly rules: readonly BootRule[] | null };
  readonly profiles: Readonly<Record<string, Profile>>;
  /** Name of the profile for machines that name none; null: they wait. */
  readonly defaultProfile: string | null;
  readonly machines: readonly MachineConfig[];
  readonly http: HttpConfig | null;
  readonly tftp: TftpConfig | null;
  readonly dns: DnsConfig | null;
  readonly state: { readonly dir: string };
  readonly console: ConsoleConfig | null;
  readonly log: LogConfig;
}

/** A network as the file has it; prefix and address may have to come from the host (`resolveNetworks`). */
export interface NetworkConfig {
  readonly name: string;
  /** null for a relayed network. */
  readonly interface: string | null;
  readonly relayed: boolean;
  readonly prefix: Prefix | null;
  readonly address: Address | null;
  readonly defaultProfile: string | null;
  readonly advertise: AdvertiseConfig | "observe" | null;
  readonly dhcp: DhcpConfig | null;
  readonly relays: readonly Prefix[] | null;
  readonly linkAddresses: readonly Address[] | null;
}

/** Router advertisement settings (RFC 4861 §6.2.1). All times in seconds. */
export interface AdvertiseConfig {
  readonly interval: readonly [min: number, max: number];
  readonly routerLifetime: number | "auto";
  readonly preference: "low" | "medium" | "high";
  readonly hopLimit: number;
  /** null: the interface's; 0: option left out. */
  readonly mtu: number | null;
  readonly onLink: boolean;
  readonly autonomous: boolean;
  readonly validLifetime: number;
  readonly preferredLifetime: number;
  /** null: the network's address when dns is on. */
  readonly dns: readonly Address[] | null;
  readonly search: readonly string[] | null;
  readonly dnsLifetime: number | null;
  readonly routes: readonly { readonly prefix: Prefix; readonly lifetime: number; readonly preference: "low" | "medium" | "high" }[];
  readonly pref64: Prefix | null;
}

export type Pool =
  | { readonly kind: "auto" }
  | { readonly kind: "none" }
  | { readonly kind: "range"; readonly first: Address; readonly last: Address };

/** DHCPv6 settings of one network. All times in seconds. */
export interface DhcpConfig {
  readonly managed: boolean;
  readonly pool: Pool;
  readonly delegate: { readonly prefix: Prefix; readonly length: number } | null;
  readonly rapidCommit: boolean;
  readonly preference: number;
  readonly lifetimes: { readonly renew: number; readonly rebind: number; readonly preferred: number; readonly valid: number };
  /** null: as advertised. */
  readonly dns: readonly Address[] | null;
  readonly search: readonly string[] | null;
  readonly ntp: readonly Address[];
}

/** One `boot.rules` entry: matches where every given condition holds. */
export interface BootRule {
  readonly userClass: string | null;
  readonly vendorClass: string | null;
  /** IANA processor architecture types (RFC 5970 §3.3); null: any. */
  readonly arch: readonly number[] | null;
  readonly mac: Mac | null;
  readonly uuid: string | null;
  readonly network: string | null;
  readonly url: string;
  readonly params: readonly string[];
}

/** What a machine boots. Exactly one kind. `kernel` and `initrd` are paths under boot-assets or whole URLs. */
export type Profile =
  | {
      readonly kind: "kernel";
      /** By iPXE `buildarch`-like name (`x64`, `arm64` ...); `any` where the file names one for all. */
      readonly kernel: Readonly<Record<string, string>>;
      readonly initrd: readonly Readonly<Record<string, string>>[];
      readonly cmdline: string;
      readonly once: boolean;
      readonly bootProgram: BootProgram;
    }
  /** A script of iPXE's; where GRUB is the boot program, a configuration of GRUB's. */
  | { readonly kind: "script"; readonly script: string; readonly once: boolean; readonly bootProgram: BootProgram }
  | { readonly kind: "disk"; readonly bootProgram: BootProgram }
  | { readonly kind: "wait" /** seconds */; readonly poll: number; readonly bootProgram: BootProgram };

/** What firmware is handed: iPXE; GRUB; or shim, which Microsoft signed, and which loads GRUB from beside it. */
export type BootProgram = "ipxe" | "grub" | "shim-grub";

export interface MachineConfig {
  readonly name: string | null;
  readonly macs: readonly Mac[];
  /** Lower-case hex without separators. */
  readonly duid: string | null;
  /** Lower-case text form, `4c4c4544-0044-...`. */
  readonly uuid: string | null;
  /**
   * The slot it stands in, as a relay names it in options 18 and 37 (without its enterprise number): text where all of it is
   * printable, else hex (`0x00040a`). One of both is there.
   */
  readonly port: { readonly relay: Address; readonly interfaceId: string | null; readonly remoteId: string | null } | null;
  readonly address: Address | null;
  /** The prefix that is delegated to it. */
  readonly prefix: Prefix | null;
  readonly profile: string | null;
  readonly vars: Readonly<Record<string, unknown>>;
}

/** `networks`: each network's address and the loopback. */
export type Listen = "networks" | readonly Address[];
/** `networks`: the networks' prefixes, link-local, loopback. */
export type Allow = "networks" | readonly Prefix[];

export interface HttpConfig {
  readonly port: number;
  readonly listen: Listen;
  readonly allow: Allow;
  /** Absolute. */
  readonly root: string;
  readonly listing: boolean;
  /** Glob patterns of files rendered for the machine that asks. */
  readonly templates: readonly string[];
  /** Bytes of files held in memory at most; null: a quarter of what there is. */
  readonly cache: number | null;
  readonly tls: { readonly cert: string; readonly key: string; readonly port: number; readonly name: string | null } | null;
}

/** Serves what HTTP serves, and by the same rules, even where HTTP is off. */
export interface TftpConfig extends Pick<HttpConfig, "listen" | "allow" | "root" | "templates"> {
  readonly port: number;
}

export interface Upstream {
  readonly address: Address;
  readonly port: number;
  /** The name its certificate must carry; null: plain DNS. */
  readonly tlsName: string | null;
}

export interface DnsConfig {
  readonly port: number;
  readonly listen: Listen;
  /** null: the host's resolv.conf. */
  readonly upstreams: readonly Upstream[] | null;
  readonly allow: Allow;
  /** Queries a second that one address may send; null: any number. */
  readonly rateLimit: number | null;
  /** Lower-case name without the final dot -> addresses. */
  readonly records: Readonly<Record<string, readonly Address[]>>;
  readonly dns64: Prefix | null;
  /** `serveStale` in seconds. */
  readonly cache: { readonly entries: number; readonly serveStale: number };
}

export interface ConsoleConfig {
  /** An IPv6 literal without brackets. */
  readonly host: Address;
  readonly port: number;
  readonly token: string | null;
}

export interface LogConfig {
  readonly level: "trace" | "debug" | "info" | "warn" | "error" | "silent";
  /** null: pretty on a terminal, else json. */
  readonly format: "json" | "pretty" | null;
}

/** A network with everything known that the host had to tell. Services see only these. */
export interface Network extends NetworkConfig {
  readonly prefix: Prefix;
  readonly address: Address;
  /** null for a relayed network. */
  readonly link: Link | null;
}

/** The interface that an on-link network is on. */
export interface Link {
  readonly name: string;
  readonly index: number;
  readonly mac: Mac;
  readonly mtu: number;
  readonly linkLocal: Address;
}
