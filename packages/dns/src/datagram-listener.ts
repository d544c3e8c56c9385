/** DNS over UDP on one address, so that the answer leaves from the address that was asked. */
import { createSocket, type Socket } from "node:dgram";
import type { StreamOptions } from "./stream-listener.ts";

/** A rack that wakes up asks all at once. The kernel gives what it allows. */
const RECEIVE_BUFFER = 4 << 20;

/** Addresses of clients are never names, and IPv6. */
const asItIs = (address: string, _: unknown, found: (error: Error | null, address: string, family: number) => void): void =>
  found(null, address, 6);

export class DatagramListener {
  readonly #socket: Socket = createSocket({ type: "udp6", ipv6Only: true, lookup: asItIs, recvBufferSize: RECEIVE_BUFFER });
  readonly #options: StreamOptions;
  #open = false;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  listen(): Promise<void> {
    const socket = this.#socket;
    const { address, port, receive, drop } = this.#options;
    return new Promise((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address, port, exclusive: true }, () => {
        socket.off("error", reject);
        socket.on("error", (error) => drop(error.message));
        socket.on("message", (bytes, from) => {
          if (from.port === 0) return drop("from port 0");
          receive(bytes, from.address, (reply) => {
            if (this.#open) socket.send(reply, from.port, from.address);
          });
        });
        this.#open = true;
        resolve();
      });
    });
  }

  close(): void {
    this.#open = false;
    this.#socket.close();
  }
}
