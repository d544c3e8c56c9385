/** The HTTP server's sockets and certificate; what it answers is in answer.ts. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { createServer as createAcceptor, type ListenOptions, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { BootFiles, type Certificate, certificateVersion, FileCache, readCertificate } from "@netboot6/boot";
import type { Address } from "@netboot6/codec";
import { accessList, type HttpConfig, listenAddresses, type Network } from "@netboot6/config";
import type { Link, Running } from "@netboot6/events";
import fastify, { type FastifyReply, type FastifyRequest } from "fastify";
import { LRUCache } from "lru-cache";
import { Answerer, type Serving } from "./answer.ts";
import { withoutZone } from "./request.ts";
import { Turns } from "./turns.ts";

export interface HttpSettings {
  readonly http: HttpConfig;
  readonly networks: readonly Network[];
}

/** A storm of machines connects at once; 511, the usual, costs the last ones 9 s of SYN retries. */
const BACKLOG = 4096;
/** libuv takes one connection of a socket in each turn of the event loop, and turns are long while large files go out. */
const SOCKETS = 16;
const TURNS_MS = 50;
const CERTIFICATE_WATCH_MS = 5_000;
const HEADERS_TIMEOUT_MS = 15_000;
/** Who takes none of its bytes for so long, or asks for nothing, is gone. */
const DEAF_MS = 120_000;
const HEADERS_CHECK_MS = 5_000;

export async function startHttp(settings: HttpSettings, link: Link, deafMs = DEAF_MS): Promise<Running<HttpSettings>> {
  const turns = new Turns();
  const taking = setInterval(() => turns.tick(performance.now()), TURNS_MS).unref();
  const answerer = new Answerer(turns, link);
  let current = prepare(settings, link, null);

  // Answers are written, and told of, below fastify's replies, which take as long again as the rest. Its own log would be a second stream.
  const app = fastify({
    logger: false,
    exposeHeadRoutes: false,
    routerOptions: { ignoreTrailingSlash: false },
    frameworkErrors: (_, request, reply) => serve(request, reply),
  });
  const serve = (request: FastifyRequest, reply: FastifyReply): void => {
    reply.hijack();
    void answerer.answer(current.serving, request.raw, reply.raw);
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
    const wanted = new Map<string, Wanted>();
    for (const host of addresses) wanted.set(`[${host}]:${port}`, { host, port, certificate: null });
    const renewed = tls && readCertificate(tls);
    if (tls) for (const host of addresses) wanted.set(`https://[${host}]:${tls.port}`, { host, port: tls.port, certificate: renewed });
    const added = new Map<string, Listener>();
    try {
      for (const [key, on] of wanted) if (!servers.has(key)) added.set(key, await listen(on, handler, link, deafMs));
    } catch (error) {
      for (const server of added.values()) server.close();
      throw error;
    }
    for (const [key, server] of servers)
      if (!wanted.has(key)) {
        servers.delete(key);
        answerer.breakOff(`netboot6 listens no more on ${key}`, server);
        server.close();
      }
    for (const [key, server] of added) servers.set(key, server);
    use(renewed);
  };
  /** New connections have it. */
  const use = (renewed: Certificate | null): void => {
    certificate = renewed;
    if (renewed) for (const { server } of servers.values()) if ("setSecureContext" in server) server.setSecureContext(renewed);
  };
  const renew = (): void => {
    const { tls } = current.http;
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
      current = prepare(next, link, current);
    },
    async stop() {
      clearInterval(renewing);
      clearInterval(taking);
      answerer.breakOff("netboot6 stopped");
      for (const server of servers.values()) server.close();
      servers.clear();
      await app.close();
    },
  };
}

/** A rack's machines come again and again. */
function remembered(allowed: (client: string) => boolean): (client: string) => boolean {
  const known = new LRUCache<string, boolean>({ max: 10_000 });
  return (client) => {
    let is = known.get(client);
    if (is === undefined) {
      is = allowed(client);
      known.set(client, is);
    }
    return is;
  };
}

interface Prepared {
  readonly http: HttpConfig;
  readonly serving: Serving;
}

