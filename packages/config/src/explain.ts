import type { z } from "zod";
import { type Finding, type Path, suggest } from "./problem.ts";

/** zod's issues as findings that an operator can act on: of a union the branch that was meant, of unknown keys one each. */
export function explain(issues: readonly z.core.$ZodIssue[], parent: Path = []): Finding[] {
  return issues.flatMap((issue): Finding[] => {
    const path = [...parent, ...issue.path.map((part) => (typeof part === "number" ? part : String(part)))];
    const [what = "", mend = ""] = issue.message.split("\n");
    switch (issue.code) {
      case "unrecognized_keys": {
        const known = issue.message.split("\n");
        return issue.keys.map((key) => ({
          id: "unknown-key",
          severity: "error",
          path: [...path, key],
          onKey: true,
          what: "unknown key",
          mend: suggest(key, known, `Known here: ${known.join(", ")}.`),
        }));
      }
      case "invalid_key":
        return explain(issue.issues, path).map((finding) => ({ ...finding, onKey: true }));
      case "invalid_union": {
        const meant = issue.errors.find((branch) => !branch.some(isOtherType));
        if (meant) return explain(meant, path);
      }
    }
    return [{ id: what === "missing" ? "missing-key" : "invalid-value", severity: "error", path, what, mend }];
  });
}

const isOtherType = ({ code, path }: z.core.$ZodIssue) => path.length === 0 && (code === "invalid_type" || code === "invalid_value");
