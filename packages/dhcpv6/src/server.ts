/**
 * The DHCPv6 server's decisions (RFC 9915 §16, §18.3, §19): a message in, an answer or a refusal out, with what must be
 * stored before the answer may leave and what to tell. No sockets, no clock.
 */
import {
  type BootAsker,
  chooseRule,
  clientKind,
  compileTemplate,
  isBootClient,
  profileOf,
  type Rule,
  type TemplateError,
  templateValues,
} from "@netboot6/boot";
import {
  type Address,
  type ClientFacts,
  type ClientServerMessage,
  decodeMessage,
  encodeMessage,
  findOption,
  formatHex,
  isLinkLocal,
  isRelayMessage,
  MessageType,
  macOfEui64,
  messageName,
  OptionCode,
  type RelayMessage,
  readClientFacts,
  SERVER_PORT,
} from "@netboot6/codec";
import type { Appliance, DhcpConfig, Network } from "@netboot6/config";
import type { Asker, EventBody, ProgramLoop } from "@netboot6/events";
import type { Lease, Leases } from "@netboot6/leases";
import { type Identified, type Machine, type Machines, NOBODY, newId } from "@netboot6/machines";
import { answer } from "./answer.ts";
import { chooseNetwork, portOf, relayMac, relayReply, type Unwrapped, unwrap } from "./relays.ts";

export interface ServerState {
  readonly appliance: Appliance;
  readonly networks: readonly Network[];
  readonly rules: readonly Rule[];
  readonly machines: Machines;
  readonly leases: Leases;
  readonly serverDuid: Uint8Array;
  /** The program that the machine's iPXE was given again and again, and got no script; null where it was not. */
  readonly programLoop: (machine: string) => ProgramLoop | null;
}

/** One datagram as it came. */
export interface Incoming {
  readonly bytes: Uint8Array;
  readonly source: Address;
  readonly sourcePort: number;
  /** Name of the interface it came in on; null where the socket is bound to no interface's group or link-local address. */
  readonly interface: string | null;
  /** The address it was sent to; a multicast group where it came in on one. */
  readonly destination: Address;
}

export interface Outcome {
  readonly send: { readonly bytes: Uint8Array; readonly to: Address; readonly port: number } | null;
  /** To be on disk before `send` goes out. */
  readonly leases: readonly Lease[];
  /** To be stored, at leisure. */
  readonly machines: readonly Machine[];
  readonly events: readonly EventBody[];
}

/** A client's message with all that is known of who sent it. */
export interface Asked {
  readonly message: ClientServerMessage;
  readonly facts: ClientFacts;
  readonly network: Network;
  readonly dhcp: DhcpConfig;
  readonly identified: Identified;
  /** Lower-case hex; "" where the client sent none. */
  readonly duid: string;
  readonly bootClient: boolean;
  /** Unix seconds. */
  readonly now: number;
}

/** What the boot rules give the client; null where they give nothing. */
export interface BootAnswer {
  readonly url: string | null;
  readonly params: readonly string[];
  readonly why: string;
}

type Writable<T> = T extends unknown ? { -readonly [Key in keyof T]: T[Key] } : never;
type Told<Type = "machine.learned" | "dhcpv6.dropped" | "dhcpv6.answered"> = Writable<Extract<EventBody, { readonly type: Type }>>;

const ANONYMOUS: Identified = {
  machine: NOBODY,
  mac: null,
  onLink: false,
  why: "nothing in it tells the machine",
  learned: [],
  changed: [],
};

