/** The router advertiser's edge: one raw ICMPv6 socket for each interface. Main thread only: raw-socket uses libuv's default loop. */
import { readFileSync } from "node:fs";
import {
  ALL_NODES,
  ALL_ROUTERS,
  addressBytes,
  decodeRouterAdvertisement,
  decodeRouterSolicitation,
  encodeRouterAdvertisement,
  IcmpType,
  isLinkLocal,
  macOfEui64,
} from "@netboot6/codec";
import type { AdvertiseConfig, Appliance, Link, Network } from "@netboot6/config";
import type { Emit, Running } from "@netboot6/events";
import { AddressFamily, createSocket, Protocol, type Socket } from "raw-socket";
import {
  type AdvertisePlan,
  type AdvertiserState,
  afterMulticast,
  buildAdvertisement,
  changedState,
  initialState,
  solicited,
} from "./advertiser.ts";

export interface RaSettings {
  readonly appliance: Appliance;
  readonly networks: readonly Network[];
}

/** Linux's numbers for setsockopt. */
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const IPPROTO_IPV6 = 41;
const IPV6_UNICAST_HOPS = 16;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_ADD_MEMBERSHIP = 20;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;

const MAX_ROUTERS = 64;
const SEND_DEADLINE_MS = 1_000;
/** RFC 4861 §6.2.5: so many final advertisements; they go out at once, so that the stop is quick. */
const FINAL_ADVERTISEMENTS = 1;

export async function startRouterAdvertiser(settings: RaSettings, emit: Emit): Promise<Running<RaSettings>> {
  let advertisers = new Map<string, Advertiser>();
  const follow = async (next: RaSettings): Promise<void> => {
    const wanted = new Map<string, Advertiser>();
    try {
      for (const network of next.networks) {
        if (!network.link || network.advertise === null) continue;
        // Another index, MAC or link-local address under the same name is another interface: its socket is of no use.
        const key = Object.values(network.link).join(" ");
        const kept = advertisers.get(key);
        if (kept) await kept.change(next.appliance, network);
        wanted.set(key, kept ?? new Advertiser(next.appliance, network, network.link, emit));
      }
    } catch (error) {
      for (const [key, added] of wanted) if (!advertisers.has(key)) await added.stop();
      throw error;
    }
    const gone = [...advertisers].filter(([key]) => !wanted.has(key));
    advertisers = wanted;
    await Promise.all(gone.map(([, advertiser]) => advertiser.stop()));
  };
  await follow(settings);
  return {
    get listens() {
      return [...advertisers.values()].map((advertiser) => advertiser.interface);
    },
    reload: follow,
    async stop() {
      await Promise.all([...advertisers.values()].map((advertiser) => advertiser.stop()));
      advertisers = new Map();
    },
  };
}

class Advertiser {
  readonly #link: Link;
  readonly #emit: Emit;
  readonly #socket: Socket;
  #appliance: Appliance;
  #network: Network;
  #state: AdvertiserState;
  #timer: NodeJS.Timeout | null = null;
  /** What each other router said last: it is told when it changes. */
  readonly #heardOf = new Map<string, string>();

  constructor(appliance: Appliance, network: Network, link: Link, emit: Emit) {
    this.#appliance = appliance;
    this.#network = network;
    this.#link = link;
    this.#emit = emit;
    this.#socket = openSocket(link);
    this.#socket.on("message", (bytes, source) => this.#receive(bytes, source));
    this.#socket.on("error", (error) => emit({ type: "wire.dropped", service: "ra", why: `${link.name}: ${error.message}`, count: 1 }));
    this.#state = initialState(Date.now());
    this.#schedule();
  }

  get interface(): string {
    return this.#link.name;
  }

  async change(appliance: Appliance, network: Network): Promise<void> {
    if (network.advertise === "observe") await this.#end();
    this.#appliance = appliance;
    this.#network = network;
    this.#state = changedState(this.#state, Date.now());
    this.#schedule();
  }

  async stop(): Promise<void> {
    await this.#end();
    this.#socket.removeAllListeners("message"); // a solicitation now would begin it again
    this.#socket.close();
    if (this.#timer) clearTimeout(this.#timer);
  }

  /** Says that it is no router any more, where it was one. */
  async #end(): Promise<void> {
    if (this.#timer) clearTimeout(this.#timer);
    const plan = this.#plan();
    for (let i = 0; plan && i < FINAL_ADVERTISEMENTS; i++) {
      const error = await this.#send(encodeRouterAdvertisement(buildAdvertisement(plan, true)), ALL_NODES);
      if (!error) this.#emit({ type: "ra.sent", interface: this.#link.name, network: this.#network.name, to: ALL_NODES, why: "final" });
    }
  }

  #plan(): AdvertisePlan | null {
    const { advertise } = this.#network;
    if (advertise === null || advertise === "observe") return null;
    return {
      settings: advertise,
      network: this.#network,
      forwarding: forwards(this.#link.name),
      dnsOn: this.#appliance.dns !== null,
      domain: this.#appliance.domain,
    };
  }

  #schedule(): void {
    if (this.#timer) clearTimeout(this.#timer);
    const plan = this.#plan();
    this.#timer = plan && setTimeout(() => void this.#multicast(plan.settings), Math.max(0, this.#state.next - Date.now()));
  }

  async #multicast(settings: AdvertiseConfig): Promise<void> {
    const plan = this.#plan();
    if (!plan) return;
    const why = this.#state.nextWhy;
    this.#state = afterMulticast(this.#state, settings, Date.now(), Math.random);
    this.#schedule();
    const error = await this.#send(encodeRouterAdvertisement(buildAdvertisement(plan)), ALL_NODES);
    if (!error) this.#emit({ type: "ra.sent", interface: this.#link.name, network: this.#network.name, to: ALL_NODES, why });
  }

