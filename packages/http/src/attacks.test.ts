/** What a hostile or broken client sends, byte for byte, and that others are served all the while. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { EventBody, Running } from "@netboot6/events";
import { type HttpSettings, startHttp } from "./service.ts";

const PORT = 18_082;
const DEAF_MS = 4_000;
const dir = mkdtempSync(join(tmpdir(), "netboot6-attacks-"));
const events: EventBody[] = [];
let running: Running<HttpSettings>;
let idle: number;

before(async () => {
  const root = join(dir, "boot-assets");
  mkdirSync(join(root, "sub"), { recursive: true });
  mkdirSync(join(root, ".git"));
  writeFileSync(join(dir, "secret"), "SECRET");
  writeFileSync(join(root, ".git", "config"), "SECRET");
  writeFileSync(join(root, ".env"), "SECRET");
  writeFileSync(join(root, "sub", "file"), "fine");
  writeFileSync(join(root, "large"), Buffer.alloc(20e6));
  symlinkSync(join(dir, "secret"), join(root, "link"));
  symlinkSync(dir, join(root, "up"));
  symlinkSync("loop", join(root, "loop"));
  const http = { port: PORT, listen: ["::1"], allow: "networks" as const, root, listing: true, templates: [], cache: null, tls: null };
  running = await startHttp({ http, networks: [] }, { emit: (event) => events.push(event), ask: async () => null }, DEAF_MS);
  idle = descriptors();
});
after(async () => {
  await running.stop();
  rmSync(dir, { recursive: true });
});

const open = (): Promise<Socket> =>
  new Promise((resolve, reject) => {
    const socket = connect(PORT, "::1", () => resolve(socket));
    socket.once("error", reject);
  });

/** Of this process, clients and server. */
const descriptors = (): number => readdirSync("/proc/self/fd").length;

/** No connection nor file is open any more but for so many clients' ends. */
async function closed(ends: number, seconds: number): Promise<void> {
  for (const until = performance.now() + seconds * 1000; descriptors() > idle + ends && performance.now() < until; )
    await new Promise((resolve) => setTimeout(resolve, 100));
  assert.ok(descriptors() <= idle + ends, `${descriptors()} are open`);
}

/** All that is answered to these bytes until the server closes or falls silent. */
async function answer(bytes: string | Buffer, silent = 300): Promise<string> {
  const socket = await open();
  socket.on("error", () => {});
  socket.write(bytes);
  let text = "";
  return new Promise((resolve) => {
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    let timer = setTimeout(done, 5000);
    socket.on("data", (data) => {
      text += data.toString("latin1");
      clearTimeout(timer);
      timer = setTimeout(done, silent);
    });
    socket.on("close", done);
  });
}

const statuses = (text: string): number[] => [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]));
const get = (target: string | Buffer): Promise<string> =>
  answer(Buffer.concat([Buffer.from("GET "), Buffer.from(target), Buffer.from(" HTTP/1.1\r\nHost: [::1]\r\nConnection: close\r\n\r\n")]));

async function servesOthers(): Promise<void> {
  const started = performance.now();
  assert.match(await get("/sub/file"), /^HTTP\/1\.1 200 OK.*fine$/s);
  assert.ok(performance.now() - started < 2000);
}

test("no way out of the root, no dot file, no other name for either", async () => {
  for (const path of [
    "/../secret",
    "/sub/../../secret",
    "/sub/%2e%2e/%2e%2e/secret",
    "/%2e%2e%2fsecret",
    "/..%2fsecret",
    "/..%5csecret",
    "/..\\secret",
    "/sub/..;/secret",
    "/%252e%252e/secret",
    "/%25%32%65%25%32%65/secret",
    "/%c0%ae%c0%ae/secret", // overlong UTF-8
    "/%e0%80%ae%e0%80%ae/secret",
    "/%f0%80%80%ae/secret",
    "/%uff0e%uff0e/secret",
    "/%ff",
    "/%zz",
    "/%",
    "/sub/file%00",
    "/sub/file%00.efi",
    "/.env",
    "/%2eenv",
    "/.git/config",
    "/sub/../.env",
    "/./.env",
    "/link",
    "/up/secret",
    "/up/boot-assets/.env",
    "/loop",
    "/sub/file/",
    "/sub/file/..",
    "//etc/passwd",
    "///../secret",
    "http://[::1]/../secret",
    "file:///etc/passwd",
    `/${"../".repeat(40)}etc/passwd`,
    `/${"a".repeat(300)}`,
    `/${"a/".repeat(3000)}`,
  ]) {
    const text = await get(path);
    assert.ok(!text.includes("SECRET") && !text.includes("root:"), path);
    // A slash after a file's name is the file for some servers; what it must not be is anything else.
    assert.deepEqual(statuses(text), [path === "/sub/file/" ? 200 : 404], path);
  }
  for (const raw of [Buffer.from("/\xff\xfe", "latin1"), Buffer.from("/sub/\0file"), Buffer.from("/sub/fi le")])
    assert.ok(!/^HTTP\/1\.1 200/.test(await get(raw)), raw.toString("latin1"));
  await servesOthers();
});

