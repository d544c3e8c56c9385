/** Answers: kept ones made ready for any client (RFC 2308, 6891), and our own. */
import {
  DNSSEC_OK,
  Flag,
  HEADER_LENGTH,
  OPT_LENGTH,
  type Query,
  Rcode,
  readRecord,
  readUint16,
  readUint32,
  Type,
  UDP_PAYLOAD,
  writeUint16,
  writeUint32,
} from "./wire.ts";

/** Extended DNS errors (RFC 8914 §4) that are told here. */
export const ExtendedError = { staleAnswer: 3, notReady: 14, notSupported: 21, noReachableAuthority: 22 } as const;

const CLASSIC_UDP_PAYLOAD = 512;
const MAX_MESSAGE = 65535;
const EDE_OPTION = 15;

/** An answer made ready for any client: without OPT, with the places of its TTLs. */
export interface Answer {
  /** The message with id and flags as they came, one character a byte: half of a Buffer's memory, and little for the collector to do. */
  readonly text: string;
  readonly rcode: number;
  /** Where the additional section begins. */
  readonly additional: number;
  /** Places, one a character. */
  readonly ttls: string;
  /** EDNS options for clients that sent EDNS: extended errors. */
  readonly options: Uint8Array;
  /** Seconds that it may be kept. */
  readonly lifetime: number;
}

const MAX_LIFETIME = 86_400;
const MAX_NEGATIVE_LIFETIME = 10_800; // RFC 2308 §5
const MAX_OPTIONS = 256;
const NO_OPTIONS = new Uint8Array();

/** Reads a response, and writes in it. Null where it is malformed. The caller has matched header and question. */
export function readResponse(bytes: Buffer, questionEnd: number): Answer | null {
  const [answers, authorities, additionals] = [readUint16(bytes, 6), readUint16(bytes, 8), readUint16(bytes, 10)];
  const asked = readUint16(bytes, questionEnd - 4);
  const ttls: number[] = [];
  const respelled: number[] = [];
  let at = questionEnd;
  let additional = at;
  let kept = 0;
  let cut = -1;
  let options: Uint8Array = NO_OPTIONS;
  let extendedRcode = 0;
  let lifetime = MAX_LIFETIME;
  let found = false;
  let soa: { at: number; ttl: number } | null = null;
  for (let index = 0; index < answers + authorities + additionals; index++) {
    if (index === answers + authorities) additional = at;
    const record = readRecord(bytes, at);
    if (!record) return null;
    const { fixed, type, end } = record;
    // As we spelled it, which is our own affair.
    if (fixed - at === questionEnd - 4 - HEADER_LENGTH && bytes.compare(bytes, HEADER_LENGTH, questionEnd - 4, at, fixed) === 0)
      respelled.push(at);
    if (type === Type.opt) {
      if (index < answers + authorities || cut >= 0) return null;
      // Additional records after OPT go with it: to move them would break pointers to them.
      cut = at;
      extendedRcode = bytes[fixed + 4] as number;
      options = extendedErrors(bytes.subarray(fixed + 10, end));
    } else if (cut < 0) {
      const ttl = readTtl(bytes, fixed + 4);
      ttls.push(fixed + 4);
      lifetime = Math.min(lifetime, ttl);
      if (index < answers) found ||= type === asked;
      else if (index < answers + authorities) {
        if (type === Type.soa && end - fixed >= 10 + 22) soa ??= { at: fixed + 4, ttl: Math.min(ttl, readUint32(bytes, end - 4)) };
      } else kept++;
    }
    at = end;
  }
  if (additionals === 0) additional = at;
  const whole = bytes.subarray(0, cut < 0 ? at : cut);
  const name = whole.subarray(HEADER_LENGTH, questionEnd - 4);
  lowerCase(name);
  for (const place of respelled) if (place < whole.length) name.copy(whole, place);
  // Authoritative was the upstream at most, and not for what is kept.
  writeUint16(whole, 2, readUint16(whole, 2) & ~Flag.aa);
  writeUint16(whole, 10, kept);
  for (const place of ttls) writeUint32(whole, place, readTtl(whole, place));
  const rcode = (extendedRcode << 4) | ((bytes[3] as number) & 15);
  if (rcode === Rcode.nxDomain || (rcode === Rcode.noError && !found)) {
    // RFC 2308 §5: a denial without SOA is not kept, one with it for the lesser of its two times.
    lifetime = soa ? Math.min(lifetime, soa.ttl, MAX_NEGATIVE_LIFETIME) : 0;
    if (soa) writeUint32(whole, soa.at, Math.min(soa.ttl, MAX_NEGATIVE_LIFETIME));
  } else if (rcode !== Rcode.noError) lifetime = 0;
  return {
    text: whole.toString("latin1"),
    rcode,
    additional: Math.min(additional, whole.length),
    ttls: String.fromCharCode(...ttls),
    options,
    lifetime,
  };
}

function lowerCase(name: Uint8Array): void {
  for (let at = 0; at < name.length; at++) {
    const byte = name[at] as number;
    if (byte >= 0x41 && byte <= 0x5a) name[at] = byte | 0x20;
  }
}

/** RFC 2181 §8: the highest bit set means 0. */
function readTtl(bytes: Uint8Array, at: number): number {
  const ttl = readUint32(bytes, at);
  return ttl > 0x7fffffff ? 0 : ttl;
}

