/** The HTTP server: boot files as they are, files rendered for the machine that asks, `/done/` reports. */
import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { totalmem } from "node:os";
import { Readable } from "node:stream";
import {
  BootFiles,
  type Certificate,
  certificateVersion,
  FileCache,
  type Found,
  readCertificate,
  readClaims,
  renderedFor,
} from "@netboot6/boot";
import type { Address } from "@netboot6/codec";
import { accessList, type HttpConfig, listenAddresses, type Network } from "@netboot6/config";
import type { Link, Running } from "@netboot6/events";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { contentType, parseRange, precondition } from "./content.ts";
import { directoryPage } from "./listing.ts";

export interface HttpSettings {
  readonly http: HttpConfig;
  readonly networks: readonly Network[];
}

/** A storm of machines connects at once; 511, the usual, costs the last ones 9 s of SYN retries. */
const BACKLOG = 4096;
/** Bytes per write: more would keep this thread from its other clients. */
const PIECE_BYTES = 256 * 1024;
const PROGRESS_MS = 1000;
const CERTIFICATE_WATCH_MS = 5_000;
const HEADERS_TIMEOUT_MS = 15_000;
const IDLE_TIMEOUT_MS = 60_000;

export async function startHttp(settings: HttpSettings, link: Link): Promise<Running<HttpSettings>> {
  const cache = new FileCache(totalmem() / 4);
  let lastId = 0;
  let current = prepare(settings, link);

  // Errors are answered and told here; fastify's own log would be a second stream.
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: false },
    frameworkErrors: (_, request, reply) => void serve(request, reply),
  });
  const serve = async (request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> => {
    const started = Date.now();
    const id = ++lastId;
    const client = clientAddress(request.raw);
    const userAgent = request.headers["user-agent"] ?? "";
    const path = decodePath(request.raw.url ?? "/");
    // The token lets its bearer report the machine as done: nobody who reads events needs it.
    const shown = (path?.path ?? request.raw.url ?? "").replace(/^\/done\/.*/s, "/done/…");
    const head = request.method === "HEAD";
    let size = 0;
    let sent = 0;
    let why: string | undefined;
    let progress: NodeJS.Timeout | null = null;
    let machine: { machine?: string; network?: string } = {};

    reply.raw.once("close", () => {
      if (progress) clearInterval(progress);
      link.emit({
        type: "http.finished",
        id,
        method: request.method,
        path: shown,
        status: reply.statusCode,
        sent,
        size,
        seconds: (Date.now() - started) / 1000,
        userAgent,
        complete: reply.raw.writableFinished,
        client,
        ...machine,
        ...(why === undefined ? {} : { why }),
      });
    });

    const text = (status: number, body: string | Buffer, type = "text/plain; charset=utf-8"): FastifyReply => {
      const bytes = Buffer.from(body);
      size = bytes.length;
      if (!head) sent = bytes.length;
      return reply
        .code(status)
        .headers({ "content-type": type, "content-length": bytes.length })
        .send(head ? "" : bytes);
    };

    const notReady = (error: Error): FastifyReply => {
      why = error.message;
      reply.header("retry-after", "2");
      return text(503, "Not ready to answer this; ask again.\n");
    };

    if (!current.allowed(client)) {
      why = `${client} is not among those whom http.allow names`;
      return text(403, "You may not ask here: http.allow does not name your address.\n");
    }
    if (request.method !== "GET" && !head) {
      if (!(request.method === "POST" && path?.path.startsWith("/done/"))) {
        reply.header("allow", "GET, HEAD");
        return text(405, "Only GET and HEAD.\n");
      }
    }
    if (!path) {
      why = "a path that cannot be decoded";
      return text(404, "Not found.\n");
    }
    const token = /^\/done\/([0-9a-f]{32})$/.exec(path.path)?.[1];
    if (token !== undefined && !head) {
      const done = await link.ask({ ask: "done", token, client }).catch((error: Error) => error);
      if (done instanceof Error) return notReady(done);
      return done === true ? text(200, "done\n") : text(404, "No installation of this token is under way.\n");
    }

    let found: Found;
    try {
      found = await current.files.find(path.path, client, readClaims(path.query));
    } catch (error) {
      return notReady(error as Error);
    }
    switch (found.kind) {
      case "missing":
        why = found.why;
        return text(404, `Not found: ${shown}\n`);
      case "broken":
        why = found.why;
        // iPXE shows no body of an error: the script that prints it comes as a script.
        return text(shown.endsWith(".ipxe") ? 200 : 500, found.body);
      case "text":
        machine = { network: found.state.network, ...(found.state.machine === null ? {} : { machine: found.state.machine }) };
        link.emit({ type: "machine.rendered", path: shown, ...renderedFor(found.state), client });
        return text(200, found.body, contentType(found.name));
      case "directory":
        if (!current.settings.http.listing) {
          why = "a directory, and http.listing is off";
          return text(404, `Not found: ${shown}\n`);
        }
        return text(200, directoryPage(path.path, await readdir(found.file, { withFileTypes: true })), "text/html; charset=utf-8");
    }

    size = found.size;
    let whole: Awaited<ReturnType<FileCache["get"]>>;
    try {
      whole = await cache.get(found.file, found.size, found.modified);
    } catch (error) {
      why = (error as Error).message;
      return text(404, `Not readable: ${shown}\n`);
    }
    if (whole) size = whole.body.length;
    const etag = whole?.etag ?? `"${found.size.toString(36)}-${Math.round(found.modified * 1000).toString(36)}"`;
    const modified = new Date(found.modified).toUTCString();
    reply.headers({ "accept-ranges": "bytes", etag, "last-modified": modified, "content-type": contentType(found.name) });
    const status = precondition(request.headers, etag, found.modified);
    if (status === 412) return text(412, "The file has changed.\n");
    if (status === 304) return reply.code(304).send();

    const condition = request.headers["if-range"];
    const ranged = condition === undefined || condition === etag || condition === modified;
    const range = ranged && !head ? parseRange(request.headers.range, size) : null;
    if (range === "unsatisfiable") {
      reply.header("content-range", `bytes */${size}`);
      return text(416, "No such bytes.\n");
    }
    const { start, end } = range ?? { start: 0, end: size - 1 };
    if (range) reply.header("content-range", `bytes ${start}-${end}/${size}`);
    reply.code(range ? 206 : 200).header("content-length", end - start + 1);
    if (head) return reply.send("");
    link.emit({ type: "http.started", id, path: shown, size, userAgent, client });
    progress = setInterval(() => link.emit({ type: "http.progress", id, path: shown, sent, size, client }), PROGRESS_MS);
    const count = (bytes: number): void => {
      sent += bytes;
    };
    return reply.send(
      whole
        ? pieces(whole.body.subarray(start, end + 1), count)
        : counted(createReadStream(found.file, { start, end, highWaterMark: 4 * PIECE_BYTES }), count),
    );
  };
  app.all("/*", serve);
  // Whatever is asked, and in whatever form, is answered and told in one place; bodies are of no interest.
  app.setNotFoundHandler(serve);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("*", (_request, _payload, done) => done(null));
  await app.ready();

  const servers = new Map<string, Listener>();
  let certificate: Certificate | null = null;
  let failing = { version: "", looks: 0 };
  const handler: Handler = (request, response) => app.routing(request, response);
  const follow = async (next: HttpSettings): Promise<void> => {
    const { port, tls } = next.http;
    const addresses = listenAddresses(next.http.listen, next.networks);
    const wanted = new Map<string, { host: Address; port: number; certificate: Certificate | null }>();
    for (const host of addresses) wanted.set(`[${host}]:${port}`, { host, port, certificate: null });
    const renewed = tls && readCertificate(tls);
    if (tls) for (const host of addresses) wanted.set(`https://[${host}]:${tls.port}`, { host, port: tls.port, certificate: renewed });
    const added = new Map<string, Listener>();
    try {
      for (const [key, on] of wanted) if (!servers.has(key)) added.set(key, await listen(on.host, on.port, on.certificate, handler));
    } catch (error) {
      for (const server of added.values()) server.close();
      throw error;
    }
    for (const [key, server] of servers)
      if (!wanted.has(key)) {
        servers.delete(key);
        server.close();
        server.closeAllConnections();
      }
    for (const [key, server] of added) servers.set(key, server);
    use(renewed);
  };
  /** New connections have it. */
  const use = (renewed: Certificate | null): void => {
    certificate = renewed;
    if (renewed) for (const server of servers.values()) if ("setSecureContext" in server) server.setSecureContext(renewed);
  };
  const renew = (): void => {
    const { tls } = current.settings.http;
    if (!tls || !certificate || certificateVersion(tls) === certificate.version) return;
    try {
      use(readCertificate(tls));
    } catch (error) {
      // The two files are replaced one after the other: what cannot be used at the second look is told, once.
      const version = certificateVersion(tls);
      failing = failing.version === version ? { version, looks: failing.looks + 1 } : { version, looks: 1 };
      if (failing.looks === 2) link.emit({ type: "appliance.warned", why: `the old certificate stays: ${(error as Error).message}` });
    }
  };
  const renewing = setInterval(renew, CERTIFICATE_WATCH_MS).unref();
  await follow(settings);
  return {
    get listens() {
      return [...servers.keys()];
    },
    async reload(next) {
      await follow(next);
      current = prepare(next, link);
    },
    async stop() {
      clearInterval(renewing);
      for (const server of servers.values()) {
        server.close();
        server.closeAllConnections();
      }
      servers.clear();
      await app.close();
    },
  };
}

