/** Damaged messages to the real sockets: it goes on answering, and keeps nothing of them. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { type TestContext, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { prefixOf } from "@netboot6/codec";
import { decode } from "dns-packet";
import { frame } from "./frames.ts";
import { startDns } from "./service.ts";
import { freePort, mutate, query, randomness } from "./test-world.ts";

const PACKETS = 100_000;
/** Before memory is measured: what is made once, and caches that fill up. */
const WARMING = 20_000;
const BATCH = 100;
/** Messages of one connection. The first that is no query ends it. */
const PIPELINED = 8;
const CONNECTIONS = 20;
/** Where a damaged length swallowed the last one. */
const UNANSWERED_MS = 50;
const LAST = Buffer.of(0xfe, 0xed);
const isLast = (bytes: Buffer): boolean => bytes.subarray(0, 2).equals(LAST);
const MOST_GROWTH_MB = 10;

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;
const heldMb = (): number => {
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return (heapUsed + external) / 2 ** 20;
};
const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const SAMPLES = [
  query("mirror.example", "AAAA", { payload: 1232, dnssecOk: true }),
  query("four.example", "AAAA"),
  query("a.localhost"),
  query("x.10.in-addr.arpa", "PTR"),
  query("boot.rack.example"),
  Buffer.alloc(40),
];

/** It has no records, whatever it is asked. */
async function emptyUpstream(t: TestContext): Promise<number> {
  const socket = createSocket("udp6");
  socket.on("message", (bytes, from) => {
    bytes.writeUInt16BE(0x8180, 2);
    socket.send(bytes, from.port, from.address);
  });
  socket.bind(0, "::1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return socket.address().port;
}

async function start(t: TestContext): Promise<{ port: number; dropped: () => number }> {
  const upstream = await emptyUpstream(t);
  const port = await freePort();
  let dropped = 0;
  const running = await startDns(
    {
      dns: {
        port,
        listen: ["::1"],
        upstreams: [{ address: "::1", port: upstream, tlsName: null }],
        allow: "networks",
        rateLimit: null,
        records: { "boot.rack.example": ["2001:db8:0:1::1"] },
        dns64: prefixOf("64:ff9b::", 96),
        cache: { entries: 1_000, serveStale: 0 },
      },
      networks: [],
      names: [],
    },
    {
      emit: (event) => {
        if (event.type === "wire.dropped") dropped += event.count;
      },
      ask: () => Promise.reject(new Error("nothing is asked")),
    },
  );
  t.after(() => running.stop());
  return { port, dropped: () => dropped };
}

/** Whether a name of its own and one of the upstream's are answered by UDP within two seconds. */
async function answers(socket: Socket, port: number): Promise<void> {
  for (const [name, records] of [
    ["localhost", 1],
    ["fresh.example", 0],
  ] as const) {
    const asked = query(name);
    LAST.copy(asked);
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const hear = (bytes: Buffer): void => {
      if (isLast(bytes) && decode(bytes).questions[0]?.name === name) resolve(bytes);
    };
    socket.on("message", hear);
    const timer = setTimeout(() => reject(new Error(`no answer to ${name}`)), 2_000);
    socket.send(asked, port, "::1");
    const answer = decode(await promise.finally(() => clearTimeout(timer)));
    socket.off("message", hear);
    assert.deepEqual([answer.rcode, answer.answers?.length], ["NOERROR", records]);
  }
}

async function byUdp(port: number, count: number, random: (below: number) => number): Promise<void> {
  const socket = createSocket("udp6");
  socket.bind(0, "::1");
  await once(socket, "listening");
  try {
    for (let n = 0; n < count; n++) {
      const bytes = mutate(SAMPLES[n % SAMPLES.length] as Buffer, random);
      if (isLast(bytes)) continue;
      socket.send(bytes, port, "::1");
      if (n % BATCH === 0) await answers(socket, port);
    }
    await answers(socket, port);
  } finally {
    socket.close();
  }
}

/**
 * Messages in frames, of which some are damaged as well: a length that is not theirs, or an end in the midst. Each connection is
 * reset once its last message is answered: thousands that ended in order would hold their ports for a minute.
 */
async function byTcp(port: number, count: number, random: (below: number) => number): Promise<void> {
  let left = count;
  const talk = async (): Promise<void> => {
    while (left > 0) {
      const frames = Array.from({ length: PIPELINED }, () => {
        const bytes = Buffer.from(frame(mutate(SAMPLES[random(SAMPLES.length)] as Buffer, random)));
        if (random(128) === 0) bytes[random(2)] = random(256);
        return bytes;
      });
      left -= PIPELINED;
      const last = query("localhost");
      LAST.copy(last);
      const socket = connect(port, "::1");
      const reset = (): void => void socket.resetAndDestroy();
      const timer = setTimeout(reset, UNANSWERED_MS);
      socket.on("error", () => {}); // it may be cut off
      socket.on("end", reset);
      socket.on("data", (data) => data.includes(LAST) && reset());
      socket.write(Buffer.concat([...frames, frame(last)]));
      await once(socket, "close");
      clearTimeout(timer);
    }
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, talk));
}

for (const [way, send] of [
  ["UDP", byUdp],
  ["TCP", byTcp],
] as const)
  test(`${PACKETS} damaged messages by ${way} to the socket: it answers in between and after, no memory and no handle is kept`, async (t) => {
    const { port, dropped } = await start(t);
    const random = randomness();
    const probe = createSocket("udp6");
    t.after(() => probe.close());
    await answers(probe, port);
    const handles = (): string[] => process.getActiveResourcesInfo().sort();
    const before = handles();
    await send(port, WARMING, random);
    const held = heldMb();
    await send(port, PACKETS - WARMING, random);
    for (let waited = 0; handles().length > before.length && waited < 6_000; waited += 50) await sleep(50);
    const grown = heldMb() - held;
    t.diagnostic(`${grown.toFixed(1)} MB more, ${dropped()} dropped`);
    assert.ok(grown < MOST_GROWTH_MB, `${grown.toFixed(1)} MB more`);
    assert.deepEqual(handles(), before);
    await answers(probe, port);
    await sleep(1_100); // what was dropped is told once a second
    assert.ok(dropped() > PACKETS / 10, `${dropped()}`);
  });
