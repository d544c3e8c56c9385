/** Relays (RFC 9915 §19): the message out of its envelopes, what they tell of the client, and the way back. */
import {
  type Address,
  type ClientServerMessage,
  decodeMessage,
  decodeRemoteId,
  encodeMessage,
  findOption,
  formatMac,
  HOP_COUNT_LIMIT,
  isLinkLocal,
  isRelayMessage,
  MAX_PORT_BYTES,
  type Mac,
  MessageType,
  type Option,
  OptionCode,
  portText,
  prefixContains,
  type RelayMessage,
} from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { PortEvidence } from "@netboot6/machines";
import type { Incoming } from "./server.ts";

/** The client's message out of its relays. */
export interface Unwrapped {
  readonly message: ClientServerMessage;
  /** From the outermost to the innermost. */
  readonly relays: readonly RelayMessage[];
}

export function unwrap(message: ClientServerMessage | RelayMessage): Unwrapped | string {
  const relays: RelayMessage[] = [];
  let current = message;
  while (isRelayMessage(current)) {
    if (current.type === MessageType.relayReply) return "a Relay-reply is for relays";
    if (current.hopCount >= HOP_COUNT_LIMIT || relays.length >= HOP_COUNT_LIMIT)
      return `it went through more than ${HOP_COUNT_LIMIT} relays`;
    relays.push(current);
    const inner = findOption(current.options, OptionCode.relayMessage);
    if (!inner) return "a Relay-forward without a message in it";
    const decoded = decodeMessage(inner);
    if (!decoded.ok) return `inside a Relay-forward: ${decoded.why}`;
    current = decoded.value;
  }
  return { message: current, relays };
}

/** `refused`: why the message is dropped; of a network that does not take it from this relay, that one. */
export type Chosen =
  | { readonly network: Network; readonly why: string; readonly refused?: never }
  | { readonly network: Network | null; readonly refused: string };

const refused = (why: string, network: Network | null = null): Chosen => ({ network, refused: why });

const onLinks = new WeakMap<Network, Chosen>();

/** Said once for all messages. */
function onLink(network: Network): Chosen {
  let chosen = onLinks.get(network);
  if (!chosen) {
    chosen = { network, why: `network ${network.name} on ${network.link?.name}` };
    onLinks.set(network, chosen);
  }
  return chosen;
}

export function chooseNetwork(networks: readonly Network[], incoming: Incoming, relays: readonly RelayMessage[]): Chosen {
  if (relays.length === 0) {
    const network = networks.find((candidate) => candidate.link?.name === incoming.interface);
    return network ? onLink(network) : refused(`no network on ${incoming.interface ?? "that interface"}`);
  }
  // The innermost relay with an address knows the client's link; an LDRA (RFC 6221) has none.
  const linkAddress = linkAddressFrom(relays, relays.length - 1);
  if (linkAddress !== null) {
    // What the configuration says of a relay goes before what its address looks like.
    const network =
      networks.find(({ linkAddresses }) => linkAddresses?.includes(linkAddress)) ??
      networks.find(({ linkAddresses, prefix }) => !linkAddresses && prefixContains(prefix, linkAddress));
    if (!network) return refused(`the relay's link-address ${linkAddress} belongs to no network`);
    return allowRelay(network, incoming, `network ${network.name}, by the relay's link-address ${linkAddress}`);
  }
  const network = networks.find((candidate) => candidate.link !== null && candidate.link.name === incoming.interface);
  if (!network) return refused("no relay on the way told the client's link, and it came in on no network's interface");
  return allowRelay(network, incoming, `network ${network.name}, on whose interface a relay without an address sent it`);
}

/** Of a relayed network those that it lists, if it does; on a link of ours a switch on that very link. */
function allowRelay(network: Network, { source, interface: on }: Incoming, why: string): Chosen {
  const { name, link, prefix, relays } = network;
  if (link) {
    const isThere = isLinkLocal(source) ? on === link.name : prefixContains(prefix, source);
    if (isThere) return { network, why };
    return refused(
      `relay ${source} is not on the link of network ${name}: a rack behind it is a network of its own, \`relayed: true\``,
      network,
    );
  }
  if (relays && !relays.some((each) => prefixContains(each, source)))
    return refused(`relay ${source} is not among the relays of network ${name}`, network);
  return { network, why };
}

/** RFC 6939: the relay nearest to the client tells its link-layer address. */
export function relayMac(innermost: RelayMessage | undefined): Mac | undefined {
  const data = innermost && findOption(innermost.options, OptionCode.clientLinkLayerAddress);
  return data && data.length === 8 && data[0] === 0 && data[1] === 1 ? formatMac(data.subarray(2)) : undefined;
}

/**
 * The slot that the client stands in: what the relay nearest to it that names one says in options 18 and 37. That is an access
 * switch's port where the switch is a lightweight relay (RFC 6221), which has no address of its own: it goes by the link-address
 * that a relay behind it gave, the address of the router on the client's link. A switch that routes names its own. Where it
 * speaks from another address (a loopback, an uplink), an operator may know it by that one: both are told.
 */
export function portOf(relays: readonly RelayMessage[], source: Address): PortEvidence | undefined {
  for (let i = relays.length - 1; i >= 0; i--) {
    const { options } = relays[i] as RelayMessage;
    const interfaceId = named(findOption(options, OptionCode.interfaceId));
    const remote = findOption(options, OptionCode.remoteId);
    const decoded = remote && decodeRemoteId(remote);
    const remoteId = decoded?.ok ? named(decoded.value.remoteId) : null;
    if (interfaceId === null && remoteId === null) continue;
    const link = linkAddressFrom(relays, i);
    return { relays: link === null || link === source ? [source] : [link, source], interfaceId, remoteId };
  }
  return undefined;
}

const named = (bytes: Uint8Array | undefined): string | null =>
  bytes === undefined || bytes.length === 0 || bytes.length > MAX_PORT_BYTES ? null : portText(bytes);

/** The innermost link-address from that relay outwards that is an address; null where none of them has one. */
function linkAddressFrom(relays: readonly RelayMessage[], innermost: number): Address | null {
  for (let i = innermost; i >= 0; i--) {
    const { linkAddress } = relays[i] as RelayMessage;
    if (linkAddress !== "::" && !isLinkLocal(linkAddress)) return linkAddress;
  }
  return null;
}

/** RFC 9915 §19.3: the same way back; interface-id and relay port are echoed. */
export function relayReply(forward: RelayMessage, inner: ClientServerMessage | RelayMessage): RelayMessage {
  const echoed = [OptionCode.interfaceId, OptionCode.relayPort].flatMap((code): Option[] => {
    const data = findOption(forward.options, code);
    return data ? [{ code, data }] : [];
  });
  return {
    type: MessageType.relayReply,
    hopCount: forward.hopCount,
    linkAddress: forward.linkAddress,
    peerAddress: forward.peerAddress,
    options: [...echoed, { code: OptionCode.relayMessage, data: encodeMessage(inner) }],
  };
}
