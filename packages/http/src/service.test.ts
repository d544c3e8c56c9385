import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer, type IncomingHttpHeaders, request } from "node:http";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { BootFiles, FileCache } from "@netboot6/boot";
import { WAITING } from "@netboot6/boot/test-state";
import { prefixOf } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { EventBody, Link, Running } from "@netboot6/events";
import { Answerer } from "./answer.ts";
import { withoutZone } from "./request.ts";
import { type HttpSettings, startHttp } from "./service.ts";
import { Turns } from "./turns.ts";

const PORT = 18_080;
const TOKEN = "0123456789abcdef0123456789abcdef";

async function serve(
  t: TestContext,
  allow: "networks" | [],
  ask: Link["ask"],
): Promise<{ events: EventBody[]; running: Running<HttpSettings>; settings: HttpSettings }> {
  const root = mkdtempSync(join(tmpdir(), "netboot6-http-"));
  writeFileSync(join(root, "large"), Buffer.alloc(20_000_000));
  writeFileSync(join(root, "answers.cfg"), "host {{ machine.name }}\n");
  for (const wrong of ["wrong.cfg", "wrong.ipxe"]) writeFileSync(join(root, wrong), "{{ nothing }}\n");
  const events: EventBody[] = [];
  const http = { port: PORT, listen: ["::1"], allow, root, listing: false, templates: ["*.cfg", "*.ipxe"], cache: null, tls: null };
  const settings = { http, networks: [] };
  const running = await startHttp(settings, { emit: (event) => events.push(event), ask });
  t.after(async () => {
    await running.stop();
    rmSync(root, { recursive: true });
  });
  return { events, running, settings };
}

/** The answer's status to a request of these lines. */
function status(...lines: string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect(PORT, "::1", () => socket.write(`${lines.join("\r\n")}\r\n\r\n`));
    socket.once("data", (data) => {
      resolve(Number(/^HTTP\/1.1 (\d+)/.exec(String(data))?.[1]));
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** By a connection of its own. */
function ask(path: string, method = "GET"): Promise<{ status: number | undefined; headers: IncomingHttpHeaders; body: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "::1", port: PORT, path, method, headers: { "User-Agent": "iPXE/2.0" }, agent: false }, async (response) => {
      let body = "";
      for await (const piece of response) body += piece;
      resolve({ status: response.statusCode, headers: response.headers, body });
    })
      .once("error", reject)
      .end();
  });
}

const finished = (events: readonly EventBody[]): unknown[] =>
  events.flatMap((event) => (event.type === "http.finished" ? [[event.method, event.status]] : []));