/** `now` in Unix milliseconds. */
export function handle(state: ServerState, incoming: Incoming, now: number): Outcome {
  const decoded = decodeMessage(incoming.bytes);
  if (!decoded.ok) return dropped(incoming, "unknown", decoded.why);
  const unwrapped = unwrap(decoded.value);
  if (typeof unwrapped === "string")
    return dropped(incoming, messageName(decoded.value.type), unwrapped, isRelayMessage(decoded.value) ? { relay: incoming.source } : {});
  const { message, relays } = unwrapped;
  const name = messageName(message.type);

  // RFC 9915 §18.4: a client speaks to the group; what it sends to one server's address is discarded.
  if (relays.length === 0 && !incoming.destination.startsWith("ff"))
    return dropped(incoming, name, "a client sent it to an address of ours and not to ff02::1:2");

  const facts = readClientFacts(message);
  const chosen = chooseNetwork(state.networks, incoming, relays);
  if (!facts.ok) return refused(state, incoming, unwrapped, null, chosen.network, facts.why);
  const refusal = discard(message.type, facts.value, state.serverDuid);
  if (refusal !== null) return refused(state, incoming, unwrapped, facts.value, chosen.network, refusal);
  if (chosen.refused !== undefined) return refused(state, incoming, unwrapped, facts.value, chosen.network, chosen.refused);
  const { network } = chosen;
  if (!network.dhcp) return refused(state, incoming, unwrapped, facts.value, network, `DHCPv6 is off on network ${network.name}`);

  const kind = clientKind(facts.value);
  const innermost = relays.at(-1);
  const client = innermost?.peerAddress ?? incoming.source;
  const duid = facts.value.clientId ? formatHex(facts.value.clientId) : "";
  const known = state.machines.identify(
    {
      relayMac: relayMac(innermost),
      peer: client,
      duid: duid === "" ? undefined : duid,
      port: relays.length > 0 ? portOf(relays, incoming.source) : undefined,
      uuidOrder: kind.startsWith("firmware") ? "smbios" : kind === "ipxe" ? "text" : undefined,
    },
    now,
  );
  // An Information-request may come without a client identifier, and from an address that tells nothing (RFC 7844).
  const identified = known ?? ANONYMOUS;

  const asked: Asked = {
    message,
    facts: facts.value,
    network,
    dhcp: network.dhcp,
    identified,
    // The machine's own text of it, which stays anyway.
    duid: identified.machine.duids.find((each) => each === duid) ?? duid,
    bootClient: isBootClient(kind, facts.value),
    now: Math.floor(now / 1000),
  };
  const events: EventBody[] = [];
  if (identified.learned.length > 0)
    events.push(
      of(identified, { type: "machine.learned", what: identified.learned.join(", "), client, network: network.name, mac: "", machine: "" }),
    );

  const reply = answer(state, asked, (address) => bootAnswer(state, asked, address));
  if (reply.message === null) {
    const why = reply.why.join("; ");
    const drop: Told<"dhcpv6.dropped"> = {
      type: "dhcpv6.dropped",
      message: name,
      clientKind: kind,
      why,
      client,
      network: network.name,
      mac: "",
      machine: "",
    };
    if (relays.length > 0) drop.relay = incoming.source;
    events.push(of(identified, drop));
    return { send: null, leases: [], machines: identified.changed, events };
  }
  const answered: Told<"dhcpv6.answered"> = {
    type: "dhcpv6.answered",
    message: name,
    answer: messageName(reply.message.type),
    clientKind: kind,
    duid: asked.duid,
    addresses: reply.given,
    why: [chosen.why, identified.why].concat(reply.why),
    client,
    network: network.name,
    mac: "",
    machine: "",
  };
  if (relays.length > 0) answered.relay = incoming.source;
  if (asked.bootClient && facts.value.vendorClass) answered.vendorClass = facts.value.vendorClass.classes.join(", ");
  if (reply.leases.length > 0 && reply.given.length > 0) answered.valid = network.dhcp.lifetimes.valid;
  if (reply.bootfileUrl !== null) answered.bootfileUrl = reply.bootfileUrl;
  events.push(of(identified, answered));
  const wrapped = relays.reduceRight<ClientServerMessage | RelayMessage>((inner, outer) => relayReply(outer, inner), reply.message);
  return {
    send: {
      bytes: encodeMessage(wrapped),
      to: incoming.source,
      // A relay listens on 547, or where it says (RFC 8357); a client on 546, but answers go where the question came from.
      port: relays.length > 0 && !findOption(relays[0]?.options ?? [], OptionCode.relayPort) ? SERVER_PORT : incoming.sourcePort,
    },
    leases: reply.leases,
    machines: identified.changed,
    events,
  };
}

