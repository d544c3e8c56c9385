/** The TFTP server: read-only, the same files as HTTP, each transfer on a port of its own from the address that was asked. */
import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { BeingWritten, BootFiles, FileCache, type Found, memoryBytes, renderedFor } from "@netboot6/boot";
import { type Address, decodeTftp, encodeTftp, TftpErrorCode, type TftpPacket } from "@netboot6/codec";
import { accessList, listenAddresses, type Network, type TftpConfig } from "@netboot6/config";
import { Drops, type Link, type Running, TELL_DROPS_MS } from "@netboot6/events";
import { negotiate, type Source, Transfer } from "./transfer.ts";

export interface TftpSettings {
  readonly tftp: TftpConfig;
  readonly networks: readonly Network[];
}

const MAX_TRANSFERS = 2_000;
const PROGRESS_MS = 1000;
/** shim loses an error that comes within a millisecond of its request, and then waits 5 s. */
const ERROR_DELAY_MS = 3;
const IPV6_UDP_TFTP_HEADERS = 40 + 8 + 4;

type Request = Extract<TftpPacket, { op: "read" | "write" }>;

export async function startTftp(settings: TftpSettings, link: Link): Promise<Running<TftpSettings>> {
  const cache = new FileCache(memoryBytes() / 16);
  const sockets = new Map<string, Socket>();
  /** By client, port and file: a request that comes again before its answer is acknowledged starts no second transfer. */
  const transfers = new Map<string, Socket>();
  /** By their sockets. A client that has acknowledged something of one and asks again began anew, as after a reset. */
  const running = new Map<Socket, Transfer>();
  const drops = new Drops("tftp");
  const telling = setInterval(() => drops.tell(link.emit), TELL_DROPS_MS).unref();
  let lastId = 0;
  let current = prepare(settings, link);

  const request = async (packet: Request, from: RemoteInfo, local: Address, listening: Socket): Promise<void> => {
    const client = from.address.replace(/%.*$/, "");
    const started = performance.now();
    const id = ++lastId;
    const path = `/${packet.file.replace(/^\/+/, "")}`;
    const refuse = (code: number, why: string): void => {
      setTimeout(
        () =>
          [...sockets.values()].includes(listening) &&
          listening.send(encodeTftp({ op: "error", code, text: why }), from.port, from.address),
        ERROR_DELAY_MS,
      );
      link.emit({ type: "tftp.finished", id, path, status: "refused", sent: 0, size: 0, seconds: 0, why, client });
    };
    if (!current.allowed(from.address)) return refuse(TftpErrorCode.accessViolation, "http.allow does not name this address");
    if (packet.op === "write") return refuse(TftpErrorCode.accessViolation, "read-only");
    if (packet.mode !== "octet") return refuse(TftpErrorCode.illegalOperation, `mode ${packet.mode}: only octet`);
    if (transfers.size >= MAX_TRANSFERS) return refuse(TftpErrorCode.undefined, "too many transfers");
    const key = `${client} ${from.port} ${packet.file}`;
    const before = transfers.get(key);
    if (before && !running.get(before)?.sent) return;
    before?.emit("end-transfer", "its client asked anew");

    const socket = createSocket({ type: "udp6", ipv6Only: true });
    transfers.set(key, socket);
    let source: (Source & { close?: () => void }) | null = null;
    try {
      const found = await current.files.find(packet.file, client);
      if (found.kind === "missing" || found.kind === "directory")
        return refuse(TftpErrorCode.notFound, found.kind === "missing" ? found.why : "a directory");
      // iPXE and GRUB show no text of an error: the script that prints it comes as their script.
      if (found.kind === "broken" && !found.script) return refuse(TftpErrorCode.undefined, found.why);
      if (found.kind === "text") link.emit({ type: "machine.rendered", path, ...renderedFor(found.state), client });
      source = await openSource(found, cache);
      await bind(socket, local);
      const mtu = Math.min(1500, ...current.settings.networks.map((network) => network.link?.mtu ?? 1500));
      const transfer = new Transfer(source, negotiate(packet.options, source.size, mtu - IPV6_UDP_TFTP_HEADERS));
      running.set(socket, transfer);
      const { size } = source;
      link.emit({ type: "tftp.started", id, path, size, client });
      let told = 0;
      const progress = setInterval(() => {
        if (transfer.sent === told) return;
        told = transfer.sent;
        link.emit({ type: "tftp.progress", id, path, sent: told, size, client });
      }, PROGRESS_MS);
      const brokenOff = await drive(transfer, socket, from);
      clearInterval(progress);
      const { end } = transfer;
      const why =
        found.kind === "broken"
          ? { why: found.why }
          : end && "why" in end
            ? { why: end.why }
            : brokenOff !== null
              ? { why: brokenOff }
              : {};
      link.emit({
        type: "tftp.finished",
        id,
        path,
        status: end?.how ?? "aborted",
        sent: transfer.sent,
        size,
        seconds: Math.round(performance.now() - started) / 1000,
        client,
        ...why,
      });
    } catch (error) {
      refuse(TftpErrorCode.undefined, (error as Error).message);
    } finally {
      source?.close?.();
      if (transfers.get(key) === socket) transfers.delete(key);
      running.delete(socket);
      socket.close();
    }
  };

  const listen = async (address: Address, port: number): Promise<Socket> => {
    const socket = createSocket({ type: "udp6", ipv6Only: true });
    await bind(socket, address, port).catch((error: Error) => {
      socket.close();
      throw new Error(`cannot listen on [${address}]:${port}: ${error.message}`);
    });
    socket.on("message", (bytes, from) => {
      const packet = decodeTftp(bytes);
      if (packet.ok && (packet.value.op === "read" || packet.value.op === "write")) void request(packet.value, from, address, socket);
      else drops.count(packet.ok ? `${packet.value.op} outside of a transfer` : packet.why);
    });
    socket.on("error", (error) => drops.count(error.message));
    return socket;
  };

  const follow = async (next: TftpSettings): Promise<void> => {
    const { listen: where, port } = next.tftp;
    const wanted = new Map(listenAddresses(where, next.networks).map((address) => [`[${address}]:${port}`, address]));
    const added = new Map<string, Socket>();
    try {
      for (const [key, address] of wanted) if (!sockets.has(key)) added.set(key, await listen(address, port));
    } catch (error) {
      for (const socket of added.values()) socket.close();
      throw error;
    }
    for (const [key, socket] of sockets)
      if (!wanted.has(key)) {
        sockets.delete(key);
        socket.close();
      }
    for (const [key, socket] of added) sockets.set(key, socket);
  };
  await follow(settings);
  return {
    get listens() {
      return [...sockets.keys()];
    },
    async reload(next) {
      await follow(next);
      current = prepare(next, link);
    },
    async stop() {
      clearInterval(telling);
      drops.tell(link.emit);
      for (const socket of sockets.values()) socket.close();
      sockets.clear();
      for (const socket of transfers.values()) socket.emit("end-transfer", "netboot6 stopped");
    },
  };
}

