import { readBoolean } from "../base/go-text.ts";
import { commands } from "./commands.ts";
import {
  findSetting,
  type NamedSetting,
  namesOf,
  type SettingGroup,
  settingGroups,
  settings,
} from "./settings.ts";

/**
 * The variable that does what a command-line flag of upstream does (`--in-docker` gives `IN_DOCKER=true`),
 * for the message that refuses the flag. A secret is left out of it. Null when there is no such flag.
 */
export function variableForFlag(argument: string): string | null {
  const [, flag, value] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(argument) ?? [];
  if (flag === undefined) return null;

  const setting = findSetting(flag.toUpperCase().replaceAll("-", "_"));
  if (setting === null) return null;
  if (setting.secret === true) return `${setting.name}=...`;
  return `${setting.name}=${value ?? (setting.read === readBoolean ? "true" : "...")}`;
}

const pageHead = `# Settings

automc-router is configured by environment variables only. This page is printed from the program (\`bun run settings\`);
\`automc-router help\` prints the same list.

* A variable that is set but empty counts as unset. Settings are read once, at the start.
* Durations are written as in Go: \`90s\`, \`1m30s\`, \`500ms\`. Switches are \`true\` or \`false\`. Lists are
  separated by commas or newlines.
* A variable that ends in \`_FILE\` names a file that holds the secret. systemd may pass it as a credential with
  the setting's name: \`LoadCredential=AUTOMC_DSN:/etc/automc-router.dsn\`.
* \`check\` prints every problem of the configuration. A variable of mc-router that is not supported stops the
  start.
`;

/** The page docs/settings.md. */
export const settingsPage = (): string => `${pageHead}\n${settingsTable()}`;

/** The supported settings as Markdown: a heading and a table for each group. */
export function settingsTable(): string {
  return supportedGroups()
    .map(({ title, settings: rows }) => {
      const lines = rows.map(
        (setting) =>
          `| ${namesOf(setting).map(code).join("<br>")} | ${defaultCell(setting)} | ${setting.meaning} |`,
      );
      return [`## ${title}`, "", "| Name | Default | Meaning |", "| --- | --- | --- |", ...lines];
    })
    .map((lines) => `${lines.join("\n")}\n`)
    .join("\n");
}

const commandLine = (words: string, meaning: string): string =>
  `  automc-router ${words.padEnd(14)} ${meaning}`;

const usage = [
  "automc-router routes Minecraft Java players by hostname. It is configured by environment variables.",
  "",
  "Commands:",
  commandLine("", "runs the router"),
  ...commands.map(({ name, argument, meaning }) =>
    commandLine(`${name} ${argument}`.trimEnd(), meaning),
  ),
].join("\n");

/**
 * How to use the program: its commands, the supported settings, and the names of those that are not. Plain
 * text for a terminal.
 */
export function helpText(): string {
  const groups = supportedGroups().map(({ title, settings: rows }) => {
    const entries = rows.flatMap((setting) => [
      `  ${namesOf(setting).join(" or ")}${defaultNote(setting)}`,
      `      ${withoutMarks(setting.meaning)}`,
    ]);
    return [`${title}:`, ...entries].join("\n");
  });
  const missing = settings.filter((setting) => setting.status === "refused");
  const names = missing.map((setting) => `  ${setting.name}`);
  return `${[usage, ...groups, ["Not supported:", ...names].join("\n")].join("\n\n")}\n`;
}

const supportedGroups = (): readonly SettingGroup[] =>
  settingGroups
    .map(({ title, settings: rows }) => ({
      title,
      settings: rows.filter((setting) => setting.status === "supported"),
    }))
    .filter((group) => group.settings.length > 0);

function defaultCell(setting: NamedSetting): string {
  if (setting.defaultText !== undefined) return setting.defaultText;
  return setting.default === "" ? "-" : code(setting.default);
}

function defaultNote(setting: NamedSetting): string {
  const text = withoutMarks(setting.defaultText ?? setting.default);
  return text === "" ? "" : ` (default: ${text})`;
}

const code = (text: string): string => `\`${text}\``;

const withoutMarks = (text: string): string => text.replaceAll("`", "");
