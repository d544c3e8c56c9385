/**
 * Queries to upstreams by UDP. Each has a socket of its own, connected: the kernel picks a random port, drops what comes from
 * elsewhere and tells when nobody listens there. Making one costs a third of a query, so under load one that was just answered
 * serves the next queries to the same upstream, one at a time. Who guesses blindly (RFC 5452 §7) is no nearer for it: as many
 * ports and ids are as likely as before, and he sees none of them (docs/adr/0007-dns-ports.md).
 */
import { createSocket, type Socket } from "node:dgram";
import { isIPv4 } from "node:net";
import type { Upstream } from "@netboot6/config";
import { noLookup, words } from "./exchange.ts";
import type { Heard } from "./lookup.ts";

/** Queries under way from which on sockets are used again, and how often. */
const BUSY = 32;
const MOST_USES = 16;

export class Datagrams {
  /** Those that wait to be used again. */
  readonly #used = new Map<Upstream, Port[]>();
  readonly #open = new Set<Port>();
  #underWay = 0;

  /** Returns what ends the wait for an answer. */
  ask(upstream: Upstream, bytes: Buffer, heard: Heard): () => void {
    const used = this.#underWay++ < BUSY ? undefined : this.#used.get(upstream);
    const port = used?.pop() ?? this.#make(upstream);
    port.ask(bytes, heard);
    let ended = false;
    return () => {
      if (ended) return;
      ended = true;
      this.#underWay--;
      if (this.#underWay >= BUSY && port.isUsable) this.#keep(upstream, port);
      else {
        this.#close(port);
        if (this.#underWay < BUSY && this.#used.size > 0) this.#closeUsed();
      }
    };
  }

  close(): void {
    for (const port of this.#open) port.close();
    this.#open.clear();
    this.#used.clear();
  }

  #make({ address, port }: Upstream): Port {
    const made = new Port(address, port);
    this.#open.add(made);
    return made;
  }

  #close(port: Port): void {
    this.#open.delete(port);
    port.close();
  }

  #closeUsed(): void {
    for (const ports of this.#used.values()) for (const port of ports) this.#close(port);
    this.#used.clear();
  }

  #keep(upstream: Upstream, port: Port): void {
    const used = this.#used.get(upstream);
    if (used) used.push(port);
    else this.#used.set(upstream, [port]);
  }
}

class Port {
  readonly #socket: Socket;
  #heard: Heard | null = null;
  /** What goes out when it is connected. */
  #unsent: Buffer | null = null;
  #connected = false;
  #closed = false;
  #uses = 0;
  /** Its last query was answered, and nothing else can be on its way. */
  #answered = false;

  constructor(address: string, port: number) {
    this.#socket = createSocket({ type: isIPv4(address) ? "udp4" : "udp6", lookup: noLookup });
    this.#socket.on("message", (message) => {
      this.#answered = true;
      this.#heard?.message(message);
    });
    this.#socket.on("error", (error) => {
      this.#answered = false;
      this.#heard?.failed(words(error));
    });
    this.#socket.on("connect", () => {
      this.#connected = true;
      // It may have been closed before it was connected.
      if (this.#unsent && !this.#closed) this.#socket.send(this.#unsent);
    });
    // Without a callback: a failure comes as `error`.
    this.#socket.connect(port, address);
  }

  get isUsable(): boolean {
    return this.#answered && this.#uses < MOST_USES;
  }

  ask(bytes: Buffer, heard: Heard): void {
    this.#uses++;
    this.#answered = false;
    this.#heard = heard;
    if (this.#connected) this.#socket.send(bytes);
    else this.#unsent = bytes;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#heard = null;
    this.#socket.close();
  }
}
