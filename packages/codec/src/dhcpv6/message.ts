/** DHCPv6 messages as options in order, each byte kept (RFC 9915 §8, §9, §21.1). */
import { type Address, formatAddress, writeAddress } from "../address.ts";
import { type Decoded, decoded, undecodable } from "../decoded.ts";
import { MessageType } from "./constants.ts";

export interface Option {
  readonly code: number;
  readonly data: Uint8Array;
}

/** A message between client and server. */
export interface ClientServerMessage {
  readonly type: number;
  /** 24 bits. */
  readonly transactionId: number;
  readonly options: readonly Option[];
}

/** A Relay-forward or Relay-reply (RFC 9915 §9). */
export interface RelayMessage {
  readonly type: typeof MessageType.relayForward | typeof MessageType.relayReply;
  readonly hopCount: number;
  readonly linkAddress: Address;
  readonly peerAddress: Address;
  readonly options: readonly Option[];
}

export type Message = ClientServerMessage | RelayMessage;

export const isRelayMessage = (message: Message): message is RelayMessage => "hopCount" in message;

/** Decodes one message. Its options' data are views into `bytes`: copy what outlives the packet. */
export function decodeMessage(bytes: Uint8Array): Decoded<Message> {
  const type = bytes[0];
  if (type === undefined) return undecodable("empty datagram");
  const relayed = type === MessageType.relayForward || type === MessageType.relayReply;
  const header = relayed ? 34 : 4;
  if (bytes.length < header) return undecodable(`${bytes.length} bytes are shorter than the ${header} bytes of its header`);
  const options = decodeOptions(bytes, header);
  if (!options.ok) return options;
  if (relayed) {
    return decoded({
      type,
      hopCount: bytes[1] as number,
      linkAddress: formatAddress(bytes, 2),
      peerAddress: formatAddress(bytes, 18),
      options: options.value,
    });
  }
  const transactionId = ((bytes[1] as number) << 16) | ((bytes[2] as number) << 8) | (bytes[3] as number);
  return decoded({ type, transactionId, options: options.value });
}

/** Those from `at` to the end. */
export function decodeOptions(bytes: Uint8Array, at = 0): Decoded<Option[]> {
  const options: Option[] = [];
  const { buffer, byteOffset } = bytes;
  while (at < bytes.length) {
    if (at + 4 > bytes.length) return undecodable(`${bytes.length - at} bytes left over after the last option`);
    const code = readU16(bytes, at);
    const length = readU16(bytes, at + 2);
    const end = at + 4 + length;
    if (end > bytes.length) return undecodable(`option ${code} says ${length} bytes, ${bytes.length - at - 4} are left`);
    // As `subarray` would, at half its price where `bytes` is a Buffer.
    options.push({ code, data: new Uint8Array(buffer, byteOffset + at + 4, length) });
    at = end;
  }
  return decoded(options);
}

export function encodeMessage(message: Message): Uint8Array {
  const body = encodeOptions(message.options, isRelayMessage(message) ? 34 : 4);
  body[0] = message.type;
  if (isRelayMessage(message)) {
    body[1] = message.hopCount;
    writeAddress(message.linkAddress, body, 2);
    writeAddress(message.peerAddress, body, 18);
  } else {
    body[1] = message.transactionId >>> 16;
    body[2] = message.transactionId >>> 8;
    body[3] = message.transactionId;
  }
  return body;
}

/** Encodes options one after another, behind `header` bytes that the caller writes. */
export function encodeOptions(options: readonly Option[], header = 0): Uint8Array {
  let length = header;
  for (const option of options) length += 4 + option.data.length;
  // What is longer than 64 bytes would be an allocation outside of the heap, and dear.
  const bytes = length > 64 ? Buffer.allocUnsafe(length) : new Uint8Array(length);
  let at = header;
  for (const option of options) {
    writeU16(bytes, at, option.code);
    writeU16(bytes, at + 2, option.data.length);
    bytes.set(option.data, at + 4);
    at += 4 + option.data.length;
  }
  return bytes;
}

export const readU16 = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
export const readU32 = (bytes: Uint8Array, at: number): number => readU16(bytes, at) * 65536 + readU16(bytes, at + 2);

export function writeU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function writeU32(bytes: Uint8Array, at: number, value: number): void {
  writeU16(bytes, at, value >>> 16);
  writeU16(bytes, at + 2, value & 0xffff);
}
