/** Names, types and codes in words. */
import types from "dns-packet/types.js";
import { Rcode } from "./wire.ts";

/** A name in the form of a zone file (RFC 1035 §5.1), without the last dot. */
export function nameText(name: string): string {
  const labels: string[] = [];
  for (let at = 0; at < name.length && name.charCodeAt(at) > 0; at += name.charCodeAt(at) + 1) {
    const label = name.slice(at + 1, at + 1 + name.charCodeAt(at));
    labels.push(PLAIN.test(label) ? label : label.replace(/[.\\"();@$]/g, "\\$&").replace(/[^!-~]/g, escapeByte));
  }
  return labels.join(".") || ".";
}
const PLAIN = /^[a-z0-9_-]*$/;
const escapeByte = (byte: string): string => `\\${byte.charCodeAt(0).toString().padStart(3, "0")}`;

/** RFC 3597 §5 where it has no name. */
export const typeText = (type: number): string => LATER_TYPES[type] ?? types.toString(type).replace("UNKNOWN_", "TYPE");
const LATER_TYPES: Readonly<Record<number, string>> = { 64: "SVCB", 65: "HTTPS" };

const RCODES = ["NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED"];
export const rcodeText = (rcode: number): string => RCODES[rcode] ?? (rcode === Rcode.badVers ? "BADVERS" : `RCODE${rcode}`);
