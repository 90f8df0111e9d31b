import { join } from "node:path";
import type { Reader } from "../base/go-text.ts";
import { ok, type Result } from "../base/result.ts";
import { fileVariant, findSetting, type Setting, type SettingName } from "./reference.ts";

/** Something about one variable that an operator should mend. `value` never holds a secret; `expected` completes "expected ...". */
export interface Issue {
  readonly variable: string;
  readonly value: string;
  readonly expected: string;
}

/** The variables of the process; those that do not exist are undefined. */
export type Variables = Readonly<Record<string, string | undefined>>;

/** Gives the text of a file, or why it cannot be read. */
export type ReadFile = (path: string) => Result<string, string>;

/** The environment as settings read it. What cannot be read is noted as a problem, and the default stands in for it. */
export interface Environment {
  /** The variable's text, verbatim; empty when it does not exist. A setting's further name stands in for an empty one. */
  text(name: SettingName): string;
  /** The setting's value. An empty variable counts as unset. */
  read<T>(name: SettingName, reader: Reader<T>): T;
  /** A secret, given directly, as a file, or as a credential of that name; null when unset, or when it was a problem. */
  secret(name: SettingName): string | null;
  /** Notes what stops the start. `value` is what to show instead of the variable's text. */
  problem(name: SettingName, expected: string, value?: string): void;
  /** Notes what the start can live with. */
  warn(name: SettingName, expected: string, value?: string): void;
  readonly problems: readonly Issue[];
  readonly warnings: readonly Issue[];
}

/** What is shown of a value that must not be seen. */
export const masked = "***";

const longestShown = 120;

/** The settings' view of these variables. */
export function createEnvironment(variables: Variables, readFile: ReadFile): Environment {
  const problems: Issue[] = [];
  const warnings: Issue[] = [];

  function text(name: SettingName): string {
    const { otherName } = described(name);
    return variables[name] || (otherName === undefined ? "" : (variables[otherName] ?? ""));
  }

  function read<T>(name: SettingName, reader: Reader<T>): T {
    const given = text(name);
    if (given !== "") {
      const value = reader(given);
      if (value.ok) return value.value;
      problem(name, value.error);
    }
    const standard = reader(described(name).default);
    if (!standard.ok) throw new Error(`the default of ${name} is not ${standard.error}`);
    return standard.value;
  }

  function secret(name: SettingName): string | null {
    const direct = text(name);
    const file = fileVariant(described(name));
    if (file === null) return direct === "" ? null : direct;
    const path = variables[file] ?? "";
    const credential = credentialFile(name);
    const given = [direct && name, path && file, credential && `the credential ${name}`];
    const ways = given.filter((way) => way !== "");
    if (ways.length === 0) return null;
    if (ways.length > 1) {
      problem(name, `only one of ${ways.join(" and ")}`);
      return null;
    }
    if (direct !== "") return direct;
    const content = readSecretFile(path || credential, readFile);
    if (content.ok) return content.value;
    problems.push({ variable: file, value: shown(path || credential), expected: content.error });
    return null;
  }

  /** The file of that name that systemd has put there for this service (`LoadCredential=`); empty when there is none. */
  function credentialFile(name: SettingName): string {
    const directory = variables["CREDENTIALS_DIRECTORY"] ?? "";
    if (directory === "") return "";
    const path = join(directory, name);
    const content = readFile(path);
    return content.ok || !content.error.startsWith("ENOENT") ? path : "";
  }

  function problem(name: SettingName, expected: string, value = text(name)): void {
    problems.push(issue(name, expected, value));
  }

  function warn(name: SettingName, expected: string, value = text(name)): void {
    warnings.push(issue(name, expected, value));
  }

  function issue(name: SettingName, expected: string, value: string): Issue {
    const isSecret = described(name).secret === true;
    return { variable: name, value: isSecret ? masked : shown(value), expected };
  }

  return { text, read, secret, problem, warn, problems, warnings };
}

/** The issue as one line: `PORT="70000": expected an integer from 0 to 65535`. */
export const issueText = ({ variable, value, expected }: Issue): string =>
  `${variable}=${JSON.stringify(value)}: expected ${expected}`;

/** A value cut to what fits into a message. */
export const shown = (value: string): string =>
  value.length <= longestShown ? value : `${value.slice(0, longestShown)}...`;

/** The file's text without the line feed that editors put at its end. */
function readSecretFile(path: string, readFile: ReadFile): Result<string, string> {
  const content = readFile(path);
  if (!content.ok) return { ok: false, error: `a file that can be read (${content.error})` };
  const secret = content.value.replace(/\r?\n$/, "");
  return secret === "" ? { ok: false, error: "a file that is not empty" } : ok(secret);
}

function described(name: SettingName): Setting {
  const setting = findSetting(name);
  if (setting === null) throw new Error(`the setting ${name} is not in the reference`);
  return setting;
}