  /** Never rejects: a link that is down now may be up the next time. */
  #send(bytes: Uint8Array, to: string): Promise<Error | null> {
    return new Promise((resolve) => {
      const end = (error: Error | null): void => {
        clearTimeout(timer);
        if (error)
          this.#emit({ type: "wire.dropped", service: "ra", why: `${this.#link.name}: not sent to ${to}: ${error.message}`, count: 1 });
        resolve(error);
      };
      // A socket whose interface was taken away may close without a word on what it was given to send.
      const timer = setTimeout(() => end(new Error("the socket does not say")), SEND_DEADLINE_MS);
      this.#socket.send(Buffer.from(bytes), 0, bytes.length, to, (error) => end(error ?? null));
    });
  }

  /**
   * The hop limit of 255 that RFC 4861 §6.1.1 asks for cannot be read here. It is upheld otherwise: the socket is bound to
   * the interface, and routers forward neither link-local sources nor `::`.
   */
  #receive(bytes: Uint8Array, source: string): void {
    if (bytes[0] === IcmpType.routerSolicitation) this.#solicitation(bytes, source);
    else if (bytes[0] === IcmpType.routerAdvertisement && source !== this.#link.linkLocal) this.#heard(bytes, source);
  }

  #solicitation(bytes: Uint8Array, source: string): void {
    if (source !== "::" && !isLinkLocal(source)) {
      this.#drop(`a solicitation from ${source}, which is not link-local`);
      return;
    }
    const solicitation = decodeRouterSolicitation(bytes, source === "::");
    if (!solicitation.ok) {
      this.#drop(solicitation.why);
      return;
    }
    const mac = solicitation.value.sourceMac ?? (source === "::" ? null : macOfEui64(source));
    const asker = { interface: this.#link.name, network: this.#network.name, client: source, ...(mac === null ? {} : { mac }) };
    this.#emit({ type: "ra.solicited", ...asker });
    const plan = this.#plan();
    if (!plan) return;
    const { state, unicast } = solicited(this.#state, source, Date.now(), Math.random);
    this.#state = state;
    if (!unicast) {
      this.#schedule();
      return;
    }
    void this.#send(encodeRouterAdvertisement(buildAdvertisement(plan)), source).then((error) => {
      if (!error) this.#emit({ type: "ra.sent", ...asker, to: source, why: "solicited" });
    });
  }

  #heard(bytes: Uint8Array, source: string): void {
    const ra = decodeRouterAdvertisement(bytes);
    if (!ra.ok || !isLinkLocal(source)) {
      this.#drop(ra.ok ? `an advertisement from ${source}, which is not link-local` : ra.why);
      return;
    }
    const { managed, other, routerLifetime } = ra.value;
    const said = `${managed} ${other} ${routerLifetime > 0}`;
    if (this.#heardOf.get(source) === said || (this.#heardOf.size >= MAX_ROUTERS && !this.#heardOf.has(source))) return;
    this.#heardOf.set(source, said);
    const ours = this.#plan();
    const why =
      !managed && !other
        ? "it says M=0 O=0: iPXE that hears it first will not ask for a boot file"
        : ours && managed !== buildAdvertisement(ours).managed
          ? `it says M=${managed ? 1 : 0}, we say M=${managed ? 0 : 1}: machines follow whom they hear first`
          : "another router is on the link";
    this.#emit({
      type: "ra.heard",
      interface: this.#link.name,
      network: this.#network.name,
      router: source,
      managed,
      other,
      lifetime: routerLifetime,
      why,
    });
  }

  #drop(why: string): void {
    this.#emit({ type: "wire.dropped", service: "ra", why, count: 1, network: this.#network.name });
  }
}

function openSocket(link: Link): Socket {
  const socket = createSocket({ addressFamily: AddressFamily.IPv6, protocol: Protocol.ICMPv6 });
  const integer = (value: number): Buffer => {
    const buffer = Buffer.alloc(4);
    buffer.writeInt32LE(value);
    return buffer;
  };
  const set = (level: number, option: number, value: Uint8Array): void => socket.setOption(level, option, Buffer.from(value), value.length);
  set(SOL_SOCKET, SO_BINDTODEVICE, Buffer.from(`${link.name}\0`));
  set(IPPROTO_IPV6, IPV6_MULTICAST_IF, integer(link.index));
  set(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, integer(255));
  set(IPPROTO_IPV6, IPV6_UNICAST_HOPS, integer(255));
  set(IPPROTO_IPV6, IPV6_MULTICAST_LOOP, integer(0));
  set(IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, Buffer.concat([addressBytes(ALL_ROUTERS), integer(link.index)]));
  const filter = Buffer.alloc(32, 0xff); // a clear bit passes
  for (const type of [IcmpType.routerSolicitation, IcmpType.routerAdvertisement]) {
    const at = (type >> 5) * 4;
    filter.writeUInt32LE((filter.readUInt32LE(at) & ~(1 << (type & 31))) >>> 0, at);
  }
  set(IPPROTO_ICMPV6, ICMP6_FILTER, filter);
  return socket;
}

/** Whether the host forwards IPv6 from this interface. */
export function forwards(name: string): boolean {
  try {
    return readFileSync(`/proc/sys/net/ipv6/conf/${name}/forwarding`, "latin1").trim() !== "0";
  } catch {
    return false;
  }
}
