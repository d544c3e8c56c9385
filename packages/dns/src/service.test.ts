/** The forwarder over real sockets on loopback, with real clients. */
import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { promisify } from "node:util";
import type { DnsConfig } from "@netboot6/config";
import type { EventBody, Link } from "@netboot6/events";
import { decode, encode, type Packet, type Record } from "dns-packet";
import { Frames, frame } from "./frames.ts";
import type { LocalName } from "./local.ts";
import { type DnsSettings, startDns } from "./service.ts";
import { StreamListener } from "./stream-listener.ts";
import { freePort, query } from "./test-world.ts";

const run = promisify(execFile);

/** An upstream on loopback: UDP and TCP on one port. null: no answer. */
class Upstream {
  /** How many queries came from each port. */
  readonly ports = new Map<number, number>();
  asked = 0;
  #udp: Socket = createSocket("udp6");
  #tcp: Server;
  #answer: (name: string, overTcp: boolean) => Partial<Packet> | null;

  constructor(answer: (name: string, overTcp: boolean) => Partial<Packet> | null) {
    this.#answer = answer;
    this.#udp.on("message", (bytes, from) => {
      this.ports.set(from.port, (this.ports.get(from.port) ?? 0) + 1);
      const answered = this.#respond(bytes, false);
      if (answered) this.#udp.send(answered, from.port, from.address);
    });
    this.#tcp = createServer((socket) => {
      const frames = new Frames();
      socket.on("error", () => {});
      socket.on("data", (data) => {
        for (const bytes of frames.take(data)) {
          const answered = this.#respond(bytes, true);
          if (answered) socket.write(frame(answered));
        }
      });
    });
  }

  async listen(t: TestContext): Promise<DnsConfig["upstreams"]> {
    t.after(() => {
      this.#udp.close();
      this.#tcp.close();
    });
    // TCP chooses: connections of tests that run beside this one hold thousands of its ports, of UDP's there are few in use.
    this.#tcp.listen(0, "::1");
    await once(this.#tcp, "listening");
    const { port } = this.#tcp.address() as AddressInfo;
    await new Promise<void>((resolve) => this.#udp.bind(port, "::1", resolve));
    return [{ address: "::1", port, tlsName: null }];
  }

  #respond(bytes: Buffer, overTcp: boolean): Buffer | null {
    this.asked++;
    const { id, questions } = decode(bytes);
    const packet = this.#answer((questions[0]?.name ?? "").toLowerCase(), overTcp);
    return packet && encode({ type: "response", id, flags: 0x180, questions, ...packet });
  }
}

const big = Array.from({ length: 20 }, (_, n): Record => ({ name: "big.example", type: "TXT", ttl: 60, data: [`${n}`.padEnd(200, "x")] }));
const usual = (name: string, overTcp: boolean): Partial<Packet> | null => {
  if (name === "silent.example") return null;
  if (name === "big.example") return overTcp ? { answers: big } : { flags: 0x380 };
  return { answers: [{ name, type: "AAAA", ttl: 60, data: "2001:db8::80" }] };
};

interface Started {
  readonly port: number;
  readonly events: EventBody[];
  readonly settings: DnsSettings;
  reload(settings: DnsSettings): Promise<void>;
  tell(news: readonly LocalName[]): void;
  dig(...args: string[]): Promise<string>;
}

async function start(
  t: TestContext,
  upstreams: DnsConfig["upstreams"],
  more: Partial<DnsSettings> & { allow?: DnsConfig["allow"] } = {},
): Promise<Started> {
  const port = await freePort();
  const dns: DnsConfig = {
    port,
    listen: ["::1"],
    upstreams,
    allow: more.allow ?? "networks",
    rateLimit: null,
    records: { "boot.rack.example": ["2001:db8:0:1::1"] },
    dns64: null,
    cache: { entries: 1000, serveStale: 0 },
  };
  const settings: DnsSettings = { dns, networks: [], names: [], ...more };
  const events: EventBody[] = [];
  const link: Link = { emit: (event) => events.push(event), ask: () => Promise.reject(new Error("nothing is asked")) };
  const running = await startDns(settings, link);
  assert.deepEqual(running.listens, [`[::1]:${port}`]);
  t.after(() => running.stop());
  return {
    port,
    events,
    settings,
    reload: (next) => running.reload(next),
    tell: (news) => running.tell?.(news),
    dig: async (...args) => (await run("dig", ["@::1", "-p", `${port}`, "+tries=1", "+time=6", ...args])).stdout,
  };
}

