/** The answer to one client message: RFC 9915 §18.3, with what real firmware accepts (EDK2 NetworkPkg, iPXE dhcpv6.c). */
import {
  type Address,
  type ClientIa,
  type ClientServerMessage,
  encodeAddresses,
  encodeDomains,
  encodeIa,
  encodeNtp,
  encodeTexts,
  encodeVendorClass,
  iaAddressOption,
  MessageType,
  type Option,
  OptionCode,
  prefixContains,
  Status,
  statusOption,
  u32Option,
} from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { AddressRequest, Lease } from "@netboot6/leases";
import type { Asked, BootAnswer, ServerState } from "./server.ts";

export interface Answer {
  /** Null: silence. */
  readonly message: ClientServerMessage | null;
  readonly leases: readonly Lease[];
  readonly addresses: readonly Address[];
  readonly bootfileUrl: string | null;
  readonly why: readonly string[];
}

/** One IA's part of an answer. */
interface IaAnswer {
  readonly option: Option;
  readonly addresses: readonly Address[];
  readonly leases: readonly Lease[];
  readonly why: string;
}

const ENTERPRISE_INTEL = 343;
const INF_REFRESH_SECONDS = 3600;
const SOL_MAX_RT_SECONDS = 3600;

export function answer(state: ServerState, asked: Asked, boot: (address: Address | null) => BootAnswer): Answer {
  const { message, facts, network } = asked;
  const silent = (why: string): Answer => ({ message: null, leases: [], addresses: [], bootfileUrl: null, why: [why] });

  switch (message.type) {
    case MessageType.solicit: {
      // RFC 9915 §18.3.1: an answer at once with addresses only where both sides want it so; EDK2 drops one it did not ask for.
      const rapid = facts.rapidCommit && (network.dhcp?.rapidCommit ?? false);
      const ias = assign(state, asked, rapid);
      return compose(
        state,
        asked,
        rapid ? MessageType.reply : MessageType.advertise,
        ias,
        boot,
        rapid ? [{ code: OptionCode.rapidCommit, data: EMPTY }] : [],
      );
    }
    case MessageType.request:
      return compose(state, asked, MessageType.reply, assign(state, asked, true), boot);
    case MessageType.renew:
    case MessageType.rebind:
      return compose(state, asked, MessageType.reply, extend(state, asked), boot);
    case MessageType.confirm: {
      const addresses = facts.iaNas.flatMap((ia) => ia.addresses.map(({ address }) => address));
      if (addresses.length === 0) return silent("a Confirm without addresses (RFC 9915 §18.3.3)");
      const onLink = addresses.every((address) => prefixContains(network.prefix, address));
      const status = onLink
        ? statusOption(Status.success, "all addresses are on this link")
        : statusOption(Status.notOnLink, "not on this link");
      return compose(state, asked, MessageType.reply, [], null, [status]);
    }
    case MessageType.release:
    case MessageType.decline:
      return compose(state, asked, MessageType.reply, giveBack(state, asked), null, [statusOption(Status.success, "")]);
    case MessageType.informationRequest:
      return compose(state, asked, MessageType.reply, [], boot);
    default:
      return silent("not a client's message");
  }
}

const EMPTY = new Uint8Array(0);

/** An address for each IA_NA; stored only where `commit` says so. */
function assign(state: ServerState, asked: Asked, commit: boolean): IaAnswer[] {
  const taken = new Set<Address>();
  const answers = asked.facts.iaNas.map((ia): IaAnswer => {
    const hints = ia.addresses.map(({ address }) => address);
    const wrong = commit && !asked.facts.rapidCommit ? hints.find((address) => !prefixContains(asked.network.prefix, address)) : undefined;
    // RFC 9915 §18.3.2: what cannot be on this link is told so, and nothing else is given in its place.
    if (wrong !== undefined) return refusedIa(ia, Status.notOnLink, `${wrong} is not on network ${asked.network.name}`);
    const request = addressRequest(state, asked, ia.iaid, hints, taken);
    const chosen = state.leases.choose(request);
    if (chosen.address === null) return refusedIa(ia, Status.noAddrsAvail, chosen.why);
    taken.add(chosen.address);
    const superseded = chosen.supersedes ? `; takes it over from DUID ${chosen.supersedes.duid} IAID ${hex(chosen.supersedes.iaid)}` : "";
    const why = `${chosen.address}: ${chosen.why}${superseded}`;
    if (!commit) {
      state.leases.offer(chosen.address, request.machine, asked.now);
      return grantedIa(asked.network, ia.iaid, chosen.address, [], why);
    }
    const leases = state.leases.bind(chosen.address, request, lifetimes(asked.network).valid);
    return grantedIa(asked.network, ia.iaid, chosen.address, leases, why);
  });
  return [...answers, ...refusedPrefixes(asked)];
}

