/** The console's page: files served as they are, to everybody; what it shows it asks the API for, which asks for the token. */
import { readdir, readFile } from "node:fs/promises";
import { extname } from "node:path";
import type { FastifyInstance } from "fastify";

const FILES = new URL("./page/", import.meta.url);
/** What a browser imports as it is: preact and htm in one module, and charts. */
const LIBRARIES: Readonly<Record<string, string>> = {
  "htm-preact.js": import.meta.resolve("htm/preact/standalone"),
  "uplot.js": import.meta.resolve("uplot/dist/uPlot.esm.js"),
  "uplot.css": import.meta.resolve("uplot/dist/uPlot.min.css"),
};

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
  for (const [name, library] of Object.entries(LIBRARIES))
    serve(`/page/${name}`, TYPES[extname(name)] as string, await readFile(new URL(library)));
}