/** Only extended errors are passed on: other options are between two neighbours (RFC 6891 §6.2.6). */
function extendedErrors(options: Uint8Array): Uint8Array {
  const kept: Uint8Array[] = [];
  for (let at = 0; at + 4 <= options.length; ) {
    const end = at + 4 + readUint16(options, at + 2);
    if (end > options.length) break;
    if (readUint16(options, at) === EDE_OPTION) kept.push(options.subarray(at, end));
    at = end;
  }
  if (kept.length === 0) return NO_OPTIONS;
  const all = Buffer.concat(kept);
  return all.length > MAX_OPTIONS ? NO_OPTIONS : Uint8Array.from(all);
}

export function extendedError(code: number, text: string): Uint8Array {
  const words = Buffer.from(text.slice(0, MAX_OPTIONS / 2));
  const option = Buffer.alloc(6 + words.length);
  option.writeUInt16BE(EDE_OPTION, 0);
  option.writeUInt16BE(2 + words.length, 2);
  option.writeUInt16BE(code, 4);
  words.copy(option, 6);
  return option;
}

/** An answer of our own. `records` are whole records; those of `authority` come after those of `answers`. */
export function makeAnswer(
  query: Query,
  rcode: number,
  { answers = [], authority = [], authoritative = false, options = NO_OPTIONS, lifetime = 0 }: Partial<OwnAnswer> = {},
): Answer {
  const header = Buffer.alloc(HEADER_LENGTH);
  writeUint16(header, 2, authoritative ? Flag.aa : 0);
  writeUint16(header, 4, 1);
  writeUint16(header, 6, answers.length);
  writeUint16(header, 8, authority.length);
  const text = Buffer.concat([header, query.bytes.subarray(HEADER_LENGTH, query.end), ...answers, ...authority]).toString("latin1");
  return { text, rcode, additional: text.length, ttls: "", options, lifetime };
}

export interface OwnAnswer {
  readonly answers: readonly Uint8Array[];
  readonly authority: readonly Uint8Array[];
  readonly authoritative: boolean;
  readonly options: Uint8Array;
  readonly lifetime: number;
}

/** NODATA (RFC 2308 §2.2), but for what a CNAME leads to. */
export const isEmpty = ({ text, rcode }: Answer): boolean =>
  rcode === Rcode.noError && text.charCodeAt(6) === 0 && text.charCodeAt(7) === 0;

/** The answer with all its TTLs at `ttl` seconds and these options. */
export function withTtl(answer: Answer, ttl: number, options: Uint8Array): Answer {
  const bytes = Buffer.from(answer.text, "latin1");
  for (let place = 0; place < answer.ttls.length; place++) writeUint32(bytes, answer.ttls.charCodeAt(place), ttl);
  return { ...answer, text: bytes.toString("latin1"), options };
}

/** The answer as this client gets it: its id, its spelling of the name, TTLs less the seconds gone by, within its size. */
export function writeAnswer(answer: Answer, query: Query, overTcp: boolean, elapsed = 0): Buffer {
  const { text, rcode, ttls } = answer;
  const { edns, end } = query;
  const limit = overTcp ? MAX_MESSAGE : edns ? Math.min(UDP_PAYLOAD, Math.max(CLASSIC_UDP_PAYLOAD, edns.payload)) : CLASSIC_UDP_PAYLOAD;
  const room = limit - (edns ? OPT_LENGTH + answer.options.length : 0);
  // RFC 2181 §9: what is additional may be left out without a word.
  const whole = text.length <= room;
  const truncated = !whole && answer.additional > room;
  const length = whole ? text.length : truncated ? end : answer.additional;
  const options = truncated ? NO_OPTIONS : answer.options;

  const out = Buffer.allocUnsafe(length + (edns ? OPT_LENGTH + options.length : 0));
  out.write(text, 0, length, "latin1");
  const asked = query.bytes;
  out[0] = asked[0] as number;
  out[1] = asked[1] as number;
  for (let at = HEADER_LENGTH; at < end; at++) out[at] = asked[at] as number;
  let flags = Flag.qr | Flag.ra | (readUint16(out, 2) & (Flag.aa | Flag.ad)) | (query.flags & (Flag.rd | Flag.cd)) | (rcode & 15);
  // RFC 6840 §5.8: AD is for those who ask for it.
  if (!(query.flags & Flag.ad) && !edns?.dnssecOk) flags &= ~Flag.ad;
  if (truncated) {
    flags |= Flag.tc;
    writeUint32(out, 6, 0);
  } else if (elapsed > 0) countDown(out, ttls, length, elapsed);
  writeUint16(out, 2, flags);
  writeUint16(out, 10, (whole ? readUint16(out, 10) : 0) + (edns ? 1 : 0));
  if (edns) {
    out[length] = 0;
    writeUint16(out, length + 1, Type.opt);
    writeUint16(out, length + 3, UDP_PAYLOAD);
    out[length + 5] = rcode >>> 4;
    out[length + 6] = 0;
    writeUint16(out, length + 7, edns.dnssecOk ? DNSSEC_OK : 0);
    writeUint16(out, length + 9, options.length);
    if (options.length > 0) out.set(options, length + OPT_LENGTH);
  }
  return out;
}

function countDown(message: Buffer, ttls: string, length: number, elapsed: number): void {
  for (let place = 0; place < ttls.length; place++) {
    const at = ttls.charCodeAt(place);
    if (at < length) writeUint32(message, at, Math.max(0, readUint32(message, at) - elapsed));
  }
}
