/** One request: found, answered and told of. */
import type { IncomingMessage, ServerResponse } from "node:http";
import {
  BeingWritten,
  type BootFiles,
  type CachedFile,
  type FileCache,
  type FileOnDisk,
  type Found,
  OpenFile,
  readClaims,
  renderedFor,
} from "@netboot6/boot";
import { type Address, prefixContains } from "@netboot6/codec";
import type { Network } from "@netboot6/config";
import type { EventBody, HeldUpBy, Link } from "@netboot6/events";
import { inMemory, type Progress, sendBody } from "./body.ts";
import { contentType } from "./content.ts";
import { answerFile } from "./file-answer.ts";
import { heldUpBy } from "./held-up.ts";
import { directoryPage } from "./listing.ts";
import { clientAddress, decodePath } from "./request.ts";
import type { Turns } from "./turns.ts";

/** What a request is answered from. */
export interface Serving {
  readonly files: BootFiles;
  /** Absolute: what is served. */
  readonly root: string;
  readonly cache: FileCache;
  /** `client` is a socket's text of its address; it may have a zone. */
  readonly allowed: (client: string) => boolean;
  readonly networks: readonly Network[];
  /** Whether folders are shown. */
  readonly listing: boolean;
}

/** Files up to this size, which are scripts, answers and boot programs, never wait for their turn. */
const SMALL_BYTES = 4 * 1024 * 1024;
/** What goes out in one write. */
const ONE_WRITE_BYTES = 256 * 1024;
const PROGRESS_MS = 1000;
/** Who waits for its turn gets so little that it is told less often. */
const PROGRESS_SHARE = 1 / 100;
const QUIET_PROGRESS_MS = 5 * PROGRESS_MS;
/** After so long, and again, the kernel is asked why nothing moves. */
const STANDS_MS = 5 * PROGRESS_MS;
const DONE = "/done/";
const TEXT = "text/plain; charset=utf-8";

type Finished = Extract<EventBody, { type: "http.finished" }>;

export class Answerer {
  readonly #turns: Turns;
  readonly #link: Link;
  /** Exchanges that take longer than a moment. */
  readonly #underWay = new Set<Exchange>();
  #lastId = 0;

  constructor(turns: Turns, link: Link) {
    this.#turns = turns;
    this.#link = link;
  }

  /** Tells that what is under way there ends now, by us; all of it where nothing is named. */
  breakOff(why: string, on?: { readonly host: Address; readonly port: number }): void {
    for (const exchange of this.#underWay) {
      const { localAddress, localPort } = exchange.request.socket;
      if (!on || (localAddress === on.host && localPort === on.port)) exchange.breakOff(why);
    }
  }

