/** The MAC that a message's evidence shows, and where it comes from. */
import { isLinkLocal, type Mac, macOfEui64 } from "@netboot6/codec";
import type { Evidence, Machine } from "./machine.ts";

export interface MacFound {
  readonly mac: Mac | null;
  readonly from: string;
  /** Seen on the link or told by the relay: not only what a DUID says. */
  readonly onLink: boolean;
}

const SHARED_WITHIN_MS = 3600_000;
/** What anyone on a link can fill by making identities up is bounded. */
const MAX_REMEMBERED = 10_000;

export class MacSource {
  /** By the MAC of a link-local address: the other MAC that was last seen in a DUID from there. */
  readonly #foreignMac = new Map<Mac, { mac: Mac; at: number }>();

  /** The surest first. `machine`: the one that is known by a MAC; `shares` is told of one whose link-local address several machines use. */
  find(
    { relayMac, peer, duid }: Evidence,
    duidMac: Mac | null,
    now: number,
    machine: (mac: Mac) => Machine | undefined,
    shares: (machine: Machine) => void,
  ): MacFound {
    if (relayMac !== undefined) return { mac: relayMac, from: "from the relay (option 79)", onLink: true };
    const peerMac = peer !== undefined && isLinkLocal(peer) ? macOfEui64(peer) : null;
    if (peerMac === null) return { mac: duidMac, from: duidMac === null ? "" : "from its DUID", onLink: false };
    const fromPeer: MacFound = { mac: peerMac, from: "from its link-local address", onLink: true };
    if (duidMac === null || duidMac === peerMac || duid === undefined) return fromPeer;
    // One other MAC in its DUIDs is its other NIC's, or a cloned disk's; a second one soon after shows that several machines speak.
    const known = machine(peerMac);
    const last = this.#foreignMac.get(peerMac);
    if (!known?.shared && (last === undefined || last.mac === duidMac || now - last.at > SHARED_WITHIN_MS)) {
      this.#foreignMac.delete(peerMac);
      this.#foreignMac.set(peerMac, { mac: duidMac, at: now });
      if (this.#foreignMac.size > MAX_REMEMBERED) this.#foreignMac.delete(this.#foreignMac.keys().next().value as Mac);
      return fromPeer;
    }
    if (known && !known.shared) shares(known);
    return known?.duids.includes(duid)
      ? fromPeer
      : { mac: duidMac, from: "from its DUID: several machines speak from that link-local address", onLink: false };
  }
}
