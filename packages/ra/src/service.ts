/** The router advertiser's edge: sockets, clock and what the host says. */
import type { Address } from "@netboot6/codec";
import type { Appliance, Link, Network } from "@netboot6/config";
import type { Emit, EventBody, Running } from "@netboot6/events";
import type { Socket } from "raw-socket";
import { Advertiser, type Situation } from "./advertiser.ts";
import { forwards, isUp } from "./host.ts";
import { openSocket } from "./socket.ts";

export interface RaSettings {
  readonly appliance: Appliance;
  readonly networks: readonly Network[];
}

const LOOK_MS = 1_000;
const TELL_MS = 2;

/**
 * Tells what happened a moment later, in its order. A rack that is powered on is answered sooner when the readers of events come
 * after the answers, and so is a single machine, where the link's other end is on this processor.
 */
class Later {
  #events: EventBody[] = [];
  readonly #emit: Emit;

  constructor(emit: Emit) {
    this.#emit = emit;
  }

  readonly emit: Emit = (event) => {
    if (this.#events.push(event) === 1) setTimeout(() => this.tell(), TELL_MS);
  };

  tell(): void {
    const events = this.#events;
    this.#events = [];
    for (const event of events) this.#emit(event);
  }
}

export async function startRouterAdvertiser(settings: RaSettings, tell: Emit): Promise<Running<RaSettings>> {
  const later = new Later(tell);
  const { emit } = later;
  let runners = new Map<string, Runner>();
  const follow = async (next: RaSettings): Promise<void> => {
    const wanted = new Map<string, Runner>();
    try {
      for (const network of next.networks) {
        if (!network.link || network.advertise === null) continue;
        const { name, index, mac, linkLocal } = network.link;
        // Another index, MAC or link-local address under the same name is another interface: its socket is of no use.
        const key = [name, index, mac, linkLocal].join(" ");
        wanted.set(key, runners.get(key) ?? new Runner(next.appliance, network, network.link, emit));
        runners.get(key)?.change(next.appliance, network, network.link);
      }
    } catch (error) {
      for (const [key, added] of wanted) if (!runners.has(key)) added.close(); // it has said nothing yet
      throw error;
    }
    const gone = [...runners].filter(([key]) => !wanted.has(key)).map(([, runner]) => runner);
    const names = new Set([...wanted.values()].map((runner) => runner.interface));
    runners = wanted;
    // On an interface that goes on as another one, a farewell would come from the new address and withdraw that.
    for (const runner of gone) names.has(runner.interface) ? runner.close() : runner.stop(true);
  };
  await follow(settings);
  const timer = setInterval(() => {
    for (const runner of runners.values()) runner.look();
  }, LOOK_MS);
  return {
    get listens() {
      return [...runners.values()].map((runner) => runner.interface);
    },
    reload: follow,
    async stop(forGood = false) {
      clearInterval(timer);
      for (const runner of runners.values()) runner.stop(forGood);
      runners = new Map();
      later.tell();
    },
  };
}

class Runner {
  #situation: Omit<Situation, "forwarding">;
  #forwarding: boolean;
  readonly #advertiser: Advertiser;
  #socket: Socket | null;
  #closed = false;
  #timer: NodeJS.Timeout | null = null;
  /** What the timer waits for. */
  #planned: number | null = null;

  constructor(appliance: Appliance, network: Network, link: Link, emit: Emit) {
    this.#situation = situationOf(appliance, network, link);
    this.#forwarding = forwards(link.name);
    this.#socket = this.#open();
    const now = () => performance.now(); // the wall clock steps when time is set
    const world = { emit, now, random: Math.random, send: (message: Buffer, to: Address) => this.#send(message, to) };
    this.#advertiser = new Advertiser({ ...this.#situation, forwarding: this.#forwarding }, world);
    this.#plan();
  }

  get interface(): string {
    return this.#situation.link.name;
  }

  change(appliance: Appliance, network: Network, link: Link): void {
    this.#situation = situationOf(appliance, network, link);
    this.#forwarding = forwards(link.name);
    this.#advertiser.change({ ...this.#situation, forwarding: this.#forwarding });
    this.#plan();
  }

  /** What changed on the host since the last look. */
  look(): void {
    const { link } = this.#situation;
    const forwarding = forwards(link.name);
    const up = isUp(link);
    this.#advertiser.linkIs(up);
    if (up && forwarding !== this.#forwarding) {
      this.#forwarding = forwarding;
      this.#advertiser.change({ ...this.#situation, forwarding });
    }
    if (up && !this.#socket) this.#reopen();
    this.#advertiser.look();
    this.#plan();
  }

  stop(removed: boolean): void {
    this.#advertiser.end(removed);
    this.close();
  }

  close(): void {
    this.#closed = true;
    if (this.#timer) clearTimeout(this.#timer);
    this.#socket?.close();
    this.#socket = null; // sending on a closed one would open another, bound to nothing
  }

  #open(): Socket {
    const socket = openSocket(this.#situation.link);
    // In place of its own reader and emitter: a solicitation waits while they run.
    const buffer = Buffer.alloc(65_536);
    const take = (_: Buffer, length: number, source: string): void => {
      this.#advertiser.receive(buffer.subarray(0, length), source);
      this.#plan();
    };
    const { wrap } = socket;
    const others = wrap.emit;
    wrap.emit = (event, ...args) => {
      if (event !== "recvReady") return others.call(wrap, event, ...args);
      try {
        if (!this.#closed) wrap.recv(buffer, take); // a closed one would open another, as for sending
      } catch (error) {
        this.#advertiser.drop((error as Error).message);
      }
      return true;
    };
    socket.on("error", (error) => this.#advertiser.drop(error.message));
    socket.on("close", () => {
      if (this.#socket === socket) this.#socket = null;
    });
    return socket;
  }

  /** raw-socket closes a socket on an error of the event loop's. */
  #reopen(): void {
    try {
      this.#socket = this.#open();
    } catch (error) {
      this.#advertiser.drop(`no socket: ${(error as Error).message}`);
    }
  }

  #plan(): void {
    const { due } = this.#advertiser;
    if (due === this.#planned && !this.#closed) return;
    this.#planned = due;
    if (this.#timer) clearTimeout(this.#timer);
    if (due === null || this.#closed) return;
    this.#timer = setTimeout(
      () => {
        this.#advertiser.multicast();
        this.#plan();
      },
      Math.max(0, due - performance.now()),
    );
  }

  #send(message: Buffer, to: Address): Error | null {
    if (!this.#socket) return new Error("no socket");
    try {
      // Now: `send` would queue it for the next turn of the loop, which makes the time to an answer half as long again.
      this.#socket.wrap.send(message, 0, message.length, to, () => {});
      return null;
    } catch (error) {
      return error as Error;
    }
  }
}

const situationOf = (appliance: Appliance, network: Network, link: Link) => ({
  network,
  link,
  dnsOn: appliance.dns !== null,
  domain: appliance.domain,
});
