/** What becomes of each IA of a message (RFC 9915 §18.3): IA_NA and IA_PD by the same rules, but for what the RFC tells apart. */
import {
  type Address,
  encodeIa,
  formatPrefix,
  iaAddressOption,
  iaPrefixOption,
  MessageType,
  type Option,
  OptionCode,
  prefixContains,
  Status,
  statusOption,
} from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import { isDelegated, type Lease, type LeaseRequest, prefixText } from "@netboot6/leases";
import type { Asked, ServerState } from "./server.ts";

/** One IA's part of an answer. */
export interface IaAnswer {
  /** Null: the answer says nothing of this IA. */
  readonly option: Option | null;
  readonly kind: Kind;
  /** What it has from now on, if anything: an address, or a prefix with its length. */
  readonly given: readonly string[];
  readonly leases: readonly Lease[];
  readonly why: string;
}

type Kind = LeaseRequest["kind"];

/** An IA of either kind. */
interface Ia {
  readonly kind: Kind;
  readonly iaid: number;
  /** What it names: addresses, or prefixes with their length. */
  readonly asks: readonly string[];
  /** The length of a prefix without its bits: `::/56` (RFC 8168). */
  readonly lengthHint: number | null;
}

function readIas({ facts }: Asked): Ia[] {
  const ias: Ia[] = [];
  for (const { iaid, addresses } of facts.iaNas) {
    const asks: string[] = [];
    for (const { address } of addresses) asks.push(address);
    ias.push({ kind: "address", iaid, asks, lengthHint: null });
  }
  for (const { iaid, prefixes } of facts.iaPds) {
    const asks: string[] = [];
    let lengthHint: number | null = null;
    for (const { prefix, length } of prefixes) {
      if (prefix !== "::") asks.push(prefixText(prefix, length));
      else if (length > 0) lengthHint = length;
    }
    ias.push({ kind: "prefix", iaid, asks, lengthHint });
  }
  return ias;
}

/** Solicit and Request: an address or prefix for each IA; stored only where `commit` says so. */
export function assign(state: ServerState, asked: Asked, commit: boolean, hostname: string | null): IaAnswer[] {
  const taken = new Set<string>();
  return readIas(asked).map((ia): IaAnswer => {
    // RFC 9915 §18.3.2: what cannot be on this link is told so, and nothing else is given in its place. Prefixes are on no link.
    const checked = ia.kind === "address" && asked.message.type === MessageType.request;
    const wrong = checked ? ia.asks.find((address) => !prefixContains(asked.network.prefix, address)) : undefined;
    if (wrong !== undefined) return refused(ia, Status.notOnLink, `${wrong} is not on network ${asked.network.name}`);
    const request = requestFor(state, asked, ia, taken, hostname);
    const chosen = state.leases.choose(request);
    if (chosen.address === null) return unavailable(ia, chosen.why);
    taken.add(chosen.address);
    const superseded = chosen.supersedes ? `; takes it over from DUID ${chosen.supersedes.duid} IAID ${hex(chosen.supersedes.iaid)}` : "";
    const why = `${chosen.address}: ${chosen.why}${superseded}${lengthRefusal(ia, chosen.address)}`;
    if (!commit) {
      state.leases.offer(chosen.address, request);
      return granted(asked, ia, chosen.address, [], why);
    }
    const leases = state.leases.bind(chosen.address, request, asked.dhcp.lifetimes.valid);
    return granted(asked, ia, chosen.address, leases, why);
  });
}

/** Renew and Rebind, RFC 9915 §18.3.4, §18.3.5: an IA that is not known is bound anew, as the leases may have been lost. */
export function extend(state: ServerState, asked: Asked, hostname: string | null): IaAnswer[] {
  const taken = new Set<string>();
  return readIas(asked).map((ia): IaAnswer => {
    const request = requestFor(state, asked, ia, taken, hostname);
    const known = state.leases.byBinding(request) !== undefined;
    const chosen = state.leases.choose(request);
    // What another identity of the machine took over since, or another machine has: told to drop it.
    const lost = ia.asks.filter((ask) => ask !== chosen.address);
    if (chosen.address === null) return known && lost.length > 0 ? revoked(ia, lost, chosen.why) : unavailable(ia, chosen.why, lost);
    taken.add(chosen.address);
    const leases = state.leases.bind(chosen.address, request, asked.dhcp.lifetimes.valid);
    const why = `${chosen.address}: ${chosen.why}${lost.length > 0 ? `; ${lost.join(", ")} is not its own` : ""}`;
    return granted(asked, ia, chosen.address, leases, why, lost);
  });
}

