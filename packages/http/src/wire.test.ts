/** What real clients get over real sockets: curl, and connections that are kept. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  appendFileSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { Agent, type IncomingMessage, request } from "node:http";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import type { EventBody, Running } from "@netboot6/events";
import { type HttpSettings, startHttp } from "./service.ts";

const run = promisify(execFile);
const PORT = 18_084;
const URL = `http://[::1]:${PORT}`;
const dir = mkdtempSync(join(tmpdir(), "netboot6-wire-"));
const heads = join(dir, ".heads");
const initrd = randomBytes(9_000_000);
/** Larger than any cache holds. */
const ISO_BYTES = 2 ** 31 + 5_000;
const bytes = Buffer.from([...Array(256).keys()]);
const isoEnd = randomBytes(5_000);
const http = { port: PORT, listen: ["::1"], allow: "networks" as const, root: dir, listing: true, templates: [], cache: null, tls: null };
const settings: HttpSettings = { http, networks: [] };
const events: EventBody[] = [];
let running: Running<HttpSettings>;

before(async () => {
  writeFileSync(join(dir, "initrd.gz"), initrd);
  writeFileSync(join(dir, "ipxe.efi"), "MZ");
  writeFileSync(join(dir, "bytes"), bytes);
  mkdirSync(join(dir, "äöü 100%"));
  writeFileSync(join(dir, "äöü 100%", "a+b&c;d?e#f.cfg"), "answers");
  writeFileSync(join(dir, "image.iso"), "");
  truncateSync(join(dir, "image.iso"), ISO_BYTES);
  const iso = openSync(join(dir, "image.iso"), "r+");
  writeSync(iso, isoEnd, 0, isoEnd.length, 2 ** 31);
  closeSync(iso);
  running = await startHttp(settings, { emit: (event) => events.push(event), ask: async () => null });
});
after(async () => {
  await running.stop();
  rmSync(dir, { recursive: true });
});

/** The answer as curl has it: status, headers by lower-case name, body. */
async function curl(...args: string[]): Promise<{ status: number; headers: Record<string, string>; body: Buffer }> {
  const path = args.pop() as string;
  const argv = ["-sS", "-g", "-D", heads, ...args, `${URL}${path}`];
  const { stdout } = await run("curl", argv, { encoding: "buffer", maxBuffer: 2e7 });
  const lines = readFileSync(heads, "latin1").trim().split("\r\n");
  const headers = Object.fromEntries(
    lines.slice(1).map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 2)]),
  );
  return { status: Number(lines[0]?.split(" ")[1]), headers, body: stdout };
}

test("a file comes whole, with its type, its length and a strong tag; HEAD says the same without it", async () => {
  const whole = await curl("/initrd.gz");
  assert.ok(whole.body.equals(initrd));
  assert.equal(whole.headers["content-length"], String(initrd.length));
  assert.match(whole.headers.etag ?? "", /^"[\w-]{22}"$/);
  const { date: _, ...same } = whole.headers;
  const head = await curl("-I", "/initrd.gz");
  const { date: __, ...of } = head.headers;
  assert.deepEqual([head.status, of], [200, same]);
  assert.equal((await curl("/ipxe.efi")).headers["content-type"], "application/efi");
  assert.ok((await curl("/bytes")).body.equals(bytes), "a small one, too");
});

