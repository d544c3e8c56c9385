/** The server over real sockets on the loopback. */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readlinkSync, rmSync, truncateSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { WAITING } from "@netboot6/boot/test-state";
import { decodeTftp, encodeTftp, prefixOf, TftpErrorCode, type TftpPacket } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { EventBody, Link, Running } from "@netboot6/events";
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

const ack = (block: number): TftpPacket => ({ op: "ack", block });

/** Breaks the transfer off; a socket that is closed at once sends nothing more. */
const leave = (socket: Socket, { port, address }: RemoteInfo): void =>
  socket.send(encodeTftp({ op: "error", code: 0, text: "enough" }), port, address, () => socket.close());

/** "" where it is closed by now. */
function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return "";
  }
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

test("a request that comes again before its answer is acknowledged starts no second transfer; one that comes after the end does", async () => {
  const ports = [new Set<number>(), new Set<number>()];
  await new Promise<void>((resolve) => {
    let [loads, last] = [0, 0];
    const socket = client((packet, from, reply) => {
      if (packet.op !== "data") return;
      ports[loads]?.add(from.port);
      reply({ op: "ack", block: packet.block });
      if (packet.block !== last + 1) return;
      last = packet.block;
      if (packet.data.length === 512) return;
      last = 0;
      if (++loads === 1) return void again(socket);
      socket.close();
      resolve();
    });
    for (let i = 0; i < 3; i++) ask(socket, read("ipxe.efi"));
  });
  assert.deepEqual(
    ports.map(({ size }) => size),
    [1, 1],
  );
});

/** Asks once what went before is told of. */
async function again(socket: Socket): Promise<void> {
  const ends = (): number => events.filter((event) => event.type === "tftp.finished" && event.status === "sent").length;
  for (const before = ends(); ends() === before; ) await new Promise((resolve) => setTimeout(resolve, 10));
  ask(socket, read("ipxe.efi"));
}

test("packets of another port are not of a transfer: they are refused, errors are not, and it goes on", async () => {
  const refused: TftpPacket[] = [];
  await new Promise<void>((resolve) => {
    const stranger = client((packet) => {
      refused.push(packet);
      socket.send(encodeTftp({ op: "ack", block: 1 }), server.port, server.address);
    });
    let server: RemoteInfo;
    const socket = client((packet, from) => {
      if (packet.op !== "data") return;
      server = from;
      if (packet.block === 1)
        for (const strange of [{ op: "error", code: 0, text: "" }, ack(1)] as const)
          stranger.send(encodeTftp(strange), from.port, from.address);
      else {
        leave(socket, from);
        stranger.close();
        resolve();
      }
    });
    ask(socket, read("ipxe.efi"));
  });
  assert.deepEqual(refused, [{ op: "error", code: TftpErrorCode.unknownTransfer, text: "not your transfer" }]);
});

/** What is answered first to a request of this server. */
function answer(packet: TftpPacket, port = PORT): Promise<TftpPacket> {
  return new Promise((resolve) => {
    const socket = client((first, from) => {
      if (first.op === "error") socket.close();
      else leave(socket, from);
      resolve(first);
    });
    socket.send(encodeTftp(packet), port, "::1");
  });
}

test("only whole bytes are sent, of files, to those who may ask; what is not, is said", async () => {
  const request = read("ipxe.efi");
  assert.ok(request.op === "read");
  const refused = async (packet: TftpPacket): Promise<unknown> => {
    const error = await answer(packet, PORT + 1);
    return error.op === "error" && [error.code, error.text];
  };
  const tftp = { port: PORT + 1, listen: ["::1"], allow: "networks" as const, root: dir, templates: [] };
  const told: EventBody[] = [];
  const other = await startTftp({ tftp, networks: [] }, { emit: (event) => told.push(event), ask: async () => null });
  try {
    assert.deepEqual(await refused({ ...request, mode: "netascii" }), [TftpErrorCode.illegalOperation, "mode netascii: only octet"]);
    assert.deepEqual(await refused({ ...request, file: "/" }), [TftpErrorCode.notFound, "a directory"]);
    await other.reload({ tftp: { ...tftp, allow: [] }, networks: [] });
    assert.deepEqual(await refused(request), [TftpErrorCode.accessViolation, "http.allow does not name this address"]);
    await assert.rejects(other.reload({ tftp: { ...tftp, port: PORT }, networks: [] }), /cannot listen on \[::1\]:16969/);
    assert.equal((await answer(request, PORT + 1)).op, "error", "what it was told before holds");
    const elsewhere = { ...tftp, port: PORT + 2 };
    const notOurs = { ...elsewhere, listen: ["::1", "2001:db8::1"] };
    await assert.rejects(other.reload({ tftp: notOurs, networks: [] }), /cannot listen on \[2001:db8::1\]:16971/);
    await other.reload({ tftp: elsewhere, networks: [] });
    assert.deepEqual(other.listens, ["[::1]:16971"]);
    const free = createSocket("udp6").bind({ port: PORT + 1, address: "::1", exclusive: true });
    await once(free, "listening");
    free.close();
    await other.reload({ tftp, networks: [] });
    assert.equal((await answer(request, PORT + 1)).op, "data");
  } finally {
    await other.stop();
  }
  const ends = told.flatMap((event) => (event.type === "tftp.finished" ? [[event.path, event.status, event.why]] : []));
  assert.deepEqual(ends[0], ["/ipxe.efi", "refused", "mode netascii: only octet"]);
});

