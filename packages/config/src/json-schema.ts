/** Writes `appliance.schema.json`, for editors: `npm run schema`. */
import { writeFileSync } from "node:fs";
import { z } from "zod";
import { applianceSchema } from "./schema.ts";

const FILE = new URL("../appliance.schema.json", import.meta.url);

export function jsonSchema(): string {
  const schema = z.toJSONSchema(applianceSchema, { io: "input", target: "draft-07" });
  return `${JSON.stringify({ ...schema, title: "appliance.yaml of netboot6" }, null, 2)}\n`;
}

if (import.meta.main) writeFileSync(FILE, jsonSchema());
