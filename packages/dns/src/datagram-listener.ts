/** DNS over UDP on one address, so that the answer leaves from the address that was asked. */
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
    const { address, port, receive, drop, zone } = this.#options;
    const socket = new UdpSocket(
      { address, scope: 0, port, receiveBufferBytes: RECEIVE_BUFFER },
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
