/** A raw ICMPv6 socket bound to one interface. Main thread only: raw-socket uses libuv's default loop. */
import { ALL_ROUTERS, addressBytes, IcmpType } from "@netboot6/codec";
import type { Link } from "@netboot6/config";
import { AddressFamily, createSocket, Protocol, type Socket } from "raw-socket";

/** Linux's numbers for setsockopt. */
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_BINDTODEVICE = 25;
const SO_RCVBUFFORCE = 33;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_ADD_MEMBERSHIP = 20;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;

/** A rack that is powered on solicits in one moment: the kernel's default has room for some 250. */
const RECEIVE_BUFFER_BYTES = 4 << 20;

/** Throws where the interface is not there, or the privilege is not. `loop`: what it sends to a group reaches this host's programs too. */
export function openSocket(link: Link, loop = false): Socket {
  const socket = createSocket({ addressFamily: AddressFamily.IPv6, protocol: Protocol.ICMPv6 });
  const integer = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32LE(value);
    return buffer;
  };
  const set = (level: number, option: number, value: Uint8Array): void => socket.setOption(level, option, Buffer.from(value), value.length);
  set(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${link.name}\0`));
  try {
    set(SOL_SOCKET, SO_RCVBUFFORCE, integer(RECEIVE_BUFFER_BYTES));
  } catch {
    set(SOL_SOCKET, SO_RCVBUF, integer(RECEIVE_BUFFER_BYTES)); // without CAP_NET_ADMIN: as much as net.core.rmem_max allows
  }
  set(IPPROTO_IPV6, IPV6_MULTICAST_IF, integer(link.index));
  set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, integer(255));
  set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, integer(255));
  set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, integer(loop ? 1 : 0));
  set(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, Buffer.concat([addressBytes(ALL_ROUTERS), integer(link.index)]));
  const filter = Buffer.alloc(32, 0xff); // a clear bit passes
  for (const type of [IcmpType.routerSolicitation, IcmpType.routerAdvertisement]) {
    const at = (type >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(at) & ~(1 << (type & 31))) >>> 0, at);
  }
  set(IPPROTO_ICMPV6, ICMP6_FILTER, filter);
  return socket;
}
