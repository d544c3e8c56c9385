/** For tests: a forwarder in virtual time, between clients and upstreams that follow a script. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import type { EventBody } from "@netboot6/events";
import { decode, encode, type Packet, type Record } from "dns-packet";
import { Cache } from "./cache.ts";
import { LocalNames } from "./local.ts";
import type { Heard } from "./lookup.ts";
import { DnsServer, type Policy } from "./server.ts";

export interface Asked {
  readonly upstream: string;
  readonly overTcp: boolean;
  readonly at: number;
  readonly id: number;
  readonly bytes: Buffer;
  readonly packet: Required<Packet>;
  open: boolean;
}

/** What an upstream does with a query: `tell` sends it bytes after so many milliseconds. */
export type Script = (asked: Asked, tell: (bytes: Buffer, after?: number) => void, fail: (why: string) => void) => void;

export const CLIENT = "2001:db8:0:1::99";
export const [FIRST, SECOND] = ["2001:db8:53::1", "2001:db8:53::2"];

export class World {
  now = 0;
  readonly asked: Asked[] = [];
  readonly events: EventBody[] = [];
  readonly server: DnsServer;
  readonly scripts: { [upstream: string]: Script };
  #timers: { at: number; order: number; act: () => void }[] = [];
  #order = 0;
  #lastId = 0;
  /** Ids in sequence, and names in lower case. */
  random: () => number = () => (++this.#lastId << 16) >>> 0;

  constructor(
    scripts: { [upstream: string]: Script },
    policy: Partial<Policy> & { readonly cacheOf?: { entries?: number; serveStale?: number } } = {},
  ) {
    this.scripts = scripts;
    this.server = new DnsServer(
      {
        allowed: (client) => client === CLIENT,
        rateLimit: null,
        dns64: null,
        names: new LocalNames(policy.dns64),
        cache: new Cache({ entries: 100, serveStale: 0, ...policy.cacheOf }),
        upstreams: Object.keys(scripts).map((address) => ({ address, port: 53, tlsName: null })),
        without: "no upstream",
        ...policy,
      },
      {
        clock: { now: () => this.now, after: (milliseconds, act) => this.#after(milliseconds, act) },
        random: () => this.random(),
        exchange: ({ address }, overTcp, bytes, heard) => this.#exchange(address, overTcp, bytes, heard),
      },
      (event) => this.events.push(event),
    );
  }

  /** Lets so many milliseconds go by. */
  pass(milliseconds: number): void {
    const end = this.now + milliseconds;
    for (;;) {
      const [next] = this.#timers.sort((a, b) => a.at - b.at || a.order - b.order);
      if (!next || next.at > end) break;
      this.#timers.shift();
      this.now = next.at;
      next.act();
    }
    this.now = end;
  }

  get pending(): number {
    return this.#timers.length;
  }

  /** Sends a query; its answer, once there, is in what this returns. */
  send(bytes: Buffer, { client = CLIENT, overTcp = false } = {}): Reply {
    const reply = new Reply(bytes);
    const sent = this.now;
    reply.expected = this.server.receive(bytes, client, overTcp, (answer) => {
      assert.equal(reply.bytes, null, "one answer to one query");
      reply.bytes = answer;
      reply.after = this.now - sent;
    });
    return reply;
  }

  ask(name: string, type = "AAAA", options: AskOptions = {}): Reply {
    return this.send(query(name, type, options), options);
  }

  of<T extends EventBody["type"]>(type: T): Extract<EventBody, { type: T }>[] {
    return this.events.filter((event): event is Extract<EventBody, { type: T }> => event.type === type);
  }

  #after(milliseconds: number, act: () => void): () => void {
    const timer = { at: this.now + milliseconds, order: this.#order++, act };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
  }

  #exchange(upstream: string, overTcp: boolean, bytes: Buffer, heard: Heard): () => void {
    const asked: Asked = { upstream, overTcp, at: this.now, id: bytes.readUInt16BE(0), bytes, packet: decode(bytes), open: true };
    this.asked.push(asked);
    this.scripts[upstream]?.(
      asked,
      (answer, after = 0) => void this.#after(after, () => asked.open && heard.message(answer)),
      (why) => void this.#after(0, () => asked.open && heard.failed(why)),
    );
    return () => {
      asked.open = false;
    };
  }
}

export class Reply {
  readonly query: Buffer;
  expected = false;
  bytes: Buffer | null = null;
  /** Milliseconds that it took. */
  after = Number.NaN;

