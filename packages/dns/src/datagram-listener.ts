/** DNS over UDP on one address, so that the answer leaves from the address that was asked. */
import { readFileSync } from "node:fs";
import { UdpSocket } from "@netboot6/udp";
import type { StreamOptions } from "./stream-listener.ts";

/** A rack that wakes up asks all at once. The kernel gives what it allows. */
const RECEIVE_BUFFER = 4 << 20;

interface DatagramOptions extends StreamOptions {
  /** The name of an interface, by its number. */
  zone(index: number): string;
}

export class DatagramListener {
  readonly #options: DatagramOptions;
  #socket: UdpSocket | null = null;

  constructor(options: DatagramOptions) {
    this.#options = options;
  }

  async listen(): Promise<void> {
    const { address: text, port, receive, drop, zone } = this.#options;
    const [address = "", on] = text.split("%");
    const scope = on === undefined ? 0 : Number(readFileSync(`/sys/class/net/${on}/ifindex`, "latin1"));
    const socket = new UdpSocket(
      { address, scope, port, receiveBufferBytes: RECEIVE_BUFFER },
      (from) => {
        if (from.port === 0) return drop("from port 0");
        const client = from.scope === 0 ? from.address : `${from.address}%${zone(from.scope)}`;
        // It may wait for an upstream, and the bytes are the socket's.
        receive(Buffer.from(from.bytes), client, (reply) => socket.send(reply, from.address, from.port, from.scope));
      },
      drop,
    );
    this.#socket = socket;
  }

  close(): void {
    this.#socket?.close();
  }
}