/** So many answers have been told of. */
async function told(events: readonly EventBody[], count: number): Promise<void> {
  for (let waited = 0; finished(events).length < count && waited < 500; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
}
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

test("what is rendered is asked for with the client and its claims, kept by nobody, and told with its machine", async (t) => {
  const asked: unknown[] = [];
  const { events } = await serve(t, "networks", async (question) => {
    asked.push(question);
    return WAITING;
  });
  const { headers, body } = await ask("/answers.cfg?mac=52%3A54%3A00%3A0b%3A00%3A01&uuid=x");
  assert.deepEqual([body, headers["content-length"], headers["cache-control"]], ["host node-01\n", "13", "no-store"]);
  assert.deepEqual(asked, [{ ask: "machine", path: "/answers.cfg", client: "::1", claims: { mac: "52:54:00:0b:00:01" } }]);
  await told(events, 1);
  const [rendered, end] = events;
  assert.ok(rendered?.type === "machine.rendered" && end?.type === "http.finished");
  assert.deepEqual([rendered.machine, rendered.profile, rendered.path], ["node-01", "debian", "/answers.cfg"]);
  assert.deepEqual([end.machine, end.network, end.sent, end.userAgent], ["node-01", "n", 13, "iPXE/2.0"]);
});

test("a template that is wrong is an error to an installer, and to iPXE a script that says so; folders are not shown where that is off", async (t) => {
  const { events } = await serve(t, "networks", async () => WAITING);
  assert.match((await ask("/wrong.cfg")).body, /^wrong\.cfg:1:4: undefined variable: nothing$/m);
  assert.match((await ask("/wrong.ipxe")).body, /^#!ipxe\necho netboot6: wrong\.ipxe:1:4: undefined variable: nothing\n/);
  assert.equal((await ask("/")).body, "Not found: /\n");
  await told(events, 3);
  assert.deepEqual(finished(events), [
    ["GET", 500],
    ["GET", 200],
    ["GET", 404],
  ]);
});

test("a large download takes its turn among those of its own network, a small one none", async (t) => {
  const root = mkdtempSync(join(tmpdir(), "netboot6-turn-"));
  for (const [name, bytes] of [
    ["large", 5_000_000],
    ["small", 4_000_000],
  ] as const)
    writeFileSync(join(root, name), Buffer.alloc(bytes));
  const turns = new Turns();
  const entered: unknown[] = [];
  t.mock.method(turns, "enter", (...of: unknown[]) => {
    entered.push(of.slice(0, 2));
    return { active: true, wake: () => {}, count: () => {}, end: () => {} };
  });
  const link: Link = { emit: () => {}, ask: async () => null };
  const networks = [
    { name: "elsewhere", prefix: prefixOf("2001:db8::", 64) },
    { name: "here", prefix: prefixOf("::", 64) },
  ] as Network[];
  const files = new BootFiles({ root, templates: [] }, link.ask);
  const serving = { files, root, cache: new FileCache(null), allowed: () => true, networks, listing: false };
  const answerer = new Answerer(turns, link);
  const server = createHttpServer((asked, response) => void answerer.answer(serving, asked, response)).listen(PORT, "::1");
  t.after(() => {
    server.close();
    rmSync(root, { recursive: true });
  });
  assert.equal((await ask("/small")).body.length, 4_000_000);
  assert.equal((await ask("/large")).body.length, 5_000_000);
  assert.deepEqual(entered, [["here", "::1"]]);
});

test("HEAD is told as what it is: nothing was sent", async (t) => {
  const { events } = await serve(t, "networks", async () => null);
  for (const path of ["/large", "/nothing"]) await ask(path, "HEAD");
  await told(events, 2);
  const sent = events.map((event) => event.type === "http.finished" && [event.status, event.sent, event.size]);
  assert.deepEqual(sent, [
    [200, 0, 20_000_000],
    [404, 0, 20],
  ]);
});

test("a report is taken in whatever form it comes; one that could not be stored is to come again", async (t) => {
  let stored: unknown = true;
  let asked = 0;
  const { events } = await serve(t, "networks", async () => {
    asked++;
    if (stored instanceof Error) throw stored;
    return stored;
  });
  const form = ["Host: [::1]", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3", "", "a=b"];
  assert.equal(await status(`POST /done/${TOKEN} HTTP/1.1`, ...form), 200);
  stored = new Error("the disk is full");
  assert.equal(await status(`GET /done/${TOKEN} HTTP/1.1`, "Host: [::1]"), 503);
  stored = false;
  assert.equal(await status(`GET //done/${TOKEN} HTTP/1.1`, "Host: [::1]"), 404, "nobody's");
  assert.equal(asked, 3);
  for (const other of [`HEAD /done/${TOKEN}`, `GET /done/${TOKEN}0`, `GET /done/${TOKEN.slice(1)}`])
    assert.equal(await status(`${other} HTTP/1.1`, "Host: [::1]"), 404, other);
  assert.equal(asked, 3, "they report nothing");
  await told(events, 6);
  assert.deepEqual(finished(events).slice(0, 3), [
    ["POST", 200],
    ["GET", 503],
    ["GET", 404],
  ]);
  assert.ok(!JSON.stringify(events).includes(TOKEN), "the token is a secret");
});

test("nothing is answered past http.allow or without being told, however it is asked", async (t) => {
  const { events } = await serve(t, [], async () => null);
  for (const line of ["GET /%zz", "PROPFIND /large", "POST /large", "GET /large"])
    assert.equal(await status(`${line} HTTP/1.1`, "Host: [::1]", "Content-Type: application/json", "Content-Length: 0"), 403, line);
  await settled();
  assert.deepEqual(finished(events), [
    ["GET", 403],
    ["PROPFIND", 403],
    ["POST", 403],
    ["GET", 403],
  ]);
});

test("a client is told by its address, without the link's name", () => {
  assert.deepEqual(["fe80::1%eth1", "2001:db8::1"].map(withoutZone), ["fe80::1", "2001:db8::1"]);
});

test("a download that is broken off is told as such", async (t) => {
  const { events } = await serve(t, "networks", async () => null);
  assert.equal(await status("GET /large HTTP/1.1", "Host: [::1]"), 200);
  await settled();
  const last = events.at(-1);
  assert.ok(last?.type === "http.finished" && !last.complete && last.sent < last.size);
});

test("where a new address cannot be listened on, the old ones stay; another's port is not shared with it", async (t) => {
  const other = createServer().listen({ port: PORT + 1, host: "::1", reusePort: true });
  t.after(() => other.close());
  const http = {
    port: PORT,
    listen: ["::1"],
    allow: "networks",
    root: tmpdir(),
    listing: false,
    templates: [],
    cache: null,
    tls: null,
  } as const;
  const running = await startHttp({ http, networks: [] }, { emit: () => {}, ask: async () => null });
  t.after(() => running.stop());
  await assert.rejects(running.reload({ http: { ...http, port: PORT + 1 }, networks: [] }), /cannot listen on \[::1\]:18081/);
  assert.equal(await status("GET /nothing HTTP/1.1", "Host: [::1]"), 404);
});

test("a download that a stop or a reload breaks off is told so, by then", async (t) => {
  const { events, running, settings } = await serve(t, "networks", async () => null);
  const download = async (): Promise<void> => {
    const socket = connect(PORT, "::1", () => socket.write("GET /large HTTP/1.1\r\nHost: [::1]\r\n\r\n"));
    await once(socket, "readable"); // and takes no more of it
    t.after(() => socket.destroy());
  };
  const ends = (): unknown[] => events.flatMap((event) => (event.type === "http.finished" ? [event.why] : []));
  await download();
  const { http } = settings;
  await running.reload({ ...settings, http: { ...http, port: PORT + 1 } });
  assert.deepEqual(ends(), [`netboot6 listens no more on [::1]:${PORT}`]);
  await running.reload(settings);
  await download();
  await running.stop();
  assert.deepEqual(ends().slice(1), ["netboot6 stopped"]);
  await settled();
  assert.equal(ends().length, 2);
});
