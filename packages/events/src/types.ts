/**
 * Everything that happens, as the services tell it. One stream: logs, the timeline, the API and metrics only read it.
 * Events cross threads, so they are plain data. Addresses are RFC 5952 text; sizes are bytes, durations seconds.
 */
import type { Address, Mac } from "@netboot6/codec";

export type ServiceName = "ra" | "dhcpv6" | "dns" | "http" | "tftp" | "console";

/** Who asked, as far as the service itself can tell. The main thread adds `machine` from what it knows of all services. */
export interface Asker {
  /** The source address of the packet or connection. */
  readonly client?: Address;
  readonly mac?: Mac;
  readonly network?: string;
  /** The machine's id, e.g. `node-01` or `m-5254000b0001`. */
  readonly machine?: string;
}

/**
 * Why a download stands: this host's disk gives nothing; the machine takes nothing, though it answers; or nothing is heard of it, and
 * what it was sent last is not acknowledged.
 */
export type HeldUpBy = "disk" | "machine" | "network";

export type EventBody =
  | { readonly type: "appliance.ready"; readonly services: readonly ServiceName[]; readonly seconds: number }
  | { readonly type: "appliance.waiting"; readonly why: string }
  | { readonly type: "appliance.resumed" }
  /** What will not work as configured, though it starts. */
  | { readonly type: "appliance.warned"; readonly why: string }
  | { readonly type: "appliance.stopping"; readonly why: string }
  | { readonly type: "appliance.reloaded"; readonly changed: readonly string[] }
  | { readonly type: "appliance.refused"; readonly why: string }
  | { readonly type: "service.ready"; readonly service: ServiceName; readonly listens: readonly string[] }
  | {
      readonly type: "service.failed";
      readonly service: ServiceName;
      readonly why: string /** seconds until it is started again */;
      readonly retry: number;
    }
  | ({ readonly type: "ra.solicited"; readonly interface: string } & Asker)
  | ({
      readonly type: "ra.sent";
      readonly interface: string;
      readonly to: Address;
      readonly why: "initial" | "periodic" | "solicited" | "final" | "changed";
    } & Asker)
  | ({
      readonly type: "ra.heard";
      readonly interface: string;
      readonly router: Address;
      readonly managed: boolean;
      readonly other: boolean;
      /** Router lifetime in seconds; 0: it is no default router. */
      readonly lifetime: number;
      /** `withdrawn`: it was a default router and says it is none any more. `silent`: hosts forget it now. */
      readonly state: "advertises" | "withdrawn" | "silent";
      /** The gravest of what follows. */
      readonly why: string;
      /** What of it contradicts our own advertisements, what that brings about and how to mend it. */
      readonly differences: readonly string[];
    } & Asker)
  | ({ readonly type: "ra.link"; readonly interface: string; readonly up: boolean } & Asker)
  /** What costs machines something though it is as configured. */
  | ({
      readonly type: "ra.warned";
      readonly interface: string;
      readonly rule: "no-router" | "not-forwarding";
      readonly why: string;
    } & Asker)
  /** What that rule warned of is over. */
  | ({ readonly type: "ra.mended"; readonly interface: string; readonly rule: "no-router" | "not-forwarding" } & Asker)
  | ({
      readonly type: "dhcpv6.answered";
      readonly message: string;
      readonly answer: string;
      /** firmware-http, firmware-pxe, ipxe, installer, system ... */
      readonly clientKind: string;
      readonly duid: string;
      /** What firmware and iPXE say they are: `HTTPClient:Arch:00016:UNDI:003001`. */
      readonly vendorClass?: string;
      readonly relay?: Address;
      /** What it has from now on; a delegated prefix with its length. */
      readonly addresses: readonly string[];
      readonly bootfileUrl?: string;
      /** Seconds that the addresses of a Reply are leased for. */
      readonly valid?: number;
      /** How the machine, the network, the lease and the boot file were chosen, in an operator's words. */
      readonly why: readonly string[];
    } & Asker)
  | ({
      readonly type: "dhcpv6.dropped";
      readonly message: string;
      /** As in `dhcpv6.answered`, where the message could be read. */
      readonly clientKind?: string;
      readonly why: string;
      readonly relay?: Address;
    } & Asker)
  | ({
      readonly type: "dns.answered";
      readonly name: string;
      readonly qtype: string;
      readonly rcode: string;
      readonly from: "cache" | "upstream" | "local" | "stale" | "refused" | "failed";
      readonly seconds: number;
      /** The name is there, and has nothing of that type. */
      readonly empty?: true;
    } & Asker)
  /** Answers to a client that asks often, of one kind and within one second. No `dns.answered` tells of them. */
  | ({
      readonly type: "dns.counted";
      readonly rcode: string;
      readonly from: "cache" | "upstream" | "local" | "stale" | "refused" | "failed";
      readonly count: number;
    } & Asker)
  | { readonly type: "dns.upstream"; readonly upstream: string; readonly state: "up" | "down" | "gone"; readonly why: string }
  | ({
      readonly type: "http.started";
      readonly id: number;
      readonly path: string;
      readonly size: number;
      readonly userAgent: string;
      readonly heldUpBy?: HeldUpBy;
    } & Asker)
  | ({
      readonly type: "http.progress";
      readonly id: number;
      readonly path: string;
      readonly sent: number;
      readonly size: number;
      readonly heldUpBy?: HeldUpBy;
    } & Asker)
  | ({
      readonly type: "http.finished";
      readonly id: number;
      readonly method: string;
      readonly path: string;
      readonly status: number;
      /** Body bytes that were handed to the kernel. */
      readonly sent: number;
      readonly size: number;
      readonly seconds: number;
      readonly userAgent: string;
      /** False where the client went away before the end. */
      readonly complete: boolean;
      readonly why?: string;
    } & Asker)
  /** A connection to the port of HTTPS came to no TLS session: as a rule the client does not trust the certificate. */
  | ({ readonly type: "http.tlsFailed"; readonly why: string } & Asker)
  | ({ readonly type: "tftp.started"; readonly id: number; readonly path: string; readonly size: number } & Asker)
  | ({ readonly type: "tftp.progress"; readonly id: number; readonly path: string; readonly sent: number; readonly size: number } & Asker)
  | ({
      readonly type: "tftp.finished";
      readonly id: number;
      readonly path: string;
      readonly status: "sent" | "refused" | "aborted" | "timeout";
      readonly sent: number;
      readonly size: number;
      readonly seconds: number;
      readonly why?: string;
    } & Asker)
  | ({
      readonly type: "machine.rendered";
      readonly path: string;
      readonly profile: string;
      readonly profileKind: "kernel" | "script" | "disk" | "wait";
      /** Why it is stopped for now in place of booting its profile. */
      readonly stopped?: string;
      readonly why: string;
    } & Asker)
  /** A verdict on where its boot stands still; and the end of it. */
  | ({ readonly type: "machine.stuck"; readonly rule: string; readonly text: string; readonly mend: string } & Asker)
  | ({ readonly type: "machine.goesOn" } & Asker)
  | ({ readonly type: "machine.done"; readonly profile: string } & Asker)
  | ({ readonly type: "machine.learned"; readonly what: string } & Asker)
  /** What an operator changed, through the API or the command. */
  | ({ readonly type: "operator.acted"; readonly what: string } & Asker)
  | ({ readonly type: "lease.released"; readonly address: Address; readonly why: string } & Asker)
  /** Packets that were no message at all, counted together at most once a second. */
  | ({ readonly type: "wire.dropped"; readonly service: ServiceName; readonly why: string; readonly count: number } & Asker);

/** `seq` counts from 1 since the start of the process; `at` is Unix time in milliseconds. */
export type BootEvent = { readonly seq: number; readonly at: number } & EventBody;
export type EventType = EventBody["type"];
/** How a service tells what it decided. */
export type Emit = (event: EventBody) => void;
