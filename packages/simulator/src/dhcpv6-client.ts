/** DHCPv6 as the simulated clients speak it: one socket for each machine, retransmission as measured with real ones. */
import { createSocket, type Socket } from "node:dgram";
import {
  type Address,
  ALL_RELAY_AGENTS_AND_SERVERS,
  CLIENT_PORT,
  type ClientServerMessage,
  decodeIa,
  decodeIaAddress,
  decodeMessage,
  encodeMessage,
  findOption,
  isRelayMessage,
  MessageType,
  type Option,
  OptionCode,
  SERVER_PORT,
} from "@netboot6/codec";

export class Dhcpv6Client {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, (message: ClientServerMessage) => void>();
  readonly #interface: string;
  /** How many messages were sent again. */
  resent = 0;

  private constructor(socket: Socket, name: string) {
    this.#socket = socket;
    this.#interface = name;
    socket.on("message", (bytes) => {
      const message = decodeMessage(bytes);
      if (message.ok && !isRelayMessage(message.value)) this.#waiting.get(message.value.transactionId)?.(message.value);
    });
  }

  static async open(linkLocal: Address, name: string): Promise<Dhcpv6Client> {
    const socket = createSocket({ type: "udp6", ipv6Only: true });
    await new Promise<void>((resolve, reject) => {
      socket.once("error", reject);
      socket.bind({ address: `${linkLocal}%${name}`, port: CLIENT_PORT }, () => {
        socket.off("error", reject);
        resolve();
      });
    });
    return new Dhcpv6Client(socket, name);
  }

  close(): void {
    this.#socket.close();
  }

  /**
   * Sends a message and waits for the first answer that `accepts` says yes to. `retries`: seconds after which it is sent
   * again. Null where none came.
   */
  exchange(
    type: number,
    options: readonly Option[],
    accepts: (answer: ClientServerMessage) => boolean,
    retries: readonly number[],
    transactionId = Math.floor(Math.random() * 0x1000000),
  ): Promise<ClientServerMessage | null> {
    const bytes = encodeMessage({ type, transactionId, options });
    const send = (): void => this.#socket.send(bytes, SERVER_PORT, `${ALL_RELAY_AGENTS_AND_SERVERS}%${this.#interface}`);
    return new Promise((resolve) => {
      let turn = 0;
      let timer: NodeJS.Timeout;
      const end = (answer: ClientServerMessage | null): void => {
        clearTimeout(timer);
        this.#waiting.delete(transactionId);
        resolve(answer);
      };
      const next = (): void => {
        const wait = retries[turn++];
        if (wait === undefined) {
          end(null);
          return;
        }
        if (turn > 1) this.resent++;
        send();
        timer = setTimeout(next, wait * 1000);
      };
      this.#waiting.set(transactionId, (answer) => {
        if (accepts(answer)) end(answer);
      });
      next();
    });
  }

  /** Sends without waiting for an answer, as firmware does with its Release. */
  tell(type: number, options: readonly Option[]): void {
    const bytes = encodeMessage({ type, transactionId: Math.floor(Math.random() * 0x1000000), options });
    this.#socket.send(bytes, SERVER_PORT, `${ALL_RELAY_AGENTS_AND_SERVERS}%${this.#interface}`);
  }
}

/** The first address in the first IA_NA of an answer; null where it has none. */
export function leasedAddress(answer: ClientServerMessage): Address | null {
  const ia = decodeIa(findOption(answer.options, OptionCode.iaNa) ?? new Uint8Array());
  const address = ia.ok ? findOption(ia.value.options, OptionCode.iaAddress) : undefined;
  const decoded = address && decodeIaAddress(address);
  return decoded?.ok ? decoded.value.address : null;
}

export function bootfileUrl(answer: ClientServerMessage): string | null {
  const data = findOption(answer.options, OptionCode.bootfileUrl);
  return data ? Buffer.from(data).toString("utf8") : null;
}

export const isReply = (answer: ClientServerMessage): boolean => answer.type === MessageType.reply;
