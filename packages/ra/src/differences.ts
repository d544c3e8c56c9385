/** What of another router's advertisements contradicts ours: field by field, and what will go wrong. The gravest first. */
import type { RouterAdvertisement } from "@netboot6/codec";
import { type Fact, factsOf } from "./facts.ts";

export interface Difference {
  /** The same for the same contradiction, whatever its numbers are. */
  readonly field: string;
  /** What it is, what it brings about and how to mend it, in an operator's words. */
  readonly text: string;
}

interface Theirs {
  readonly header: RouterAdvertisement;
  readonly facts: readonly Fact[];
}

/** `ours` null: we only listen. `dhcp`: whether we answer DHCPv6 there. */
export function compare(theirs: Theirs, ours: RouterAdvertisement | null, linkMtu: number, dhcp: boolean): Difference[] {
  const compared = ours ? [...compareHeaders(theirs.header, ours), ...compareFacts(theirs, ours)] : [];
  return [...compareFlags(theirs.header, ours, dhcp), ...checkMtu(theirs.header, ours, linkMtu), ...compared];
}

const bit = (flag: boolean): string => (flag ? "1" : "0");

function compareFlags({ managed, other }: RouterAdvertisement, ours: RouterAdvertisement | null, dhcp: boolean): Difference[] {
  if (!managed && !other && dhcp)
    return [
      {
        field: "M O",
        text: "it says M=0 O=0: iPXE that hears it first will not ask for a boot file. Set its O flag, or stop its advertisements",
      },
    ];
  if (!ours) return [];
  const said = `it says M=${bit(managed)} O=${bit(other)}, we say M=${bit(ours.managed)} O=${bit(ours.other)}`;
  if (managed !== ours.managed)
    return [{ field: "M O", text: `${said}: machines follow whom they hear first. Set its M flag as ours, or dhcp.managed as its` }];
  if (other && !ours.other && !dhcp)
    return [{ field: "M O", text: `${said}: machines ask for DHCPv6, and we do not answer it. Clear its O flag, or turn dhcp on` }];
  return [];
}

function checkMtu({ mtu }: RouterAdvertisement, ours: RouterAdvertisement | null, linkMtu: number): Difference[] {
  if (mtu === null) return [];
  if (mtu > linkMtu)
    return [
      {
        field: "MTU",
        text: `it says MTU ${mtu}, our interface has ${linkMtu}: larger packets of machines that follow it are lost. Give both one MTU`,
      },
    ];
  if (ours?.mtu && ours.mtu !== mtu)
    return [{ field: "MTU", text: `it says MTU ${mtu}, we say ${ours.mtu}: machines take whichever they heard last. Give both one MTU` }];
  return [];
}

/** In milliseconds as hosts have them by themselves (RFC 4861 §10); 0 is "unspecified" and agrees with anything (§6.2.7). */
const TIMERS = [
  ["reachable time", "reachableTime", 30_000],
  ["retransmission timer", "retransTimer", 1_000],
] as const;

function compareHeaders(theirs: RouterAdvertisement, ours: RouterAdvertisement): Difference[] {
  const differences: Difference[] = [];
  if (theirs.hopLimit !== 0 && ours.hopLimit !== 0 && theirs.hopLimit !== ours.hopLimit)
    differences.push({
      field: "hop limit",
      text: `it says hop limit ${theirs.hopLimit}, we say ${ours.hopLimit}: machines take whichever they heard last. Give both one value`,
    });
  for (const [field, key, usual] of TIMERS)
    if (theirs[key] !== 0 && theirs[key] !== usual)
      differences.push({
        field,
        text: `it says ${field} ${theirs[key]} ms, we leave machines their ${usual} ms: all machines on the link take its value. Set it to 0 there`,
      });
  if (theirs.routerLifetime > 0 && ours.routerLifetime > 0)
    differences.push({
      field: "router",
      text: `it is a default router (preference ${theirs.preference}) as we are (${ours.preference}): machines send to either. Give one the higher preference, or us routerLifetime: 0s`,
    });
  return differences;
}

function compareFacts(theirs: Theirs, ours: RouterAdvertisement): Difference[] {
  const our = factsOf(ours);
  const their = theirs.facts;
  const of = (facts: readonly Fact[], kind: Fact["kind"]) => facts.filter((fact) => fact.kind === kind);
  const missing = (kind: Fact["kind"]) =>
    of(their, kind).filter(({ value }) => !our.some((fact) => fact.kind === kind && fact.value === value));
  return [
    ...ours.prefixes.flatMap(({ prefix, length }) => comparePrefix(`${prefix}/${length}`, their, our)),
    ...missing("autonomous")
      .filter(({ value }) => !ours.prefixes.some(({ prefix, length }) => value === `${prefix}/${length}`))
      .map(({ value }) => ({
        field: `prefix ${value}`,
        text: `it advertises ${value}, which we do not: machines form addresses there too, and what they ask from those is refused unless http.allow and dns.allow name it`,
      })),
    ...missing("resolver").map(({ value }) => ({
      field: `resolver ${value}`,
      text: `it names resolver ${value}, which we do not: machines may ask that one, which does not know their names`,
    })),
    ...missing("search").map(({ value }) => ({
      field: `search ${value}`,
      text: `it names search domain ${value}, which we do not: machines look short names up there too`,
    })),
    ...(of(our, "nat64").length > 0 ? missing("nat64") : []).map(({ value }) => ({
      field: `nat64 ${value}`,
      text: `it names NAT64 prefix ${value}, which we do not: machines reach IPv4 through either. Name one`,
    })),
  ];
}

function comparePrefix(value: string, their: readonly Fact[], our: readonly Fact[]): Difference[] {
  const find = (facts: readonly Fact[], kind: Fact["kind"]) => facts.find((fact) => fact.kind === kind && fact.value === value);
  const [theirL, theirA, ourL, ourA] = [find(their, "on-link"), find(their, "autonomous"), find(our, "on-link"), find(our, "autonomous")];
  if (!theirL && !theirA) return [];
  const differences: Difference[] = [];
  if (!theirL !== !ourL || !theirA !== !ourA)
    differences.push({
      field: `flags of ${value}`,
      text: `it says L=${bit(!!theirL)} A=${bit(!!theirA)} for ${value}, we say L=${bit(!!ourL)} A=${bit(!!ourA)}: machines do what either allows. Give both the same flags`,
    });
  const lifetimes = (facts: readonly (Fact | undefined)[]): string =>
    `${facts.find(Boolean)?.lifetime} s, preferred ${facts[0]?.preferred ?? "-"} s`;
  const [theirs, ours] = [lifetimes([theirA, theirL]), lifetimes([ourA, ourL])];
  if (theirs !== ours && !theirA === !ourA)
    differences.push({
      field: `lifetimes of ${value}`,
      text: `it says ${value} is valid ${theirs}, we say ${ours}: machines take whichever they heard last. Give both the same lifetimes`,
    });
  return differences;
}