  async answer(serving: Serving, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const exchange = new Exchange(request, response, ++this.#lastId, this.#link, this.#underWay);
    const { client, path, head } = exchange;
    if (!serving.allowed(request.socket.remoteAddress ?? "::"))
      return exchange.text(403, "You may not ask here: http.allow does not name your address.\n", {
        why: `${client} is not among those whom http.allow names`,
      });
    if (request.method !== "GET" && !head && !(request.method === "POST" && path?.path.startsWith(DONE)))
      return exchange.text(405, "Only GET and HEAD.\n", { headers: { Allow: "GET, HEAD" } });
    if (!path) return exchange.text(404, "Not found.\n", { why: "a path that cannot be decoded" });
    const token = path.path.startsWith(DONE) ? /^[0-9a-f]{32}$/.exec(path.path.slice(DONE.length))?.[0] : undefined;
    try {
      if (token !== undefined && !head)
        return (await this.#link.ask({ ask: "done", token, client })) === true
          ? exchange.text(200, "done\n")
          : exchange.text(404, "No installation of this token is under way.\n");
      // What is in memory is answered before anything else is done: each promise on the way costs as much as a header.
      const found = serving.files.find(path.path, client, path.query ? readClaims(path.query) : {});
      const more = this.#answerFound(serving, exchange, found instanceof Promise ? await found : found);
      if (more) await more;
    } catch (error) {
      exchange.notReady(error as Error);
    }
  }

  #answerFound(serving: Serving, exchange: Exchange, found: Found): void | Promise<void> {
    const { shown, client } = exchange;
    switch (found.kind) {
      case "missing":
        return exchange.text(404, `Not found: ${shown}\n`, { why: found.why });
      case "broken":
        // iPXE shows no body of an error: the script that prints it comes as a script.
        return exchange.text(found.script ? 200 : 500, found.body, { why: found.why });
      case "text":
        exchange.about.network = found.state.network;
        if (found.state.machine !== null) exchange.about.machine = found.state.machine;
        this.#link.emit({ type: "machine.rendered", path: shown, ...renderedFor(found.state), client });
        // It is one machine's, and may have its secrets in it.
        return exchange.text(200, found.body, { type: contentType(found.name), headers: { "Cache-Control": "no-store" } });
      case "directory":
        if (!serving.listing) return exchange.text(404, `Not found: ${shown}\n`, { why: "a directory, and http.listing is off" });
        return directoryPage(shown, found.file, serving.root).then((page) =>
          exchange.text(200, page, { type: "text/html; charset=utf-8" }),
        );
      case "file":
        return this.#answerFile(serving, exchange, found, found.name);
    }
  }

  #answerFile(serving: Serving, exchange: Exchange, found: FileOnDisk, name: string): void | Promise<void> {
    const held = serving.cache.get(found);
    if (held === null || held instanceof Promise) return this.#answerRead(serving, exchange, found, name, held);
    this.#send(serving, exchange, name, held);
  }

  /** `reading` null, or to null: there is no room to hold the file. */
  async #answerRead(
    serving: Serving,
    exchange: Exchange,
    { file, size }: FileOnDisk,
    name: string,
    reading: Promise<CachedFile | null> | null,
  ): Promise<void> {
    let read: CachedFile | OpenFile;
    exchange.size = size;
    exchange.reading = true;
    const slow = setTimeout(() => exchange.beginProgress(), PROGRESS_MS);
    try {
      read = (await reading) ?? (await OpenFile.open(file));
    } catch (error) {
      if (error instanceof BeingWritten) throw error;
      return exchange.text(404, `Not readable: ${exchange.shown}\n`, { why: (error as Error).message });
    } finally {
      clearTimeout(slow);
      exchange.reading = false;
    }
    this.#send(serving, exchange, name, read);
  }

  #send(serving: Serving, exchange: Exchange, name: string, file: CachedFile | OpenFile): void {
    const { request, response, client, head } = exchange;
    const open = file instanceof OpenFile ? file : null;
    const whole = file instanceof OpenFile ? null : file;
    // It left while its file was looked for or read: what ends with its connection would never end.
    if (response.closed) {
      open?.close();
      return;
    }
    const { size, modified } = file instanceof OpenFile ? file.about : file;
    const answer = answerFile({ name, size, modified, etag: file.etag }, request.method ?? "GET", request.headers, Date.now());
    exchange.size = answer.status < 300 ? size : answer.length;
    response.writeHead(answer.status, answer.headers);
    const [only] = answer.parts;
    if (head || only === undefined) {
      open?.close();
      response.end();
      return;
    }
    if (whole && answer.parts.length === 1 && answer.length <= ONE_WRITE_BYTES) {
      if (whole.text !== null && answer.status === 200) response.end(whole.text, "latin1");
      else response.end(Buffer.isBuffer(only) ? only : whole.body.subarray(only.start, only.end + 1));
      exchange.sent = answer.length;
      return;
    }
    const source = open ?? inMemory((whole as CachedFile).body);
    const network = serving.networks.find(({ prefix }) => prefixContains(prefix, client))?.name ?? "";
    const turn = answer.length > SMALL_BYTES ? this.#turns.enter(network, client, performance.now()) : null;
    exchange.beginProgress();
    sendBody(response, source, answer.parts, turn, exchange);
  }
}

