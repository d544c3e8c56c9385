/** An advertiser on a link of its own: no socket, and a clock that goes on when the test says so. */
import { type Address, decodeRouterAdvertisement, encodeRouterAdvertisement, prefixOf, type RouterAdvertisement } from "@netboot6/codec";
import type { AdvertiseConfig, Link, Network } from "@netboot6/config";
import type { EventBody, EventType } from "@netboot6/events";
import { Advertiser, type Situation } from "./advertiser.ts";

export const SETTINGS: AdvertiseConfig = {
  interval: [5, 60],
  routerLifetime: "auto",
  preference: "medium",
  hopLimit: 64,
  mtu: null,
  onLink: true,
  autonomous: true,
  validLifetime: 86400,
  preferredLifetime: 14400,
  dns: null,
  search: null,
  dnsLifetime: null,
  routes: [],
  pref64: null,
};
const LINK: Link = { name: "eth1", index: 2, mac: "02:1a:b0:00:00:01", mtu: 1500, linkLocal: "fe80::1" };
export const NETWORK = {
  name: "provisioning",
  prefix: prefixOf("2001:db8:0:1::", 64),
  address: "2001:db8:0:1::1",
  link: LINK,
  dhcp: { managed: false },
  advertise: SETTINGS,
} as unknown as Network;

/** `advertise: null` only listens. */
export function situation(advertise: Partial<AdvertiseConfig> | null = {}, more: Partial<Situation> = {}): Situation {
  const network: Network = { ...(more.network ?? NETWORK), advertise: advertise ? { ...SETTINGS, ...advertise } : "observe" };
  return { link: LINK, forwarding: true, dnsOn: true, domain: "rack.example", ...more, network };
}

interface Sent {
  readonly at: number;
  readonly to: Address;
  readonly ra: RouterAdvertisement;
}

/** What another router says unless the test says otherwise: the same as we do. */
export const SAME: RouterAdvertisement = {
  hopLimit: 64,
  managed: false,
  other: true,
  preference: "medium",
  routerLifetime: 0,
  reachableTime: 0,
  retransTimer: 0,
  sourceMac: "02:1a:b0:00:00:09",
  mtu: 1500,
  prefixes: [{ prefix: "2001:db8:0:1::", length: 64, onLink: true, autonomous: true, valid: 86400, preferred: 14400 }],
  routes: [],
  rdnss: [{ addresses: ["2001:db8:0:1::1"], lifetime: 180 }],
  dnssl: [{ domains: ["rack.example"], lifetime: 180 }],
  pref64: [],
};

export class TestWorld {
  now = 0;
  /** So many messages from now on are kept from being sent. */
  kept = 0;
  readonly sent: Sent[] = [];
  readonly events: EventBody[] = [];
  readonly advertiser: Advertiser;
  #looked = 0;

  constructor(first: Situation = situation(), random: () => number = () => 0.5) {
    this.advertiser = new Advertiser(first, {
      emit: (event) => this.events.push(event),
      now: () => this.now,
      random,
      send: (message, to) => {
        const ra = decodeRouterAdvertisement(message);
        if (!ra.ok) throw new Error(ra.why);
        if (this.kept > 0) {
          this.kept--;
          return new Error("ENOBUFS");
        }
        this.sent.push({ at: this.now, to, ra: ra.value });
        return null;
      },
    });
  }

  /** Lets the time pass, with all that is due in it. */
  pass(seconds: number): void {
    const end = this.now + seconds * 1000;
    for (;;) {
      const due = this.advertiser.due ?? Number.POSITIVE_INFINITY;
      const next = Math.min(due, this.#looked + 1000);
      if (next > end) break;
      this.now = Math.max(this.now, next);
      if (due <= this.now) this.advertiser.multicast();
      if (this.#looked + 1000 <= this.now) {
        this.#looked = this.now;
        this.advertiser.look();
      }
    }
    this.now = end;
  }

  hear(ra: Partial<RouterAdvertisement>, router: Address = "fe80::9"): void {
    for (const message of encodeRouterAdvertisement({ ...SAME, ...ra })) this.advertiser.receive(message, router);
  }

  of<Type extends EventType>(type: Type): Extract<EventBody, { type: Type }>[] {
    return this.events.filter((event): event is Extract<EventBody, { type: Type }> => event.type === type);
  }
}