test("ranges over the wire: one, from the end, several, none that is there; a resumed download is the file", async () => {
  const one = await curl("-r", "100-199", "/initrd.gz");
  assert.deepEqual([one.status, one.headers["content-range"]], [206, `bytes 100-199/${initrd.length}`]);
  assert.ok(one.body.equals(initrd.subarray(100, 200)));
  assert.ok((await curl("-r", "-10", "/initrd.gz")).body.equals(initrd.subarray(-10)));
  assert.ok((await curl("-r", "250-", "/bytes")).body.equals(bytes.subarray(250)), "of a small file");
  const beyond = await curl("-r", "9000000-", "/initrd.gz");
  assert.deepEqual([beyond.status, beyond.headers["content-range"]], [416, `bytes */${initrd.length}`]);

  const several = await curl("-r", "0-9,-5", "/initrd.gz");
  const boundary = /^multipart\/byteranges; boundary=(\S+)$/.exec(several.headers["content-type"] ?? "")?.[1];
  const part = (range: string): string =>
    `--${boundary}\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes ${range}/${initrd.length}\r\n\r\n`;
  const end = initrd.length;
  assert.ok(
    several.body.equals(
      Buffer.concat([
        Buffer.from(part("0-9")),
        initrd.subarray(0, 10),
        Buffer.from(`\r\n${part(`${end - 5}-${end - 1}`)}`),
        initrd.subarray(-5),
        Buffer.from(`\r\n--${boundary}--\r\n`),
      ]),
    ),
  );
  assert.equal(several.headers["content-length"], String(several.body.length));

  const file = join(dir, "resumed");
  writeFileSync(file, initrd.subarray(0, 4_000_000));
  await run("curl", ["-sS", "-C", "-", "-o", file, `${URL}/initrd.gz`]);
  assert.ok(readFileSync(file).equals(initrd));
});

test("conditions over the wire: 304 for what it has, all of what has changed, 412 for what it takes for another", async () => {
  const { headers } = await curl("-I", "/initrd.gz");
  const { etag = "", "last-modified": modified = "" } = headers;
  const same = await curl("-H", `If-None-Match: ${etag}`, "/initrd.gz");
  assert.deepEqual([same.status, same.body.length, same.headers.etag], [304, 0, etag]);
  assert.equal((await curl("-H", `If-Modified-Since: ${modified}`, "/initrd.gz")).status, 304);
  assert.equal((await curl("-H", 'If-Match: "other"', "/initrd.gz")).status, 412);
  const part = await curl("-r", "0-9", "-H", `If-Range: ${etag}`, "/initrd.gz");
  assert.deepEqual([part.status, part.body.length], [206, 10]);
  const changed = await curl("-r", "0-9", "-H", 'If-Range: "other"', "/initrd.gz");
  assert.deepEqual([changed.status, changed.body.length], [200, initrd.length]);
});

test("names are percent-encoded UTF-8; the host may be of any form; HTTP/1.0 and other methods are answered", async () => {
  const name = encodeURIComponent("a+b&c;d?e#f.cfg");
  for (const path of [`/${encodeURIComponent("äöü 100%")}/${name}`, `//%C3%A4%c3%b6%C3%BC%20100%25///${name}?mac=1`])
    assert.equal((await curl("--path-as-is", path)).body.toString(), "answers", path);
  for (const host of [`[::1]:${PORT}`, "[2001:db8::1]", "[fe80::1%25eth0]:80", "boot.rack.example"])
    assert.equal((await curl("-H", `Host: ${host}`, "/ipxe.efi")).status, 200, host);
  const old = await curl("-0", "/ipxe.efi");
  assert.deepEqual([old.status, old.headers["content-length"], old.body.toString()], [200, "2", "MZ"]);
  assert.equal((await curl("--request-target", "http://[2001:db8::1]/ipxe.efi", "/nothing")).body.toString(), "MZ", "asked as of a proxy");
  for (const method of ["PUT", "POST", "DELETE"]) {
    const other = await curl("-X", method, "/ipxe.efi");
    assert.deepEqual([other.status, other.headers.allow], [405, "GET, HEAD"], method);
  }
  const nothing = await curl("/nothing");
  assert.deepEqual([nothing.status, nothing.body.toString()], [404, "Not found: /nothing\n"]);
});

test("a rack that connects all at once finds room: each socket's backlog is as long as the kernel grants", async () => {
  const { stdout } = await run("ss", ["-ltnH", `sport = :${PORT}`]);
  const backlogs = stdout
    .trim()
    .split("\n")
    .map((line) => Number(line.split(/\s+/)[2]));
  const granted = Number(readFileSync("/proc/sys/net/core/somaxconn", "utf8"));
  assert.deepEqual(backlogs, Array(16).fill(Math.min(4096, granted)));
});

