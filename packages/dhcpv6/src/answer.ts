/** The answer to one client message: RFC 9915 §18.3, with what real firmware accepts (EDK2 NetworkPkg, iPXE dhcpv6.c). */
import {
  type Address,
  type ClientServerMessage,
  encodeAddresses,
  encodeDomains,
  encodeNtp,
  encodeTexts,
  encodeVendorClass,
  MessageType,
  type Option,
  OptionCode,
  prefixContains,
  Status,
  statusOption,
  u32Option,
} from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { Lease } from "@netboot6/leases";
import { assign, extend, giveBack, type IaAnswer } from "./associations.ts";
import { answerName, type NameAnswer } from "./fqdn.ts";
import type { Asked, BootAnswer, ServerState } from "./server.ts";

export interface Answer {
  /** Null: silence. */
  readonly message: ClientServerMessage | null;
  readonly leases: readonly Lease[];
  /** Addresses, and prefixes with their length. */
  readonly given: readonly string[];
  readonly bootfileUrl: string | null;
  readonly why: readonly string[];
}

const ENTERPRISE_INTEL = 343;
const INF_REFRESH_SECONDS = 3600;
/** The RFC's own values (RFC 9915 §7.6), so that a client forgets what another server told it. */
const SOL_MAX_RT_SECONDS = 3600;
const INF_MAX_RT_SECONDS = 3600;

export function answer(state: ServerState, asked: Asked, boot: (address: Address | null) => BootAnswer): Answer {
  const { message, facts, network, dhcp } = asked;
  const silent = (why: string): Answer => ({ message: null, leases: [], given: [], bootfileUrl: null, why: [why] });

  const name = answerName(state, asked);
  const claimed = name?.claimed ?? null;
  switch (message.type) {
    case MessageType.solicit: {
      // RFC 9915 §18.3.1: an answer at once with addresses only where both sides want it so; EDK2 drops one it did not ask for.
      const rapid = facts.rapidCommit && dhcp.rapidCommit;
      const ias = assign(state, asked, rapid, claimed);
      return compose(
        state,
        asked,
        rapid ? MessageType.reply : MessageType.advertise,
        ias,
        boot,
        name,
        rapid ? [{ code: OptionCode.rapidCommit, data: EMPTY }] : [],
      );
    }
    case MessageType.request:
      return compose(state, asked, MessageType.reply, assign(state, asked, true, claimed), boot, name);
    case MessageType.renew:
    case MessageType.rebind:
      return compose(state, asked, MessageType.reply, extend(state, asked, claimed), boot, name);
    case MessageType.confirm: {
      const addresses = facts.iaNas.flatMap((ia) => ia.addresses.map(({ address }) => address));
      if (addresses.length === 0) return silent("a Confirm without addresses (RFC 9915 §18.3.3)");
      const onLink = addresses.every((address) => prefixContains(network.prefix, address));
      const status = onLink
        ? statusOption(Status.success, "all addresses are on this link")
        : statusOption(Status.notOnLink, "not on this link");
      return compose(state, asked, MessageType.reply, [], null, null, [status]);
    }
    case MessageType.release:
    case MessageType.decline:
      return compose(state, asked, MessageType.reply, giveBack(state, asked), null, null, [statusOption(Status.success, "")]);
    case MessageType.informationRequest:
      return compose(state, asked, MessageType.reply, [], boot, null);
    default:
      return silent("not a client's message");
  }
}

const EMPTY = new Uint8Array(0);

