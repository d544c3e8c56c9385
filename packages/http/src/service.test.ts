import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { EventBody, Link, Running } from "@netboot6/events";
import { type HttpSettings, startHttp } from "./service.ts";

const PORT = 18_080;
const TOKEN = "0123456789abcdef0123456789abcdef";

async function serve(
  t: TestContext,
  allow: "networks" | [],
  ask: Link["ask"],
): Promise<{ events: EventBody[]; running: Running<HttpSettings>; settings: HttpSettings }> {
  const root = mkdtempSync(join(tmpdir(), "netboot6-http-"));
  writeFileSync(join(root, "large"), Buffer.alloc(20_000_000));
  const events: EventBody[] = [];
  const http = { port: PORT, listen: ["::1"], allow, root, listing: false, templates: [], cache: null, tls: null };
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

const finished = (events: readonly EventBody[]): unknown[] =>
  events.flatMap((event) => (event.type === "http.finished" ? [[event.method, event.status]] : []));
const settled = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 100));

test("a report is taken in whatever form it comes; one that could not be stored is to come again", async (t) => {
  let stored: unknown = true;
  const { events } = await serve(t, "networks", async () => {
    if (stored instanceof Error) throw stored;
    return stored;
  });
  const form = ["Host: [::1]", "Content-Type: application/x-www-form-urlencoded", "Content-Length: 3", "", "a=b"];
  assert.equal(await status(`POST /done/${TOKEN} HTTP/1.1`, ...form), 200);
  stored = new Error("the disk is full");
  assert.equal(await status(`GET /done/${TOKEN} HTTP/1.1`, "Host: [::1]"), 503);
  await settled();
  assert.deepEqual(finished(events), [
    ["POST", 200],
    ["GET", 503],
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
