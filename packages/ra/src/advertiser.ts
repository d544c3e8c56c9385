/** One interface's router advertiser: what came in, what changed and what time it is, to what goes out. It opens no socket and waits for nothing. */
import {
  type Address,
  ALL_NODES,
  decodeRouterAdvertisement,
  decodeRouterSolicitation,
  encodeRouterAdvertisement,
  IcmpType,
  isLinkLocal,
  macOfEui64,
  type RouterAdvertisement,
} from "@netboot6/codec";
import type { AdvertiseConfig, Link, Network } from "@netboot6/config";
import { type Asker, Drops, type Emit, type EventBody } from "@netboot6/events";
import { buildAdvertisement, finalAdvertisement, nothingOf } from "./advertisement.ts";
import { Rivals, type Told } from "./rivals.ts";
import { afterMulticast, afterSolicitation, begin, type Schedule } from "./schedule.ts";
import { stillDue, type Withdrawal, withdraw, withWithdrawals } from "./withdrawal.ts";

/** What the advertiser is told of its network and its host. */
export interface Situation {
  readonly network: Network;
  readonly link: Link;
  /** Whether the host forwards IPv6 from this interface. */
  readonly forwarding: boolean;
  readonly dnsOn: boolean;
  readonly domain: string;
}

/** How it reaches the world. Times in milliseconds, of a clock that never steps. */
export interface World {
  readonly emit: Emit;
  now(): number;
  /** [0, 1) */
  random(): number;
  /** Null once the message is on its way, else what kept it. */
  send(message: Buffer, to: Address): Error | null;
}

type Why = Extract<EventBody, { type: "ra.sent" }>["why"];

/** A link on which no default router was heard for so long has none, as far as booting machines are concerned. */
const NO_ROUTER_MS = 60_000;

export class Advertiser {
  readonly #world: World;
  #situation: Situation;
  /** What we say now; null while we only listen. */
  #ra: RouterAdvertisement | null = null;
  /** `#ra` encoded, with its withdrawals where there are any. */
  #messages: readonly Buffer[] = [];
  #withdrawals: readonly Withdrawal[] = [];
  #schedule: Schedule;
  #linkUp = true;
  readonly #rivals = new Rivals();
  readonly #drops = new Drops("ra");
  /** Since when the link is up and has no default router. */
  #routerlessSince: number | null;
  #warnedOf = { noRouter: false, notForwarding: false };

  constructor(situation: Situation, world: World) {
    this.#world = world;
    this.#situation = situation;
    this.#schedule = begin(null, world.now(), "initial");
    this.#routerlessSince = world.now();
    this.#take(situation);
  }

  /** When `multicast` is to be called; null: not before something else happens. */
  get due(): number | null {
    return this.#ra && this.#linkUp ? this.#schedule.next : null;
  }

