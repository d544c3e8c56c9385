/** What a request's head says, before anything is looked for. */
import type { IncomingMessage } from "node:http";
import type { Address } from "@netboot6/codec";

/** Without a zone; RFC 5952 as the kernel writes it. */
export const clientAddress = (request: IncomingMessage): Address => withoutZone(request.socket.remoteAddress ?? "::");

export function withoutZone(address: string): Address {
  const zone = address.indexOf("%");
  return zone < 0 ? address : address.slice(0, zone);
}

/** The path percent-decoded once, doubled slashes taken as one, and the query. Null where it cannot be decoded. */
export function decodePath(url: string): { readonly path: string; readonly query: URLSearchParams | null } | null {
  const whole = url.startsWith("/") ? url : (/^[a-z]+:\/\/[^/]*(\/.*)?$/i.exec(url)?.[1] ?? url);
  const at = whole.indexOf("?");
  const path = at < 0 ? whole : whole.slice(0, at);
  try {
    const decoded = path.includes("%") ? decodeURIComponent(path) : path;
    return {
      path: decoded.includes("//") ? decoded.replace(/\/{2,}/g, "/") : decoded,
      query: at < 0 ? null : new URLSearchParams(whole.slice(at + 1)),
    };
  } catch {
    return null;
  }
}