/** RFC 9915 §18.3.4, §18.3.5. */
function extend(state: ServerState, asked: Asked): IaAnswer[] {
  const taken = new Set<Address>();
  const answers = asked.facts.iaNas.map((ia): IaAnswer => {
    const asks = ia.addresses.map(({ address }) => address);
    const bound = state.leases.byBinding(asked.network.name, asked.duid, ia.iaid);
    const foreign = asks.filter((address) => !prefixContains(asked.network.prefix, address));
    const request = addressRequest(state, asked, ia.iaid, asks, taken);
    const chosen = state.leases.choose(request);
    // An address that another identity of the machine took over since, or that another machine has: told to drop it.
    const lost = asks.filter((address) => address !== chosen.address);
    if (!bound && asks.length === 0 && asked.message.type === MessageType.renew)
      return refusedIa(ia, Status.noBinding, "no binding for this IA");
    if (chosen.address === null) return revokedIa(ia, lost, chosen.why);
    taken.add(chosen.address);
    const leases = state.leases.bind(chosen.address, request, lifetimes(asked.network).valid);
    const why = `${chosen.address}: ${chosen.why}${foreign.length > 0 ? `; ${foreign.join(", ")} not on this link` : ""}`;
    return grantedIa(asked.network, ia.iaid, chosen.address, leases, why, lost);
  });
  return [...answers, ...refusedPrefixes(asked)];
}

/** RFC 9915 §18.3.7, §18.3.8. */
function giveBack(state: ServerState, asked: Asked): IaAnswer[] {
  return asked.facts.iaNas.map((ia): IaAnswer => {
    const leases: Lease[] = [];
    for (const { address } of ia.addresses) {
      const lease = state.leases.byAddress(address);
      if (!lease || lease.duid !== asked.duid || lease.iaid !== ia.iaid || lease.state !== "bound") continue;
      leases.push(asked.message.type === MessageType.decline ? state.leases.decline(lease, asked.now) : state.leases.release(lease));
    }
    if (leases.length === 0) return refusedIa(ia, Status.noBinding, "no binding for this IA");
    const why = leases.map(({ address, state: how }) => `${address}: ${how}`).join(", ");
    return { option: { code: OptionCode.iaNa, data: encodeIa({ iaid: ia.iaid, t1: 0, t2: 0, options: [] }) }, addresses: [], leases, why };
  });
}

/** The request for an address of one IA of the message. */
function addressRequest(
  state: ServerState,
  asked: Asked,
  iaid: number,
  hints: readonly Address[],
  taken: ReadonlySet<Address>,
): AddressRequest {
  const { machine, mac } = asked.identified;
  const reserved = state.machines.config(machine.id)?.address ?? null;
  return {
    network: asked.network,
    machine: machine.id,
    mac,
    duid: asked.duid,
    iaid,
    bootClient: asked.bootClient,
    reserved: reserved !== null && prefixContains(asked.network.prefix, reserved) ? reserved : null,
    hints,
    taken,
    now: asked.now,
  };
}

function grantedIa(
  network: Network,
  iaid: number,
  address: Address,
  leases: readonly Lease[],
  why: string,
  lost: readonly Address[] = [],
): IaAnswer {
  const { renew, rebind, preferred, valid } = lifetimes(network);
  const options = [
    iaAddressOption({ address, preferred, valid, options: [] }),
    ...lost.map((gone) => iaAddressOption({ address: gone, preferred: 0, valid: 0, options: [] })),
  ];
  return { option: { code: OptionCode.iaNa, data: encodeIa({ iaid, t1: renew, t2: rebind, options }) }, addresses: [address], leases, why };
}

function refusedIa(ia: ClientIa, status: number, why: string): IaAnswer {
  const data = encodeIa({ iaid: ia.iaid, t1: 0, t2: 0, options: [statusOption(status, why)] });
  return { option: { code: OptionCode.iaNa, data }, addresses: [], leases: [], why };
}

function revokedIa(ia: ClientIa, lost: readonly Address[], why: string): IaAnswer {
  const options = lost.map((address) => iaAddressOption({ address, preferred: 0, valid: 0, options: [] }));
  const data = encodeIa({ iaid: ia.iaid, t1: 0, t2: 0, options: options.length > 0 ? options : [statusOption(Status.noBinding, why)] });
  return { option: { code: OptionCode.iaNa, data }, addresses: [], leases: [], why };
}

