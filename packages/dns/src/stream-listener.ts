/** DNS over TCP (RFC 7766): pipelined queries, answers in whatever order they are ready. */
import { createServer, type Server, type Socket } from "node:net";
import type { Address } from "@netboot6/codec";
import { Frames, frame } from "./frames.ts";

export interface StreamOptions {
  readonly address: Address;
  readonly port: number;
  /** Whether there will be an answer. `client` is its address as the socket gives it, which may have a zone. */
  readonly receive: (bytes: Buffer, client: string, reply: (bytes: Buffer) => void) => boolean;
  readonly drop: (why: string) => void;
  /** Milliseconds that a connection may do nothing. */
  readonly idle?: number;
}

const IDLE_MS = 10_000;
const MAX_CONNECTIONS = 500;
const MAX_OF_CLIENT = 50;
/** Queries of one connection that wait; further ones stay in the kernel. */
const MAX_PIPELINED = 100;
/** Answers that a client does not read. */
const MAX_UNREAD = 1 << 20;

export class StreamListener {
  readonly #server: Server;
  readonly #options: StreamOptions;
  readonly #connections = new Map<Socket, string>();

  constructor(options: StreamOptions) {
    this.#options = options;
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#serve(socket));
  }

  listen(): Promise<void> {
    const { address, port } = this.#options;
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen({ host: address, port, ipv6Only: true, exclusive: true }, () => {
        this.#server.off("error", reject);
        this.#server.on("error", (error) => this.#options.drop(error.message));
        resolve();
      });
    });
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#connections.keys()) socket.destroy();
  }

  #serve(socket: Socket): void {
    const { receive, drop, idle = IDLE_MS } = this.#options;
    const client = socket.remoteAddress;
    socket.on("error", () => {}); // reset by the client: `close` follows
    if (client === undefined || this.#connections.size >= MAX_CONNECTIONS || this.#countOf(client) >= MAX_OF_CLIENT) {
      socket.destroy();
      drop("a connection too many");
      return;
    }
    this.#connections.set(socket, client);
    socket.on("close", () => this.#connections.delete(socket));

    const frames = new Frames();
    let waiting = 0;
    let ended = false;
    // An open query counts as life; an unfinished one does not: who sends a byte now and then is cut off too.
    const timer = setTimeout(() => (waiting > 0 ? timer.refresh() : socket.destroy()), idle);
    socket.on("close", () => clearTimeout(timer));

    const answered = (reply: Buffer): void => {
      waiting--;
      if (socket.destroyed) return;
      socket.write(frame(reply));
      timer.refresh();
      if (socket.writableLength > MAX_UNREAD) socket.destroy();
      else if (ended && waiting === 0) socket.end();
      else if (socket.isPaused() && waiting < MAX_PIPELINED / 2) socket.resume();
    };
    socket.on("data", (data: Buffer) => {
      const messages = frames.take(data);
      if (messages.length > 0) timer.refresh();
      for (const message of messages) {
        waiting++;
        if (!receive(message, client, answered)) return void socket.destroy();
      }
      if (waiting >= MAX_PIPELINED) socket.pause();
    });
    socket.on("end", () => {
      ended = true;
      if (waiting === 0) socket.end();
    });
  }

  #countOf(client: string): number {
    let count = 0;
    for (const address of this.#connections.values()) if (address === client) count++;
    return count;
  }
}
