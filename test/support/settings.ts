import { err, ok, type Result } from "../../src/base/result.ts";
import { type Config, parseConfig } from "../../src/config/config.ts";
import { type Issue, issueText } from "../../src/config/environment.ts";
import type { Variables } from "../../src/config/setting.ts";

/** Reads environments that may name these files, by path, and no others. */
export function settingsReader(files: Readonly<Record<string, string>> = {}) {
  const readFile = (path: string): Result<string, string> => {
    const text = files[path];
    return text === undefined ? err("ENOENT: no such file or directory") : ok(text);
  };
  const parse = (variables: Variables) => parseConfig(variables, readFile);

  function parsed(variables: Variables) {
    const result = parse(variables);
    if (!result.ok) throw new Error(result.error.map(issueText).join("\n"));
    return result.value;
  }

  return {
    parse,
    /** Throws where there are problems. */
    configOf: (variables: Variables): Config => parsed(variables).config,
    warningsOf: (variables: Variables): readonly Issue[] => parsed(variables).warnings,
    problemsOf(variables: Variables): readonly Issue[] {
      const result = parse(variables);
      return result.ok ? [] : result.error;
    },
  };
}