function prepare(settings: HttpSettings, link: Link): { settings: HttpSettings; files: BootFiles; allowed: (address: Address) => boolean } {
  const files = new BootFiles({ root: settings.http.root, templates: settings.http.templates }, link.ask);
  return { settings, files, allowed: accessList(settings.http.allow, settings.networks) };
}

type Listener = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>;
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

async function listen(host: Address, port: number, certificate: Certificate | null, handler: Handler): Promise<Listener> {
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: HEADERS_TIMEOUT_MS,
    keepAliveTimeout: IDLE_TIMEOUT_MS,
    noDelay: true,
  };
  const server = certificate ? createTlsServer({ ...options, ...certificate }, handler) : createServer(options, handler);
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`cannot listen on [${host}]:${port}: ${error.message}`)));
    server.listen({ host, port, ipv6Only: true, backlog: BACKLOG }, resolve);
  });
  server.on("clientError", (_, socket) => {
    if (socket.writable) socket.end("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    else socket.destroy();
  });
  return server;
}

/** Without a zone; RFC 5952 as the kernel writes it. */
const clientAddress = (request: IncomingMessage): Address => (request.socket.remoteAddress ?? "::").replace(/%.*$/, "");

/** The path percent-decoded once, and the query. Null where the decoding fails. */
function decodePath(url: string): { path: string; query: URLSearchParams } | null {
  const whole = /^[a-z]+:\/\/[^/]*(\/.*)?$/i.exec(url)?.[1] ?? url;
  const [path = "", query = ""] = whole.split(/\?(.*)/s);
  try {
    return { path: decodeURIComponent(path).replace(/\/{2,}/g, "/"), query: new URLSearchParams(query) };
  } catch {
    return null;
  }
}

/** Gives way to other clients between the pieces. */
function pieces(body: Buffer, count: (bytes: number) => void): Readable {
  let at = 0;
  return new Readable({
    highWaterMark: PIECE_BYTES,
    read() {
      setImmediate(() => {
        const piece = body.subarray(at, at + PIECE_BYTES);
        at += piece.length;
        count(piece.length);
        this.push(piece.length > 0 ? piece : null);
      });
    },
  });
}

function counted(stream: Readable, count: (bytes: number) => void): Readable {
  return stream.on("data", (piece: Buffer) => count(piece.length)).pause();
}
