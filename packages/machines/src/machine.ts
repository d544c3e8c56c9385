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
  /** The profile an operator chose for it; null: by configuration. */
  readonly profile: string | null;
  readonly boot: BootState;
  /** Several machines speak from its link-local address (a bridge, a host of VMs, a load generator): there the DUID tells them apart. */
  readonly shared: boolean;
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

/** What a message tells of who sent it; every field may be missing. */
export interface Evidence {
  /** Relay option 79 (RFC 6939). */
  readonly relayMac?: Mac | undefined;
  /** The client's source address on its link, or the relay's peer-address. */
  readonly peer?: Address | undefined;
  /** Lower-case hex. */
  readonly duid?: string | undefined;
  /** How the sender writes the UUID in its DUID: EDK2 as SMBIOS keeps it, iPXE in text order. */
  readonly uuidOrder?: "smbios" | "text" | undefined;
}

/** EDK2 and firmware vendors send these where a board has no UUID. */
const NOBODY = new Set([
  "00000000-0000-0000-0000-000000000000",
  "ffffffff-ffff-ffff-ffff-ffffffffffff",
  "03000200-0400-0500-0006-000700080009",
]);
export const isPlaceholderUuid = (uuid: string): boolean => NOBODY.has(uuid);
