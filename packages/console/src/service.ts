/** The console: JSON API and metrics. Runs in the main thread, beside what it shows. */
import type { ConsoleConfig } from "@netboot6/config";
import type { Running } from "@netboot6/events";
import type { FastifyInstance } from "fastify";
import { buildApp } from "./app.ts";
import type { ConsoleSettings, ConsoleSources } from "./sources.ts";

export async function startConsole(settings: ConsoleSettings, sources: ConsoleSources): Promise<Running<ConsoleSettings>> {
  let current = settings;
  const open = async (): Promise<FastifyInstance> => {
    const app = await buildApp({ ...sources, settings: () => current });
    const { host, port } = current.console;
    await app.listen({ host, port, ipv6Only: true });
    return app;
  };
  let app = await open();
  return {
    get listens() {
      return [listenText(current.console)];
    },
    async reload(next) {
      const moved = listenText(next.console) !== listenText(current.console);
      current = next;
      if (!moved) return;
      await app.close();
      app = await open();
    },
    async stop() {
      await app.close();
    },
  };
}

const listenText = (config: ConsoleConfig): string => `[${config.host}]:${config.port}`;
