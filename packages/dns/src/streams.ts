/** Connections to upstreams: kept for a while and shared by queries, answers in any order (RFC 7766 §6.2, RFC 7858 §3.4). */
import { connect, isIP, type Socket } from "node:net";
import { getCACertificates, connect as tlsConnect } from "node:tls";
import type { Upstream } from "@netboot6/config";
import { noLookup, words } from "./exchange.ts";
import { Frames, frame } from "./frames.ts";
import type { Heard } from "./lookup.ts";

const IDLE_MS = 10_000;
/** One that answers nothing for so long is not asked again. */
const DEAF_MS = 1_500;
const MAX_PIPELINED = 1_000;

interface Pending {
  readonly bytes: Buffer;
  readonly heard: Heard;
  readonly sent: number;
  /** It met a connection that the upstream was just closing, and is asked once more. */
  readonly again: boolean;
}

export class Connections {
  readonly #open = new Map<string, Connection>();

  /** Returns what ends the wait for an answer. */
  ask(upstream: Upstream, bytes: Buffer, heard: Heard, again = false): () => void {
    const key = `${upstream.address} ${upstream.port} ${upstream.tlsName}`;
    let connection = this.#open.get(key);
    if (!connection || connection.waiting.size >= MAX_PIPELINED) {
      const opened = new Connection(upstream, () => this.#open.get(key) === opened && this.#open.delete(key));
      connection = opened;
      this.#open.set(key, opened);
    }
    const pending: Pending = { bytes, heard, sent: performance.now(), again };
    let end = (): void => {};
    end = connection.ask(pending, () => {
      end = this.ask(upstream, bytes, heard, true);
    });
    return () => end();
  }

  close(): void {
    for (const connection of this.#open.values()) connection.close();
  }
}

class Connection {
  /** By the id that each has on this connection. */
  readonly waiting = new Map<number, { readonly pending: Pending; readonly askElsewhere: () => void }>();
  readonly #socket: Socket;
  readonly #frames = new Frames();
  readonly #gone: () => void;
  #lastId = 0;
  #heardAt = Number.NEGATIVE_INFINITY;
  #why = "closed the connection without an answer";
  #idle: NodeJS.Timeout | undefined;

  constructor(upstream: Upstream, gone: () => void) {
    this.#gone = gone;
    this.#socket = open(upstream);
    this.#socket.on("data", (data) => this.#take(data));
    this.#socket.on("error", (error) => {
      this.#why = words(error);
    });
    this.#socket.on("end", () => this.#socket.destroy());
    this.#socket.on("close", () => this.#closed());
  }

  ask(pending: Pending, askElsewhere: () => void): () => void {
    do this.#lastId = (this.#lastId + 1) & 0xffff;
    while (this.waiting.has(this.#lastId));
    const id = this.#lastId;
    const framed = frame(pending.bytes);
    framed.writeUInt16BE(id, 2);
    this.waiting.set(id, { pending, askElsewhere });
    this.#socket.write(framed);
    this.#rest();
    return () => {
      if (this.waiting.get(id)?.pending !== pending) return;
      this.waiting.delete(id);
      if (performance.now() - pending.sent >= DEAF_MS && this.#heardAt < pending.sent) this.close();
      else this.#rest();
    };
  }

  close(): void {
    this.#gone();
    this.#socket.destroy();
  }

  #take(data: Buffer): void {
    this.#heardAt = performance.now();
    for (const message of this.#frames.take(data)) {
      const id = message.length >= 2 ? message.readUInt16BE(0) : -1;
      const answered = this.waiting.get(id);
      if (!answered) continue; // nobody waits for it any more
      this.waiting.delete(id);
      message.writeUInt16BE(answered.pending.bytes.readUInt16BE(0), 0);
      answered.pending.heard.message(message);
    }
    this.#rest();
  }

  /** It is closed when nothing was asked for a while. */
  #rest(): void {
    clearTimeout(this.#idle);
    if (this.waiting.size === 0) this.#idle = setTimeout(() => this.close(), IDLE_MS);
  }

  #closed(): void {
    this.#gone();
    clearTimeout(this.#idle);
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    const wasUsed = this.#heardAt > Number.NEGATIVE_INFINITY;
    for (const { pending, askElsewhere } of waiting) {
      // An upstream may close when it wants (RFC 7766 §6.2.4): what had no answer is asked once more.
      if (wasUsed && !pending.again) askElsewhere();
      else pending.heard.failed(this.#why);
    }
  }
}

/** The authorities that Node brings and those that the host trusts. */
let authorities: string[] | null = null;

function open({ address, port, tlsName }: Upstream): Socket {
  const options = { host: address, port, lookup: noLookup, noDelay: true };
  if (tlsName === null) return connect(options);
  authorities ??= [...new Set([...getCACertificates("default"), ...getCACertificates("system")])];
  // The certificate is checked against the name, or against the address where there is none.
  return tlsConnect({ ...options, ca: authorities, servername: isIP(tlsName) ? "" : tlsName });
}
