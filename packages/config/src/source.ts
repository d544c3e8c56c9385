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
import { type Finding, formatKey, type Path, type Problem } from "./problem.ts";

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
  const add = (offset: number, id: string, what: string, mend: string, path: Path = []) => {
    const problem = problemAt(offset, { id, severity: "error", path, what, mend });
    // What YAML says after its first objection to a line is noise.
    if (!problems.some(({ line }) => line === problem.line)) problems.push(problem);
  };

  for (const error of [...document.errors, ...document.warnings]) {
    const at = error.pos[0];
    const line = lines[counter.linePos(at).line - 1] ?? "";
    const what = error.message.replace(/ at line \d+, column \d+:[\s\S]*$/, "").trim();
    if (error.code === "DUPLICATE_KEY") add(at, "duplicate-key", `key ${keyAt(text, at)} is given twice`, "Keep one of them.");
    else add(at, "yaml-syntax", lowerFirst(what), syntaxMend(error.code, line));
  }
  let broken = document.errors.some(({ code }) => code !== "DUPLICATE_KEY") || document.warnings.length > 0;

  visit(document, {
    Pair(_, pair, ancestors) {
      const misread = misreadKey(pair.key, pair.value);
      if (misread === null) return;
      broken = true;
      const start = (ancestors.at(-1) as Node | undefined)?.range?.[0] ?? 0;
      add((pair.key as Node | null)?.range?.[0] ?? start, "yaml-quote", `YAML reads ${misread} as a map`, `Quote it: ${quoted(misread)}.`);
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
    raw = document.toJS({ maxAliasCount: 100 });
  } catch (error) {
    broken = true; // an alias without its anchor, or one that multiplies
    add(0, "yaml-syntax", lowerFirst((error as Error).message), "Write the value out where the alias stands.");
  }
  return { file, raw, problems, broken, locate: (finding) => problemAt(offsetOf(document, finding), finding) };
}

/** The offset of the node at the path, or of the deepest one on the way that the file has. */
function offsetOf(document: Document.Parsed, { path, onKey = false }: Finding): number {
  let node: unknown = document.contents;
  let offset = (node as ParsedNode | null)?.range[0] ?? 0;
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    let next: unknown;
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => String(isScalar(key) ? key.value : key) === String(part));
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
function misreadKey(key: unknown, value: unknown): string | null {
  if (isMap(key)) return `{${String(key)}}`.replace(/\s+/g, " ");
  const rest = isScalar(value) && value.value !== null ? String(value.value) : "";
  if (isSeq(key)) return `[${key.items.join(", ")}]:${rest}`;
  const text = isScalar(key) ? String(key.value) : "";
  return /^[0-9a-f:]*:$/i.test(text) ? `${text}:${rest}` : null;
}

const quoted = (text: string) => JSON.stringify(text);
const lowerFirst = (text: string) => text.charAt(0).toLowerCase() + text.slice(1);
const keyAt = (text: string, offset: number) => /^[^:\n]*/.exec(text.slice(offset))?.[0] ?? "";

function syntaxMend(code: string, line: string): string {
  const value = /^\s*(?:- )?(?:[\w.-]+:\s+)?(.*?)\s*(?:\s#.*)?$/.exec(line)?.[1] ?? "";
  if (code === "TAB_AS_INDENT") return "Indent with spaces.";
  if (code === "MULTIPLE_DOCS") return "Keep one document: delete the line ---.";
  if (code === "MISSING_CHAR") return "Close the quote.";
  // An address, a template or an endpoint without quotes.
  if (/^\[[^\]]*\]:|^\{\{|^[0-9a-f:]*::$|^[@`%]/i.test(value)) return `Quote it: ${quoted(value)}.`;
  if (/\{\{/.test(value)) return 'Quote each value with {{ }} in it: "{{ http }}/boot.ipxe".';
  if (/: |:$/.test(value)) return `Put it on a line of its own, or quote it: ${quoted(value)}.`;
  return "Check the indentation, brackets and quotes of this line and of the one before.";
}
