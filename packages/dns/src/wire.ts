/**
 * DNS messages as bytes (RFC 1035 §4, RFC 6891). What is forwarded is never decoded and encoded again: names and record data are
 * stepped over, so that types and labels not known here come through byte for byte.
 */
export const Rcode = { noError: 0, formErr: 1, servFail: 2, nxDomain: 3, notImp: 4, refused: 5, badVers: 16 } as const;
export const Type = { a: 1, ns: 2, cname: 5, soa: 6, ptr: 12, aaaa: 28, dname: 39, opt: 41, any: 255 } as const;
export const CLASS_IN = 1;
export const Flag = { qr: 0x8000, aa: 0x0400, tc: 0x0200, rd: 0x0100, ra: 0x0080, ad: 0x0020, cd: 0x0010 } as const;

export const HEADER_LENGTH = 12;
/** The name of the question, in what comes after it (RFC 1035 §4.1.4). */
export const POINTER_TO_QUESTION = Uint8Array.of(0xc0, HEADER_LENGTH);
/** What we take and send by UDP: no fragments on any IPv6 path (RFC 9715). */
export const UDP_PAYLOAD = 1232;
export const OPT_LENGTH = 11;
export const DNSSEC_OK = 0x8000;

interface Edns {
  readonly payload: number;
  readonly version: number;
  readonly dnssecOk: boolean;
}

/** A query that can be answered. */
export class Query {
  readonly bytes: Buffer;
  readonly flags: number;
  /** What two queries must share to share an answer: name in lower case, type, class, DO and CD. One character for each byte. */
  readonly key: string;
  readonly type: number;
  readonly class: number;
  /** Where the question ends. */
  readonly end: number;
  readonly edns: Edns | null;

  constructor(bytes: Buffer, key: string, end: number, edns: Edns | null) {
    this.bytes = bytes;
    this.flags = readUint16(bytes, 2);
    this.key = key;
    this.type = readUint16(bytes, end - 4);
    this.class = readUint16(bytes, end - 2);
    this.end = end;
    this.edns = edns;
  }

  /** The name in lower-case wire form. */
  get name(): string {
    return this.key.slice(0, -5);
  }

  get dnssecOk(): boolean {
    return this.edns?.dnssecOk === true;
  }

  get checkingDisabled(): boolean {
    return (this.flags & Flag.cd) !== 0;
  }
}

export const readUint16 = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
export const readUint32 = (bytes: Uint8Array, at: number): number => readUint16(bytes, at) * 65536 + readUint16(bytes, at + 2);

export function writeUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  writeUint16(bytes, at, value >>> 16);
  writeUint16(bytes, at + 2, value);
}

/** Name, type, class and one byte of flags. */
const scratch = Buffer.alloc(255 + 4 + 1);

/** A query, or the code it is refused with. The caller has seen that there is a header. */
export function readQuery(bytes: Buffer): Query | number {
  const flags = readUint16(bytes, 2);
  if (flags & 0x7800) return Rcode.notImp;
  if (readUint16(bytes, 4) !== 1 || readUint16(bytes, 6) !== 0 || readUint16(bytes, 8) !== 0) return Rcode.formErr;
  let at = HEADER_LENGTH;
  for (;;) {
    const length = bytes[at];
    // A question has nothing before it that it could point to.
    if (length === undefined || length > 63 || at - HEADER_LENGTH + length > 254) return Rcode.formErr;
    scratch[at - HEADER_LENGTH] = length;
    at++;
    if (length === 0) break;
    const end = at + length;
    for (; at < end; at++) {
      const byte = bytes[at] as number;
      scratch[at - HEADER_LENGTH] = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    }
  }
  const end = at + 4;
  if (end > bytes.length) return Rcode.formErr;
  for (; at < end; at++) scratch[at - HEADER_LENGTH] = bytes[at] as number;

  let edns: Edns | null = null;
  for (let left = readUint16(bytes, 10); left > 0; left--) {
    const record = readRecord(bytes, at);
    if (!record) return Rcode.formErr;
    if (record.type === Type.opt) {
      if (edns || bytes[at] !== 0) return Rcode.formErr;
      edns = {
        payload: record.class,
        version: bytes[record.fixed + 5] as number,
        dnssecOk: (readUint16(bytes, record.fixed + 6) & DNSSEC_OK) !== 0,
      };
    }
    at = record.end;
  }
  if (at !== bytes.length) return Rcode.formErr;
  const length = end - HEADER_LENGTH;
  scratch[length] = (edns?.dnssecOk ? 2 : 0) | (flags & Flag.cd ? 1 : 0);
  return new Query(bytes, scratch.toString("latin1", 0, length + 1), end, edns);
}

