import { STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { FastifyReply } from "fastify";

const TYPE = "application/problem+json";
/** What an answer must say that passes by the routes and their hooks. */
export const BARE_HEADERS = { "x-content-type-options": "nosniff", "content-security-policy": "default-src 'none'" };

const bodyOf = (status: number, title: string, detail: string): string => JSON.stringify({ type: "about:blank", title, status, detail });

/** RFC 9457 */
export function problem(reply: FastifyReply, status: number, title: string, detail: string): FastifyReply {
  return reply
    .code(status)
    .type(TYPE)
    .send(bodyOf(status, title, detail));
}

/** An error that names its own status, as fastify's do. */
export const problemOf = (reply: FastifyReply, { statusCode = 500, message }: { statusCode?: number; message: string }): FastifyReply =>
  problem(reply, statusCode, STATUS_CODES[statusCode] ?? "Error", message);

/** What was sent is no request: answered on the socket itself, which ends. */
export function refuseRequest({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === "ECONNRESET" || socket.destroyed) return;
  const [status, detail] =
    code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? [408, "the request did not come whole in time"]
      : code === "HPE_HEADER_OVERFLOW"
        ? [431, "the request's headers are more than 16 KiB"]
        : [400, "what was sent is no HTTP request"];
  const title = STATUS_CODES[status] as string;
  const body = bodyOf(status, title, detail);
  const headers = { ...BARE_HEADERS, connection: "close", "content-type": TYPE, "content-length": body.length };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  if (socket.writable) socket.write(`HTTP/1.1 ${status} ${title}\r\n${lines.join("")}\r\n${body}`);
  socket.destroySoon();
}
