import { commands } from "../config/commands.ts";
import { settings } from "../config/settings.ts";
import { unitKinds } from "../system/unit.ts";

/** Words that are the argument of a command. */
const argumentWords: Readonly<Record<string, readonly string[]>> = {
  unit: unitKinds,
  log: ["error", "warn", "info", "debug", "trace"],
  help: settings.filter(({ status }) => status === "supported").map(({ name }) => name),
};

/** Each command that something may follow, with the words. */
const wordsOf: readonly (readonly [string, readonly string[]])[] = commands
  .map(({ name, flags }) => [name, [...(argumentWords[name] ?? []), ...flags]] as const)
  .filter(([, words]) => words.length > 0);

/** Completion of commands for bash. */
export function bashCompletion(): string {
  const cases = wordsOf.map(
    ([name, words]) => `    ${name}) COMPREPLY=($(compgen -W "${words.join(" ")}" -- "$word")) ;;`,
  );
  return `# bash completion for automc-router
_automc_router() {
  local word=\${COMP_WORDS[COMP_CWORD]}
  if ((COMP_CWORD == 1)); then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")}" -- "$word"))
    return
  fi
  case \${COMP_WORDS[1]} in
${cases.join("\n")}
  esac
}
complete -F _automc_router automc-router
`;
}

/** Completion of commands for zsh. */
export function zshCompletion(): string {
  const entries = commands.map(
    ({ name, meaning }) => `    '${name}:${meaning.replaceAll("'", "'\\''")}'`,
  );
  const cases = wordsOf.map(([name, words]) => `    ${name}) compadd -- ${words.join(" ")} ;;`);
  return `#compdef automc-router
local -a commands
if ((CURRENT == 2)); then
  commands=(
${entries.join("\n")}
  )
  _describe command commands
else
  case $words[2] in
${cases.join("\n")}
  esac
fi
`;
}

/** Completion of commands for fish. */
export function fishCompletion(): string {
  const lines = commands.map(
    ({ name, meaning }) =>
      `complete -c automc-router -n __fish_use_subcommand -a ${name} -d '${meaning.replaceAll("'", "\\'")}'`,
  );
  const words = wordsOf.map(
    ([name, all]) =>
      `complete -c automc-router -n '__fish_seen_subcommand_from ${name}' -a '${all.join(" ")}'`,
  );
  return `complete -c automc-router -f\n${[...lines, ...words].join("\n")}\n`;
}
