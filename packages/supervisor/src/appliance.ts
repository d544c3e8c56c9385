/** One process: starts the services in order, watches them, reloads and stops them. */
import { type Rule, rulesInForce } from "@netboot6/boot";
import { formatPrefix } from "@netboot6/codec";
import { type Appliance, type Network, readHost, resolveNetworks } from "@netboot6/config";
import { type ConsoleSettings, Readings, startConsole } from "@netboot6/console";
import { type ServerState, startDhcpv6 } from "@netboot6/dhcpv6";
import { type DnsSettings, dnsWorker } from "@netboot6/dns";
import { EventBus, RelayCounts, type Running, type ServiceName, Timelines } from "@netboot6/events";
import { type HttpSettings, httpWorker } from "@netboot6/http";
import { type RaSettings, startRouterAdvertiser } from "@netboot6/ra";
import { type TftpSettings, tftpWorker } from "@netboot6/tftp";
import { explainTo } from "./explain/ask.ts";
import type { Registry } from "./registry.ts";
import { SupervisedWorker } from "./worker-service.ts";

export class StartError extends Error {
  override readonly name = "StartError";
}

const FIRST_WAIT_MS = 30_000;
const HOST_POLL_MS = 250;
const HOST_WATCH_MS = 2_000;
const BOOT_PROGRAMS_MS = 1_000;
const STOP_DEADLINE_MS = 4_500;
const VERDICTS_MS = 2_000;
/** So many boots at a time are stored: a storm's timelines must not hold up an answer. */
const STORED_BOOTS = 10;
const STORE_BOOTS_MS = 100;

/** What a service's settings are, from the whole picture; null where it is off. */
interface Service {
  readonly name: ServiceName;
  start(): Promise<void>;
  reload(): Promise<void>;
  /** `forGood`: the configuration turned it off. */
  stop(forGood?: boolean): Promise<void>;
  tell?(news: unknown): void;
}

export class RunningAppliance {
  readonly bus: EventBus;
  readonly registry: Registry;
  readonly timelines = new Timelines();
  readonly relays = new RelayCounts();
  readonly readings = new Readings(this.timelines);
  #appliance: Appliance;
  #networks: readonly Network[] = [];
  #services: Service[] = [];
  #watch: NodeJS.Timeout | null = null;
  #judging: NodeJS.Timeout | null = null;
  #unwatchNames: (() => void) | null = null;
  #storing: NodeJS.Timeout | null = null;
  #waitingFor = "";
  #refusal = "";
  #changing: Promise<void> = Promise.resolve();
  #stopping = false;

  constructor(appliance: Appliance, registry: Registry) {
    this.#appliance = appliance;
    this.registry = registry;
    this.bus = new EventBus(registry.whoIs);
    this.timelines.restore(registry.boots);
    registry.forgetBoots = (machine) => this.timelines.forget(machine);
    registry.loopOf = (machine, since) => this.timelines.loop(machine, since, Date.now());
    registry.programLoopOf = (machine, since) => this.timelines.programLoop(machine, since, Date.now());
    this.bus.subscribe(this.timelines.read);
    this.bus.subscribe(this.relays.read);
    this.bus.subscribe(this.readings.read);
  }

