/** AAAA made out of A for machines that reach IPv4 through a NAT64 (RFC 6147), and the way back for PTR. */
import { addressBytes, type Prefix } from "@netboot6/codec";
import { type Answer, readResponse } from "./answer.ts";
import type { Clock, Outcome, Question } from "./lookup.ts";
import {
  CLASS_IN,
  expandName,
  Flag,
  HEADER_LENGTH,
  type Query,
  Rcode,
  readRecord,
  readUint16,
  readUint32,
  Type,
  writeUint16,
  writeUint32,
} from "./wire.ts";

/** Asks one question upstream. */
export type Ask = (question: Question, done: (outcome: Outcome) => void) => void;

export interface Asking {
  readonly ask: Ask;
  readonly after: Clock["after"];
}

/** RFC 6147 §5.1.7: where the denial of AAAA says no time. */
const SYNTHESISED_TTL = 600;
/** How long AAAA alone is waited for: A has the rest of the client's five seconds. */
const AAAA_PATIENCE_MS = 2_000;
const WELL_KNOWN = "64:ff9b::";
const IP6_ARPA = "\x03ip6\x04arpa\0";
/** RFC 6890: addresses that mean nothing outside, and that the well-known prefix must not carry (RFC 6052 §3.1). */
const NOT_GLOBAL: readonly (readonly [address: number, bits: number])[] = [
  [0x00000000, 8],
  [0x0a000000, 8],
  [0x64400000, 10],
  [0x7f000000, 8],
  [0xa9fe0000, 16],
  [0xac100000, 12],
  [0xc0000000, 24],
  [0xc0000200, 24],
  [0xc0a80000, 16],
  [0xc6120000, 15],
  [0xc6336400, 24],
  [0xcb007100, 24],
  [0xe0000000, 3],
];

export class Dns64 {
  readonly #prefix: Uint8Array;
  readonly #length: number;
  readonly #wellKnown: boolean;

  constructor({ address, length }: Prefix) {
    this.#prefix = addressBytes(address);
    this.#length = length / 8;
    this.#wellKnown = address === WELL_KNOWN && length === 96;
  }

  /** Whether it asks for the name of an address in the prefix, which is no local matter whatever zone that is in. */
  isPointer({ type, name }: Pick<Query, "type" | "name">): boolean {
    return type === Type.ptr && this.#extract(name) !== null;
  }

  resolve(question: Question, asking: Asking, done: (outcome: Outcome) => void): void {
    const { wire, dnssecOk, checkingDisabled } = question;
    const type = readUint16(wire, wire.length - 4);
    const v4 = type === Type.ptr ? this.#extract(wire.toString("latin1", 0, wire.length - 4)) : null;
    // Who validates by himself makes them by himself (RFC 6147 §5.5).
    if (type === Type.aaaa && !(dnssecOk && checkingDisabled)) this.#address(question, asking, done);
    else if (v4) this.#pointer(question, v4, asking.ask, done);
    else asking.ask(question, done);
  }

