/** Completion scripts for shells, made from the command's own tree. */
import type { Command } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;

/** Tells the names of the machines; nothing where no appliance answers. */
const MACHINES = `netboot6 machines --json 2>/dev/null | grep -o '{"id":"[^"]*' | cut -d'"' -f4`;

interface Place {
  /** The words that lead there, e.g. `leases release`. */
  readonly path: string;
  /** Words that may follow, and what they mean. */
  readonly words: readonly (readonly [word: string, meaning: string])[];
  /** What may follow an option. */
  readonly choices: ReadonlyMap<string, readonly string[]>;
}

export const completion = (program: Command, shell: (typeof SHELLS)[number]): string =>
  shell === "fish"
    ? fish(program)
    : shell === "zsh"
      ? `autoload -U +X compinit bashcompinit && compinit -u && bashcompinit\n${bash(program)}`
      : bash(program);

function placesOf(command: Command, path = ""): Place[] {
  const words: [string, string][] = [
    ...command.commands.map((each): [string, string] => [each.name(), each.description()]),
    ...command.registeredArguments.flatMap(({ argChoices = [] }) => argChoices.map((choice): [string, string] => [choice, ""])),
    ...command.options.flatMap(({ long, description }): [string, string][] => (long ? [[long, description]] : [])),
  ];
  const choices = new Map(
    command.options.flatMap(({ long, argChoices }): [string, string[]][] => (long && argChoices ? [[long, argChoices]] : [])),
  );
  return [
    { path, words, choices },
    ...command.commands.flatMap((each) => placesOf(each, path === "" ? each.name() : `${path} ${each.name()}`)),
  ];
}

function bash(program: Command): string {
  const name = program.name();
  const places = placesOf(program);
  const known = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  const lines = places.map(({ path, words }) => `    "${path}") words="${words.map(([word]) => word).join(" ")}" ;;`);
  const after = places.flatMap(({ path, choices }) =>
    [...choices].map(([option, words]) => `    "${path} ${option}") words="${words.join(" ")}" ;;`),
  );
  return `_${name}() {
  local here="" next word words=""
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${here:+$here }$word"
    case "$next" in ${known.join("|")}) here=$next ;; esac
  done
  case "$here" in
${lines.join("\n")}
  esac
  case "$here \${COMP_WORDS[COMP_CWORD-1]}" in
${after.join("\n")}
    "machine machine"|"events --machine") [[ "\${COMP_WORDS[COMP_CWORD]}" == -* ]] || words="$(${MACHINES})" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _${name} ${name}`;
}

function fish(program: Command): string {
  const name = program.name();
  const quoted = (text: string): string => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const names = `(${MACHINES})`;
  const machines = [`-n '__fish_seen_subcommand_from machine' -a`, `-n '__fish_seen_subcommand_from events' -l machine -xa`];
  const words = placesOf(program).flatMap(({ path, words, choices }) => {
    const seen =
      path === ""
        ? "__fish_use_subcommand"
        : path
            .split(" ")
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join("; and ");
    return words.map(([word, meaning]) => {
      const given = choices.get(word);
      const what = word.startsWith("--") ? `-l ${word.slice(2)}${given ? ` -xa ${quoted(given.join(" "))}` : ""}` : `-a ${word}`;
      return `complete -c ${name} -n ${quoted(seen)} ${what}${meaning === "" ? "" : ` -d ${quoted(meaning)}`}`;
    });
  });
  return [...words, ...machines.map((when) => `complete -c ${name} ${when} ${quoted(names)}`)].join("\n");
}