/** RFC 9915 §18.3.1: no prefix is delegated here. */
function refusedPrefixes(asked: Asked): IaAnswer[] {
  return asked.facts.iaPds.map((iaid) => ({
    option: {
      code: OptionCode.iaPd,
      data: encodeIa({ iaid, t1: 0, t2: 0, options: [statusOption(Status.noPrefixAvail, "no prefixes are delegated")] }),
    },
    addresses: [],
    leases: [],
    why: "no prefixes are delegated",
  }));
}

function lifetimes(network: Network): NonNullable<Network["dhcp"]>["lifetimes"] {
  if (!network.dhcp) throw new Error(`network ${network.name} answers no DHCPv6`);
  return network.dhcp.lifetimes;
}

const hex = (iaid: number): string => iaid.toString(16).padStart(8, "0");

function compose(
  state: ServerState,
  asked: Asked,
  type: number,
  ias: readonly IaAnswer[],
  boot: ((address: Address | null) => BootAnswer) | null,
  more: readonly Option[] = [],
): Answer {
  const { facts, network, message } = asked;
  const addresses = ias.flatMap((ia) => ia.addresses);
  // A boot client that sends no Option Request at all is given what it needs.
  const wants = (code: number): boolean => facts.requested?.has(code) ?? asked.bootClient;
  const options: Option[] = [];
  const why = ias.map((ia) => ia.why);
  let bootfileUrl: string | null = null;

  if (facts.clientId) options.push({ code: OptionCode.clientId, data: facts.clientId });
  if (boot && wants(OptionCode.bootfileUrl)) {
    const chosen = boot(addresses[0] ?? null);
    bootfileUrl = chosen.url;
    why.push(chosen.why);
    if (chosen.url !== null) options.push({ code: OptionCode.bootfileUrl, data: Buffer.from(chosen.url, "utf8") });
    if (chosen.params.length > 0) options.push({ code: OptionCode.bootfileParam, data: encodeTexts(chosen.params) });
    // EDK2 HttpBootDhcp6.c takes only an offer that says HTTPClient. Said to a PXEClient it would be a boot server's offer.
    if (facts.vendorClass?.classes[0]?.startsWith("HTTPClient"))
      options.push({ code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: ENTERPRISE_INTEL, classes: ["HTTPClient"] }) });
  }
  // HttpBootDhcp6.c reads the URL up to a NUL, which is the high byte of the next option's code: so one always follows it.
  options.push({ code: OptionCode.serverId, data: state.serverDuid });
  if (type === MessageType.advertise && network.dhcp)
    options.push({ code: OptionCode.preference, data: Uint8Array.of(network.dhcp.preference) });
  options.push(...more, ...ias.map((ia) => ia.option));
  options.push(...requestedOptions(state, asked, wants));
  return {
    message: { type, transactionId: message.transactionId, options },
    leases: ias.flatMap((ia) => ia.leases),
    addresses,
    bootfileUrl,
    why,
  };
}

/** Options that depend on the network alone. */
function requestedOptions(state: ServerState, asked: Asked, wants: (code: number) => boolean): Option[] {
  const { network, message } = asked;
  if (message.type === MessageType.release || message.type === MessageType.decline || message.type === MessageType.confirm) return [];
  const options: Option[] = [];
  const { dns, search } = dnsSettings(state, network);
  if (dns.length > 0 && wants(OptionCode.dnsServers)) options.push({ code: OptionCode.dnsServers, data: encodeAddresses(dns) });
  if (search.length > 0 && wants(OptionCode.domainSearch)) options.push({ code: OptionCode.domainSearch, data: encodeDomains(search) });
  const ntp = network.dhcp?.ntp ?? [];
  if (ntp.length > 0 && wants(OptionCode.ntpServer)) options.push({ code: OptionCode.ntpServer, data: encodeNtp(ntp) });
  if (wants(OptionCode.solMaxRt)) options.push(u32Option(OptionCode.solMaxRt, SOL_MAX_RT_SECONDS));
  if (message.type === MessageType.informationRequest && wants(OptionCode.informationRefreshTime))
    options.push(u32Option(OptionCode.informationRefreshTime, INF_REFRESH_SECONDS));
  return options;
}

function dnsSettings(state: ServerState, network: Network): { dns: readonly Address[]; search: readonly string[] } {
  const advertised = network.advertise !== null && network.advertise !== "observe" ? network.advertise : null;
  const ours = state.appliance.dns ? [network.address] : [];
  const domain = state.appliance.domain === "" ? [] : [state.appliance.domain];
  return { dns: network.dhcp?.dns ?? advertised?.dns ?? ours, search: network.dhcp?.search ?? advertised?.search ?? domain };
}