const noDig = spawnSync("dig", ["-v"]).error ? "dig is not installed" : false;

test("dig: UDP and TCP, with and without EDNS, upstream, kept and local", { skip: noDig }, async (t) => {
  const upstream = new Upstream(usual);
  const { dig, events } = await start(t, await upstream.listen(t));
  for (const args of [["+notcp", "+noedns"], ["+notcp", "+edns=0"], ["+tcp"], ["+dnssec"], ["+tcp", "+dnssec", "+cdflag"]]) {
    const answer = await dig("a.example", "AAAA", ...args);
    assert.match(answer, /status: NOERROR[\s\S]*a\.example\.\s+\d+\s+IN\s+AAAA\s+2001:db8::80/, args.join(" "));
    assert.equal(/EDNS: version: 0/.test(answer), !args.includes("+noedns"), args.join(" "));
    assert.equal(/flags: do; udp: 1232/.test(answer), args.includes("+dnssec"), args.join(" "));
    assert.doesNotMatch(answer, /WARNING|malformed|mismatch/);
  }
  assert.match(await dig("Boot.rack.example", "AAAA"), /flags: qr aa rd[\s\S]*2001:db8:0:1::1\b/);
  assert.match(await dig("-x", "2001:db8:0:1::1"), /PTR\s+boot\.rack\.example\./);
  assert.match(await dig("x.invalid", "AAAA"), /status: NXDOMAIN[\s\S]*SOA/);
  assert.match(await dig("a.example", "+opcode=status"), /status: NOTIMP/);
  assert.match(await dig("a.example", "AAAA", "+edns=1", "+noednsneg"), /status: BADVERS/);
  assert.match(await dig("a.example", "AXFR", "+notcp"), /REFUSED|Transfer failed/);
  const answered = events.filter((event) => event.type === "dns.answered");
  assert.deepEqual(
    answered.slice(0, 2).map(({ from, rcode, client }) => [from, rcode, client]),
    [
      ["upstream", "NOERROR", "::1"],
      ["cache", "NOERROR", "::1"],
    ],
  );
});

test("dig: an answer too large for UDP comes by TCP, from upstream and to the client", { skip: noDig }, async (t) => {
  const upstream = new Upstream(usual);
  const { dig } = await start(t, await upstream.listen(t));
  assert.match(await dig("big.example", "TXT", "+ignore"), /flags: qr tc rd ra; QUERY: 1, ANSWER: 0/);
  assert.match(await dig("big.example", "TXT"), /ANSWER: 20,[\s\S]*\(TCP\)/);
});

test("a question of its own port each", async (t) => {
  const upstream = new Upstream(usual);
  const { port } = await start(t, await upstream.listen(t));
  const socket = createSocket("udp6");
  t.after(() => socket.close());
  let answers = 0;
  const all = new Promise<void>((resolve) => socket.on("message", () => ++answers === 20 && resolve()));
  for (let n = 0; n < 20; n++) socket.send(query(`${n}.example`), port, "::1");
  await all;
  assert.ok(upstream.ports.size >= 19, `${upstream.ports.size} ports`);
});

test("under load a port that was answered serves again, 16 times at most; what is left is closed when it is over", async (t) => {
  const upstream = new Upstream(usual);
  const { port } = await start(t, await upstream.listen(t));
  const socket = createSocket({ type: "udp6", recvBufferSize: 1 << 20 });
  t.after(() => socket.close());
  let answers = 0;
  let asked = 0;
  const ask = (): void => void (asked < 1_000 && socket.send(query(`${asked++}.example`), port, "::1"));
  const all = new Promise<void>((resolve) => socket.on("message", () => (++answers === 1_000 ? resolve() : ask())));
  for (let n = 0; n < 100; n++) ask();
  await all;
  const uses = [...upstream.ports.values()];
  assert.ok(uses.length < 700 && uses.length >= 1_000 / 16, `${uses.length} ports`);
  assert.ok(Math.max(...uses) <= 16);
});