  /** Resolves once each enabled service answers. Throws StartError with a plain message. */
  async start(): Promise<void> {
    const started = performance.now();
    const { emit } = this.bus;
    if (this.registry.setAside !== null) emit({ type: "appliance.warned", why: this.registry.setAside });
    this.#networks = await this.#waitForHost(started);
    this.registry.configure(this.#appliance, this.#networks);
    this.#services = this.#compose();
    for (const service of this.#services) {
      if (this.#stopping) throw new StartError("stopped while it started");
      try {
        await service.start();
      } catch (error) {
        throw new StartError(`${service.name}: ${(error as Error).message}`);
      }
    }
    emit({
      type: "appliance.ready",
      services: this.#services.map((service) => service.name),
      seconds: (performance.now() - started) / 1000,
    });
    this.#watch = setInterval(() => this.#followHost(), HOST_WATCH_MS);
    this.#unwatchNames = this.registry.watchNames((changed) => {
      for (const { name, tell } of this.#services) if (name === "dns") tell?.(changed);
    });
    this.#judging = setInterval(() => this.#tellVerdicts(), VERDICTS_MS);
    this.#storing = setInterval(() => this.registry.rememberBoots(this.timelines.takeUnstored(STORED_BOOTS)), STORE_BOOTS_MS);
  }

  /** Takes a new configuration; sockets and leases stay. */
  reload(appliance: Appliance): Promise<void> {
    return this.#change(async () => {
      const { networks, waiting } = resolveNetworks(appliance, readHost());
      const known = this.#withKnown(appliance, networks);
      if (known.length < appliance.networks.length) throw new Error(waiting.join("; "));
      await this.#become(appliance, known);
    });
  }

  async stop(why: string): Promise<void> {
    if (this.#stopping) return;
    this.#stopping = true;
    if (this.#watch) clearInterval(this.#watch);
    if (this.#judging) clearInterval(this.#judging);
    this.#unwatchNames?.();
    if (this.#storing) clearInterval(this.#storing);
    this.bus.emit({ type: "appliance.stopping", why });
    const deadline = setTimeout(() => process.exit(1), STOP_DEADLINE_MS);
    await this.#changing.catch(() => {});
    await Promise.allSettled(this.#services.toReversed().map((service) => service.stop()));
    this.registry.rememberBoots(this.timelines.takeUnstored(Number.POSITIVE_INFINITY));
    await this.registry.close();
    clearTimeout(deadline);
  }

  #tellVerdicts(): void {
    for (const { machine, verdict } of this.timelines.newVerdicts(Date.now()))
      this.bus.emit(verdict ? { type: "machine.stuck", ...verdict, machine } : { type: "machine.goesOn", machine });
  }

  async #waitForHost(started: number): Promise<readonly Network[]> {
    let told = "";
    while (!this.#stopping) {
      const { networks, waiting } = resolveNetworks(this.#appliance, readHost());
      if (waiting.length === 0) return networks;
      const why = waiting.join("; ");
      if (performance.now() - started > FIRST_WAIT_MS) throw new StartError(`${why} (waited ${FIRST_WAIT_MS / 1000} s)`);
      if (why !== told) this.bus.emit({ type: "appliance.waiting", why });
      told = why;
      await new Promise((resolve) => setTimeout(resolve, HOST_POLL_MS));
    }
    throw new StartError("stopped while it waited");
  }

  /** The host changed under us: addresses, MTU, an interface gone and back. What is missing is waited for, for ever. */
  #followHost(): void {
    const { networks, waiting } = resolveNetworks(this.#appliance, readHost());
    const why = waiting.join("; ");
    if (why !== this.#waitingFor) this.bus.emit(why === "" ? { type: "appliance.resumed" } : { type: "appliance.waiting", why });
    this.#waitingFor = why;
    const known = this.#withKnown(this.#appliance, networks);
    if (sameNetworks(known, this.#networks)) return;
    this.#change(() => this.#become(this.#appliance, known)).then(
      () => {
        this.#refusal = "";
      },
      ({ message }: Error) => {
        // It is tried again at the next look; the same reason is told once.
        if (message !== this.#refusal) this.bus.emit({ type: "appliance.refused", why: message });
        this.#refusal = message;
      },
    );
  }

  /**
   * The networks as the host has them. One that is missing for now stays where it was, with what the file says of it, so that it
   * holds up none of the others; where the file puts it elsewhere it is not known.
   */
  #withKnown(appliance: Appliance, networks: readonly Network[]): Network[] {
    return appliance.networks.flatMap((config) => {
      const there = networks.find(({ name }) => name === config.name);
      const before = this.#networks.find(({ name }) => name === config.name);
      if (there || !before) return there ?? [];
      const prefix = config.prefix ?? before.prefix;
      const moved =
        config.interface !== (before.link?.name ?? null) ||
        formatPrefix(prefix) !== formatPrefix(before.prefix) ||
        (config.address ?? before.address) !== before.address;
      return moved ? [] : { ...config, prefix, address: before.address, link: before.link };
    });
  }

  #change(change: () => Promise<void>): Promise<void> {
    const next = this.#changing.catch(() => {}).then(change);
    this.#changing = next.catch(() => {});
    return next;
  }

  /** All of it or nothing: where one service cannot take it, those that could go back. */
  async #become(appliance: Appliance, networks: readonly Network[]): Promise<void> {
    const before = { appliance: this.#appliance, networks: this.#networks };
    const kept = new Map(this.#services.map((service) => [service.name, service]));
    const services: Service[] = [];
    const started: Service[] = [];
    const reloaded: Service[] = [];
    this.#take(appliance, networks);
    try {
      for (const service of this.#compose()) {
        const old = kept.get(service.name);
        kept.delete(service.name);
        services.push(old ?? service);
        (old ? reloaded : started).push(old ?? service);
        await (old ? old.reload() : service.start());
      }
    } catch (error) {
      this.#take(before.appliance, before.networks);
      await Promise.allSettled([...started.map((service) => service.stop()), ...reloaded.map((service) => service.reload())]);
      throw error;
    }
    for (const service of kept.values()) await service.stop(true);
    this.#services = services;
    this.bus.emit({ type: "appliance.reloaded", changed: services.map((service) => service.name) });
  }

  #take(appliance: Appliance, networks: readonly Network[]): void {
    this.#appliance = appliance;
    this.#networks = networks;
    this.registry.configure(appliance, networks);
  }

  /** The services that the configuration turns on, in the order they start: who advertises the others comes last. */
  #compose(): Service[] {
    const { dns, http, tftp, networks, console: page } = this.#appliance;
    const services: Service[] = [];
    if (page)
      services.push(
        this.#inMain<ConsoleSettings>(
          "console",
          () => ({ appliance: this.#appliance, console: this.#appliance.console ?? page, networks: this.#networks }),
          (settings) =>
            startConsole(settings, {
              bus: this.bus,
              timelines: this.timelines,
              relays: this.relays,
              readings: this.readings,
              registry: this.registry,
              explain: (asked) =>
                explainTo(asked, { appliance: this.#appliance, networks: this.#networks, registry: this.registry.copy() }, null),
            }),
        ),
      );
    if (networks.some((network) => network.dhcp))
      services.push(
        this.#inMain(
          "dhcpv6",
          () => this.#serverState(),
          (state) =>
            startDhcpv6(state, {
              emit: this.bus.emit,
              store: (leases, sendUntil) => this.registry.storeLeases(leases, sendUntil),
              remember: (machines) => this.registry.rememberMachines(machines),
            }),
        ),
      );
    if (dns)
      services.push(
        this.#inWorker<DnsSettings>("dns", dnsWorker, () => ({
          dns: this.#appliance.dns ?? dns,
          networks: this.#networks,
          names: [...this.registry.names()].map(([name, addresses]) => ({ name, addresses })),
        })),
      );
    if (http)
      services.push(
        this.#inWorker<HttpSettings>("http", httpWorker, () => ({ http: this.#appliance.http ?? http, networks: this.#networks })),
      );
    if (tftp)
      services.push(
        this.#inWorker<TftpSettings>("tftp", tftpWorker, () => ({ tftp: this.#appliance.tftp ?? tftp, networks: this.#networks })),
      );
    if (networks.some((network) => network.advertise !== null && !network.relayed))
      services.push(
        this.#inMain<RaSettings>(
          "ra",
          () => ({ appliance: this.#appliance, networks: this.#networks }),
          (settings) => startRouterAdvertiser(settings, this.bus.emit),
        ),
      );
    return services;
  }

  #serverState(): ServerState {
    const appliance = this.#appliance;
    // A boot program that is put there while it runs is given out a moment later.
    let looked = { at: performance.now(), rules: rulesInForce(appliance) };
    const rules = (): readonly Rule[] => {
      if (performance.now() - looked.at > BOOT_PROGRAMS_MS) looked = { at: performance.now(), rules: rulesInForce(appliance) };
      return looked.rules;
    };
    return {
      appliance: this.#appliance,
      networks: this.#networks,
      get rules() {
        return rules();
      },
      machines: this.registry.machines,
      leases: this.registry.leases,
      serverDuid: this.registry.serverDuid,
      programLoop: (machine) => this.registry.programLoop(machine),
    };
  }

  #inMain<Settings>(name: ServiceName, settings: () => Settings, start: (settings: Settings) => Promise<Running<Settings>>): Service {
    let running: Running<Settings> | null = null;
    return {
      name,
      start: async () => {
        running = await start(settings());
        this.bus.emit({ type: "service.ready", service: name, listens: running.listens });
      },
      reload: async () => running?.reload(settings()),
      stop: async (forGood) => running?.stop(forGood),
    };
  }

  #inWorker<Settings>(name: ServiceName, program: URL, settings: () => Settings): Service {
    const { emit } = this.bus;
    const worker = new SupervisedWorker<Settings>({
      name,
      program,
      settings,
      emit,
      answer: (question) => this.registry.answer(question, emit),
    });
    return {
      name,
      start: () => worker.start(),
      reload: () => worker.reload(),
      stop: () => worker.stop(),
      tell: (news) => worker.tell(news),
    };
  }
}

const sameNetworks = (a: readonly Network[], b: readonly Network[]): boolean =>
  a.length === b.length &&
  a.every(
    (network, i) =>
      network.address === b[i]?.address &&
      network.prefix.address === b[i]?.prefix.address &&
      network.prefix.length === b[i]?.prefix.length &&
      JSON.stringify(network.link) === JSON.stringify(b[i]?.link),
  );