test("what is rendered, and what is wrong with it, comes as over HTTP; blocks fit the narrowest link", async () => {
  writeFileSync(join(dir, "answers.cfg"), "host {{ machine.name }}\n");
  for (const wrong of ["wrong.cfg", "wrong.ipxe"]) writeFileSync(join(dir, wrong), "{{ nothing }}\n");
  const tftp = { port: PORT + 1, listen: ["::1"], allow: "networks" as const, root: dir, templates: ["*.cfg", "*.ipxe"] };
  const prefix = prefixOf("2001:db8::", 64);
  const networks = [1500, 1400].map((mtu) => ({ name: "n", prefix, link: { name: "eth1", mtu } })) as unknown as Network[];
  const told: EventBody[] = [];
  const asked: unknown[] = [];
  const link: Link = {
    emit: (event) => told.push(event),
    ask: async (question) => {
      asked.push(question);
      return WAITING;
    },
  };
  const other = await startTftp({ tftp, networks }, link);
  const text = async (file: string): Promise<string> => {
    const packet = await answer(read(file), PORT + 1);
    return packet.op === "data" ? Buffer.from(packet.data).toString() : packet.op === "error" ? `error: ${packet.text}` : packet.op;
  };
  try {
    assert.equal(await text("answers.cfg"), "host node-01\n");
    assert.deepEqual(asked, [{ ask: "machine", path: "/answers.cfg", client: "::1", claims: {} }]);
    assert.deepEqual(
      told.flatMap((event) => (event.type === "machine.rendered" ? [event.machine, event.path] : [])),
      ["node-01", "/answers.cfg"],
    );
    assert.match(await text("wrong.cfg"), /^error: wrong\.cfg:1:4: undefined variable: nothing$/);
    assert.match(await text("wrong.ipxe"), /^#!ipxe\necho netboot6: wrong\.ipxe:1:4: undefined variable: nothing\n/);
    const end = () => told.find((event) => event.type === "tftp.finished" && event.path === "/wrong.ipxe");
    for (let waited = 0; !end() && waited < 500; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
    const wrong = end();
    assert.match(wrong?.type === "tftp.finished" ? (wrong.why ?? "") : "", /undefined variable: nothing/);
    const granted = await answer(read("ipxe.efi", { blksize: "65464" }), PORT + 1);
    assert.equal(granted.op === "oack" && granted.options.get("blksize"), String(1400 - 52));
  } finally {
    await other.stop();
  }
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
  assert.ok(events.some((event) => event.type === "tftp.finished" && event.why === "its client asked anew"));
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

test("how far a transfer is is told, as long as it goes on", { timeout: 60_000 }, async () => {
  const before = events.length;
  const progress = () => events.slice(before).find((event) => event.type === "tftp.progress" && event.sent === 1024);
  await new Promise<void>((resolve) => {
    let waits = false;
    const socket = client(async (packet, from, reply) => {
      if (packet.op !== "data" || waits) return;
      if (packet.block < 3) return reply({ op: "ack", block: packet.block });
      waits = true;
      while (!progress()) await new Promise((next) => setTimeout(next, 20));
      leave(socket, from);
      resolve();
    });
    ask(socket, read("ipxe.efi"));
  });
  const told = progress();
  assert.ok(told?.type === "tftp.progress" && told.path === "/ipxe.efi" && told.size === program.length);
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
  const open = (): string[] => readdirSync("/proc/self/fd").filter((fd) => readlink(`/proc/self/fd/${fd}`) === path);
  for (let waited = 0; open().length > 0 && waited < 500; waited++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(open(), [], "it is closed");
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