function prepare({ http, networks }: HttpSettings, link: Link, before: Prepared | null): Prepared {
  const files = new BootFiles({ root: http.root, templates: http.templates }, link.ask);
  const cache = before && before.http.cache === http.cache ? before.serving.cache : new FileCache(http.cache);
  const allowed = remembered(accessList(http.allow, networks));
  return { http, serving: { files, root: http.root, cache, networks, listing: http.listing, allowed } };
}

type HttpServer = ReturnType<typeof createServer> | ReturnType<typeof createTlsServer>;
type Handler = (request: IncomingMessage, response: ServerResponse) => void;

interface Wanted {
  readonly host: Address;
  readonly port: number;
  /** Null: plain HTTP. */
  readonly certificate: Certificate | null;
}

/** One server, and the sockets whose connections it has. */
interface Listener {
  readonly server: HttpServer;
  readonly host: Address;
  readonly port: number;
  close(): void;
}

async function listen({ host, port, certificate }: Wanted, handler: Handler, link: Link, deafMs: number): Promise<Listener> {
  const options = {
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: HEADERS_TIMEOUT_MS,
    connectionsCheckingInterval: HEADERS_CHECK_MS,
    keepAliveTimeout: 0, // DEAF_MS is for them too: a timer of their own would be set anew with each answer
    noDelay: true,
    optimizeEmptyRequests: true, // a body that never comes costs as much as the answer's head
  };
  const server = certificate ? createTlsServer({ ...options, ...certificate }, handler) : createServer(options, handler);
  server.on("clientError", refuse);
  server.timeout = deafMs;
  const on = { host, port, ipv6Only: true, backlog: BACKLOG };
  if (certificate) {
    tellFailures(server, link);
    await bound(server, on);
    return { server, host, port, close: () => shut(server) };
  }
  // Sockets that share a port would share it with another process too: that nobody has it is seen first.
  const alone = createAcceptor();
  await bound(alone, on);
  await new Promise((resolve) => alone.close(resolve));
  const accept = (socket: Socket): boolean => server.emit("connection", socket);
  const others = Array.from({ length: SOCKETS - 1 }, () => createAcceptor({ allowHalfOpen: true, noDelay: true }, accept));
  const close = (): void => {
    for (const other of others) other.close();
    shut(server);
  };
  try {
    for (const each of [server, ...others]) await bound(each, { ...on, reusePort: true });
  } catch (error) {
    close();
    throw error;
  }
  return { server, host, port, close };
}

/** A client that refuses the certificate says so by an alert, or just closes: where it is gone by then, the error comes without its address. */
function tellFailures(server: Server, link: Link): void {
  const of = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`;
  const handshakes = new Map<string, string>();
  server.on("connection", (socket: Socket) => {
    const [key, client] = [of(socket), socket.remoteAddress];
    if (client === undefined) return;
    handshakes.set(key, "it broke off the handshake, as firmware does that does not trust the certificate");
    socket.once("close", () => {
      const why = handshakes.get(key);
      handshakes.delete(key);
      if (why !== undefined && socket.bytesRead > 0) link.emit({ type: "http.tlsFailed", why, client: withoutZone(client) });
    });
  });
  server.on("secureConnection", (socket: Socket) => handshakes.delete(of(socket)));
  server.on("tlsClientError", ({ reason }: Error & { reason?: string }, socket: Socket) => {
    if (reason !== undefined && handshakes.has(of(socket))) handshakes.set(of(socket), reason);
  });
}

function bound(server: Server, on: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error) => reject(new Error(`cannot listen on [${on.host}]:${on.port}: ${error.message}`)));
    server.listen(on, resolve);
  });
}

function shut(server: HttpServer): void {
  server.close();
  server.closeAllConnections();
}

const REFUSALS: Readonly<Record<string, string>> = {
  HPE_HEADER_OVERFLOW: "431 Request Header Fields Too Large",
  ERR_HTTP_REQUEST_TIMEOUT: "408 Request Timeout",
};

/** What is no request, too large or too slow. */
function refuse(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable) return void socket.destroy();
  socket.end(`HTTP/1.1 ${REFUSALS[error.code ?? ""] ?? "400 Bad Request"}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
}
