/**
 * UDP sockets of IPv6 that take and give many datagrams with one call of the kernel. `node:dgram` makes one call for each, and
 * three more for each from a link-local address, to put its zone into words (docs/adr/0010-udp-sockets.md). Works in worker threads too.
 */
import { createRequire } from "node:module";
import { getSystemErrorMessage } from "node:util";
import { type Address, addressBytes, formatAddress, writeAddress } from "@netboot6/codec";

/** As udp.cc says. */
interface Native {
  open(
    address: Uint8Array,
    scope: number,
    port: number,
    receiveBufferBytes: number,
    shared: boolean,
    bytes: Uint8Array,
    addresses: Uint8Array,
    numbers: Int32Array,
    receiver: (count: number) => void,
  ): Handle;
  join(socket: Handle, group: Uint8Array, interfaceIndex: number): void;
  send(socket: Handle, bytes: Uint8Array, addresses: Uint8Array, numbers: Int32Array, count: number): number;
  prepare(socket: Handle, bytes: Uint8Array, address: Uint8Array, port: number, scope: number): void;
  sendPrepared(): void;
  hasPreparedLeft(): boolean;
  close(socket: Handle): void;
}
declare const handle: unique symbol;
type Handle = { readonly [handle]: never };

const native = createRequire(import.meta.url)("../build/udp.node") as Native;

/** As in udp.cc. */
const MAX_BATCH = 64;
/** The largest datagram, and a line of the processor's cache more, so that the beginnings of all do not compete for the same lines. */
const SLOT_BYTES = 65_536 + 64;
/** The most that a datagram can hold. */
const MAX_PAYLOAD = 65_527;
const SEND_BYTES = 4 * MAX_PAYLOAD;

/** What datagrams pass through, of all sockets of the thread: each is dealt with before the next batch comes. */
const received = {
  bytes: new Uint8Array(MAX_BATCH * SLOT_BYTES),
  addresses: new Uint8Array(MAX_BATCH * 16),
  numbers: new Int32Array(MAX_BATCH * 3),
};
const sending = {
  bytes: new Uint8Array(SEND_BYTES),
  addresses: new Uint8Array(MAX_BATCH * 16),
  numbers: new Int32Array(MAX_BATCH * 3),
};

export interface Datagram {
  /** A view that holds until its receiver returns. */
  readonly bytes: Uint8Array;
  readonly address: Address;
  readonly port: number;
  /** The interface of a link-local address; else 0. */
  readonly scope: number;
}

interface UdpOptions {
  readonly address: Address;
  /** The interface of a link-local address or group; else 0. */
  readonly scope: number;
  readonly port: number;
  readonly receiveBufferBytes: number;
  /** Others may have the same address and port: groups, and several appliances on one host. */
  readonly shared?: boolean;
}

export class UdpSocket {
  readonly #socket: Handle;
  readonly #failed: (why: string, to: Address | null) => void;
  #waiting: Datagram[] = [];
  #open = true;

  /** Throws an error with a `code` where the address cannot be had. `failed` is told why a datagram was not sent, or none received. */
  constructor(
    { address, scope, port, receiveBufferBytes, shared = false }: UdpOptions,
    receive: (datagram: Datagram) => void,
    failed: (why: string, to: Address | null) => void,
  ) {
    const { bytes, addresses, numbers } = received;
    this.#failed = failed;
    this.#socket = native.open(addressBytes(address), scope, port, receiveBufferBytes, shared, bytes, addresses, numbers, (count) => {
      if (count < 0) failed(getSystemErrorMessage(count), null);
      for (let i = 0; i < count && this.#open; i++)
        receive({
          bytes: new Uint8Array(bytes.buffer, i * SLOT_BYTES, numbers[i * 3]),
          address: formatAddress(addresses, i * 16),
          port: numbers[i * 3 + 1] as number,
          scope: numbers[i * 3 + 2] as number,
        });
    });
  }

  /** Throws an error with a `code`. */
  join(group: Address, interfaceIndex: number): void {
    native.join(this.#socket, addressBytes(group), interfaceIndex);
  }

  /** Leaves with the others of this turn of the event loop. What the kernel takes no more of is lost, as datagrams are, and told. */
  send(bytes: Uint8Array, address: Address, port: number, scope: number): void {
    if (!this.#open) return;
    if (bytes.length > MAX_PAYLOAD) {
      this.#failed("message too long", address);
      return;
    }
    if (this.#waiting.length === 0) queueMicrotask(() => this.#flush());
    this.#waiting.push({ bytes, address, port, scope });
    if (this.#waiting.length === MAX_BATCH) this.#flush();
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting.length === 0 || !this.#open) return;
    this.#waiting = [];
    let from = 0;
    while (from < waiting.length) from = this.#sendFrom(waiting, from);
  }

  /** As many as fit; the first that did not. */
  #sendFrom(waiting: readonly Datagram[], from: number): number {
    let used = 0;
    let count = 0;
    for (let i = from; i < waiting.length; i++, count++) {
      const { bytes, address, port, scope } = waiting[i] as Datagram;
      if (used + bytes.length > SEND_BYTES) break;
      sending.bytes.set(bytes, used);
      used += bytes.length;
      writeAddress(address, sending.addresses, count * 16);
      sending.numbers[count * 3] = bytes.length;
      sending.numbers[count * 3 + 1] = port;
      sending.numbers[count * 3 + 2] = scope;
    }
    if (native.send(this.#socket, sending.bytes, sending.addresses, sending.numbers, count) > 0)
      for (let i = 0; i < count; i++) {
        const error = sending.numbers[i * 3] as number;
        if (error !== 0) this.#failed(getSystemErrorMessage(-error), (waiting[from + i] as Datagram).address);
      }
    return from + count;
  }

  /**
   * For a thread that calls `sendPrepared`: one that has just done what the datagram waited for need not wake this one first. There is
   * one such datagram in the process; it takes the place of one before. True where it is prepared.
   */
  prepare(bytes: Uint8Array, address: Address, port: number, scope: number): boolean {
    if (!this.#open || bytes.length > MAX_PAYLOAD) return false;
    native.prepare(this.#socket, bytes, addressBytes(address), port, scope);
    return true;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    native.close(this.#socket);
  }
}

/** Sends what is prepared, once; nothing where its socket is closed since. From whichever thread. */
export const sendPrepared = (): void => native.sendPrepared();

/** False too where it could not be sent: `send` tells why. */
export const hasPreparedLeft = (): boolean => native.hasPreparedLeft();