  constructor(sent: Buffer) {
    this.query = sent;
  }

  get packet(): Required<Packet> {
    assert.ok(this.bytes, "there is an answer");
    const packet = decode(this.bytes);
    assert.equal(packet.id, this.query.readUInt16BE(0));
    return packet;
  }

  /** e.g. `NOERROR 2001:db8::1 (60)` */
  get text(): string {
    const { rcode, answers } = this.packet;
    return [rcode, ...(answers ?? []).map(({ data, ttl }) => `${data} (${ttl})`)].join(" ");
  }
}

export interface AskOptions {
  readonly client?: string;
  readonly overTcp?: boolean;
  /** Flags of the header, RD alone by default. */
  readonly flags?: number;
  /** null: no OPT. */
  readonly payload?: number | null;
  readonly dnssecOk?: boolean;
  readonly version?: number;
}

export function query(
  name: string,
  type = "AAAA",
  { flags = 0x100, payload = null, dnssecOk = false, version = 0 }: AskOptions = {},
): Buffer {
  const opt: Record = {
    name: ".",
    type: "OPT",
    udpPayloadSize: payload ?? 0,
    ednsVersion: version,
    flags: dnssecOk ? 0x8000 : 0,
    options: [],
  };
  const id = 0x1000 + (name.length << 4);
  return encode({ type: "query", id, flags, questions: [{ name, type }], additionals: payload === null ? [] : [opt] });
}

/** An upstream's answer to `asked`. */
export function answerTo(asked: Asked, records: Partial<Packet> & { readonly rcodeNumber?: number } = {}): Buffer {
  const { rcodeNumber = 0, flags = 0x180, ...packet } = records;
  const bytes = encode({
    type: "response",
    id: asked.id,
    flags: flags | rcodeNumber,
    questions: asked.packet.questions,
    additionals: [{ name: ".", type: "OPT", udpPayloadSize: 1232, flags: 0, options: [] }],
    ...packet,
  });
  return bytes;
}

export const aaaa = (name: string, data = "2001:db8::80", ttl = 300): Record => ({ name, type: "AAAA", ttl, data });

/** Answers every name at once, or after so many milliseconds. */
export const answering =
  (after = 10, data = "2001:db8::80", ttl = 300): Script =>
  (asked, tell) =>
    tell(answerTo(asked, { answers: [aaaa(asked.packet.questions[0]?.name ?? "", data, ttl)] }), after);

export const silent: Script = () => {};

/** The same sequence in each run: a failure names the place in it. */
export function randomness(): (below: number) => number {
  let state = 0x2545f491;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

/** Some bytes changed, and now and then cut, repeated or continued with anything. */
export function mutate(bytes: Buffer, random: (below: number) => number): Buffer {
  let out = Buffer.from(bytes);
  for (let changes = random(6); changes > 0; changes--) {
    const interesting = [0, 1, 12, 41, 63, 64, 0xc0, 0xff];
    out[random(out.length)] = random(3) === 0 ? random(256) : (interesting[random(interesting.length)] as number);
  }
  if (random(8) === 0) out = out.subarray(0, random(out.length + 1));
  if (random(16) === 0) out = Buffer.concat([out, Buffer.from(Array.from({ length: random(40) }, () => random(256)))]);
  return out;
}

/** A port of ::1 that nobody has. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "::1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
