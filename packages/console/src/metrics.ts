/** `/metrics`: a reader of the stream. Labels are bounded: services, networks, stages, never machines. */
import { type BootEvent, STAGES, type Timelines } from "@netboot6/events";
import { type Leases, stateOf } from "@netboot6/leases";
import type { Machines } from "@netboot6/machines";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import { BootClock } from "./boot-clock.ts";
import { Reasons } from "./reasons.ts";
import { strangersOf } from "./strangers.ts";
import { Transfers } from "./transfers.ts";
import { VERSION } from "./version.ts";

const STAGE_BUCKETS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800];
const BOOT_BUCKETS = [10, 30, 60, 90, 120, 180, 300, 600, 1200, 1800, 3600];
const LEASE_STATES = ["bound", "expired", "released", "declined"] as const;
const RESPONSES = /^(GET|HEAD)$/;

export interface Stock {
  readonly machines: Machines;
  readonly leases: Leases;
  readonly networks: readonly string[];
}

export class Metrics {
  readonly #registry = new Registry();
  readonly #timelines: Timelines;
  readonly #clock: BootClock;
  readonly #http: Transfers;
  readonly #tftp: Transfers;
  readonly #dropReasons = new Reasons();
  readonly #wireReasons = new Reasons();
  /** Not counted into the metric yet. */
  readonly #answered: { readonly message: string; readonly answer: string; readonly network: string; count: number }[] = [];
  #process = false;

  readonly #dhcpv6 = this.#counter("dhcpv6_messages_total", "DHCPv6 messages answered", ["message", "answer", "network"]);
  readonly #dhcpv6Dropped = this.#counter("dhcpv6_dropped_total", "DHCPv6 messages not answered", ["reason", "network"]);
  readonly #wireDropped = this.#counter("wire_dropped_total", "Packets that were no message, or too many", ["service", "reason"]);
  readonly #dns = this.#counter("dns_answers_total", "DNS answers", ["from", "rcode"]);
  readonly #upstream = this.#gauge("dns_upstream_up", "Whether an upstream resolver answers", ["upstream"]);
  readonly #requests = this.#counter("http_requests_total", "HTTP requests answered", ["method", "status"]);
  readonly #transfers = this.#counter("tftp_transfers_total", "TFTP transfers ended", ["status"]);
  readonly #rendered = this.#counter("rendered_files_total", "Scripts and answers files rendered", ["profile_kind"]);
  readonly #raSent = this.#counter("ra_sent_total", "Router advertisements sent", ["network", "why"]);
  readonly #raSolicited = this.#counter("ra_solicited_total", "Router solicitations heard", ["network"]);
  readonly #raHeard = this.#counter("ra_heard_total", "News of other routers", ["network", "state"]);
  readonly #stuckTotal = this.#counter("machines_stuck_total", "Boots that came to stand still", ["rule"]);
  readonly #done = this.#counter("installations_done_total", "Installations that reported done", []);
  readonly #failures = this.#counter("service_failures_total", "Services that ended and were started again", ["service"]);
  readonly #reloads = this.#counter("reloads_total", "Reloads of the configuration", ["result"]);
  readonly #serviceUp = this.#gauge("service_up", "Whether a service answers", ["service"]);

