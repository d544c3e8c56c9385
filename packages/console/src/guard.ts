/** Who may ask for what: decided from the request's head alone. */
import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";

export interface Head {
  readonly method: string;
  readonly host: string | undefined;
  readonly authorization: string | undefined;
  readonly origin: string | undefined;
  /** Sec-Fetch-Site: what the browser says of the page that asks. */
  readonly site: string | undefined;
}

/** What the console is open to. */
export interface Door {
  readonly token: string | null;
  /** It listens on ::1 alone. */
  readonly loopback: boolean;
}

export interface Refusal {
  readonly status: number;
  readonly title: string;
  readonly detail: string;
}

/** Null where the request may go on. */
export function refusal(head: Head, { token, loopback }: Door): Refusal | null {
  // A page elsewhere must not read this by a name that it lets point here (DNS rebinding): only literals and localhost are taken.
  const host = (head.host ?? "").replace(/:\d+$/, "");
  if (host !== "localhost" && !(host.startsWith("[") && host.endsWith("]") && isIP(host.slice(1, -1)) === 6))
    return { status: 421, title: "Misdirected", detail: `the Host header names ${host || "nobody"}; use the address` };
  const reads = head.method === "GET" || head.method === "HEAD";
  if (!reads && isCrossSite(head)) return { status: 403, title: "Forbidden", detail: "changes are not taken from another site's page" };
  if (token === null)
    return reads
      ? null
      : { status: 403, title: "Forbidden", detail: "changes need the console's token, and none is configured: set console.token" };
  if ((reads && loopback) || isToken(head.authorization, token)) return null;
  return { status: 401, title: "Unauthorized", detail: "send the console's token as `Authorization: Bearer ...`" };
}

function isCrossSite({ origin, site, host }: Head): boolean {
  if (site !== undefined && site !== "same-origin" && site !== "none") return true;
  return origin !== undefined && origin !== `http://${host}`;
}

/** In a time that tells nothing of how much of it is right. */
function isToken(authorization: string | undefined, token: string): boolean {
  const hash = (text: string): Buffer => createHash("sha256").update(text).digest();
  return authorization !== undefined && timingSafeEqual(hash(authorization), hash(`Bearer ${token}`));
}