function prepare(settings: TftpSettings, link: Link): { settings: TftpSettings; files: BootFiles; allowed: (client: string) => boolean } {
  const { tftp, networks } = settings;
  return { settings, files: new BootFiles(tftp, link.ask), allowed: accessList(tftp.allow, networks) };
}

function bind(socket: Socket, address: Address, port = 0): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once("error", reject);
    socket.bind({ address, port, exclusive: true }, () => {
      socket.off("error", reject);
      resolve();
    });
  });
}

async function openSource(
  found: Extract<Found, { kind: "file" | "text" | "broken" }>,
  cache: FileCache,
): Promise<Source & { close?: () => void }> {
  const whole = found.kind === "file" ? (await cache.get(found))?.body : found.body;
  if (whole) return { size: whole.length, read: (offset, length) => whole.subarray(offset, offset + length) };
  if (found.kind !== "file") throw new Error("unreachable: a text is whole");
  const file = openSync(found.file, "r");
  return {
    size: found.size,
    read: (offset, length) => {
      const bytes = Buffer.alloc(length);
      const read = readSync(file, bytes, 0, length, offset);
      const { mtimeMs, size } = fstatSync(file);
      if (read !== length || mtimeMs !== found.modified || size !== found.size) throw new BeingWritten(found.file);
      return bytes;
    },
    close: () => closeSync(file),
  };
}

/** Runs the transfer to its end. Resolves to null there, and to the reason where it is broken off before. */
function drive(transfer: Transfer, socket: Socket, to: RemoteInfo): Promise<string | null> {
  return new Promise((resolve) => {
    let timer: NodeJS.Timeout;
    const send = (packets: readonly Uint8Array[]): void => {
      for (const packet of packets) socket.send(packet, to.port, to.address);
      clearTimeout(timer);
      if (transfer.end) resolve(null);
      else timer = setTimeout(() => go(() => transfer.timeout()), transfer.wait);
    };
    /** The file may not be readable any more, or be another. */
    const go = (next: () => readonly Uint8Array[]): void => {
      let packets: readonly Uint8Array[];
      try {
        packets = next();
      } catch (error) {
        const { message } = error as Error;
        socket.send(encodeTftp({ op: "error", code: TftpErrorCode.undefined, text: message }), to.port, to.address, () =>
          breakOff(message),
        );
        return;
      }
      // A duplicate brings nothing out and leaves the timer alone.
      if (packets.length > 0 || transfer.end) send(packets);
    };
    const breakOff = (why: string): void => {
      clearTimeout(timer);
      resolve(why);
    };
    socket.on("message", (bytes, from) => {
      // RFC 1350 §4: another sender's packets are not of this transfer.
      if (from.port !== to.port || from.address !== to.address) {
        const stranger = decodeTftp(bytes);
        // An error is never answered: two ports of ours would go on answering each other.
        if (!stranger.ok || stranger.value.op === "error") return;
        socket.send(encodeTftp({ op: "error", code: TftpErrorCode.unknownTransfer, text: "not your transfer" }), from.port, from.address);
        return;
      }
      const packet = decodeTftp(bytes);
      if (!packet.ok) return;
      go(() => transfer.receive(packet.value));
    });
    socket.on("error", ({ message }) => breakOff(message));
    socket.once("end-transfer", breakOff);
    go(() => transfer.start());
  });
}
