import type { Result } from "../../base/result.ts";
import { type ParsedConfig, parseConfig } from "../../config/config.ts";
import { type Issue, issueText } from "../../config/environment.ts";
import { namesOf, settings } from "../../config/settings.ts";
import { exitCodes, type Terminal } from "./terminal.ts";

/** The configuration of this process's environment, or every problem with it. */
export const readConfig = ({
  variables,
  readFile,
}: Terminal): Result<ParsedConfig, readonly Issue[]> => parseConfig(variables, readFile);

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
