/** Upstreams over TCP and TLS: connections that are kept, shared, closed and opened again; certificates that are believed or not. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, type TestContext, test } from "node:test";
import { createServer as createTlsServer } from "node:tls";
import type { Upstream } from "@netboot6/config";
import { Frames, frame } from "./frames.ts";
import { Connections } from "./streams.ts";

const dir = mkdtempSync(join(tmpdir(), "netboot6-dot-"));
after(() => rmSync(dir, { recursive: true }));
const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
openssl(
  ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "cert.pem"],
  ...["-days", "1", "-subj", "/CN=dns.rack.example", "-addext", "subjectAltName=DNS:dns.rack.example,IP:::1"],
);
const [key, cert] = ["key.pem", "cert.pem"].map((name) => readFileSync(join(dir, name)));
// What the host trusts; it is read when the first connection is opened.
process.env.SSL_CERT_FILE = join(dir, "cert.pem");

/** Answers each message with itself, in the order and at the time that `answer` gives it back. */
class Echo {
  readonly connections: Socket[] = [];
  readonly asked: Buffer[] = [];
  readonly #server: Server;

  constructor(tls: boolean, answer: (message: Buffer, reply: (message: Buffer) => void, socket: Socket) => void) {
    const serve = (socket: Socket): void => {
      this.connections.push(socket);
      const frames = new Frames();
      socket.on("error", () => {});
      socket.on("data", (data) => {
        for (const message of frames.take(data)) {
          this.asked.push(message);
          answer(message, (reply) => socket.write(frame(reply)), socket);
        }
      });
    };
    this.#server = tls ? createTlsServer({ key, cert }, serve) : createServer(serve);
    this.#server.on("tlsClientError", () => {});
  }

  async listen(t: TestContext, tlsName: string | null = null): Promise<Upstream> {
    this.#server.listen(0, "::1");
    await once(this.#server, "listening");
    t.after(() => {
      for (const socket of this.connections) socket.destroy();
      this.#server.close();
    });
    return { address: "::1", port: (this.#server.address() as AddressInfo).port, tlsName };
  }
}

function connections(t: TestContext) {
  const pool = new Connections();
  t.after(() => pool.close());
  return (upstream: Upstream, text: string): Promise<string> =>
    new Promise((resolve, reject) =>
      pool.ask(upstream, Buffer.from(text), {
        message: (bytes) => resolve(bytes.toString()),
        failed: (why) => reject(new Error(why)),
      }),
    );
}

test("TLS: the certificate's name and the host's authorities are checked, then queries share the connection", async (t) => {
  const echo = new Echo(true, (message, reply) => reply(message));
  const upstream = await echo.listen(t, "dns.rack.example");
  const ask = connections(t);
  assert.deepEqual(await Promise.all(["AA one", "BB two", "AA three"].map((text) => ask(upstream, text))), [
    "AA one",
    "BB two",
    "AA three",
  ]);
  assert.equal(await ask(upstream, "CC four"), "CC four");
  assert.equal(echo.connections.length, 1);
  const ids = new Set(echo.asked.map((message) => message.readUInt16BE(0)));
  assert.equal(ids.size, 4, "each has an id of its own on the wire");
  await assert.rejects(ask({ ...upstream, tlsName: "other.example" }, "DD five"), /its certificate: .*other\.example/);
  assert.equal(await ask({ ...upstream, tlsName: "::1" }, "EE six"), "EE six", "without a name the address is checked");
});

test("TLS: an upstream whose certificate nobody vouches for is not asked", async (t) => {
  const echo = new Echo(true, (message, reply) => reply(message));
  const { port } = await echo.listen(t);
  const script = `
    const { Connections } = await import(${JSON.stringify(new URL("./streams.ts", import.meta.url).href)});
    new Connections().ask({ address: "::1", port: ${port}, tlsName: "dns.rack.example" }, Buffer.from("AA one"), {
      message: () => console.log("answered"), failed: (why) => console.log(why) });`;
  const { execFile } = await import("node:child_process");
  const env = { ...process.env, SSL_CERT_FILE: "/dev/null" };
  const child = execFile(process.execPath, ["--disable-warning=ExperimentalWarning", "--input-type=module", "-e", script], { env });
  let said = "";
  child.stdout?.on("data", (data) => {
    said += data;
  });
  await once(child, "close");
  assert.match(said, /its certificate: self-signed certificate/);
  assert.equal(echo.asked.length, 0);
});

test("answers come in any order, and to whom they belong", async (t) => {
  const held: (() => void)[] = [];
  const echo = new Echo(false, (message, reply) => {
    held.push(() => reply(message));
    if (held.length === 3) for (const each of held.toReversed()) each();
  });
  const upstream = await echo.listen(t);
  const ask = connections(t);
  const order: string[] = [];
  await Promise.all(["AA 1", "BB 2", "CC 3"].map(async (text) => order.push(await ask(upstream, text))));
  assert.deepEqual(order, ["CC 3", "BB 2", "AA 1"]);
  assert.equal(echo.connections.length, 1);
});

test("a connection that the upstream closes: what has no answer is asked once more on a new one, not for ever", async (t) => {
  const echo = new Echo(false, (message, reply, socket) => {
    if (message.toString().endsWith("end")) socket.end();
    else reply(message);
  });
  const upstream = await echo.listen(t);
  const ask = connections(t);
  await assert.rejects(ask(upstream, "AA end"), /closed the connection without an answer/);
  assert.equal(echo.connections.length, 1, "a fresh one that is closed is an answer of its kind");
  assert.equal(await ask(upstream, "AA 1"), "AA 1");
  await assert.rejects(ask(upstream, "AA end"), /closed the connection without an answer/);
  assert.deepEqual([echo.connections.length, echo.asked.length], [3, 4]);

  await ask(upstream, "AA 2");
  echo.connections.at(-1)?.destroy();
  assert.equal(await ask(upstream, "AA 3"), "AA 3");
});

test("a connection that is idle is closed, one that is deaf is left", async (t) => {
  let mute = false;
  const echo = new Echo(false, (message, reply) => {
    if (!mute) reply(message);
  });
  const upstream = await echo.listen(t);
  const ask = connections(t);
  await ask(upstream, "AA 1");
  const closed = once(echo.connections[0] as Socket, "close");
  const began = Date.now();
  await closed;
  assert.ok(Date.now() - began > 9_000 && Date.now() - began < 12_000, "after ten seconds");

  await ask(upstream, "AA 2");
  mute = true;
  const pool = new Connections();
  t.after(() => pool.close());
  const end = pool.ask(upstream, Buffer.from("AA 3"), { message: () => assert.fail(), failed: () => {} });
  await new Promise((resolve) => setTimeout(resolve, 1_600));
  end();
  mute = false;
  const answer = new Promise<string>((resolve) =>
    pool.ask(upstream, Buffer.from("AA 4"), { message: (bytes) => resolve(bytes.toString()), failed: () => {} }),
  );
  assert.equal(await answer, "AA 4");
  assert.equal(echo.connections.length, 4);
});