test("one connection takes a machine's requests one after another, also past an error and a 304", async () => {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ports = new Set<number | undefined>();
  const ask = (path: string, headers: Record<string, string> = {}): Promise<[number | undefined, number]> =>
    new Promise((resolve, reject) => {
      const take = (response: IncomingMessage): void => {
        ports.add(response.socket.localPort);
        let bytes = 0;
        response.on("data", (data: Buffer) => {
          bytes += data.length;
        });
        response.on("end", () => resolve([response.statusCode, bytes]));
      };
      request(`${URL}${path}`, { agent, headers }, take).once("error", reject).end();
    });
  const { etag = "" } = (await curl("-I", "/ipxe.efi")).headers;
  assert.deepEqual(await ask("/ipxe.efi"), [200, 2]);
  assert.deepEqual(await ask("/nothing"), [404, 20]);
  assert.deepEqual(await ask("/ipxe.efi", { "If-None-Match": etag }), [304, 0]);
  assert.deepEqual(await ask("/initrd.gz"), [200, initrd.length]);
  assert.deepEqual(await ask("/initrd.gz", { Range: "bytes=5-6" }), [206, 2]);
  assert.equal(ports.size, 1);
  agent.destroy();
});

test("what is small does not wait while many large files take their turns", async (t) => {
  const large = Array.from({ length: 30 }, () => request(`${URL}/image.iso`));
  t.after(() => large.map((each) => each.destroy()));
  const heads = large.map(
    (each) =>
      new Promise((resolve, reject) => {
        each.once("response", (response: IncomingMessage) => resolve(response.resume()));
        each.once("error", reject);
        each.end();
      }),
  );
  await Promise.all(heads);
  for (let i = 0; i < 20; i++) assert.equal((await curl("-m", "5", "/ipxe.efi")).status, 200);
  assert.ok(large.every(({ destroyed }) => !destroyed));
});