test("TCP: many queries in one segment, cut anywhere, are answered as answers are ready; the client's end is awaited", async (t) => {
  const upstream = new Upstream(usual);
  const { port } = await start(t, await upstream.listen(t));
  const socket = connect({ port, host: "::1", allowHalfOpen: true });
  const frames = new Frames();
  const answered: string[] = [];
  socket.on("data", (data) => {
    for (const bytes of frames.take(data)) answered.push(decode(bytes).questions[0]?.name ?? "");
  });
  const stream = Buffer.concat(["remote.example", "boot.rack.example", "localhost"].map((name) => frame(query(name))));
  socket.write(stream.subarray(0, 40));
  socket.end(stream.subarray(40));
  await once(socket, "close");
  assert.deepEqual(answered.toSorted(), ["boot.rack.example", "localhost", "remote.example"]);
  assert.equal(answered.at(-1), "remote.example", "local answers do not wait for upstream's");
});

test("TCP: connections that do nothing, or send what is no query, are closed; one client has at most 50", async (t) => {
  const dropped: string[] = [];
  const port = await freePort();
  const receive = (bytes: Buffer): boolean => bytes.length >= 12;
  const listener = new StreamListener({ address: "::1", port, receive, drop: (why) => dropped.push(why), idle: 100 });
  await listener.listen();
  t.after(() => listener.close());
  const open = async () => {
    const socket = connect({ port, host: "::1" });
    socket.resume().on("error", () => {});
    await once(socket, "connect");
    return socket;
  };
  const idle = await open();
  const unfinished = await open();
  unfinished.write(Buffer.of(0, 40, 1));
  const rubbish = await open();
  rubbish.write(frame(Buffer.from("rubbish")));
  await Promise.all([idle, unfinished, rubbish].map((socket) => once(socket, "close")));
  assert.deepEqual(dropped, []);

  const many = await Promise.all(Array.from({ length: 51 }, open));
  await Promise.race(many.map((socket) => once(socket, "close")));
  assert.deepEqual(dropped, ["a connection too many"]);
  for (const socket of many) socket.destroy();
});

test("TCP: a query that waits for its answer keeps its connection, one that comes byte by byte does not", async (t) => {
  const port = await freePort();
  // Long enough that the query is there in time, however busy the machine is.
  const idle = 1_000;
  const receive = (bytes: Buffer, _: string, reply: (bytes: Buffer) => void): boolean => {
    setTimeout(() => reply(bytes), 2.5 * idle);
    return true;
  };
  const listener = new StreamListener({ address: "::1", port, receive, drop: () => {}, idle });
  await listener.listen();
  t.after(() => listener.close());
  const [asking, slow] = [connect({ port, host: "::1" }), connect({ port, host: "::1" })];
  t.after(() => asking.destroy());
  asking.write(frame(Buffer.from("a query")));
  slow.resume().on("error", () => {});
  slow.write(Buffer.of(0xff, 0xff));
  const writing = setInterval(() => slow.write("x"), idle / 5);
  t.after(() => clearInterval(writing));
  // It may be reset as it is written to, which is no failure.
  const closed = new Promise<void>((resolve) => slow.once("close", () => resolve()));
  const [[answer]] = await Promise.all([once(asking, "data"), closed]);
  assert.equal(String(answer), "\0\x07a query");
});

