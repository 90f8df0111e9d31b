import { ok, type Result } from "../../base/result.ts";
import { type ParsedConfig, parseConfig } from "../../config/config.ts";
import { type Issue, issueText } from "../../config/environment.ts";
import { fileVariant, namesOf, settings } from "../../config/settings.ts";
import { exitCodes, type Terminal } from "./terminal.ts";

/** The configuration of this process's environment, or every problem with it. */
export function readConfig(terminal: Terminal): Result<ParsedConfig, readonly Issue[]> {
  const parsed = parseConfig(terminal.variables, terminal.readFile);
  if (!parsed.ok) return parsed;
  const { config, warnings } = parsed.value;
  return ok({ config, warnings: [...warnings, ...openSecrets(terminal)] });
}

/** The files of secrets that every user of this machine may read. */
function openSecrets({ variables, isWorldReadable }: Terminal): readonly Issue[] {
  const files = settings.map(fileVariant).filter((name) => name !== null);
  return files.flatMap((variable) => {
    const value = variables[variable] ?? "";
    if (value === "" || !isWorldReadable(value)) return [];
    const fault = `: every user of this machine may read it; chmod o-r ${value}`;
    return [{ variable, value, expected: "a file that only the router may read", fault }];
  });
}

/** Prints the problems; gives the exit code. */
export function refuse(terminal: Terminal, problems: readonly Issue[]): number {
  for (const problem of problems) terminal.complain(`${issueText(problem)}\n`);
  const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
  terminal.complain(
    `${count} in the configuration; automc-router help settings lists every setting\n`,
  );
  return exitCodes.configuration;
}

/** True when the environment has a setting that says what the router shall do. */
export const hasSettings = ({ variables }: Terminal): boolean =>
  settings
    .filter(({ name }) => name !== "AUTOMC_CONTROL")
    .flatMap(namesOf)
    .some((name) => (variables[name] ?? "") !== "");