test("nobody who waits for its turn is without a byte for as long as firmware has patience", async (t) => {
  const began = performance.now();
  const machines = Array.from({ length: 40 }, () => ({ socket: connect(PORT, "::1"), bytes: 0, first: 0, last: began, gap: 0 }));
  t.after(() => machines.map(({ socket }) => socket.destroy()));
  for (const { socket } of machines) socket.write("GET /image.iso HTTP/1.1\r\nHost: [::1]\r\n\r\n");
  // A link that is full: two machines at full speed take all of it, each of four half as much.
  const link = [...machines];
  for (let now = began; now < began + 10_000; now = performance.now()) {
    let room = 2;
    for (const machine of [...link]) {
      const large = machine.socket.readableLength > 20_000;
      if (large && room-- <= 0) continue;
      const piece: Buffer | null = machine.socket.read();
      if (piece === null) continue;
      if (large) link.push(...link.splice(link.indexOf(machine), 1));
      if (machine.bytes < 1_000) machine.first = now - began; // not the head alone
      machine.bytes += piece.length;
      machine.gap = Math.max(machine.gap, now - machine.last);
      machine.last = now;
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  const end = performance.now();
  const gaps = machines.map(({ gap, last }) => Math.max(gap, end - last));
  const told = events.filter((event) => event.type === "http.progress" && event.path === "/image.iso" && event.sent > 0);
  assert.ok(told.length > 0, "how far they are is told");
  assert.ok(machines.filter(({ bytes }) => bytes < 1e6).length > machines.length / 4, "many of them wait");
  const first = Math.max(...machines.map((machine) => machine.first));
  assert.ok(first < 4_500 && Math.max(...gaps) < 4_500, `first bytes after ${first} ms, then none for ${Math.max(...gaps)} ms`);
});

test("a file too large for memory: ranges of it and its size, and the file is closed after each", async () => {
  const link = (fd: string): string | null => {
    try {
      return readlinkSync(`/proc/self/fd/${fd}`);
    } catch {
      return null; // closed meanwhile
    }
  };
  const open = (): string[] => readdirSync("/proc/self/fd").filter((fd) => link(fd) === join(dir, "image.iso"));
  const closed = async (): Promise<void> => {
    for (let waited = 0; open().length > 0 && waited < 500; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
    assert.deepEqual(open(), []);
  };
  await closed();
  assert.equal((await curl("-I", "/image.iso")).headers["content-length"], String(ISO_BYTES));
  for (let i = 0; i < 20; i++) {
    const { status, body } = await curl("-r", "-5000", "/image.iso");
    assert.deepEqual([status, body.equals(isoEnd)], [206, true]);
    await curl("-I", "/image.iso");
    await curl("-H", "If-None-Match: *", "/image.iso");
  }
  await closed();
  const sum = async (...how: string[]): Promise<string> => {
    const argv = ["-c", `curl -sS ${how.join(" ")} ${URL}/image.iso | sha256sum`];
    return (await run("sh", argv)).stdout.slice(0, 64);
  };
  const expected = createHash("sha256").update(Buffer.alloc(3_000_000)).update(isoEnd).digest("hex");
  assert.equal(await sum("-r", `${2 ** 31 - 3_000_000}-`), expected);
  // One that leaves in the middle.
  await run("sh", ["-c", `curl -sS ${URL}/image.iso 2>&1 | head -c 5000000 >/dev/null`]);
  await closed();
});

test("a file too large for memory that is written to in the middle of a download is broken off", { timeout: 60_000 }, async () => {
  const file = join(dir, "written.iso");
  writeFileSync(file, "");
  truncateSync(file, ISO_BYTES);
  utimesSync(file, 1, 1);
  const complete = await new Promise<boolean>((resolve, reject) => {
    const take = (response: IncomingMessage): void => {
      response.once("data", () => utimesSync(file, 2, 2));
      response.on("data", () => {});
      response.on("error", () => {});
      response.once("close", () => resolve(response.complete));
    };
    request(`${URL}/written.iso`, { agent: false }, take).once("error", reject).end();
  });
  assert.equal(complete, false);
  const end = (): EventBody | undefined => events.find((event) => event.type === "http.finished" && event.path === "/written.iso");
  for (let waited = 0; !end() && waited < 500; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
  const told = end();
  assert.match(told?.type === "http.finished" ? (told.why ?? "") : "", /written\.iso is being written$/);
});

test("a file that is replaced in the middle of a download: that has the old one, the next the new, none a mix", async () => {
  const [old, fresh] = [Buffer.alloc(30_000_000, "o"), Buffer.alloc(29_000_000, "n")];
  writeFileSync(join(dir, "rootfs.img"), old);
  writeFileSync(join(dir, ".rootfs.img"), fresh);
  const body = await new Promise<Buffer>((resolve, reject) => {
    const take = (response: IncomingMessage): void => {
      const pieces: Buffer[] = [];
      response.on("data", (piece: Buffer) => {
        if (pieces.push(piece) === 1) {
          renameSync(join(dir, ".rootfs.img"), join(dir, "rootfs.img"));
          response.pause();
          setTimeout(() => response.resume(), 300);
        }
      });
      response.on("end", () => resolve(Buffer.concat(pieces)));
    };
    request(`${URL}/rootfs.img`, take).once("error", reject).end();
  });
  assert.ok(body.equals(old));
  const { stdout } = await run("curl", ["-sS", `${URL}/rootfs.img`], { encoding: "buffer", maxBuffer: 4e7 });
  assert.ok(stdout.equals(fresh));
});

test("a file that is being written is not given out by halves: 503 says when to ask again, then it comes whole", async () => {
  const file = join(dir, "copied.img");
  writeFileSync(file, "half");
  const writing = setInterval(() => appendFileSync(file, "."), 50);
  const { status, headers, body } = await curl("/copied.img");
  clearInterval(writing);
  assert.deepEqual([status, headers["retry-after"]], [503, "2"]);
  assert.doesNotMatch(body.toString(), /half/);
  assert.ok((await curl("/copied.img")).body.equals(readFileSync(file)));
});

test("with a cache of 1 MB a file of 9 MB is read as it goes out, after a reload too", async () => {
  const held = await curl("/initrd.gz");
  await running.reload({ ...settings, http: { ...http, cache: 1e6 } });
  const read = await curl("/initrd.gz");
  assert.ok(read.body.equals(initrd));
  assert.notEqual(read.headers.etag, held.headers.etag, "of its version, as its content is not looked through before");
  await running.reload(settings);
  assert.equal((await curl("-I", "/initrd.gz")).headers.etag, held.headers.etag);
});