test("TCP: of a client that asks more than is answered the rest stays in the kernel until answers are sent", async (t) => {
  const port = await freePort();
  const waiting: (() => void)[] = [];
  let received = 0;
  const receive = (bytes: Buffer, _: string, reply: (bytes: Buffer) => void): boolean => {
    received++;
    waiting.push(() => reply(bytes));
    return true;
  };
  const listener = new StreamListener({ address: "::1", port, receive, drop: () => {} });
  await listener.listen();
  t.after(() => listener.close());
  const queries = 50_000;
  const socket = connect({ port, host: "::1" });
  t.after(() => socket.destroy());
  socket.write(Buffer.concat(Array.from({ length: queries }, () => frame(Buffer.alloc(12)))));
  let read = 0;
  const all = new Promise<void>((resolve) =>
    socket.on("data", ({ length }) => {
      read += length;
      if (read === queries * 14) resolve();
    }),
  );
  let most = 0;
  const answering = setInterval(() => {
    most = Math.max(most, waiting.length);
    for (const answer of waiting.splice(0)) answer();
  }, 10);
  t.after(() => clearInterval(answering));
  await all;
  assert.equal(received, queries);
  assert.ok(most >= 100 && most < 10_000, `${most} at once`);
});

test("TCP: a client that asks and never reads is cut off; others get their answers meanwhile", { skip: noDig }, async (t) => {
  const upstream = new Upstream(usual);
  const { port, dig } = await start(t, await upstream.listen(t));
  await dig("big.example", "TXT", "+tcp");
  const slow = connect({ port, host: "::1" });
  slow.pause().on("error", () => {});
  const closed = new Promise<void>((resolve) => slow.once("close", () => resolve()));
  const burst = Buffer.concat(Array.from({ length: 50 }, () => frame(query("big.example", "TXT"))));
  const asking = setInterval(() => slow.write(burst), 1);
  t.after(() => clearInterval(asking));
  for (let n = 0; n < 5; n++) assert.match(await dig("a.example", "AAAA", "+tcp"), /2001:db8::80/);
  await closed;
});

test("an upstream without a process refuses: SERVFAIL at once, and an event", async (t) => {
  const { port, events } = await start(t, [{ address: "::1", port: await freePort(), tlsName: null }]);
  const socket = createSocket("udp6");
  t.after(() => socket.close());
  const began = Date.now();
  for (let n = 0; n < 3; n++) {
    socket.send(query(`${n}.example`), port, "::1");
    const [bytes] = await once(socket, "message");
    assert.equal(decode(bytes).rcode, "SERVFAIL");
  }
  assert.ok(Date.now() - began < 2000);
  assert.ok(events.some((event) => event.type === "dns.upstream" && event.state === "down" && /refused/.test(event.why)));
});

test("an upstream that cannot be reached at all is passed over", async (t) => {
  const upstream = new Upstream(usual);
  const reachable = (await upstream.listen(t)) ?? [];
  const { port, events } = await start(t, [{ address: "fe80::1%nb6none", port: 53, tlsName: null }, ...reachable]);
  const socket = createSocket("udp6");
  t.after(() => socket.close());
  for (let n = 0; n < 3; n++) {
    socket.send(query(`${n}.example`), port, "::1");
    const [bytes] = await once(socket, "message");
    assert.equal(decode(bytes).rcode, "NOERROR");
  }
  assert.ok(events.filter((event) => event.type === "dns.answered").every(({ seconds }) => seconds < 0.5));
});

test("who is not allowed gets REFUSED; a reload lets him in", { skip: noDig }, async (t) => {
  const upstream = new Upstream(usual);
  const { dig, reload, settings } = await start(t, await upstream.listen(t), { allow: [] });
  for (const how of ["+tcp", "+notcp"]) assert.match(await dig("a.example", "AAAA", how), /status: REFUSED/);
  assert.equal(upstream.asked, 0);
  await reload({ ...settings, dns: { ...settings.dns, allow: "networks", records: { "new.rack.example": ["2001:db8::2"] } } });
  assert.match(await dig("a.example", "AAAA"), /2001:db8::80/);
  assert.match(await dig("new.rack.example", "AAAA"), /2001:db8::2/);
  const { asked } = upstream;
  await reload({
    ...settings,
    dns: { ...settings.dns, allow: "networks", rateLimit: 1_000, records: { "new.rack.example": ["2001:db8::2"] } },
  });
  assert.match(await dig("a.example", "AAAA"), /2001:db8::80/);
  assert.equal(upstream.asked, asked, "what is kept outlives a change that does not touch it");
  await assert.rejects(
    reload({ ...settings, dns: { ...settings.dns, listen: ["2001:db8:dead::1"] } }),
    /cannot listen on \[2001:db8:dead::1\]/,
  );
  assert.match(await dig("a.example", "AAAA"), /2001:db8::80/, "a reload that fails leaves all as it was");
});

