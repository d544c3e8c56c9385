/** The server over real sockets on the loopback. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { mkdtempSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { decodeTftp, encodeTftp, TftpErrorCode, type TftpPacket } from "@netboot6/codec";
import type { EventBody, Running } from "@netboot6/events";
import { startTftp, type TftpSettings } from "./service.ts";

const PORT = 16_969;
const dir = mkdtempSync(join(tmpdir(), "netboot6-tftp-"));
const program = randomBytes(300_000);
/** More than 65,535 blocks of the usual 512 bytes. */
const large = randomBytes(33_600_000);
const events: EventBody[] = [];
let running: Running<TftpSettings>;

before(async () => {
  writeFileSync(join(dir, "ipxe.efi"), program);
  writeFileSync(join(dir, "initrd.gz"), large);
  const tftp = { port: PORT, listen: ["::1"], allow: "networks" as const, root: dir, templates: [] };
  running = await startTftp({ tftp, networks: [] }, { emit: (event) => events.push(event), ask: async () => null });
});
after(async () => {
  await running.stop();
  rmSync(dir, { recursive: true });
});

const read = (file: string, options: Record<string, string> = {}): TftpPacket => ({
  op: "read",
  file,
  mode: "octet",
  options: new Map(Object.entries(options)),
});

/** A socket that hands each packet to `take`. */
function client(take: (packet: TftpPacket, from: RemoteInfo, reply: (packet: TftpPacket) => void) => void): Socket {
  const socket = createSocket({ type: "udp6", recvBufferSize: 1 << 20 });
  socket.on("message", (bytes, from) => {
    const packet = decodeTftp(bytes);
    assert.ok(packet.ok);
    take(packet.value, from, (answer) => socket.send(encodeTftp(answer), from.port, from.address));
  });
  return socket;
}

const ask = (socket: Socket, packet: TftpPacket): void => socket.send(encodeTftp(packet), PORT, "::1");

/** Loads a file as clients do: an acknowledgement for each window, and again what was acknowledged where nothing comes. */
function load(file: string, { window = 1, block = 512 } = {}): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const got: Uint8Array[] = [];
    let again: NodeJS.Timeout;
    const socket = client((packet, _, reply) => {
      clearTimeout(again);
      if (packet.op === "error") {
        socket.close();
        return reject(new Error(packet.text));
      }
      const expected = (got.length + 1) & 0xffff;
      const acknowledge = (): void => {
        reply({ op: "ack", block: got.length & 0xffff });
        again = setTimeout(acknowledge, 500);
      };
      if (packet.op === "oack") return acknowledge();
      if (packet.op !== "data") return;
      if (packet.block === expected) got.push(packet.data);
      const last = packet.data.length < block;
      if (packet.block !== expected || got.length % window === 0 || last) acknowledge();
      else again = setTimeout(acknowledge, 500);
      if (last && packet.block === expected) {
        clearTimeout(again);
        socket.close();
        resolve(Buffer.concat(got));
      }
    });
    ask(socket, read(file, { blksize: String(block), windowsize: String(window) }));
    again = setTimeout(() => ask(socket, read(file, { blksize: String(block), windowsize: String(window) })), 1000);
  });
}

test("200 machines load the same program at once", { timeout: 60_000 }, async () => {
  const all = await Promise.all(Array.from({ length: 200 }, () => load("ipxe.efi", { window: 4, block: 1228 })));
  assert.ok(all.every((body) => body.equals(program)));
});

test("a file of more than 65,535 blocks comes whole: block numbers wrap", { timeout: 60_000 }, async () => {
  assert.ok((await load("/initrd.gz", { window: 16 })).equals(large));
});

test("a missing file is answered not sooner than a millisecond, which shim would lose; nothing can be written", async () => {
  for (let i = 0; i < 20; i++) {
    const milliseconds = await new Promise<number>((resolve) => {
      const socket = client((packet) => {
        assert.ok(packet.op === "error" && packet.code === TftpErrorCode.notFound);
        socket.close();
        resolve(performance.now() - asked);
      });
      ask(socket, read("/debian-installer/amd64revocations_sku.efi", { blksize: "512", windowsize: "4" }));
      const asked = performance.now();
    });
    assert.ok(milliseconds >= 1, `${milliseconds} ms`);
  }
  const refused = await new Promise<TftpPacket>((resolve) => {
    const socket = client((packet) => {
      socket.close();
      resolve(packet);
    });
    ask(socket, { op: "write", file: "ipxe.efi", mode: "octet", options: new Map() });
  });
  assert.deepEqual(refused, { op: "error", code: TftpErrorCode.accessViolation, text: "read-only" });
  for (const path of ["../../etc/passwd", "/../etc/passwd", "..\\secret", ".env"]) await assert.rejects(load(path), /not a path/, path);
});

