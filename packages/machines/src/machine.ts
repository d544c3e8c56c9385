/** What is known of one machine. Plain data: it is stored, and it crosses threads. */
import type { Address, Mac } from "@netboot6/codec";

export interface Machine {
  /** Never changes: the configured name, else `m-5254000b0001` after the MAC, else after the UUID or DUID. */
  readonly id: string;
  readonly macs: readonly Mac[];
  /** Text form, lower case; null while unknown. */
  readonly uuid: string | null;
  /** Lower-case hex, in the order they were learned. */
  readonly duids: readonly string[];
  /** The relays' ports it was seen at, the newest last. They are shown; only configured ones tell who it is. */
  readonly ports: readonly Port[];
  /** The profile an operator chose for it; null: by configuration. */
  readonly profile: string | null;
  readonly boot: BootState;
  /** Several machines speak from its link-local address (a bridge, a host of VMs, a load generator): there the DUID tells them apart. */
  readonly shared: boolean;
  /** A MAC of its was seen on a link, or told by a relay; until then its DUIDs alone tell them (imported leases). */
  readonly met: boolean;
  /** Unix milliseconds. */
  readonly firstSeen: number;
}

export interface BootState {
  /** `installing` from the script on; `installed` once it reported done. */
  readonly stage: "new" | "installing" | "installed";
  /** The secret in `{{ done }}` of its last installation. */
  readonly token: string | null;
  /** Unix milliseconds of the last change. */
  readonly since: number;
}

/**
 * A slot, as a relay names it: Interface-Id (option 18) and the Remote-ID of option 37 without its enterprise number; text
 * where all of it is printable, else hex (`0x00040a`); null where the relay gave none.
 */
export interface Port {
  readonly relay: Address;
  readonly interfaceId: string | null;
  readonly remoteId: string | null;
}

export interface PortEvidence extends Omit<Port, "relay"> {
  /** The link-address that the message came with, then the address it was relayed from: an operator may name either. */
  readonly relays: readonly Address[];
}

/** Who tells nothing of itself. */
export const NOBODY: Machine = {
  id: "",
  macs: [],
  uuid: null,
  duids: [],
  ports: [],
  profile: null,
  boot: { stage: "new", token: null, since: 0 },
  shared: false,
  met: false,
  firstSeen: 0,
};

/** What a message tells of who sent it; every field may be missing. */
export interface Evidence {
  /** Relay option 79 (RFC 6939). */
  readonly relayMac?: Mac | undefined;
  /** The client's source address on its link, or the relay's peer-address. */
  readonly peer?: Address | undefined;
  /** Lower-case hex. */
  readonly duid?: string | undefined;
  readonly port?: PortEvidence | undefined;
  /**
   * How the sender writes the UUID in its DUID: EDK2 as SMBIOS keeps it, iPXE in text order. Undefined for systems, whose UUIDs
   * are the board's or the disk's (machine-id).
   */
  readonly uuidOrder?: "smbios" | "text" | undefined;
}