function dropped({ source }: Incoming, message: string, why: string, more: Asker & { clientKind?: string; relay?: Address } = {}): Outcome {
  return { send: null, leases: [], machines: [], events: [{ type: "dhcpv6.dropped", message, why, client: source, ...more }] };
}

/** Nothing is learned of who is not served; but what is not served, and why, stands under the name that it would have. */
function refused(
  state: ServerState,
  incoming: Incoming,
  { message, relays }: Unwrapped,
  facts: ClientFacts | null,
  network: Network | null,
  why: string,
): Outcome {
  const innermost = relays.at(-1);
  const client = innermost?.peerAddress ?? incoming.source;
  const mac = relayMac(innermost) ?? (isLinkLocal(client) ? macOfEui64(client) : null);
  return dropped(incoming, messageName(message.type), why, {
    ...(facts ? { clientKind: clientKind(facts) } : {}),
    client,
    ...(mac === null ? {} : { mac, machine: state.machines.byMac(mac)?.id ?? newId(mac) }),
    ...(relays.length > 0 ? { relay: incoming.source } : {}),
    ...(network ? { network: network.name } : {}),
  });
}

/** An event of that machine. The fields stand in its literal already: those that are added later take room of their own. */
function of<Event extends Told>(identified: Identified, event: Event): Event {
  if (identified.mac !== null) event.mac = identified.mac;
  else delete event.mac;
  if (identified !== ANONYMOUS) event.machine = identified.machine.id;
  else delete event.machine;
  return event;
}

/** RFC 9915 §16: why a message of this type is discarded; null where it is not. */
function discard(type: number, facts: ClientFacts, serverDuid: Uint8Array): string | null {
  const ours = facts.serverId !== null && Buffer.compare(facts.serverId, serverDuid) === 0;
  switch (type) {
    case MessageType.solicit:
    case MessageType.confirm:
    case MessageType.rebind:
      if (facts.clientId === null) return "it has no client identifier";
      if (facts.serverId !== null) return "it names a server, which this kind of message must not";
      return null;
    case MessageType.request:
    case MessageType.renew:
    case MessageType.release:
    case MessageType.decline:
      if (facts.clientId === null) return "it has no client identifier";
      if (facts.serverId === null) return "it names no server";
      return ours ? null : "it is for another server";
    case MessageType.informationRequest:
      if (facts.serverId !== null && !ours) return "it is for another server";
      return facts.iaNas.length > 0 || facts.iaPds.length > 0 ? "an Information-request must not ask for addresses" : null;
    default:
      return `${messageName(type)} is not for servers`;
  }
}

function bootAnswer(state: ServerState, asked: Asked, address: Address | null): BootAnswer {
  const { facts, identified, network } = asked;
  const { profile } = profileOf(state.appliance, state.machines, identified.machine.id, network);
  const asker: BootAsker = {
    facts,
    mac: identified.mac,
    uuid: identified.machine.uuid,
    network: network.name,
    bootProgram: profile.bootProgram,
  };
  const choice = chooseRule(state.rules, asker);
  if (!choice.rule) return { url: null, params: [], why: choice.why };
  const { machine } = identified;
  const values = templateValues({
    appliance: state.appliance,
    network,
    machine,
    mac: identified.mac,
    address,
    vars: state.machines.config(machine.id)?.vars ?? {},
    secrets: { why: "whoever is on the link reads the URL" },
  });
  try {
    const render = (text: string): string => compileTemplate(text, "boot.rules", "URL")(values);
    const url = render(choice.rule.url);
    const loop = choice.kind === "ipxe" ? state.programLoop(machine.id) : null;
    // It would load itself for ever. The script says so, as no answer of DHCPv6 can.
    if (loop && values.http !== null && url.split("?")[0]?.endsWith(loop.path))
      return { url: `${values.http}/boot.ipxe`, params: [], why: `${choice.why} would give it ${url} once more: ${loop.why}` };
    return { url, params: choice.rule.params.map(render), why: choice.why };
  } catch (error) {
    return { url: null, params: [], why: `${choice.why}: ${(error as TemplateError).message}` };
  }
}
