import type { Tokens } from "../admin/session-cookie.ts";
import { createEnvironment, type Environment, issueText } from "./environment.ts";
import type { SettingName, SettingValues } from "./settings.ts";

/** The secrets that a router in operation reads again. */
export interface Secrets {
  readonly apiTokens: Tokens;
  /** Null: no token is sent to the control plane. */
  readonly wakerToken: string | null;
  /** Further headers of the scaling webhook, by lower-case name. */
  readonly scalerHeaders: Readonly<Record<string, string>>;
}

/**
 * The secrets as their files say now. One that cannot be read, or is not set any more, stays as it was in
 * `last`, and `warn` is told.
 */
export type ReadSecrets = (last: Secrets, warn: (message: string) => void) => Secrets;

/** Reads the secrets from the files and credentials that these variables name. */
export function secretsReader({ variables, readFile }: Environment): ReadSecrets {
  return (last, warn) => {
    function again<Name extends SettingName>(
      name: Name,
      before: SettingValues[Name],
    ): SettingValues[Name] {
      const { read, problems } = createEnvironment(variables, readFile);
      const value = read(name);
      const [problem] = problems;
      // A credential that is gone reads as unset, without a problem, and that must not open the API.
      const isGone = isUnset(value) && !isUnset(before);
      if (problem === undefined && !isGone) return value;
      const reason = problem === undefined ? `${name} is not set any more` : issueText(problem);
      warn(`${reason}; the value that was read before stays in force`);
      return before;
    }

    return {
      apiTokens: {
        change: again("AUTOMC_API_TOKEN", last.apiTokens.change),
        read: again("AUTOMC_API_READ_TOKEN", last.apiTokens.read),
      },
      wakerToken: again("AUTOMC_WAKER_TOKEN", last.wakerToken),
      scalerHeaders: again("AUTO_SCALE_WEBHOOK_HEADERS", last.scalerHeaders),
    };
  };
}

const isUnset = (value: unknown): boolean =>
  value === null || (typeof value === "object" && Object.keys(value).length === 0);
