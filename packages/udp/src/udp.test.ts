import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { type Datagram, hasPreparedLeft, sendPrepared, UdpSocket } from "./index.ts";

const options = { address: "::1", scope: 0, receiveBufferBytes: 4 * 1024 * 1024 };
const unexpected = (why: string): void => assert.fail(why);
/** The port of a socket that gave itself one. */
async function freePort(): Promise<number> {
  const socket = createSocket("udp6").bind(0, "::1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  return port;
}
const kept = ({ bytes, ...from }: Datagram): { text: string; address: string; port: number; scope: number } => ({
  text: Buffer.from(bytes).toString("latin1"),
  ...from,
});
async function until(happened: () => boolean): Promise<void> {
  for (let tries = 0; !happened(); tries++) {
    assert.ok(tries < 500, "it came within 5 s");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Two sockets that send to one another. */
async function pair(t: { after(end: () => void): void }, receive: (datagram: Datagram) => void, failed = unexpected) {
  const [a, b] = [await freePort(), await freePort()];
  const one = new UdpSocket({ ...options, port: a }, unexpected as never, failed);
  const other = new UdpSocket({ ...options, port: b }, receive, unexpected);
  t.after(() => {
    one.close();
    other.close();
  });
  return { one, other, a, b };
}

test("datagrams come whole, in order, with who sent them: empty, large, and more than one batch", async (t) => {
  const came: ReturnType<typeof kept>[] = [];
  const { one, a, b } = await pair(t, (datagram) => came.push(kept(datagram)));
  const sent = ["", "x".repeat(60_000), ...Array.from({ length: 200 }, (_, i) => `number ${i}`), "y".repeat(65_000)];
  for (const text of sent) one.send(Buffer.from(text, "latin1"), "::1", b, 0);
  await until(() => came.length === sent.length);
  assert.deepEqual(
    came,
    sent.map((text) => ({ text, address: "::1", port: a, scope: 0 })),
  );
});

test("node:dgram reads what is sent, and is read", async (t) => {
  const came: ReturnType<typeof kept>[] = [];
  const { one, a } = await pair(t, () => {});
  const theirs = createSocket("udp6");
  t.after(() => theirs.close());
  theirs.bind(0, "::1");
  await once(theirs, "listening");
  one.send(Buffer.from("hello"), "::1", theirs.address().port, 0);
  const [message, from] = (await once(theirs, "message")) as [Buffer, { port: number }];
  assert.deepEqual([message.toString(), from.port], ["hello", a]);
  const { other, b } = await pair(t, (datagram) => came.push(kept(datagram)));
  theirs.send("and back", b, "::1");
  await until(() => came.length === 1);
  assert.equal(came[0]?.text, "and back");
  other.close();
});

test("what cannot be sent is told with its address, and holds nothing up", async (t) => {
  const came: string[] = [];
  const told: string[] = [];
  const { one, b } = await pair(
    t,
    (datagram) => came.push(kept(datagram).text),
    (why, to?: string | null) => told.push(`${to}: ${why}`),
  );
  one.send(Buffer.from("first"), "::1", b, 0);
  one.send(Buffer.from("to no port"), "::1", 0, 0);
  one.send(Buffer.from("second"), "::1", b, 0);
  one.send(Buffer.alloc(65_528), "::1", b, 0);
  one.send(Buffer.from("third"), "::1", b, 0);
  await until(() => came.length === 3);
  assert.deepEqual(came, ["first", "second", "third"]);
  assert.deepEqual(told, ["::1: message too long", "::1: invalid argument"]);
});

test("an address that is not this host's is refused with its code, and so is a group on no interface", async () => {
  assert.throws(() => new UdpSocket({ ...options, address: "2001:db8::1", port: 0 }, unexpected as never, unexpected), {
    code: "EADDRNOTAVAIL",
    message: "bind EADDRNOTAVAIL",
  });
  const socket = new UdpSocket({ ...options, port: await freePort() }, unexpected as never, unexpected);
  assert.throws(() => socket.join("ff02::1:2", 999_999), { code: "ENODEV", message: "join ENODEV" });
  socket.close();
});

test("an address is one socket's, unless all that have it share it", async (t) => {
  const port = await freePort();
  const open = (shared: boolean): UdpSocket => {
    const socket = new UdpSocket({ ...options, port, shared }, unexpected as never, unexpected);
    t.after(() => socket.close());
    return socket;
  };
  const first = open(false);
  assert.throws(() => open(false), { code: "EADDRINUSE" });
  assert.throws(() => open(true), { code: "EADDRINUSE" });
  first.close();
  open(true);
  open(true);
});

test("a socket that is closed while it hands datagrams out hands out no more, and sends none", async (t) => {
  const came: string[] = [];
  const { one, other, b } = await pair(t, (datagram) => {
    came.push(kept(datagram).text);
    other.send(Buffer.from("late"), "::1", 9, 0);
    other.close();
    other.close();
  });
  for (let i = 0; i < 20; i++) one.send(Buffer.from(`${i}`), "::1", b, 0);
  await until(() => came.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(came, ["0"]);
});

/** A thread that runs `text` of a module, with what this room exports. */
function inThread(text: string): Worker {
  const program = `const { sendPrepared, UdpSocket } = await import(${JSON.stringify(new URL("./index.ts", import.meta.url).href)}); ${text}`;
  return new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
}

test("what is prepared leaves once, by another thread, from its socket; the newest takes the place of one before", async (t) => {
  const came: ReturnType<typeof kept>[] = [];
  const { one, a, b } = await pair(t, (datagram) => came.push(kept(datagram)));
  const bytes = Buffer.from("newest");
  assert.ok(one.prepare(Buffer.from("before"), "::1", b, 0));
  assert.ok(one.prepare(bytes, "::1", b, 0));
  bytes.fill(0); // it is kept as it was
  assert.equal(hasPreparedLeft(), false);
  assert.deepEqual(await once(inThread("sendPrepared(); sendPrepared();"), "exit"), [0]);
  assert.equal(hasPreparedLeft(), true);
  one.send(Buffer.from("after"), "::1", b, 0);
  await until(() => came.length === 2);
  assert.deepEqual(came, [
    { text: "newest", address: "::1", port: a, scope: 0 },
    { text: "after", address: "::1", port: a, scope: 0 },
  ]);
  assert.ok(one.prepare(Buffer.from("next"), "::1", b, 0));
  assert.equal(hasPreparedLeft(), false);
});

test("what is prepared and cannot be sent, or whose socket is closed since, has not left; nothing is prepared of what is too long", async (t) => {
  const { one, other, b } = await pair(t, unexpected as never);
  assert.ok(one.prepare(Buffer.from("to no port"), "::1", 0, 0));
  sendPrepared();
  assert.equal(hasPreparedLeft(), false);
  assert.equal(one.prepare(Buffer.alloc(65_528), "::1", b, 0), false);
  assert.ok(one.prepare(Buffer.from("closed"), "::1", b, 0));
  other.close(); // another socket's closing changes nothing
  one.close();
  // Its descriptor's number is another's now.
  const { other: heir } = await pair(t, unexpected as never);
  sendPrepared();
  assert.equal(hasPreparedLeft(), false);
  assert.equal(one.prepare(Buffer.from("late"), "::1", b, 0), false);
  heir.close();
});

test("a thread ends with its sockets open, and its port is free again", async (t) => {
  const port = await freePort();
  const worker = inThread(`
    const { parentPort } = await import("node:worker_threads");
    new UdpSocket({ address: "::1", scope: 0, port: ${port}, receiveBufferBytes: 65536 }, ({ bytes }) => parentPort.postMessage(bytes.length), () => {});
    parentPort.postMessage("open");`);
  assert.deepEqual(await once(worker, "message"), ["open"]);
  const { one } = await pair(t, () => {});
  one.send(Buffer.from("12345"), "::1", port, 0);
  assert.deepEqual(await once(worker, "message"), [5]);
  await worker.terminate();
  const told: string[] = [];
  const again = new UdpSocket({ ...options, port }, ({ bytes }) => told.push(`${bytes.length}`), unexpected);
  t.after(() => again.close());
  one.send(Buffer.from("123"), "::1", port, 0);
  await until(() => told.length === 1);
});