interface TextOptions {
  readonly type?: string;
  readonly why?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request and its answer, and what is told of them. */
class Exchange implements Progress {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly client: Address;
  readonly path: ReturnType<typeof decodePath>;
  readonly head: boolean;
  /** The path as it is told. */
  readonly shown: string;
  readonly about: { machine?: string; network?: string; why?: string } = {};
  size = 0;
  sent = 0;
  reading = false;
  readonly #id: number;
  readonly #link: Link;
  readonly #underWay: Set<Exchange>;
  readonly #started = performance.now();
  #ended = false;
  #progress: NodeJS.Timeout | null = null;

  constructor(request: IncomingMessage, response: ServerResponse, id: number, link: Link, underWay: Set<Exchange>) {
    this.request = request;
    this.response = response;
    this.client = clientAddress(request);
    this.head = request.method === "HEAD";
    this.path = decodePath(request.url ?? "/");
    // The token lets its bearer report the machine as done: nobody who reads events needs it.
    const shown = this.path?.path ?? request.url ?? "";
    this.shown = shown.startsWith(DONE) ? `${DONE}…` : shown;
    this.#id = id;
    this.#link = link;
    this.#underWay = underWay;
    response.on("close", () => this.#finished());
  }

  text(status: number, body: string | Buffer, { type = TEXT, why, headers = {} }: TextOptions = {}): void {
    const bytes = Buffer.from(body);
    if (why !== undefined) this.about.why = why;
    this.size = bytes.length;
    if (!this.head) this.sent = bytes.length;
    this.response.writeHead(status, { ...headers, "Content-Type": type, "Content-Length": bytes.length });
    this.response.end(this.head ? undefined : bytes);
  }

  notReady({ message }: Error): void {
    this.about.why = message;
    if (this.response.headersSent) return void this.response.destroy();
    this.text(503, "Not ready to answer this; ask again.\n", { headers: { "Retry-After": "2" } });
  }

  /** Tells that it goes on, as long as it does; and where it stands, what holds it up, once. */
  beginProgress(): void {
    if (this.#progress || this.head || this.response.closed) return;
    this.#underWay.add(this);
    const { client, size, shown: path } = this;
    const id = this.#id;
    const why = (by: HeldUpBy | null): { heldUpBy?: HeldUpBy } => (by === null ? {} : { heldUpBy: by });
    let heldUp: HeldUpBy | null = this.reading ? "disk" : null;
    this.#link.emit({ type: "http.started", id, path, size, userAgent: this.#userAgent, client, ...why(heldUp) });
    let seen = 0;
    let stood = 0;
    let told = 0;
    let quiet = 0;
    const tell = (): void => {
      this.#link.emit({ type: "http.progress", id, path, sent: this.sent, size, client, ...why(heldUp) });
      told = this.sent;
      quiet = 0;
    };
    const look = async (): Promise<void> => {
      quiet += PROGRESS_MS;
      if (this.sent !== seen) {
        seen = this.sent;
        stood = 0;
        heldUp = null;
        if (seen - told >= size * PROGRESS_SHARE || quiet >= QUIET_PROGRESS_MS) tell();
        return;
      }
      stood += PROGRESS_MS;
      const by = this.reading ? "disk" : stood % STANDS_MS === 0 ? await heldUpBy(this.request.socket) : null;
      if (this.#ended || this.sent !== seen || by === null || by === heldUp) return;
      heldUp = by === "nobody" ? null : by;
      tell();
    };
    this.#progress = setInterval(() => void look(), PROGRESS_MS);
  }

  breakOff(why: string): void {
    this.about.why = why;
    this.#finished();
    this.response.destroy();
  }

  get #userAgent(): string {
    return this.request.headers["user-agent"] ?? "";
  }

  #finished(): void {
    if (this.#ended) return;
    this.#ended = true;
    if (this.#progress) clearInterval(this.#progress);
    this.#underWay.delete(this);
    const event: Finished = {
      type: "http.finished",
      id: this.#id,
      method: this.request.method ?? "",
      path: this.shown,
      status: this.response.statusCode,
      sent: this.sent,
      size: this.size,
      seconds: Math.round(performance.now() - this.#started) / 1000,
      userAgent: this.#userAgent,
      complete: this.response.writableFinished,
      client: this.client,
      ...this.about,
    };
    this.#link.emit(event);
  }
}
