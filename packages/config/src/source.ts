/** One YAML file: its text, its value, and where in the text each key stands. */
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type ParsedNode,
  parseDocument,
  visit,
} from "yaml";
import { type Finding, type FindingId, formatKey, type Path, type Problem } from "./problem.ts";

export interface Source {
  readonly file: string;
  readonly raw: unknown;
  /** What YAML itself objects to. Where any is `broken`, `raw` is not what the operator meant. */
  readonly problems: readonly Problem[];
  readonly broken: boolean;
  locate(finding: Finding): Problem;
}

export function readSource(file: string, text: string): Source {
  const lines = text.split(/\r?\n/);
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter, logLevel: "error" });
  const problems: Problem[] = [];

  const problemAt = (offset: number, finding: Finding): Problem => {
    const { line, col } = counter.linePos(offset);
    const { id, severity, what, mend, path } = finding;
    const place = { file, line: Math.max(1, line), column: Math.max(1, col), key: formatKey(path) };
    return { id, severity, ...place, what, mend, source: lines[place.line - 1] ?? "" };
  };
  const add = (offset: number, id: FindingId, what: string, mend: string, path: Path = []) => {
    const problem = problemAt(offset, { id, severity: "error", path, what, mend });
    // What YAML says after its first objection to a line is noise.
    if (!problems.some(({ line }) => line === problem.line)) problems.push(problem);
  };

  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    const line = lines[counter.linePos(pos[0]).line - 1] ?? "";
    if (code === "DUPLICATE_KEY") {
      const key = /^[^:\n]*/.exec(text.slice(pos[0]))?.[0];
      add(pos[0], "duplicate-key", `key ${key} is given twice`, "Keep one of them.");
    } else {
      const [what, mend] = explainSyntax(code, message.replace(/ at line \d+, column \d+:[\s\S]*$/, "").trim(), line);
      add(openQuote(document, pos[0]) ?? pos[0], "yaml-syntax", what, mend);
    }
  }
  let broken = document.errors.some(({ code }) => code !== "DUPLICATE_KEY") || document.warnings.length > 0;

  visit(document, {
    Pair(_, pair, ancestors) {
      const map = (ancestors.at(-1) as Node | undefined)?.range?.[0] ?? 0;
      const misread = misreadKey(pair.key, pair.value, text.slice(map));
      if (misread === null) return;
      broken = true;
      const at = isMap(pair.key) ? map : ((pair.key as Node | null)?.range?.[0] ?? map);
      add(at, "yaml-quote", `YAML reads ${misread} as a map`, `Quote it: ${JSON.stringify(misread)}.`);
    },
    Alias(_, alias, ancestors) {
      const target = alias.resolve(document);
      if (target && !ancestors.includes(target)) return;
      broken = true; // without a target it is most often a file pattern
      const why = target ? "that it is part of" : "that does not exist";
      const what = `YAML reads *${alias.source} as a reference to an anchor ${why}`;
      add(alias.range?.[0] ?? 0, "yaml-quote", what, `Quote it: "*${alias.source}".`);
    },
    Scalar(_, { value, range }) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: it looks for them
      if (typeof value === "string" && /[\x00-\x1f\x7f\x85\u2028\u2029]/.test(value))
        add(
          range?.[0] ?? 0,
          "control-character",
          "a line break or another control character in a value",
          "Write it on one line, or fold lines with >-.",
        );
    },
  });

  let raw: unknown = null;
  try {
    if (!broken) raw = document.toJS({ maxAliasCount: 100 });
  } catch {
    broken = true;
    add(0, "yaml-syntax", "aliases that multiply", "Write the values out where the aliases stand.");
  }
  return { file, raw, problems, broken, locate: (finding) => problemAt(offsetOf(document, finding), finding) };
}

/** Where the quoted text begins that ends, without a quote, at this offset: the end is that of the file. */
function openQuote(document: Document.Parsed, end: number): number | null {
  let start: number | null = null;
  visit(document, {
    Scalar(_, { type, range }) {
      if (type?.startsWith("QUOTE") && range?.[1] === end) start = range[0];
    },
  });
  return start;
}

/** The offset of the node at the path, or of the deepest one on the way that the file has. */
function offsetOf(document: Document.Parsed, { path, onKey = false }: Finding): number {
  let node: unknown = document.contents;
  let offset = (node as ParsedNode | null)?.range[0] ?? 0;
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.findLast(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
      if (!pair) break;
      next = pair.value;
      const [start = 0, end = 0] = (next as Node | null)?.range ?? [];
      const below = isCollection(next) && next.flow !== true;
      offset = (below || start === end || (onKey && depth === path.length - 1) ? (pair.key as Node).range?.[0] : start) ?? offset;
    } else if (isSeq(node) && typeof part === "number" && part < node.items.length) {
      next = node.items[part];
      offset = (next as Node | null)?.range?.[0] ?? offset;
    } else break;
    node = next;
  }
  return offset;
}

/** Text that the operator meant as a value and YAML takes for a key: `2001:db8::`, `{{ http }}`, `[2620:fe::fe]:53`. */
function misreadKey(key: unknown, value: unknown, text: string): string | null {
  if (isMap(key)) return /^\{\{.*?\}\}[^\s,}]*/.exec(text)?.[0] ?? String(key);
  const rest = isScalar(value) && value.value !== null ? String(value.value) : "";
  if (isSeq(key)) return `[${key.items.join(", ")}]:${rest}`;
  const name = isScalar(key) ? String(key.value) : "";
  return /^[0-9a-f:]*:$/i.test(name) ? `${name}:${rest}` : null;
}

const CHECK = "Check the indentation, brackets and quotes of this line and of the one before.";

/** What YAML objects to in words for who does not know its grammar, and the mend: mostly it is a value that needs quotes. */
function explainSyntax(code: string, message: string, line: string): [what: string, mend: string] {
  const what = (message.charAt(0).toLowerCase() + message.slice(1)).replace("scalar at node end", "text after the value");
  const value = /^\s*(?:- )?(?:[\w.-]+:\s+)?(.*?)\s*(?:\s#.*)?$/.exec(line)?.[1] ?? "";
  const endpoint = /\[[0-9a-f:]*\]:\d+/i.exec(line)?.[0];
  if (endpoint) return [what, `Quote it: "${endpoint}".`];
  if (/^\{\{|^[@`%]/.test(value)) return [what, `Quote it: ${JSON.stringify(value)}.`];
  if (line.includes("{{")) return [what, 'Quote each value with {{ }} in it: "{{ http }}/boot.ipxe".'];
  switch (code) {
    case "BLOCK_AS_IMPLICIT_KEY":
      if (/^[0-9a-f:]*::$/i.test(value)) return [`YAML reads ${value} as a map`, `Quote it: "${value}".`];
      if (value.includes(":")) return ["a value with a colon, which YAML reads as a map", `Quote it: ${JSON.stringify(value)}.`];
      return ["YAML reads the next line as part of this value", "Indent the next line as this key is."];
    case "TAB_AS_INDENT":
      return [what, "Indent with spaces."];
    case "MULTIPLE_DOCS":
      return ["a second YAML document", "Keep one: delete the line ---."];
    case "TAG_RESOLVE_FAILED":
      return [what, "Delete the tag, or quote the value."];
    default:
      return [what, message.includes("quote") ? "Close the quote." : CHECK];
  }
}