  constructor(timelines: Timelines) {
    this.#timelines = timelines;
    const histogram = (name: string, help: string, buckets: number[], labelNames: string[]): Histogram =>
      new Histogram({ name: `netboot6_${name}`, help, buckets, labelNames, registers: [this.#registry] });
    const stages = histogram("boot_stage_seconds", "How long machines took for a stage of their boot", STAGE_BUCKETS, ["stage"]);
    const boots = histogram("boot_seconds", "From a machine's first question to its report of done", BOOT_BUCKETS, []);
    this.#clock = new BootClock(
      (stage, seconds) => stages.observe({ stage }, seconds),
      (seconds) => boots.observe(seconds),
    );
    const transfers = (service: string): Transfers => {
      const sent = this.#counter(`${service}_sent_bytes_total`, `Bytes of files sent by ${service.toUpperCase()}`, []);
      const running = this.#gauge(`${service}_transfers_running`, `${service.toUpperCase()} transfers under way`, []);
      const of = new Transfers((bytes) => sent.inc(bytes));
      Object.assign(running, { collect: () => running.set(of.running) });
      return of;
    };
    this.#http = transfers("http");
    this.#tftp = transfers("tftp");
    this.#gauge("build_info", "Always 1", ["version", "node"]).set({ version: VERSION, node: process.version }, 1);
  }

  /** A reader for the bus, after the timelines. */
  readonly read = (event: BootEvent): void => {
    switch (event.type) {
      case "dhcpv6.answered":
        this.#countAnswered(event.message, event.answer, event.network ?? "");
        break;
      case "dhcpv6.dropped":
        this.#dhcpv6Dropped.inc({ reason: this.#dropReasons.of(event.why), network: event.network ?? "" });
        break;
      case "wire.dropped":
        this.#wireDropped.inc({ service: event.service, reason: this.#wireReasons.of(event.why) }, event.count);
        break;
      case "dns.answered":
        this.#dns.inc({ from: event.from, rcode: event.rcode });
        break;
      case "dns.counted":
        this.#dns.inc({ from: event.from, rcode: event.rcode }, event.count);
        break;
      case "dns.upstream":
        if (event.state === "gone") this.#upstream.remove({ upstream: event.upstream });
        else this.#upstream.set({ upstream: event.upstream }, Number(event.state === "up"));
        break;
      case "http.started":
      case "http.progress":
        this.#http.goesOn(event.id, "sent" in event ? event.sent : 0);
        break;
      case "http.finished":
        this.#http.ends(event.id, event.sent);
        this.#requests.inc({ method: RESPONSES.test(event.method) ? event.method : "other", status: event.status });
        break;
      case "tftp.started":
      case "tftp.progress":
        this.#tftp.goesOn(event.id, "sent" in event ? event.sent : 0);
        break;
      case "tftp.finished":
        this.#tftp.ends(event.id, event.sent);
        this.#transfers.inc({ status: event.status });
        break;
      case "machine.rendered":
        this.#rendered.inc({ profile_kind: event.profileKind });
        break;
      case "ra.sent":
        this.#raSent.inc({ network: event.network ?? "", why: event.why });
        break;
      case "ra.solicited":
        this.#raSolicited.inc({ network: event.network ?? "" });
        break;
      case "ra.heard":
        this.#raHeard.inc({ network: event.network ?? "", state: event.state });
        break;
      case "machine.stuck":
        this.#stuckTotal.inc({ rule: event.rule });
        break;
      case "machine.done":
        this.#done.inc();
        break;
      case "appliance.reloaded":
        this.#reloads.inc({ result: "taken" });
        break;
      case "appliance.refused":
        this.#reloads.inc({ result: "refused" });
        break;
      case "service.ready":
        this.#serviceUp.set({ service: event.service }, 1);
        break;
      case "service.failed":
        this.#serviceUp.set({ service: event.service }, 0);
        this.#failures.inc({ service: event.service });
        // Whatever it was sending is broken off, and its numbers begin anew.
        if (event.service === "http") this.#http.forget();
        if (event.service === "tftp") this.#tftp.forget();
        break;
    }
    if ("machine" in event && event.machine !== undefined) {
      const { machine } = event;
      this.#clock.tick(machine, this.#timelines.stage(machine), event);
    }
  };

  /** A storm's every message: found by its words, which are the same ones each time, where the counter would put a key together. */
  #countAnswered(message: string, answer: string, network: string): void {
    let of = this.#answered.find((each) => each.message === message && each.answer === answer && each.network === network);
    if (of === undefined) {
      of = { message, answer, network, count: 0 };
      this.#answered.push(of);
    }
    of.count++;
  }

  /** Of now, with what the process itself tells. */
  async text(stock: Stock): Promise<string> {
    if (!this.#process) {
      this.#process = true;
      collectDefaultMetrics({ register: this.#registry });
    }
    for (const of of this.#answered) {
      const { count, ...labels } = of;
      this.#dhcpv6.inc(labels, count);
      of.count = 0;
    }
    this.#countMachines(stock);
    this.#countLeases(stock);
    return this.#registry.metrics();
  }

  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;

  readonly #machines = this.#gauge("machines", "Machines by the stage that their newest boot has come to", ["stage"]);
  readonly #standing = this.#gauge("machines_stuck", "Machines that stand still, by the rule of their verdict", ["rule"]);
  readonly #leases = this.#gauge("leases", "Addresses and prefixes that were leased, by network and state", ["network", "state"]);

  /** Those that `GET /machines` lists. */
  #countMachines({ machines }: Stock): void {
    for (const { name } of STAGES) this.#machines.set({ stage: name }, 0);
    this.#machines.set({ stage: "none" }, 0);
    this.#standing.reset();
    const now = Date.now();
    for (const id of [...[...machines.all()].map(({ id }) => id), ...strangersOf(machines, this.#timelines, now)]) {
      this.#machines.inc({ stage: this.#timelines.stage(id) ?? "none" });
      const verdict = this.#timelines.verdict(id, now);
      if (verdict) this.#standing.inc({ rule: verdict.rule });
    }
  }

  #countLeases({ leases, networks }: Stock): void {
    const now = Math.floor(Date.now() / 1000);
    const counts = new Map<string, number>();
    for (const lease of leases.all()) {
      const key = `${stateOf(lease, now)} ${lease.network}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    this.#leases.reset();
    for (const network of networks)
      for (const state of LEASE_STATES) this.#leases.set({ network, state }, counts.get(`${state} ${network}`) ?? 0);
  }

  #counter(name: string, help: string, labelNames: string[]): Counter {
    return new Counter({ name: `netboot6_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #gauge(name: string, help: string, labelNames: string[]): Gauge {
    return new Gauge({ name: `netboot6_${name}`, help, labelNames, registers: [this.#registry] });
  }
}