  /** The configuration or the host changed. What does not change the advertisement leaves its schedule alone. */
  change(situation: Situation): void {
    const was = this.#ra;
    const said = JSON.stringify([was, settingsOf(this.#situation)?.interval]);
    const now = this.#world.now();
    if (was && !settingsOf(situation)) this.end(true);
    this.#take(situation);
    if (!this.#ra) return;
    if (was) this.#withdrawals = this.#due(withdraw(was, this.#ra, this.#withdrawals, now), now);
    this.#encode(now);
    if (said !== JSON.stringify([this.#ra, settingsOf(situation)?.interval]))
      this.#schedule = begin(this.#schedule.lastMulticast, now, was ? "changed" : "initial");
  }

  /** The link came up or went down. Up, it begins anew (RFC 4861 §6.2.4). */
  linkIs(up: boolean): void {
    if (up === this.#linkUp) return;
    this.#linkUp = up;
    const { link, network } = this.#situation;
    this.#world.emit({ type: "ra.link", interface: link.name, network: network.name, up });
    if (up) this.#schedule = begin(this.#schedule.lastMulticast, this.#world.now(), "initial");
  }

  /** Sends the multicast advertisement that is due. */
  multicast(): void {
    const settings = settingsOf(this.#situation);
    if (!settings || !this.#linkUp) return;
    const { nextWhy } = this.#schedule;
    const now = this.#world.now();
    this.#schedule = afterMulticast(this.#schedule, settings.interval, now, this.#world.random);
    this.#send(ALL_NODES, nextWhy);
  }

  /**
   * A packet. The hop limit of 255 that RFC 4861 §6.1 asks for cannot be read here. It is upheld otherwise: the socket is bound
   * to the interface, and routers forward neither link-local sources nor `::`.
   */
  receive(bytes: Uint8Array, source: Address): void {
    if (bytes[0] === IcmpType.routerSolicitation) this.#solicitation(bytes, source);
    else if (bytes[0] === IcmpType.routerAdvertisement && !this.#isOurs(bytes, source)) this.#hear(bytes, source);
  }

  /** To be called once a second: tells what was dropped and what other routers say. */
  look(): void {
    const { emit } = this.#world;
    const { network, link } = this.#situation;
    const now = this.#world.now();
    this.#drops.tell(emit, network.name);
    for (const told of this.#rivals.changes(this.#ra, link.mtu, network.dhcp !== null, now)) this.#tell(told);
    this.#warn(now);
  }

  drop(why: string): void {
    this.#drops.count(why);
  }

  /**
   * Says that it is no router any more, where it was one. `removed`: the configuration has it advertise no more, so what it said is
   * withdrawn; else it stops, and may be back in a moment. Once (docs/adr/0008-final-advertisement.md).
   */
  end(removed = false): void {
    if (!this.#ra) return;
    const now = this.#world.now();
    const last = removed ? nothingOf(this.#ra) : finalAdvertisement(this.#ra);
    const withdrawn = removed ? withdraw(this.#ra, last, this.#withdrawals, now) : this.#withdrawals;
    this.#messages = encode(withWithdrawals(last, this.#due(withdrawn, now), now));
    this.#withdrawals = [];
    if (this.#linkUp) this.#send(ALL_NODES, "final");
    this.#schedule = { ...this.#schedule, lastMulticast: now };
    this.#ra = null;
  }

  #take(situation: Situation): void {
    this.#situation = situation;
    const settings = settingsOf(situation);
    this.#ra = settings && buildAdvertisement({ ...situation, settings });
    this.#encode(this.#world.now());
  }

  #encode(now: number): void {
    if (this.#ra) this.#messages = encode(withWithdrawals(this.#ra, this.#withdrawals, now));
  }

  /** What another router states is not withdrawn: hosts would lose what they have from it. */
  #due(withdrawals: readonly Withdrawal[], now: number): readonly Withdrawal[] {
    return stillDue(withdrawals, now).filter(({ fact }) => !this.#rivals.state(fact, now));
  }

  #send(to: Address, why: Why, asker: Asker = { network: this.#situation.network.name }): void {
    this.#sent(this.#hand(to), to, why, asker);
  }

  /** What kept the advertisement from being sent. */
  #hand(to: Address): Error | null {
    if (this.#withdrawals.length > 0) {
      // Their lifetimes run down.
      this.#withdrawals = this.#due(this.#withdrawals, this.#world.now());
      this.#encode(this.#world.now());
    }
    let failed: Error | null = null;
    for (const message of this.#messages) {
      const error = this.#world.send(message, to);
      failed ??= error;
    }
    return failed;
  }

  #sent(failed: Error | null, to: Address, why: Why, asker: Asker): void {
    if (failed) this.drop(`not sent: ${failed.message}`);
    else this.#world.emit({ type: "ra.sent", interface: this.#situation.link.name, to, why, ...asker });
  }

  #solicitation(bytes: Uint8Array, source: Address): void {
    const unspecified = source === "::";
    if (!unspecified && !isLinkLocal(source)) {
      this.drop("a solicitation whose source is not link-local");
      return;
    }
    const solicitation = decodeRouterSolicitation(bytes, unspecified);
    if (!solicitation.ok) {
      this.drop(solicitation.why);
      return;
    }
    const unicast = this.#ra !== null && !unspecified;
    const failed = unicast ? this.#hand(source) : null; // first of all: the machine waits for it
    if (this.#ra && unspecified) this.#schedule = afterSolicitation(this.#schedule, this.#world.now(), this.#world.random);
    const { link, network } = this.#situation;
    const mac = solicitation.value.sourceMac ?? (unspecified ? null : macOfEui64(source));
    const asker: Asker = { network: network.name, client: source, ...(mac === null ? {} : { mac }) };
    this.#world.emit({ type: "ra.solicited", interface: link.name, ...asker });
    if (unicast) this.#sent(failed, source, "solicited", asker);
  }

  /**
   * The kernel brings us none of our own, but a loop in the link may. All others that have our address come from another program on
   * this host. The first four bytes have the checksum, which the kernel makes.
   */
  #isOurs(bytes: Uint8Array, source: Address): boolean {
    return source === this.#situation.link.linkLocal && this.#messages.some((ours) => ours.subarray(4).equals(bytes.subarray(4)));
  }

  #hear(bytes: Uint8Array, source: Address): void {
    if (!isLinkLocal(source)) {
      this.drop("an advertisement whose source is not link-local");
      return;
    }
    const ra = decodeRouterAdvertisement(bytes);
    if (!ra.ok) this.drop(ra.why);
    else if (!this.#rivals.hear(source, ra.value, this.#world.now())) this.drop("an advertisement of one router more than are kept");
  }

  #tell({ router, header, state, differences }: Told): void {
    const { link, network } = this.#situation;
    const agreed = {
      advertises: header.routerLifetime > 0 ? "another router is on the link" : "it is no default router, and nothing contradicts us",
      withdrawn: "it says it is no router any more: machines that sent to it need another one",
      silent: "it is silent: machines forget what it said",
    }[state];
    const beside = router === link.linkLocal && this.#ra !== null && state === "advertises";
    const texts = [...(beside ? [BESIDE] : []), ...differences.map(({ text }) => text)];
    const why = state === "advertises" && texts.length > 0 ? texts : [agreed, ...texts];
    this.#world.emit({
      type: "ra.heard",
      interface: link.name,
      network: network.name,
      router,
      managed: header.managed,
      other: header.other,
      lifetime: state === "silent" ? 0 : header.routerLifetime,
      state,
      why: why[0] as string,
      differences: texts,
    });
  }

  /** What costs machines something, told once and again after it was over. */
  #warn(now: number): void {
    const { link, network, forwarding } = this.#situation;
    const lifetime = this.#ra?.routerLifetime ?? 0;
    const hasRouter = lifetime > 0 || this.#rivals.hasRouter(now);
    if (hasRouter || !this.#linkUp) this.#routerlessSince = null;
    else this.#routerlessSince ??= now;
    const warned = this.#warnedOf;
    // Once told it stands until a router is there, though the link goes down and up meanwhile.
    const noRouter = !hasRouter && (warned.noRouter || (this.#routerlessSince !== null && now - this.#routerlessSince >= NO_ROUTER_MS));
    const notForwarding = lifetime > 0 && !forwarding;
    this.#warnedOf = { noRouter, notForwarding };
    const told = { type: "ra.warned", interface: link.name, network: network.name } as const;
    if (warned.noRouter && !noRouter) this.#world.emit({ ...told, type: "ra.mended", rule: "no-router" });
    if (warned.notForwarding && !notForwarding) this.#world.emit({ ...told, type: "ra.mended", rule: "not-forwarding" });
    if (noRouter && !warned.noRouter)
      this.#world.emit({
        ...told,
        rule: "no-router",
        why: `no router was heard for ${NO_ROUTER_MS / 1000} s, and we are none: machines reach nothing beyond the link, and every UEFI HTTP boot waits about 10 s for one. Where this host is to be it: sysctl -w net.ipv6.conf.all.forwarding=1; else advertise: { routerLifetime: 180s } spares the 10 s`,
      });
    if (notForwarding && !warned.notForwarding)
      this.#world.emit({
        ...told,
        rule: "not-forwarding",
        why: "machines take this host for their router, and it does not forward IPv6: nothing beyond the link answers them. sysctl -w net.ipv6.conf.all.forwarding=1, if it has a way out",
      });
  }
}

const BESIDE =
  "it is another program on this host, radvd for one, with our address: machines take what either says for one router's word, and it changes every few seconds. Stop it, or set advertise: observe";

const settingsOf = ({ network: { advertise } }: Situation): AdvertiseConfig | null => (advertise === "observe" ? null : advertise);

const encode = (ra: RouterAdvertisement): Buffer[] => encodeRouterAdvertisement(ra).map((message) => Buffer.from(message));
