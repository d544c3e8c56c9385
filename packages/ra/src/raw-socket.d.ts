/** The part of raw-socket that is used here; the package brings no types. */
declare module "raw-socket" {
  import type { EventEmitter } from "node:events";

  export const AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  export const Protocol: { readonly ICMPv6: number };
  export const SocketLevel: { readonly IPPROTO_IPV6: number; readonly SOL_SOCKET: number };

  export interface Socket extends EventEmitter {
    send(buffer: Uint8Array, offset: number, length: number, address: string, callback: (error: Error | null, bytes: number) => void): this;
    /** What `send` and "message" stand on: each call is one to the kernel, made at once; throws what the kernel says. */
    readonly wrap: EventEmitter & {
      recv(buffer: Buffer, callback: (buffer: Buffer, length: number, source: string) => void): void;
      send(buffer: Buffer, offset: number, length: number, address: string, callback: (bytes: number) => void): void;
    };
    setOption(level: number, option: number, value: Uint8Array | number, length?: number): void;
    pauseRecv(): this;
    resumeRecv(): this;
    close(): this;
    on(event: "message", listener: (buffer: Buffer, source: string) => void): this;
    on(event: "error", listener: (error: Error) => void): this;
    on(event: "close", listener: () => void): this;
  }

  export function createSocket(options: { addressFamily: number; protocol: number; bufferSize?: number }): Socket;
}
