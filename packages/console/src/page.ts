/** The console's page: files served as they are, to everybody; what it shows it asks the API for, which asks for the token. */
import { readdir, readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { FastifyInstance } from "fastify";

const FILES = new URL("./page/", import.meta.url);
/** preact and htm in one module that a browser imports as it is. */
const LIBRARY = new URL(import.meta.resolve("htm/preact/standalone"));

const TYPES: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".svg": "image/svg+xml",
};

/** Whether a request's URL is the page's: it tells nothing of the appliance, and asks for the token itself. */
export const isPage = (url: string): boolean => url === "/" || url.startsWith("/page/");

export async function pageRoutes(app: FastifyInstance): Promise<void> {
  const serve = (path: string, type: string, body: Buffer): void => {
    app.get(path, { schema: { hide: true } }, async (_request, reply) =>
      // Asked for anew each time: after an upgrade the page fits its appliance.
      reply.type(type).header("cache-control", "no-cache").send(body),
    );
  };
  for (const name of await readdir(FILES)) {
    const type = TYPES[extname(name)];
    if (type === undefined) continue;
    const body = await readFile(new URL(name, FILES));
    serve(name === "index.html" ? "/" : `/page/${name}`, type, body);
  }
  serve("/page/htm-preact.js", TYPES[".js"] as string, await readFile(LIBRARY));
}