test("a reload to other upstreams forgets what the former said; one to another port leaves the former", { skip: noDig }, async (t) => {
  const [former, next] = [
    new Upstream(usual),
    new Upstream((name) => ({ answers: [{ name, type: "AAAA", ttl: 60, data: "2001:db8::81" }] })),
  ];
  const { dig, reload, settings } = await start(t, await former.listen(t));
  assert.match(await dig("a.example", "AAAA"), /2001:db8::80/);
  const dns = { ...settings.dns, upstreams: await next.listen(t) };
  await reload({ ...settings, dns });
  assert.match(await dig("a.example", "AAAA"), /2001:db8::81/);
  const port = await freePort();
  await reload({ ...settings, dns: { ...dns, port } });
  assert.match(await dig("a.example", "AAAA", "-p", `${port}`), /2001:db8::81/);
  for (const how of ["+tcp", "+notcp"]) await assert.rejects(dig("a.example", "AAAA", how));
});

test("names of machines: those there are at the start, then news, and a reload's whole picture; what was kept gives way", {
  skip: noDig,
}, async (t) => {
  const upstream = new Upstream(usual);
  const name = (first: string, address?: string): LocalName => ({ name: `${first}.rack.example`, addresses: address ? [address] : [] });
  const { dig, tell, reload, settings } = await start(t, await upstream.listen(t), { names: [name("first", "2001:db8:0:1::21")] });
  const short = (which: string): Promise<string> => dig("+short", `${which}.rack.example`, "AAAA");
  assert.equal(await short("first"), "2001:db8:0:1::21\n");
  assert.equal(await short("second"), "2001:db8::80\n", "the world's, and kept");
  tell([name("second", "2001:db8:0:1::22"), name("boot", "2001:db8:0:1::66")]);
  assert.equal(await short("second"), "2001:db8:0:1::22\n");
  assert.equal(await dig("+short", "-x", "2001:db8:0:1::22"), "second.rack.example.\n");
  assert.equal(await short("boot"), "2001:db8:0:1::1\n", "a record of the configuration wins");
  tell([name("second")]);
  assert.equal(await short("second"), "2001:db8::80\n", "gone: the world is asked again");
  tell([name("third", "2001:db8:0:1::23")]);
  await reload({ ...settings, names: [name("fourth", "2001:db8:0:1::24")] });
  assert.equal(await short("third"), "2001:db8::80\n");
  assert.equal(await short("fourth"), "2001:db8:0:1::24\n");
});

test("the host's resolv.conf: what it names is asked; one that names nobody is told of", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "netboot6-dns-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const resolvConf = join(dir, "resolv.conf");
  writeFileSync(resolvConf, "search rack.example\n");
  const { port, events, reload, settings } = await start(t, null, { resolvConf });
  assert.deepEqual(
    events.map((event) => event.type === "dns.upstream" && [event.state, /names no resolver/.test(event.why)]),
    [["down", true]],
  );
  const socket = createSocket("udp6");
  t.after(() => socket.close());
  socket.send(query("a.example"), port, "::1");
  const [bytes] = await once(socket, "message");
  assert.equal(decode(bytes).rcode, "SERVFAIL");
  // Port 53 of loopback, where nobody is: refused, and the reason names whom was asked.
  writeFileSync(resolvConf, "nameserver 127.0.0.153\n");
  await reload(settings);
  socket.send(query("b.example", "AAAA", { payload: 1232 }), port, "::1");
  const [refused] = await once(socket, "message");
  assert.match(refused.toString("latin1"), /connection refused/);
  assert.deepEqual(
    events.filter((event) => event.type === "dns.upstream" && event.upstream === "none").map((event) => "state" in event && event.state),
    ["down", "gone"],
    "that there are some again is told as well",
  );
});
