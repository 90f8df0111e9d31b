import { join } from "node:path";
import { ok, type Result } from "../base/result.ts";
import type { ReadFile, Remark, Variables, World } from "./setting.ts";
import { fileVariant, type SettingName, type SettingValues, settingRows } from "./settings.ts";
import { masked } from "./values.ts";

/** A remark on one variable. `value` never holds a secret; see `Remark` for the rest. */
export interface Issue {
  readonly variable: string;
  readonly value: string;
  readonly expected: string;
  readonly fault?: string;
}

/**
 * The environment as settings read it. What cannot be read is noted as a problem, and the default stands in
 * for it.
 */
export interface Environment extends World {
  /**
   * The variable's text, verbatim; empty when it does not exist. A setting's further name stands in for an
   * empty one.
   */
  text(name: SettingName): string;
  /**
   * The setting's value. Empty counts as unset. A secret may be given directly, as a file, or as a
   * credential.
   */
  read<Name extends SettingName>(name: Name): SettingValues[Name];
  /** Notes what stops the start. `value` is what to show instead of the variable's text. */
  problem(name: SettingName, expected: string, value?: string, fault?: string): void;
  /** Notes what the start can live with. */
  warn(name: SettingName, expected: string, value?: string, fault?: string): void;
  readonly problems: readonly Issue[];
  readonly warnings: readonly Issue[];
}

const longestShown = 120;

/** The settings' view of these variables. */
export function createEnvironment(variables: Variables, readFile: ReadFile): Environment {
  const world = { variables, readFile };
  const problems: Issue[] = [];
  const warnings: Issue[] = [];

  function text(name: SettingName): string {
    const { otherName } = settingRows[name];
    return variables[name] || (otherName === undefined ? "" : (variables[otherName] ?? ""));
  }

  function read<Name extends SettingName>(name: Name): SettingValues[Name] {
    const row = settingRows[name];
    const given = row.secret === true ? secretText(name) : text(name);
    if (given !== "") {
      const value = row.read(given, world);
      if (value.ok) {
        note(warnings, name, value.warnings ?? []);
        return value.value;
      }
      const { error } = value;
      note(problems, name, typeof error === "string" ? [{ expected: error }] : error);
    }
    const standard = row.read(row.default, world);
    if (!standard.ok) throw new Error(`the default of ${name} cannot be read`);
    return standard.value;
  }

  /** The secret's text; empty when it is not set, or when that was a problem. */
  function secretText(name: SettingName): string {
    const given = waysToSecret(name, world);
    if (given.length > 1) {
      problem(name, `only one of ${given.map(({ from }) => from).join(" and ")}`);
      return "";
    }
    const [way] = given;
    if (way === undefined) return "";
    if (way.path === null) return text(name);
    const content = readSecretFile(way.path, readFile);
    if (content.ok) return content.value;
    problems.push({
      variable: `${name}_FILE`,
      value: shown(way.path),
      expected: content.error,
    });
    return "";
  }

  function problem(name: SettingName, expected: string, value = text(name), fault?: string): void {
    note(problems, name, [remark(expected, value, fault)]);
  }

  function warn(name: SettingName, expected: string, value = text(name), fault?: string): void {
    note(warnings, name, [remark(expected, value, fault)]);
  }

  function note(issues: Issue[], name: SettingName, remarks: readonly Remark[]): void {
    const isSecret = settingRows[name].secret === true;
    for (const { value = text(name), ...rest } of remarks) {
      issues.push({ variable: name, value: isSecret ? masked : shown(value), ...rest });
    }
  }

  return { ...world, text, read, problem, warn, problems, warnings };
}

const remark = (expected: string, value: string, fault: string | undefined): Remark =>
  fault === undefined ? { expected, value } : { expected, value, fault };

/**
 * The issue as one line: `PORT="70000": expected an integer from 0 to 65535`, or
 * `MAPPING: "a:10.0.0.5:25565" has no "="; did you mean a=10.0.0.5:25565?`.
 */
export function issueText({ variable, value, expected, fault }: Issue): string {
  const quoted = JSON.stringify(value);
  return fault === undefined
    ? `${variable}=${quoted}: expected ${expected}`
    : `${variable}: ${quoted}${fault}`;
}

/** A value cut to what fits into a message. */
export const shown = (value: string): string =>
  value.length <= longestShown ? value : `${value.slice(0, longestShown)}...`;

/** One way in which a secret is given; `path` null: by the variable itself. */
interface SecretWay {
  readonly from: string;
  readonly path: string | null;
}

function waysToSecret(name: SettingName, { variables, readFile }: World): readonly SecretWay[] {
  const ways: SecretWay[] = [];
  if ((variables[name] ?? "") !== "") ways.push({ from: name, path: null });
  const file = fileVariant({ name, ...settingRows[name] });
  if (file === null) return ways;
  const path = variables[file] ?? "";
  if (path !== "") ways.push({ from: file, path });
  // What systemd has put there for this service (`LoadCredential=`).
  const directory = variables["CREDENTIALS_DIRECTORY"] ?? "";
  if (directory === "") return ways;
  const credential = join(directory, name);
  const content = readFile(credential);
  const isThere = content.ok || !content.error.startsWith("ENOENT");
  return isThere ? [...ways, { from: `the credential ${name}`, path: credential }] : ways;
}

/** The file's text without the line feed that editors put at its end. */
function readSecretFile(path: string, readFile: ReadFile): Result<string, string> {
  const content = readFile(path);
  if (!content.ok) return { ok: false, error: `a file that can be read (${content.error})` };
  const secret = content.value.replace(/\r?\n$/, "");
  return secret === "" ? { ok: false, error: "a file that is not empty" } : ok(secret);
}
