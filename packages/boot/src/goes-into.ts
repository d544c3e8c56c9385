/** What values are put into, and what would break it: another command, another kernel argument, another URL. */

export type GoesInto = "text" | "kernel arguments" | "URL" | "iPXE script" | "GRUB configuration";

export const goesInto = (file: string): GoesInto =>
  file.endsWith(".ipxe") ? "iPXE script" : /(^|\/)grub\.cfg$/.test(file) ? "GRUB configuration" : "text";

/** What iPXE knows a script by (iPXE image/script.c). */
export const isIpxeScript = (text: string): boolean => /^#![ig]pxe\s/.test(text);
export const NO_IPXE_SCRIPT = "it does not begin with #!ipxe, and iPXE takes it for no script";

/** Commands whose line is made of words: a space in a value would be another argument. */
const WORDS = {
  "iPXE script": /^\s*(kernel|initrd|imgargs|imgfetch|imgexec|chain|module|boot)\b/,
  "GRUB configuration": /^\s*(if\s+)?(linux|initrd|chainloader|multiboot|module)/,
};

/** Why `value` cannot stand after the `beginning` of its line in the template; null where it can. */
export function breaks(value: string, into: GoesInto, beginning: string): string | null {
  const line = beginning.replace(/\{%.*?%\}/g, "");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  if (into !== "text" && /[\u0000-\u001f\u007f]/.test(value)) return "it has a control character in it";
  switch (into) {
    case "text":
      return null;
    case "URL":
      if (/[\s"<>\\]/.test(value)) return "it has a space or a quote in it, which no URL may";
      return value.includes("${") ? EXPANDS : null;
    case "kernel arguments":
      return ofArgument(value);
    case "iPXE script":
      if (WORDS[into].test(line)) return ofArgument(value);
      if (value.endsWith("\\")) return "it ends in a backslash, with which the line would go on in the next";
      return ofLine(value);
    case "GRUB configuration":
      if (WORDS[into].test(line) && /\s/.test(value)) return "it has a space in it, which would make two arguments of it";
      return /["'\\$;&|<>{}`]/.test(value) ? "it has a character in it that GRUB takes for its own" : null;
  }
}

const EXPANDS = "it has ${ in it, which iPXE would put something else for";

function ofArgument(value: string): string | null {
  if (/\s/.test(value)) return "it has a space in it, which would make two kernel arguments of it";
  if (/["'\\]/.test(value)) return "it has a quote or backslash in it, which would break the kernel argument";
  return ofLine(value);
}

/** iPXE's, whose lines kernel arguments stand in too. */
function ofLine(value: string): string | null {
  if (value.includes("${")) return EXPANDS;
  return /(^|\s)(\|\||&&|;)(\s|$)/.test(value) ? "it has what begins another command in it" : null;
}
