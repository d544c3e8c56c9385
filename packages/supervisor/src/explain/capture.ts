/** The DHCPv6 messages to servers in a capture file: pcap or pcapng, of Ethernet or Linux "cooked" links. */

import type { Address } from "@netboot6/codec";
import { formatAddress, SERVER_PORT } from "@netboot6/codec";

export interface Captured {
  readonly bytes: Uint8Array;
  readonly source: Address;
  readonly sourcePort: number;
  readonly destination: Address;
}

const LINK_ETHERNET = 1;
const LINK_RAW = 101;
const LINK_COOKED = 113;
const LINK_COOKED2 = 276;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERTYPE_VLAN = 0x8100;
const UDP = 17;

/** Throws an error with a plain message where the file is no capture. */
export function readCapture(file: Buffer): Captured[] {
  const magic = file.length >= 4 ? file.readUInt32LE(0) : 0;
  if (magic === 0x0a0d0d0a) return readPcapng(file);
  if (magic === 0xa1b2c3d4 || magic === 0xa1b23c4d) return readPcap(file, true);
  if (magic === 0xd4c3b2a1 || magic === 0x4d3cb2a1) return readPcap(file, false);
  throw new Error("it is neither pcap nor pcapng");
}

function readPcap(file: Buffer, little: boolean): Captured[] {
  const u32 = (at: number): number => (little ? file.readUInt32LE(at) : file.readUInt32BE(at));
  const found: Captured[] = [];
  const link = u32(20) & 0xffff;
  for (let at = 24; at + 16 <= file.length; ) {
    const length = u32(at + 8);
    const message = readFrame(file.subarray(at + 16, at + 16 + length), link);
    if (message) found.push(message);
    at += 16 + length;
  }
  return found;
}

function readPcapng(file: Buffer): Captured[] {
  const found: Captured[] = [];
  let links: number[] = [];
  let little = true;
  for (let at = 0; at + 12 <= file.length; ) {
    const type = little ? file.readUInt32LE(at) : file.readUInt32BE(at);
    if (type === 0x0a0d0d0a) {
      little = file.readUInt32LE(at + 8) === 0x1a2b3c4d;
      links = [];
    }
    const u32 = (offset: number): number => (little ? file.readUInt32LE(at + offset) : file.readUInt32BE(at + offset));
    const size = u32(4);
    if (size < 12 || at + size > file.length) break;
    if (type === 1) links.push((little ? file.readUInt16LE(at + 8) : file.readUInt16BE(at + 8)) & 0xffff);
    if (type === 6 && size >= 32) {
      const message = readFrame(file.subarray(at + 28, at + 28 + u32(20)), links[u32(8)] ?? LINK_ETHERNET);
      if (message) found.push(message);
    }
    at += size;
  }
  return found;
}

function readFrame(frame: Buffer, link: number): Captured | null {
  const start = ipv6At(frame, link);
  if (start === null || frame.length < start + 48 || (frame[start] as number) >> 4 !== 6 || frame[start + 6] !== UDP) return null;
  const udp = start + 40;
  if (frame.readUInt16BE(udp + 2) !== SERVER_PORT) return null;
  return {
    bytes: Uint8Array.from(frame.subarray(udp + 8, udp + frame.readUInt16BE(udp + 4))),
    source: formatAddress(frame, start + 8),
    sourcePort: frame.readUInt16BE(udp),
    destination: formatAddress(frame, start + 24),
  };
}

/** Where the IPv6 header begins. */
function ipv6At(frame: Buffer, link: number): number | null {
  switch (link) {
    case LINK_ETHERNET: {
      let at = 12;
      while (frame.length >= at + 6 && frame.readUInt16BE(at) === ETHERTYPE_VLAN) at += 4;
      return frame.length >= at + 2 && frame.readUInt16BE(at) === ETHERTYPE_IPV6 ? at + 2 : null;
    }
    case LINK_COOKED:
      return frame.length >= 16 && frame.readUInt16BE(14) === ETHERTYPE_IPV6 ? 16 : null;
    case LINK_COOKED2:
      return frame.length >= 20 && frame.readUInt16BE(0) === ETHERTYPE_IPV6 ? 20 : null;
    case LINK_RAW:
      return 0;
    default:
      return null;
  }
}
