/**
 * A simulated machine's network card: a macvlan of its own with its MAC, on the rack's interface. Solicitations are whole
 * packets of ours, since EDK2 sends them from `::`.
 */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import {
  type Address,
  ALL_NODES,
  ALL_ROUTERS,
  addressBytes,
  decodeRouterAdvertisement,
  encodeRouterSolicitation,
  eui64Address,
  IcmpType,
  LINK_LOCAL_PREFIX,
  type Mac,
  parsePrefix,
  type RouterAdvertisement,
} from "@netboot6/codec";
import { AddressFamily, createSocket, Protocol, type Socket } from "raw-socket";

const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_ADD_MEMBERSHIP = 20;
const IPV6_HDRINCL = 36;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;
const BATCH_MS = 5;

/** Runs `ip` commands; those of one moment go together. */
export class IpCommands {
  #pending: { lines: string[]; done: Promise<void> } | null = null;

  run(command: string): Promise<void> {
    if (!this.#pending) {
      const lines: string[] = [];
      const done = new Promise<void>((resolve, reject) =>
        setTimeout(() => {
          this.#pending = null;
          const ip = execFile("ip", ["-batch", "-"], (error, _, stderr) => (error ? reject(new Error(stderr)) : resolve()));
          ip.stdin?.end(`${lines.join("\n")}\n`);
        }, BATCH_MS),
      );
      this.#pending = { lines, done };
    }
    this.#pending.lines.push(command);
    return this.#pending.done;
  }
}

export class MachineLink {
  readonly interface: string;
  readonly #commands: IpCommands;
  readonly #socket: Socket;
  readonly #waiting = new Set<(heard: RouterAdvertisement | null) => void>();

  /** Makes the card and sets it up with its link-local address. */
  static async open(rackInterface: string, name: string, mac: Mac, commands: IpCommands): Promise<MachineLink> {
    await commands.run(`link add link ${rackInterface} name ${name} address ${mac} type macvlan mode bridge`);
    await commands.run(`link set ${name} up`);
    await commands.run(`addr replace ${linkLocalOf(mac)}/64 dev ${name} nodad`);
    return new MachineLink(name, commands);
  }

  private constructor(name: string, commands: IpCommands) {
    this.interface = name;
    this.#commands = commands;
    const index = Buffer.alloc(4);
    index.writeInt32LE(interfaceIndex(name));
    this.#socket = createSocket({ addressFamily: AddressFamily.IPv6, protocol: Protocol.ICMPv6 });
    this.#set(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${name}\0`));
    this.#set(IPPROTO_IPV6, IPV6_HDRINCL, Buffer.from([1, 0, 0, 0]));
    this.#set(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, Buffer.concat([addressBytes(ALL_NODES), index]));
    const filter = Buffer.alloc(32, 0xff); // a clear bit passes
    const at = (IcmpType.routerAdvertisement >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(at) & ~(1 << (IcmpType.routerAdvertisement & 31))) >>> 0, at);
    this.#set(IPPROTO_ICMPV6, ICMP6_FILTER, filter);
    this.#socket.on("message", (bytes) => {
      const advertisement = decodeRouterAdvertisement(bytes);
      if (advertisement.ok) for (const hear of [...this.#waiting]) hear(advertisement.value);
    });
  }

  #set(level: number, option: number, value: Buffer): void {
    this.#socket.setOption(level, option, value, value.length);
  }

  close(): void {
    this.#socket.close();
  }

  addAddress(address: Address): Promise<void> {
    return this.#commands.run(`addr replace ${address}/64 dev ${this.interface} nodad`);
  }

  /** The next advertisement that comes to this machine. Null after `ms`. */
  hear(ms: number): Promise<RouterAdvertisement | null> {
    return new Promise((resolve) => {
      const end = (heard: RouterAdvertisement | null): void => {
        clearTimeout(timer);
        this.#waiting.delete(end);
        resolve(heard);
      };
      const timer = setTimeout(() => end(null), ms);
      this.#waiting.add(end);
    });
  }

  /** A solicitation as EDK2 sends it (from `::`, without a MAC), or as iPXE and Linux do (from the link-local address, with it). */
  solicit(source: Address, mac: Mac | null): void {
    const body = encodeRouterSolicitation({ sourceMac: mac });
    const packet = new Uint8Array(40 + body.length);
    packet.set([0x60, 0, 0, 0, 0, body.length, IPPROTO_ICMPV6, 255]);
    packet.set(addressBytes(source), 8);
    packet.set(addressBytes(ALL_ROUTERS), 24);
    packet.set(body, 40);
    const sum = icmpChecksum(packet);
    packet[42] = sum >>> 8;
    packet[43] = sum & 0xff;
    this.#socket.send(Buffer.from(packet), 0, packet.length, ALL_ROUTERS, () => {});
  }
}

export const linkLocalOf = (mac: Mac): Address => eui64Address(LINK_LOCAL_PREFIX, mac);

/** The address that SLAAC forms of an advertisement; null where it offers none. */
export function slaacAddress({ prefixes }: RouterAdvertisement, mac: Mac): Address | null {
  const offered = prefixes.find((prefix) => prefix.autonomous && prefix.length === 64);
  const prefix = offered && parsePrefix(`${offered.prefix}/${offered.length}`);
  return prefix ? eui64Address(prefix, mac) : null;
}

const interfaceIndex = (name: string): number =>
  Number(new RegExp(`^(\\d+)\\s+${name}\\s`, "m").exec(readFileSync("/proc/net/igmp6", "latin1"))?.[1] ?? 0);

/** RFC 8200 §8.1, over the pseudo-header and an ICMPv6 message whose checksum field is zero. */
function icmpChecksum(packet: Uint8Array): number {
  let sum = packet.length - 40 + IPPROTO_ICMPV6;
  for (let i = 8; i < packet.length; i += 2) sum += ((packet[i] as number) << 8) | (packet[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