test("a client that asks anew from its port, as after a reset, is answered from the first block", async () => {
  const blocks: number[] = [];
  await new Promise<void>((resolve) => {
    const socket = client((packet, _, reply) => {
      if (packet.op !== "data") return;
      blocks.push(packet.block);
      if (blocks.length === 2) ask(socket, read("ipxe.efi"));
      else if (blocks.length === 1) reply({ op: "ack", block: 1 });
      else {
        socket.close();
        resolve();
      }
    });
    ask(socket, read("ipxe.efi"));
  });
  assert.deepEqual(blocks, [1, 2, 1], "not the second again");
});

test("a flood of what is no request is one event a second, with its count", async () => {
  const before = events.length;
  const socket = createSocket("udp6");
  for (let i = 0; i < 100; i++) socket.send(i % 2 ? Buffer.from([0, 9, 1]) : encodeTftp({ op: "ack", block: i }), PORT, "::1");
  await new Promise((resolve) => setTimeout(resolve, 2200));
  socket.close();
  const counts = new Map<string, number>();
  const told = events.slice(before).filter((event) => event.type === "wire.dropped");
  for (const { why, count } of told) counts.set(why, (counts.get(why) ?? 0) + count);
  assert.ok(told.length <= 4, `${told.length} events`);
  assert.deepEqual([...counts.values()], [50, 50]);
  assert.ok(counts.has("ack outside of a transfer"));
});

test("acknowledgements that come twice bring each block once", async () => {
  const blocks: number[] = [];
  await new Promise<void>((resolve) => {
    const socket = client((packet, _, reply) => {
      if (packet.op !== "data") return;
      blocks.push(packet.block);
      for (let i = 0; i < 3; i++) reply({ op: "ack", block: packet.block });
      if (packet.data.length === 512) return;
      socket.close();
      resolve();
    });
    ask(socket, read("ipxe.efi"));
  });
  assert.deepEqual(
    blocks,
    Array.from({ length: Math.floor(program.length / 512) + 1 }, (_, i) => i + 1),
  );
});

test("the timeout that a client asks for is kept: its window is sent again after so long, and it is told so", {
  timeout: 10_000,
}, async () => {
  const at: number[] = [];
  await new Promise<void>((resolve) => {
    const socket = client((packet, _, reply) => {
      if (packet.op === "oack") {
        assert.equal(packet.options.get("timeout"), "2");
        reply({ op: "ack", block: 0 });
      } else if (at.push(performance.now()) === 2) {
        reply({ op: "error", code: 0, text: "enough" });
        setTimeout(() => {
          socket.close();
          resolve();
        }, 100);
      }
    });
    ask(socket, read("ipxe.efi", { timeout: "2" }));
  });
  const seconds = ((at[1] as number) - (at[0] as number)) / 1000;
  assert.ok(seconds > 1.9 && seconds < 3, `${seconds} s`);
  for (let waited = 0; waited < 20 && !events.some((event) => event.type === "tftp.finished" && event.why === "enough"); waited++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.ok(events.some((event) => event.type === "tftp.finished" && event.status === "aborted" && event.why === "enough"));
});

test("a file too large for memory that is written to on its way is broken off: no client gets a mix", async () => {
  const path = join(dir, "disk.img");
  writeFileSync(path, "old");
  truncateSync(path, 2 ** 31 + 1);
  const said = await new Promise<string>((resolve) => {
    const socket = client((packet, _, reply) => {
      if (packet.op === "data") {
        assert.equal(Buffer.from(packet.data.subarray(0, 3)).toString(), "old");
        utimesSync(path, 1, 1);
        reply({ op: "ack", block: packet.block });
      } else if (packet.op === "error") {
        socket.close();
        resolve(packet.text);
      }
    });
    ask(socket, read("disk.img"));
  });
  assert.match(said, /disk\.img is being written$/);
  const end = events.findLast((event) => event.type === "tftp.finished");
  assert.ok(end?.type === "tftp.finished");
  assert.deepEqual([end.status, end.why, end.sent], ["aborted", said, 512]);
});

test("a transfer that a stop breaks off is told so, by then", async () => {
  const before = events.length;
  await new Promise<void>((resolve) => {
    const socket = client(() => {
      socket.close(); // acknowledges nothing
      resolve();
    });
    ask(socket, read("initrd.gz"));
  });
  await running.stop();
  const [end] = events.slice(before).filter((event) => event.type === "tftp.finished");
  assert.ok(end?.type === "tftp.finished");
  assert.deepEqual([end.status, end.why], ["aborted", "netboot6 stopped"]);
});
