/** What holds up a download that does not move, as far as this host's kernel tells of its connection. */
import { execFile } from "node:child_process";
import type { Socket } from "node:net";

/** `nobody`: the kernel still hands on what it took. */
export type HeldUp = "machine" | "network" | "nobody";

const TIMEOUT_MS = 1000;
/** So many are looked at once: each takes a process. */
const MAX_LOOKS = 4;
/** Where the other side takes no more, the kernel asks it again and again, at most twice as long after the last time (RFC 9293 §3.8.6.1). */
const ANSWERS_MS = 1_000;
const MOVES_MS = 2_000;
let looks = 0;

/** Null where it cannot be told: no `ss`, or too many look already. */
export async function heldUpBy({ localAddress, localPort, remoteAddress, remotePort }: Socket): Promise<HeldUp | null> {
  if (looks >= MAX_LOOKS || localAddress === undefined || remoteAddress === undefined) return null;
  looks++;
  try {
    const end = (address: string, port: number | undefined): string => `[${address.replace(/%.*$/, "")}]:${port}`;
    const argv = ["-tinH", "src", end(localAddress, localPort), "dst", end(remoteAddress, remotePort)];
    const shown = await new Promise<string>((resolve) => execFile("ss", argv, { timeout: TIMEOUT_MS }, (_, stdout) => resolve(stdout)));
    return readSs(shown);
  } finally {
    looks--;
  }
}

/** Out of `ss -ti`: when bytes were sent last, and when an acknowledgement came last. */
export function readSs(shown: string): HeldUp | null {
  const ago = (what: string): number => Number(new RegExp(`\\b${what}:(\\d+)`).exec(shown)?.[1] ?? Number.NaN);
  const [sent, acknowledged] = [ago("lastsnd"), ago("lastack")];
  if (Number.isNaN(sent + acknowledged)) return null;
  if (sent < MOVES_MS && acknowledged < MOVES_MS) return "nobody";
  return sent - acknowledged > ANSWERS_MS ? "machine" : "network";
}
