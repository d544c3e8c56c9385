import assert from "node:assert/strict";
import { test } from "node:test";
import { addressBytes } from "@netboot6/codec";
import { readCapture } from "./capture.ts";

const MESSAGE = Buffer.from("01000001000100080004", "hex");

/** An IPv6 packet with a UDP datagram in it. */
function packet(port = 547): Buffer {
  const udp = Buffer.alloc(8);
  udp.writeUInt16BE(546, 0);
  udp.writeUInt16BE(port, 2);
  udp.writeUInt16BE(8 + MESSAGE.length, 4);
  const header = Buffer.from([0x60, 0, 0, 0, 0, 8 + MESSAGE.length, 17, 1]);
  return Buffer.concat([header, addressBytes("fe80::5054:ff:fe00:1"), addressBytes("ff02::1:2"), udp, MESSAGE]);
}
const ethernet = (payload: Buffer, vlan = false): Buffer =>
  Buffer.concat([Buffer.alloc(12), Buffer.from(vlan ? "8100000a86dd" : "86dd", "hex"), payload]);
const cooked = (payload: Buffer): Buffer => Buffer.concat([Buffer.alloc(14), Buffer.from("86dd", "hex"), payload]);
const cooked2 = (payload: Buffer): Buffer => Buffer.concat([Buffer.from("86dd", "hex"), Buffer.alloc(18), payload]);

function pcap(link: number, frames: readonly Buffer[], little = true, magic = 0xa1b2c3d4): Buffer {
  const words = (...values: number[]): Buffer => {
    const bytes = Buffer.alloc(values.length * 4);
    for (const [i, value] of values.entries()) little ? bytes.writeUInt32LE(value, i * 4) : bytes.writeUInt32BE(value, i * 4);
    return bytes;
  };
  return Buffer.concat([
    words(magic, 0, 0, 0, 65535, link),
    ...frames.flatMap((frame) => [words(1, 2, frame.length, frame.length), frame]),
  ]);
}

/** One section, in which the frame is of the last of the links. */
function pcapng(links: readonly number[], frame: Buffer): Buffer {
  const block = (type: number, body: Buffer): Buffer => {
    const padded = Buffer.concat([body, Buffer.alloc((4 - (body.length % 4)) % 4)]);
    const size = Buffer.alloc(4);
    size.writeUInt32LE(padded.length + 12);
    const head = Buffer.alloc(4);
    head.writeUInt32LE(type);
    return Buffer.concat([head, size, padded, size]);
  };
  const interfaceBlock = (link: number): Buffer => {
    const body = Buffer.alloc(8);
    body.writeUInt16LE(link);
    return block(1, body);
  };
  const packetHead = Buffer.alloc(20);
  packetHead.writeUInt32LE(links.length - 1, 0);
  packetHead.writeUInt32LE(frame.length, 12);
  packetHead.writeUInt32LE(frame.length, 16);
  return Buffer.concat([
    block(0x0a0d0d0a, Buffer.from("4d3c2b1a01000000ffffffffffffffff", "hex")),
    ...links.map(interfaceBlock),
    block(6, Buffer.concat([packetHead, frame])),
  ]);
}

const EXPECTED = [{ bytes: Uint8Array.from(MESSAGE), source: "fe80::5054:ff:fe00:1", sourcePort: 546, destination: "ff02::1:2" }];

test("messages to DHCPv6 servers are read out of pcap and pcapng, of every link that tcpdump writes", () => {
  assert.deepEqual(readCapture(pcap(1, [ethernet(packet()), ethernet(packet(53)), Buffer.alloc(20)])), EXPECTED);
  assert.deepEqual(readCapture(pcap(1, [ethernet(packet(), true)], false)), EXPECTED);
  assert.deepEqual(readCapture(pcap(101, [packet()])), EXPECTED);
  assert.deepEqual(readCapture(pcap(113, [cooked(packet())])), EXPECTED);
  assert.deepEqual(readCapture(pcap(276, [cooked2(packet())])), EXPECTED);
  for (const magic of [0xa1b23c4d, 0xa1b2c3d4])
    for (const little of [true, false]) assert.deepEqual(readCapture(pcap(1, [ethernet(packet())], little, magic)), EXPECTED);
  assert.deepEqual(readCapture(pcapng([1], ethernet(packet()))), EXPECTED);
  const tcp = packet();
  tcp[6] = 6;
  assert.deepEqual(readCapture(pcap(101, [tcp])), []);
});

test("a packet of a pcapng is of its interface, of which each section begins anew to count", () => {
  const sections = [pcapng([1, 101], packet()), pcapng([276], cooked2(packet()))];
  assert.deepEqual(readCapture(Buffer.concat(sections)), [...EXPECTED, ...EXPECTED]);
});

test("another file is refused; a capture that is cut anywhere is read as far as it goes", () => {
  assert.throws(() => readCapture(Buffer.from("networks:\n")), /neither pcap nor pcapng/);
  for (const whole of [pcap(1, [ethernet(packet())]), pcapng([1], ethernet(packet()))])
    for (let length = 24; length < whole.length; length++) assert.ok(readCapture(whole.subarray(0, length)).length <= 1);
});
