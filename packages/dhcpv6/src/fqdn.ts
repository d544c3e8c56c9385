/**
 * The name that a client claims (RFC 4704). No other server's zone is updated: a name that is taken is served by our own
 * forwarder for as long as the lease lasts. Records and machines go before claims, and the first who claims a name has it.
 */
import { type ClientFqdn, encodeClientFqdn, FqdnFlag, MessageType, type Option, OptionCode } from "@netboot6/codec";
import type { Asked, ServerState } from "./server.ts";

export interface NameAnswer {
  /** To be kept with its leases; null where it claims none that it may have. */
  readonly claimed: string | null;
  /** Null where the client did not ask for it. */
  readonly option: Option | null;
  readonly why: string;
}

/** Null where the message has no such option, or is not of a kind that may (§5). */
export function answerName(state: ServerState, asked: Asked): NameAnswer | null {
  const { fqdn, requested } = asked.facts;
  if (fqdn === null || !NAMING.has(asked.message.type)) return null;
  const { claimed, why } = claim(state, asked, fqdn);
  // §6: only to a client that sent the option and asks for it.
  const option = requested?.has(OptionCode.clientFqdn) ? replyOption(fqdn, claimed ?? ownName(state, asked)) : null;
  return { claimed, option, why };
}

const NAMING = new Set<number>([MessageType.solicit, MessageType.request, MessageType.renew, MessageType.rebind]);

function claim(state: ServerState, asked: Asked, fqdn: ClientFqdn): { claimed: string | null; why: string } {
  const none = (why: string) => ({ claimed: null, why });
  if (fqdn.flags & FqdnFlag.n) return none("it wants its name not to be known");
  if (fqdn.labels === null) return none("the name it claims is malformed");
  if (fqdn.labels.length === 0) return none("it claims no name of its own");
  const { name, refused, by } = claimName(state, asked.identified.machine.id, fqdn.labels, fqdn.whole, asked.now);
  if (refused !== undefined) return none(`it claims the name ${name}, ${refused}${by === undefined ? "" : ` (${by})`}`);
  return { claimed: name, why: `it is called ${name}, as it claims` };
}

/**
 * The whole name that a machine goes by where it claims these labels; and why it may not have it, where that is so. `isWhole`: nothing
 * is to be added to them; `now`: Unix seconds.
 */
export function claimName(
  { appliance: { domain, dns }, machines, leases }: Pick<ServerState, "appliance" | "machines" | "leases">,
  machine: string,
  labels: readonly string[],
  isWhole: boolean,
  now: number,
): { readonly name: string; readonly refused?: string /** the machine that has it */; readonly by?: string } {
  const name = wholeName(labels, isWhole, domain);
  if (name === null) return { name: labels.join("."), refused: `which is no host's under ${domain || "a domain: none is configured"}` };
  if (machines.config(machine)?.name) return { name, refused: "and the configuration names its machine" };
  if (dns && Object.hasOwn(dns.records, name)) return { name, refused: "which is one of dns.records" };
  const label = name.slice(0, name.length - domain.length - 1);
  if (label !== machine && (machines.config(label) || machines.byId(label))) return { name, refused: "which another machine is called" };
  const claimant = leases.claimant(name, now);
  return claimant === undefined || claimant === machine
    ? { name }
    : { name, refused: "which another machine has claimed before", by: claimant };
}

/** The name under our domain, in lower case; a part of a name, and a single label, stand there. Null where it can be no host's. */
function wholeName(labels: readonly string[], isWhole: boolean, domain: string): string | null {
  if (domain === "" || !labels.every(isHostLabel)) return null;
  const name = labels.join(".").toLowerCase();
  const whole = name.endsWith(`.${domain}`) ? name : isWhole && labels.length > 1 ? null : `${name}.${domain}`;
  return whole !== null && whole.length <= MAX_NAME ? whole : null;
}

const MAX_NAME = 253;
const HYPHEN = 45;

/** Letters, digits and hyphens inside (RFC 1123 §2.1). */
function isHostLabel(label: string): boolean {
  const last = label.length - 1;
  for (let i = 0; i <= last; i++) {
    const code = label.charCodeAt(i);
    const letter = (code | 0x20) >= 97 && (code | 0x20) <= 122;
    const digit = code >= 48 && code <= 57;
    if (!letter && !digit && (code !== HYPHEN || i === 0 || i === last)) return false;
  }
  return true;
}

/** What the machine is called without its claim; null where that is no name in the DNS. */
function ownName({ appliance: { domain } }: ServerState, { identified: { machine } }: Asked): string | null {
  return domain === "" || machine.id.length > 63 ? null : `${machine.id}.${domain}`;
}

/** §4.1: S where we serve the name, N where we do not, O where that is not what the client asked for. */
function replyOption(asked: ClientFqdn, name: string | null): Option {
  const wished = asked.flags & FqdnFlag.s;
  const serve = name !== null && (asked.flags & FqdnFlag.n) === 0;
  const flags = (serve ? FqdnFlag.s : FqdnFlag.n) | (serve === (wished !== 0) ? 0 : FqdnFlag.o);
  const answer = serve ? { flags, labels: name.split("."), whole: true } : { ...asked, flags };
  return { code: OptionCode.clientFqdn, data: encodeClientFqdn(answer) };
}
