/** The configuration as it may be shown: secrets are blanked. */
import { formatPrefix, type Prefix } from "@netboot6/codec";
import { isSecretName } from "@netboot6/config";

const BLANK = "***";
/** In texts: `rootpw-password=...`, `token=...`, and `//user:password@`. */
const SECRET_VALUE = /([\w./-]*(?:passw|hash|secret|token)[\w./-]*[= ]+)("[^"]*"|[^\s"&;]+)/gi;
const URL_USER = /\/\/[^/\s@]+@/g;

/** Prefixes become text; whatever is, or looks like, a secret is blanked. */
export function withoutSecrets(value: unknown): unknown {
  if (typeof value === "string") return value.replace(URL_USER, `//${BLANK}@`).replace(SECRET_VALUE, `$1${BLANK}`);
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  if (isPrefix(value)) return formatPrefix(value);
  return Object.fromEntries(
    Object.entries(value).map(([key, each]) => [key, isSecretName(key) && each !== null ? BLANK : withoutSecrets(each)]),
  );
}

const isPrefix = (value: object): value is Prefix => "address" in value && "length" in value && "first" in value && "last" in value;
