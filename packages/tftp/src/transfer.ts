/**
 * One file on its way to one client: which packets go out upon which come in. No sockets, no clock. One that a client sends
 * twice is never answered twice (the Sorcerer's Apprentice), and a lost one is sent again when its time is over.
 */
import { encodeTftp, TftpErrorCode, type TftpPacket } from "@netboot6/codec";

export interface Source {
  readonly size: number;
  read(offset: number, length: number): Uint8Array;
}

export interface TransferOptions {
  /** RFC 2348 */
  readonly blockSize: number;
  /** RFC 7440: blocks sent before an acknowledgement is waited for */
  readonly windowSize: number;
  /** seconds, RFC 2349 */
  readonly timeout: number;
  /** What the OACK says; empty: the client gave no options, and data go out at once. */
  readonly acknowledged: ReadonlyMap<string, string>;
}

export type TransferEnd = { readonly how: "sent" } | { readonly how: "aborted" | "timeout"; readonly why: string };

const DEFAULT_BLOCK = 512;
const MIN_BLOCK = 8;
const MAX_WINDOW = 64;
const DEFAULT_TIMEOUT = 1;
const MAX_TIMEOUT = 255;
const MAX_RETRIES = 6;

/** What of the client's options is granted. `maxBlock`: what fits the link without fragments. */
export function negotiate(options: ReadonlyMap<string, string>, size: number, maxBlock: number): TransferOptions {
  const acknowledged = new Map<string, string>();
  const number = (name: string, min: number, max: number): number | null => {
    const text = options.get(name);
    if (text === undefined || !/^\d{1,10}$/.test(text) || Number(text) < min) return null;
    return Math.min(Number(text), max);
  };
  const grant = (name: string, value: number | null): number | null => {
    if (value !== null) acknowledged.set(name, String(value));
    return value;
  };
  const blockSize = grant("blksize", number("blksize", MIN_BLOCK, maxBlock)) ?? DEFAULT_BLOCK;
  if (options.has("tsize")) acknowledged.set("tsize", String(size));
  const windowSize = grant("windowsize", number("windowsize", 1, MAX_WINDOW)) ?? 1;
  // A server takes the timeout that is asked for, or none (RFC 2349).
  const asked = number("timeout", 1, MAX_TIMEOUT + 1);
  const timeout = grant("timeout", asked !== null && asked <= MAX_TIMEOUT ? asked : null);
  return { blockSize, windowSize, timeout: timeout ?? DEFAULT_TIMEOUT, acknowledged };
}

export class Transfer {
  readonly #source: Source;
  readonly #options: TransferOptions;
  readonly #blocks: number;
  /** Blocks the client has, counted without wrapping; -1 while it owes the answer to the OACK. */
  #acked: number;
  /** The last block that went out. */
  #sentBlock: number;
  #retries = 0;
  #end: TransferEnd | null = null;

  constructor(source: Source, options: TransferOptions) {
    this.#source = source;
    this.#options = options;
    this.#blocks = Math.floor(source.size / options.blockSize) + 1; // the last is shorter, or empty
    this.#acked = options.acknowledged.size > 0 ? -1 : 0;
    this.#sentBlock = this.#acked;
  }

  get end(): TransferEnd | null {
    return this.#end;
  }

  /** Bytes that the client has acknowledged. */
  get sent(): number {
    return Math.min(this.#source.size, Math.max(0, this.#acked) * this.#options.blockSize);
  }

  /** Milliseconds to wait before `timeout()`; doubles with each retry, up to 8 times. */
  get wait(): number {
    return this.#options.timeout * 1000 * 2 ** Math.min(3, this.#retries);
  }

  start(): Uint8Array[] {
    return this.#acked < 0 ? [encodeTftp({ op: "oack", options: this.#options.acknowledged })] : this.#window();
  }

  receive(packet: TftpPacket): Uint8Array[] {
    if (this.#end) return [];
    if (packet.op === "error") {
      // EDK2 reads the size by a first request that it breaks off with code 8: its usual way.
      this.#end = { how: "aborted", why: packet.text === "" ? `error ${packet.code}` : packet.text };
      return [];
    }
    if (packet.op !== "ack") return [];
    if (this.#acked < 0) {
      if (packet.block !== 0) return [];
      this.#acked = 0;
      this.#sentBlock = 0;
      this.#retries = 0;
      return this.#window();
    }
    // The block's number wraps at 65536: it is one of those in flight, or the last one acknowledged, or old.
    const ahead = (packet.block - this.#acked) & 0xffff;
    if (ahead === 0 || ahead > this.#sentBlock - this.#acked) return [];
    this.#acked += ahead;
    this.#retries = 0;
    if (this.#acked === this.#blocks) {
      this.#end = { how: "sent" };
      return [];
    }
    return this.#window();
  }

  /** Time is over without an answer. */
  timeout(): Uint8Array[] {
    if (this.#end) return [];
    if (++this.#retries > MAX_RETRIES) {
      this.#end = { how: "timeout", why: `no answer after ${MAX_RETRIES} repetitions` };
      return [encodeTftp({ op: "error", code: TftpErrorCode.undefined, text: "no answer" })];
    }
    return this.start();
  }

  #window(): Uint8Array[] {
    const { blockSize, windowSize } = this.#options;
    const packets: Uint8Array[] = [];
    this.#sentBlock = Math.min(this.#acked + windowSize, this.#blocks);
    for (let block = this.#acked + 1; block <= this.#sentBlock; block++) {
      const offset = (block - 1) * blockSize;
      const data = this.#source.read(offset, Math.min(blockSize, this.#source.size - offset));
      packets.push(encodeTftp({ op: "data", block: block & 0xffff, data }));
    }
    return packets;
  }
}