/** The question of a query as it is asked upstream: lower case, whoever asked. */
export const questionOf = (query: Query): Buffer => Buffer.from(query.key.slice(0, -1), "latin1");

/** Where the name at `at` ends, or -1. Pointers are not followed, only seen to point backwards. */
function skipName(bytes: Uint8Array, at: number): number {
  const start = at;
  for (;;) {
    const length = bytes[at];
    if (length === undefined) return -1;
    if (length === 0) return at + 1;
    if (length >= 0xc0) {
      if (at + 1 >= bytes.length) return -1;
      const target = readUint16(bytes, at) & 0x3fff;
      return target >= HEADER_LENGTH && target < start ? at + 2 : -1;
    }
    if (length > 63) return -1;
    at += length + 1;
    if (at - start > 254) return -1;
  }
}

/** The name at `at` without pointers, or null. */
export function expandName(bytes: Uint8Array, at: number): Uint8Array | null {
  const labels: Uint8Array[] = [];
  let length = 1;
  let limit = at + 1;
  for (;;) {
    const here = bytes[at];
    if (here === undefined || (here > 63 && here < 0xc0)) return null;
    if (here >= 0xc0) {
      const target = readUint16(bytes, at) & 0x3fff;
      if (at + 1 >= bytes.length || target >= limit) return null; // ever backwards: it ends
      at = limit = target;
      continue;
    }
    length += here + (here > 0 ? 1 : 0);
    if (length > 255 || at + 1 + here > bytes.length) return null;
    labels.push(bytes.subarray(at, at + 1 + here));
    if (here === 0) return Buffer.concat(labels);
    at += here + 1;
  }
}

interface ResourceRecord {
  /** Where type, class, TTL and length stand. */
  readonly fixed: number;
  readonly type: number;
  readonly class: number;
  readonly end: number;
}

export function readRecord(bytes: Uint8Array, at: number): ResourceRecord | null {
  const fixed = skipName(bytes, at);
  if (fixed < 0 || fixed + 10 > bytes.length) return null;
  const end = fixed + 10 + readUint16(bytes, fixed + 8);
  return end > bytes.length ? null : { fixed, type: readUint16(bytes, fixed), class: readUint16(bytes, fixed + 2), end };
}

/** A refusal that reads no more of the query than where its question ends. */
export function writeRefusal(bytes: Buffer, rcode: number): Buffer {
  const nameEnd = readUint16(bytes, 4) === 1 ? skipName(bytes, HEADER_LENGTH) : -1;
  const end = nameEnd < 0 || nameEnd + 4 > bytes.length ? HEADER_LENGTH : nameEnd + 4;
  const out = Buffer.alloc(end);
  bytes.copy(out, 0, 0, end);
  writeUint16(out, 2, Flag.qr | (readUint16(bytes, 2) & (0x7800 | Flag.rd | Flag.cd)) | Flag.ra | rcode);
  writeUint16(out, 4, end > HEADER_LENGTH ? 1 : 0);
  out.fill(0, 6, HEADER_LENGTH);
  return out;
}

/** The query that asks `question` upstream. */
export function writeQuery(id: number, question: Buffer, { dnssecOk, checkingDisabled, edns }: Asking): Buffer {
  const out = Buffer.alloc(HEADER_LENGTH + question.length + (edns ? OPT_LENGTH : 0));
  writeUint16(out, 0, id);
  writeUint16(out, 2, Flag.rd | Flag.ad | (checkingDisabled ? Flag.cd : 0));
  writeUint16(out, 4, 1);
  question.copy(out, HEADER_LENGTH);
  if (edns) {
    const at = HEADER_LENGTH + question.length;
    writeUint16(out, 10, 1);
    writeUint16(out, at + 1, Type.opt);
    writeUint16(out, at + 3, UDP_PAYLOAD);
    writeUint16(out, at + 7, dnssecOk ? DNSSEC_OK : 0);
  }
  return out;
}

export interface Asking {
  readonly dnssecOk: boolean;
  readonly checkingDisabled: boolean;
  readonly edns: boolean;
}