  /**
   * Where there is no AAAA, A is asked. An upstream that fails at AAAA is as good as one that has none, and so is one that does not
   * answer in time (RFC 6147 §5.1.2, §5.1.3): what that one may still have is taken where A leads to nothing.
   */
  #address(question: Question, { ask, after }: Asking, done: (outcome: Outcome) => void): void {
    let six: Outcome | null = null;
    let four: Outcome | null = null;
    let asked = false;
    let over = false;
    const finish = (outcome: Outcome): void => {
      if (!over) done(outcome);
      over = true;
    };
    const askIpv4 = (): void => {
      if (asked) return;
      asked = true;
      ask(withType(question, Type.a), (outcome) => {
        four = outcome;
        judge();
      });
    };
    const judge = (): void => {
      const own = six && ownAnswer(question, six);
      const made = four?.answer?.rcode === Rcode.noError ? this.#synthesise(question, four.answer, six?.answer ?? null) : null;
      if (own) finish(own);
      else if (four && made) finish({ answer: made, why: four.why });
      else if (six && four) finish(six);
      else if (six) askIpv4();
    };
    const cancel = after(AAAA_PATIENCE_MS, askIpv4);
    ask(question, (outcome) => {
      cancel();
      six = outcome;
      judge();
    });
  }

  #synthesise(question: Question, answer: Answer, denial: Answer | null): Answer | null {
    const given = records(answer, question.wire.length);
    const longest = denial?.lifetime || SYNTHESISED_TTL;
    const made = given
      .filter(({ type, data }) => type === Type.a && data.length === 4 && !(this.#wellKnown && isNotGlobal(readUint32(data, 0))))
      .map(({ owner, ttl, data }): Record => ({ owner, type: Type.aaaa, ttl: Math.min(ttl, longest), data: this.embed(data) }));
    return made.length > 0 ? compose(question.wire, 0, [...aliases(given), ...made]) : null;
  }

  /** The name is an alias of the IPv4 address's own (RFC 6147 §5.3.1). */
  #pointer(question: Question, v4: Uint8Array, ask: Ask, done: (outcome: Outcome) => void): void {
    const labels = [...v4].reverse().map((octet) => `${octet}`);
    const target = Buffer.from([...labels, "in-addr", "arpa", ""].map((label) => String.fromCharCode(label.length) + label).join(""));
    const wire = Buffer.concat([target, question.wire.subarray(-4)]);
    ask({ ...question, wire }, (outcome) => {
      const { answer } = outcome;
      const alias: Record = { owner: question.wire.subarray(0, -4), type: Type.cname, ttl: SYNTHESISED_TTL, data: target };
      if (!answer || (answer.rcode !== Rcode.noError && answer.rcode !== Rcode.nxDomain)) done(outcome);
      else {
        const found = records(answer, wire.length).filter(({ type }) => type === Type.cname || type === Type.ptr);
        done({ ...outcome, answer: compose(question.wire, answer.rcode, [alias, ...found]) });
      }
    });
  }

  /** The IPv4 address inside an address of the prefix; bits 64 to 71 stay zero (RFC 6052 §2.2). */
  embed(v4: Uint8Array): Uint8Array {
    const bytes = Uint8Array.from(this.#prefix);
    let at = this.#length;
    for (const octet of v4) {
      if (at === 8) at++;
      bytes[at++] = octet;
    }
    return bytes;
  }

  /** The IPv4 address in the name of an address of the prefix under ip6.arpa; null for any other name. */
  #extract(name: string): Uint8Array | null {
    if (name.length !== 64 + IP6_ARPA.length || !name.endsWith(IP6_ARPA)) return null;
    const bytes = new Uint8Array(16);
    for (let nibble = 0; nibble < 32; nibble++) {
      const at = 62 - nibble * 2;
      const value = Number.parseInt(name[at + 1] as string, 16);
      if (name.charCodeAt(at) !== 1 || Number.isNaN(value)) return null;
      bytes[nibble >> 1] = ((bytes[nibble >> 1] as number) << 4) | value;
    }
    for (let at = 0; at < this.#length; at++) if (bytes[at] !== this.#prefix[at]) return null;
    const octets = [...bytes.subarray(this.#length)];
    if (this.#length <= 8) octets.splice(8 - this.#length, 1);
    return Uint8Array.from(octets.slice(0, 4));
  }
}

/** What needs no IPv4 address: AAAA that machines can connect to, or that there is no such name. */
function ownAnswer(question: Question, outcome: Outcome): Outcome | null {
  const { answer } = outcome;
  if (answer?.rcode === Rcode.nxDomain) return outcome;
  const given = answer?.rcode === Rcode.noError ? records(answer, question.wire.length) : [];
  const addresses = given.filter(({ type }) => type === Type.aaaa);
  const usable = addresses.filter(({ data }) => !isMapped(data));
  if (usable.length === 0) return null;
  return usable.length === addresses.length ? outcome : { ...outcome, answer: compose(question.wire, 0, [...aliases(given), ...usable]) };
}

interface Record {
  readonly owner: Uint8Array;
  readonly type: number;
  readonly ttl: number;
  /** Names in it are whole. */
  readonly data: Uint8Array;
}

const aliases = (all: readonly Record[]): Record[] => all.filter(({ type }) => type === Type.cname || type === Type.dname);
/** IPv4-mapped: an address that no machine can connect to (RFC 6147 §5.1.4). */
const isMapped = (data: Uint8Array): boolean => MAPPED.every((byte, at) => data[at] === byte);
const MAPPED = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const isNotGlobal = (v4: number): boolean => NOT_GLOBAL.some(([address, bits]) => (v4 ^ address) >>> (32 - bits) === 0);

function withType(question: Question, type: number): Question {
  const wire = Buffer.from(question.wire);
  writeUint16(wire, wire.length - 4, type);
  return { ...question, wire };
}

/** The answer section's addresses, names and aliases. */
function records({ text }: Answer, questionLength: number): Record[] {
  const bytes = Buffer.from(text, "latin1");
  const all: Record[] = [];
  let at = HEADER_LENGTH + questionLength;
  for (let left = readUint16(bytes, 6); left > 0; left--) {
    const record = readRecord(bytes, at);
    if (!record) break; // readResponse has seen that there is none such
    const { fixed, type, end } = record;
    const owner = expandName(bytes, at);
    const named = type === Type.cname || type === Type.dname || type === Type.ptr;
    const data = named ? expandName(bytes, fixed + 10) : bytes.subarray(fixed + 10, end);
    if (owner && data && record.class === CLASS_IN) all.push({ owner, type, ttl: readUint32(bytes, fixed + 4), data });
    at = end;
  }
  return all;
}

function compose(question: Buffer, rcode: number, all: readonly Record[]): Answer | null {
  const header = Buffer.alloc(HEADER_LENGTH);
  writeUint16(header, 2, Flag.qr | Flag.ra | rcode);
  writeUint16(header, 4, 1);
  writeUint16(header, 6, all.length);
  // EDK2 takes an owner for a pointer, and nothing else: to the question, or to what the alias before it leads to.
  const places = new Map([[Buffer.from(question.subarray(0, -4)).toString("latin1"), HEADER_LENGTH]]);
  let at = HEADER_LENGTH + question.length;
  const parts = all.flatMap(({ owner, type, ttl, data }) => {
    const place = places.get(Buffer.from(owner).toString("latin1"));
    const name = place === undefined ? owner : Uint8Array.of(0xc0 | (place >> 8), place);
    const fixed = Buffer.alloc(10);
    writeUint16(fixed, 0, type);
    writeUint16(fixed, 2, CLASS_IN);
    writeUint32(fixed, 4, ttl);
    writeUint16(fixed, 8, data.length);
    at += name.length + fixed.length;
    if (type === Type.cname && at < 0x4000) places.set(Buffer.from(data).toString("latin1"), at);
    at += data.length;
    return [name, fixed, data];
  });
  return readResponse(Buffer.concat([header, question, ...parts]), HEADER_LENGTH + question.length);
}