/** Release and Decline, RFC 9915 §18.3.7, §18.3.8. A prefix cannot be declined (§18.2.8): it stays as it is. */
export function giveBack(state: ServerState, asked: Asked): IaAnswer[] {
  const declined = asked.message.type === MessageType.decline;
  const answers: IaAnswer[] = [];
  for (const ia of readIas(asked)) {
    if (declined && ia.kind === "prefix") continue;
    const leases: Lease[] = [];
    const before: Lease[] = [];
    for (const ask of ia.asks) {
      const lease = state.leases.byAddress(ask);
      if (!lease || lease.duid !== asked.duid || lease.iaid !== ia.iaid) continue;
      if (lease.state !== "bound") before.push(lease);
      else leases.push(declined ? state.leases.decline(lease, asked.now) : state.leases.release(lease));
    }
    // The message may have come before, and its answer still wait for the disk: this one waits as well.
    if (leases.length === 0) answers.push({ ...refused(ia, Status.noBinding, "no binding for this IA"), leases: before });
    else
      answers.push({
        option: null,
        kind: ia.kind,
        given: [],
        leases,
        why: leases.map(({ address, state: how }) => `${address}: ${how}`).join(", "),
      });
  }
  return answers;
}

/** What an IA of the message asks of the leases. */
function requestFor(
  state: ServerState,
  asked: Asked,
  { kind, iaid, asks }: Ia,
  taken: ReadonlySet<string>,
  hostname: string | null,
): LeaseRequest {
  const { machine, mac, onLink } = asked.identified;
  return {
    kind,
    network: asked.network,
    machine: machine.id,
    mac,
    interfaceMac: onLink ? mac : null,
    duid: asked.duid,
    iaid,
    bootClient: asked.bootClient,
    reserved: reservedFor(state, kind, machine.id, asked.network),
    hints: asks,
    hostname: kind === "address" ? hostname : null,
    taken,
    now: asked.now,
  };
}

/** What the configuration keeps for the machine on this network. A prefix that no network delegates is its own on each of them. */
function reservedFor(state: ServerState, kind: Kind, machine: string, network: Network): string | null {
  const config = state.machines.config(machine);
  if (kind === "address") return config?.address && prefixContains(network.prefix, config.address) ? config.address : null;
  if (!config?.prefix) return null;
  const prefix = formatPrefix(config.prefix);
  const delegating = state.networks.find(({ dhcp }) => isDelegated(dhcp?.delegate, prefix));
  return delegating === undefined || delegating.name === network.name ? prefix : null;
}

/** RFC 8168 §3.2: another length than the one asked for may be given. */
function lengthRefusal({ asks, lengthHint }: Ia, given: string): string {
  const length = lengthHint ?? (asks[0]?.includes("/") ? Number(asks[0].slice(asks[0].indexOf("/") + 1)) : null);
  return length === null || given.endsWith(`/${length}`) ? "" : `; it asked for a /${length}, and that is not delegated here`;
}

function granted(
  { dhcp: { lifetimes } }: Asked,
  ia: Ia,
  given: string,
  leases: readonly Lease[],
  why: string,
  lost: readonly string[] = [],
): IaAnswer {
  const { renew: t1, rebind: t2, preferred, valid } = lifetimes;
  const options = [leasedOption(given, preferred, valid)];
  for (const gone of lost) options.push(overOption(gone));
  return { option: iaOption(ia, t1, t2, options), kind: ia.kind, given: [given], leases, why };
}

const refused = (ia: Ia, status: number, why: string): IaAnswer => ({ ...empty(ia, [statusOption(status, why)]), leases: [], why });

const unavailable = (ia: Ia, why: string, lost: readonly string[] = []): IaAnswer => {
  const status = statusOption(ia.kind === "prefix" ? Status.noPrefixAvail : Status.noAddrsAvail, why);
  return { ...empty(ia, [status, ...lost.map(overOption)]), leases: [], why };
};

const revoked = (ia: Ia, lost: readonly string[], why: string): IaAnswer => ({ ...empty(ia, lost.map(overOption)), leases: [], why });

const empty = (ia: Ia, options: readonly Option[]): Pick<IaAnswer, "option" | "kind" | "given"> => ({
  option: iaOption(ia, 0, 0, options),
  kind: ia.kind,
  given: [],
});

const iaOption = ({ kind, iaid }: Ia, t1: number, t2: number, options: readonly Option[]): Option => ({
  code: kind === "prefix" ? OptionCode.iaPd : OptionCode.iaNa,
  data: encodeIa({ iaid, t1, t2, options }),
});

function leasedOption(leased: Address, preferred: number, valid: number): Option {
  const slash = leased.indexOf("/");
  if (slash < 0) return iaAddressOption({ address: leased, preferred, valid, options: [] });
  return iaPrefixOption({ prefix: leased.slice(0, slash), length: Number(leased.slice(slash + 1)), preferred, valid, options: [] });
}

/** The client is to drop it. */
const overOption = (leased: Address): Option => leasedOption(leased, 0, 0);

const hex = (iaid: number): string => iaid.toString(16).padStart(8, "0");