test("one request is never taken for two, nor two for one", async () => {
  const smuggled = "GET /sub/file HTTP/1.1\r\nHost: [::1]\r\n\r\n";
  const shapes = {
    "length and chunked": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": "Content-Length: 0\r\nContent-Length: 43\r\n\r\n",
    "a list of lengths": "Content-Length: 0, 43\r\n\r\n",
    "a signed length": "Content-Length: +0\r\n\r\n",
    "a space before the colon": "Content-Length : 43\r\n\r\n",
    "a folded header": "X: a\r\n Content-Length: 43\r\n\r\n",
    "chunked twice": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "chunked in disguise": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a bare line feed": "X: a\nContent-Length: 43\r\n\r\n",
    "a size that is none": "Transfer-Encoding: chunked\r\n\r\n0x\r\n\r\n",
    "no name": ": 43\r\n\r\n",
  };
  for (const [shape, rest] of Object.entries(shapes)) {
    const text = await answer(`GET /nothing HTTP/1.1\r\nHost: [::1]\r\n${rest}${smuggled}`);
    assert.ok(!statuses(text).includes(200), `${shape}: ${text}`);
    assert.ok(statuses(text).at(-1) === 400, `${shape}: ${text}`);
    assert.match(text, /Connection: close\r\n\r\n$/, "what comes after it is not looked at");
  }
  assert.deepEqual(statuses(await answer(`${smuggled}${smuggled}`)), [200, 200], "two that are two");
  await servesOthers();
});

test("a header bomb is refused, a client of HTTP/1.0 or of no protocol is answered", async () => {
  assert.deepEqual(statuses(await get(`/${"a".repeat(100_000)}`)), [431]);
  const bomb = Array.from({ length: 5000 }, (_, i) => `X-${i}: ${i}`).join("\r\n");
  assert.deepEqual(statuses(await answer(`GET /sub/file HTTP/1.1\r\nHost: [::1]\r\n${bomb}\r\n\r\n`)), [431]);
  assert.match(await answer("GET /sub/file HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK.*Connection: close.*fine$/s);
  for (const noise of ["\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "hello\r\n\r\n", "\0".repeat(100), "GET\r\n\r\n"])
    assert.deepEqual(statuses(await answer(Buffer.from(noise, "latin1"))), [400], noise);
  await servesOthers();
});

test("clients that reset while they load leave nothing behind", async () => {
  const before = events.length;
  for (let i = 0; i < 100; i++) {
    const socket = await open();
    socket.write("GET /large HTTP/1.1\r\nHost: [::1]\r\n\r\n");
    await new Promise((resolve) => socket.once("data", resolve));
    socket.resetAndDestroy();
  }
  const told = (type: string): number => events.slice(before).filter((event) => event.type === type).length;
  for (let waited = 0; told("http.finished") < 100 && waited < 50; waited++) await new Promise((resolve) => setTimeout(resolve, 100));
  assert.equal(told("http.started"), 100);
  assert.equal(told("http.finished"), 100);
  await closed(0, 5);
  await servesOthers();
});

test("clients that leave while their file is read for the first time take nobody's turn", async () => {
  for (let i = 0; i < 10; i++) {
    writeFileSync(join(dir, "boot-assets", `first-${i}`), Buffer.alloc(20e6));
    const socket = await open();
    socket.write(`GET /first-${i} HTTP/1.1\r\nHost: [::1]\r\n\r\n`);
    await new Promise((resolve) => setTimeout(resolve, 5));
    socket.resetAndDestroy();
  }
  await new Promise((resolve) => setTimeout(resolve, 500)); // all of them are read by then
  assert.ok((await get("/large")).length > 20e6);
  await servesOthers();
});

test("500 clients that never end their request, and 100 that never read their answer, hold up nobody and are closed", {
  timeout: 100_000,
}, async (t) => {
  const slow = await Promise.all(Array.from({ length: 500 }, open));
  const deaf = await Promise.all(Array.from({ length: 100 }, open));
  t.after(() => {
    for (const socket of [...slow, ...deaf]) socket.destroy();
  });
  let said = "";
  slow[0]?.on("data", (data) => {
    said += data;
  });
  for (const socket of slow) {
    socket.on("error", () => {});
    socket.resume();
    socket.write("GET /sub/file HTTP/1.1\r\nHost: [::1]\r\nX-");
  }
  for (const socket of deaf) {
    socket.pause();
    socket.write("GET /large HTTP/1.1\r\nHost: [::1]\r\n\r\n");
  }
  const drip = setInterval(() => {
    for (const socket of slow) if (socket.writable) socket.write("a");
  }, 1000);
  t.after(() => clearInterval(drip));
  await servesOthers();
  assert.match(await get("/large"), /^HTTP\/1\.1 200/, "a large one too");
  await closed(deaf.length, 80);
  assert.match(said, /^HTTP\/1\.1 408 /);
  await servesOthers();
});
