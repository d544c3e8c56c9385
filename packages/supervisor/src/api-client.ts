/** The API of the running appliance, as its configuration says where it is. */

import type { Appliance } from "@netboot6/config";
import type { MachineView } from "@netboot6/console";
import type { BootEvent } from "@netboot6/events";
import { EventSourceParserStream } from "eventsource-parser/stream";
import { readConfiguration } from "./commands/configuration.ts";

const DEADLINE_MS = 10_000;

/** It does not run, or its console cannot be reached. The message is for an operator. */
export class NoApplianceError extends Error {
  override readonly name = "NoApplianceError";
}

/** It answers, and refuses. The message is for an operator. */
class RefusedError extends Error {
  override readonly name = "RefusedError";
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export interface Followed {
  readonly id: string;
  /** Null: events are lost; what is shown is to be read anew. */
  readonly event: BootEvent | null;
}

export class ApiClient {
  readonly url: string;
  readonly #headers: Readonly<Record<string, string>>;

  /** Throws NoApplianceError where the configuration has no console. */
  constructor({ console, file }: Appliance) {
    if (!console) throw new NoApplianceError(`${file} turns the console off (console: false), and with it the API that this asks`);
    this.url = `http://[${console.host === "::" ? "::1" : console.host}]:${console.port}`;
    this.#headers = console.token === null ? {} : { authorization: `Bearer ${console.token}` };
  }

  /** JSON; throws NoApplianceError or RefusedError. */
  async get<T>(path: string): Promise<T> {
    return (await (await this.#ask("GET", path)).json()) as T;
  }

  async change(method: "PUT" | "POST" | "DELETE", path: string, body?: object): Promise<void> {
    await this.#ask(method, path, body);
  }

  machine(name: string): Promise<MachineView> {
    return this.get(machinePath(name));
  }

  /** Events as they happen, until the stream ends; `after`: the id of the last one that was read. */
  async *follow(query: string, after?: string, signal?: AbortSignal): AsyncGenerator<Followed> {
    const headers = after === undefined ? {} : { "last-event-id": after };
    const { body } = await this.#send("GET", `/events${query}`, { headers, ...(signal ? { signal } : {}) });
    const messages = body?.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream());
    for await (const { id = "", event, data } of messages ?? [])
      yield { id, event: event === "lost" ? null : (JSON.parse(data) as BootEvent) };
  }

  #ask(method: string, path: string, body?: object): Promise<Response> {
    const json = body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
    return this.#send(method, path, { ...json, signal: AbortSignal.timeout(DEADLINE_MS) });
  }

  async #send(method: string, path: string, { headers, ...init }: RequestInit): Promise<Response> {
    let response: Response;
    try {
      response = await fetch(`${this.url}/api/v1${path}`, { method, ...init, headers: { ...this.#headers, ...(headers as object) } });
    } catch (error) {
      const { cause, message } = error as Error;
      throw new NoApplianceError(
        `the appliance does not answer at ${this.url}: ${(cause as Error | undefined)?.message || message}. Does it run, with this configuration? (netboot6 run)`,
      );
    }
    if (response.ok) return response;
    const text = await response.text();
    throw new RefusedError(response.status, response.headers.get("content-type")?.includes("problem+json") ? detailOf(text) : text);
  }
}

const detailOf = (text: string): string => (JSON.parse(text) as { detail: string }).detail;

export const machinePath = (name: string): string => `/machines/${encodeURIComponent(name)}`;

/**
 * Does something through the API; the exit code, which is 2 where the configuration is wrong or no appliance answers, and 1 where
 * it refuses.
 */
export async function withApi(config: string, act: (api: ApiClient) => Promise<number>): Promise<number> {
  const appliance = await readConfiguration(config);
  if (!appliance) return 2;
  try {
    return await act(new ApiClient(appliance));
  } catch (error) {
    if (!(error instanceof NoApplianceError || error instanceof RefusedError)) throw error;
    console.error(`netboot6: ${error.message}`);
    return error instanceof NoApplianceError ? 2 : 1;
  }
}
