import type { FastifyInstance } from "fastify";
import { problem } from "./problem.ts";
import { described } from "./routes.ts";
import { type AskedFor, askedFor, explanationView } from "./schemas.ts";
import { withoutSecrets } from "./secrets.ts";
import type { Context } from "./sources.ts";

export function explainRoutes(app: FastifyInstance, { explain }: Context): void {
  app.get<{ Querystring: AskedFor }>(
    "/explain",
    described({
      tag: "machines",
      summary: "What a machine would get, and why, by mac or uuid; nothing is sent. Secrets are blanked",
      query: askedFor,
      gives: explanationView,
    }),
    async ({ query }, reply) => {
      try {
        return withoutSecrets(await explain(query));
      } catch (error) {
        if ((error as Error).name !== "QuestionError") throw error;
        return problem(reply, 422, "Not a question", (error as Error).message);
      }
    },
  );
}