function compose(
  state: ServerState,
  asked: Asked,
  type: number,
  ias: readonly IaAnswer[],
  boot: ((address: Address | null) => BootAnswer) | null,
  name: NameAnswer | null,
  more: readonly Option[] = [],
): Answer {
  const { facts, dhcp, message } = asked;
  // A boot client that sends no Option Request at all is given what it needs.
  const wants = (code: number): boolean => facts.requested?.has(code) ?? asked.bootClient;
  const options: Option[] = [];
  const leases = ofAll(ias, (ia) => ia.leases);
  const given = ofAll(ias, (ia) => ia.given);
  const why = ias.map((ia) => ia.why);
  let bootfileUrl: string | null = null;

  if (facts.clientId) options.push({ code: OptionCode.clientId, data: facts.clientId });
  if (boot && (wants(OptionCode.bootfileUrl) || wants(OptionCode.bootfileParam))) {
    const chosen = boot(ias.find(({ kind, given }) => kind === "address" && given.length > 0)?.given[0] ?? null);
    if (wants(OptionCode.bootfileUrl)) bootfileUrl = chosen.url;
    why.push(chosen.why);
    if (bootfileUrl !== null) options.push({ code: OptionCode.bootfileUrl, data: Buffer.from(bootfileUrl, "utf8") });
    if (chosen.params.length > 0 && wants(OptionCode.bootfileParam))
      options.push({ code: OptionCode.bootfileParam, data: encodeTexts(chosen.params) });
    // EDK2 HttpBootDhcp6.c takes an offer of a boot file only where it says HTTPClient; where firmware's own boot option has the URL,
    // only one that does not. Said to a PXEClient it would be a boot server's offer.
    if (bootfileUrl !== null && facts.vendorClass?.classes.some((each) => each.startsWith("HTTPClient")))
      options.push({ code: OptionCode.vendorClass, data: encodeVendorClass({ enterprise: ENTERPRISE_INTEL, classes: ["HTTPClient"] }) });
  }
  // HttpBootDhcp6.c reads the URL up to a NUL, which is the high byte of the next option's code: so one always follows it.
  options.push({ code: OptionCode.serverId, data: state.serverDuid });
  if (type === MessageType.advertise) options.push({ code: OptionCode.preference, data: Uint8Array.of(dhcp.preference) });
  options.push(...more);
  for (const { option } of ias) if (option) options.push(option);
  if (name) why.push(name.why);
  if (name?.option) options.push(name.option);
  options.push(...requestedOptions(state, asked, wants));
  return {
    message: { type, transactionId: message.transactionId, options },
    leases,
    given,
    bootfileUrl,
    why,
  };
}

/** What all IAs have; of one, as nearly every message has, no copy is made. */
const ofAll = <T>(ias: readonly IaAnswer[], of: (ia: IaAnswer) => readonly T[]): readonly T[] =>
  ias.length === 1 ? of(ias[0] as IaAnswer) : ias.flatMap(of);

/** Options that depend on the network alone. */
function requestedOptions(state: ServerState, asked: Asked, wants: (code: number) => boolean): Option[] {
  const { network, dhcp, message } = asked;
  if (message.type === MessageType.release || message.type === MessageType.decline || message.type === MessageType.confirm) return [];
  const options: Option[] = [];
  const { dns, search } = dnsSettings(state, network);
  if (dns.length > 0 && wants(OptionCode.dnsServers)) options.push({ code: OptionCode.dnsServers, data: encodeAddresses(dns) });
  if (search.length > 0 && wants(OptionCode.domainSearch)) options.push({ code: OptionCode.domainSearch, data: encodeDomains(search) });
  if (dhcp.ntp.length > 0 && wants(OptionCode.ntpServer)) options.push({ code: OptionCode.ntpServer, data: encodeNtp(dhcp.ntp) });
  if (wants(OptionCode.solMaxRt)) options.push(u32Option(OptionCode.solMaxRt, SOL_MAX_RT_SECONDS));
  if (message.type !== MessageType.informationRequest) return options;
  if (wants(OptionCode.infMaxRt)) options.push(u32Option(OptionCode.infMaxRt, INF_MAX_RT_SECONDS));
  if (wants(OptionCode.informationRefreshTime)) options.push(u32Option(OptionCode.informationRefreshTime, INF_REFRESH_SECONDS));
  return options;
}

function dnsSettings(state: ServerState, network: Network): { dns: readonly Address[]; search: readonly string[] } {
  const advertised = network.advertise !== null && network.advertise !== "observe" ? network.advertise : null;
  const ours = state.appliance.dns ? [network.address] : [];
  const domain = state.appliance.domain === "" ? [] : [state.appliance.domain];
  return { dns: network.dhcp?.dns ?? advertised?.dns ?? ours, search: network.dhcp?.search ?? advertised?.search ?? domain };
}
