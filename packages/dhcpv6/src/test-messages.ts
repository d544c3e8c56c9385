/** Messages for tests of the server: written, sent and read. */
import assert from "node:assert/strict";
import {
  type ClientServerMessage,
  decodeIa,
  decodeIaAddress,
  decodeIaPrefix,
  decodeMessage,
  decodeStatus,
  encodeIa,
  encodeMessage,
  encodeU16List,
  findOption,
  iaAddressOption,
  iaPrefixOption,
  isRelayMessage,
  MessageType,
  type Option,
  OptionCode,
  type RelayMessage,
} from "@netboot6/codec";
import { handle, type Incoming, type Outcome } from "./server.ts";
import { SERVER_DUID, type TestServer } from "./test-server.ts";

export const clientId = (n: number): Option => ({
  code: OptionCode.clientId,
  data: Uint8Array.of(0, 3, 0, 1, 0x52, 0x54, 0, 0, n >> 8, n & 0xff),
});
export const serverId: Option = { code: OptionCode.serverId, data: SERVER_DUID };
export const iaNa = (iaid: number, ...addresses: string[]): Option => ({
  code: OptionCode.iaNa,
  data: encodeIa({
    iaid,
    t1: 0,
    t2: 0,
    options: addresses.map((address) => iaAddressOption({ address, preferred: 0, valid: 0, options: [] })),
  }),
});
/** `prefixes`: `2001:db8:fff:10::/60`; `::/60` asks for a length alone. */
export const iaPd = (iaid: number, ...prefixes: string[]): Option => ({
  code: OptionCode.iaPd,
  data: encodeIa({
    iaid,
    t1: 0,
    t2: 0,
    options: prefixes.map((text) => {
      const [prefix = "", length] = text.split("/");
      return iaPrefixOption({ prefix, length: Number(length), preferred: 0, valid: 0, options: [] });
    }),
  }),
});
export const wants = (...codes: number[]): Option => ({ code: OptionCode.optionRequest, data: encodeU16List(codes) });

/** From a client on the link, to the group. */
export function received(server: TestServer, bytes: Uint8Array, more: Partial<Incoming> = {}): Outcome {
  const incoming = { bytes, source: "fe80::1234", sourcePort: 546, interface: "prov0", destination: "ff02::1:2", ...more };
  return handle(server.state, incoming, server.now);
}

export const send = (server: TestServer, type: number, options: readonly Option[], more: Partial<Incoming> = {}): Outcome =>
  received(server, encodeMessage({ type, transactionId: 0x123456, options }), more);

export function reply(outcome: Outcome): ClientServerMessage {
  assert.ok(outcome.send, `answered: ${JSON.stringify(outcome.events)}`);
  const message = decodeMessage(outcome.send.bytes);
  assert.ok(message.ok && !isRelayMessage(message.value));
  return message.value;
}

export const droppedWhy = (outcome: Outcome): string => {
  assert.equal(outcome.send, null);
  const event = outcome.events.find(({ type }) => type === "dhcpv6.dropped");
  assert.ok(event?.type === "dhcpv6.dropped");
  return event.why;
};

export interface IaPart {
  readonly iaid: number;
  readonly t1: number;
  readonly t2: number;
  /** With their valid lifetimes; prefixes with their length. */
  readonly leased: readonly (readonly [leased: string, valid: number])[];
  readonly status: number | null;
}

/** The answer's IA_NAs, or its IA_PDs. */
export function ias(message: ClientServerMessage, code: number = OptionCode.iaNa): IaPart[] {
  return message.options
    .filter((option) => option.code === code)
    .map(({ data }) => {
      const ia = decodeIa(data);
      assert.ok(ia.ok);
      const { iaid, t1, t2, options } = ia.value;
      return { iaid, t1, t2, leased: options.flatMap(readLeased), status: statusOf(options) };
    });
}

export const pds = (outcome: Outcome): IaPart[] => ias(reply(outcome), OptionCode.iaPd);

function readLeased({ code, data }: Option): [string, number][] {
  const address = code === OptionCode.iaAddress ? decodeIaAddress(data) : null;
  if (address?.ok) return [[address.value.address, address.value.valid]];
  const prefix = code === OptionCode.iaPrefix ? decodeIaPrefix(data) : null;
  return prefix?.ok ? [[`${prefix.value.prefix}/${prefix.value.length}`, prefix.value.valid]] : [];
}

/** The Status Code among the options; null where there is none. */
export function statusOf(options: readonly Option[]): number | null {
  const status = findOption(options, OptionCode.statusCode);
  const decoded = status && decodeStatus(status);
  return decoded?.ok ? decoded.value.code : null;
}

/** Why the answer is as it is. */
export function whys(outcome: Outcome): string {
  const event = outcome.events.find(({ type }) => type === "dhcpv6.answered");
  assert.ok(event?.type === "dhcpv6.answered");
  return event.why.join("; ");
}

export const given = (outcome: Outcome): string => ias(reply(outcome))[0]?.leased[0]?.[0] ?? "none";
/** A pool of four addresses. */
export const RANGE = `networks:\n  - interface: prov0\n    advertise: { autonomous: false }\n    dhcp: { pool: "2001:db8:0:1::1000-2001:db8:0:1::1003" }\n`;

export const forward = (inner: Uint8Array, more: Partial<RelayMessage> = {}): Uint8Array =>
  encodeMessage({
    type: MessageType.relayForward,
    hopCount: 0,
    linkAddress: "2001:db8:0:2::fe",
    peerAddress: "fe80::5054:ff:fe0b:1",
    ...more,
    options: [...(more.options ?? []), { code: OptionCode.relayMessage, data: inner }],
  });

export const relayed = (server: TestServer, bytes: Uint8Array, source = "2001:db8:0:1::fe", sourcePort = 547): Outcome =>
  handle(server.state, { bytes, source, sourcePort, interface: null, destination: "2001:db8:0:1::1" }, server.now);
