/** How a route is described: its schema for the OpenAPI description and the check of what comes in. */
import { z } from "zod";
import { jsonSchema, problemView } from "./schemas.ts";

export interface Description {
  readonly tag: "machines" | "leases" | "appliance" | "events";
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** What it gives; null: 204 and nothing. */
  readonly gives: z.ZodType | null;
  /** How it comes, where it is no JSON. */
  readonly as?: string;
  /** It answers 503 too. */
  readonly mayBeBusy?: true;
}

const PROBLEM = {
  description: "What is wrong (RFC 9457)",
  content: { "application/problem+json": { schema: jsonSchema(problemView) } },
};

export function described({ tag, summary, params, query, body, gives, as = "application/json", mayBeBusy }: Description): {
  schema: object;
} {
  const good = gives === null ? { 204: { description: "Done", type: "null" } } : { 200: given(gives, as) };
  return {
    schema: {
      tags: [tag],
      summary,
      ...(params ? { params: jsonSchema(params, "input") } : {}),
      ...(query ? { querystring: jsonSchema(query, "input") } : {}),
      ...(body ? { body: jsonSchema(body, "input") } : {}),
      response: { ...good, "4xx": PROBLEM, ...(mayBeBusy ? { 503: PROBLEM } : {}) },
    },
  };
}

const given = (schema: z.ZodType, as: string) => ({
  description: schema.description ?? "What there is",
  content: { [as]: { schema: jsonSchema(schema) } },
});

export const byId = z.strictObject({ id: z.string().max(512).describe("A machine's name, MAC or UUID") });
export const byAddress = z.strictObject({ address: z.string().max(64).describe("An address, or a prefix with its length") });
