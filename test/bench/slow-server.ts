/** An HTTP server that holds its answers up: `node slow-server.ts ADDRESS WAY ROOT`. Each line it writes tells what a client did. */
import { existsSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";

const PIECE_BYTES = 16 * 1024;
const PIECE_MS = 2_000;
const TRICKLE_MS = 90_000;
const REFUSE_MS = 30_000;
const RETRY_AFTER_S = 5;

const [address = "", way = "", root = ""] = process.argv.slice(2);
const begun = { at: 0 };

function writeHead(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  const type = request.url?.endsWith(".efi") ? "application/efi" : "application/octet-stream";
  response.writeHead(200, { "Content-Type": type, "Content-Length": body.length });
}

function answer(request: IncomingMessage, response: ServerResponse, body: Buffer): void {
  writeHead(request, response, body);
  response.end(request.method === "HEAD" ? undefined : body);
}

type Way = (request: IncomingMessage, response: ServerResponse, body: Buffer) => void;

/** What they do to GET; `head` and `503` to HEAD too, which the others answer at once. */
const WAYS: Readonly<Record<string, Way>> = {
  head: () => {},
  get: () => {},
  byte(request, response, body) {
    writeHead(request, response, body);
    response.write(body.subarray(0, body.length / 2));
  },
  503(request, response, body) {
    if (Date.now() - begun.at > REFUSE_MS) return answer(request, response, body);
    response.writeHead(503, { "Retry-After": RETRY_AFTER_S, "Content-Length": 0 }).end();
  },
  trickle(request, response, body) {
    writeHead(request, response, body);
    const end = Date.now() + TRICKLE_MS;
    let sent = 0;
    const more = (): void => {
      if (sent >= body.length || Date.now() > end) {
        clearInterval(timer);
        response.end(body.subarray(sent));
        return;
      }
      response.write(body.subarray(sent, sent + PIECE_BYTES));
      sent += PIECE_BYTES;
    };
    const timer = setInterval(more, PIECE_MS);
    response.once("close", () => clearInterval(timer));
    more();
  },
};

const hold = WAYS[way];
if (!hold) throw new TypeError(`no such way: ${way}; there are ${Object.keys(WAYS).join(", ")}`);

let connections = 0;
const server = createServer({ headersTimeout: 0, requestTimeout: 0, keepAliveTimeout: 0 }, (request, response) => {
  const { method, url = "/" } = request;
  const since = Date.now();
  begun.at ||= since;
  console.log(`${method} ${url} (${request.headers["user-agent"] ?? ""})`);
  response.once("close", () => {
    const end = response.writableFinished ? `answered ${response.statusCode}` : "broken off by the client";
    console.log(`${method} ${url}: ${end} after ${((Date.now() - since) / 1000).toFixed(1)} s`);
  });
  // Where there is no such file, there are answers for an installer that say nothing.
  const file = join(root, url);
  const body = existsSync(file) ? readFileSync(file) : Buffer.alloc(1_000_000, "#\n");
  if (method === "HEAD" && way !== "head" && way !== "503") answer(request, response, body);
  else hold(request, response, body);
});
server.on("connection", (socket) => {
  const name = `connection ${++connections}`;
  console.log(`${name} opened`);
  socket.once("close", () => console.log(`${name} closed`));
});
server.listen(80, address);
