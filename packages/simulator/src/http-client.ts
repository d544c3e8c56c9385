/** HTTP as boot clients speak it: from the machine's own address, the body counted or kept. */
import { Agent, type IncomingMessage, request } from "node:http";
import type { Address } from "@netboot6/codec";

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly bytes: number;
  /** Only where it was asked for. */
  readonly text: string;
}

export class HttpClient {
  readonly #agent: Agent;
  readonly #local: Address;
  readonly #userAgent: string;
  readonly #timeout: number;

  /** `timeout`: seconds without a byte. */
  constructor(local: Address, userAgent: string, timeout: number) {
    this.#agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#local = local;
    this.#userAgent = userAgent;
    this.#timeout = timeout;
  }

  /** Rejects where no whole answer comes. */
  fetch(method: "GET" | "HEAD", url: string, keep = false): Promise<HttpAnswer> {
    return new Promise((resolve, reject) => {
      const asked = request(
        url,
        {
          method,
          agent: this.#agent,
          localAddress: this.#local,
          family: 6,
          headers: { "user-agent": this.#userAgent },
          timeout: this.#timeout * 1000,
        },
        (answer) => {
          let bytes = 0;
          const parts: Buffer[] = [];
          answer.on("data", (part: Buffer) => {
            bytes += part.length;
            if (keep) parts.push(part);
          });
          answer.on("error", reject);
          answer.on("end", () =>
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, bytes, text: Buffer.concat(parts).toString("utf8") }),
          );
        },
      );
      asked.on("timeout", () => asked.destroy(new Error(`no byte for ${this.#timeout} s`)));
      asked.on("error", reject);
      asked.end();
    });
  }

  /** Ends its connection; EDK2 does so by RST. */
  close(reset: boolean): void {
    for (const sockets of [...Object.values(this.#agent.freeSockets), ...Object.values(this.#agent.sockets)])
      for (const socket of sockets ?? []) reset ? (socket as import("node:net").Socket).resetAndDestroy() : socket.end();
    this.#agent.destroy();
  }
}
