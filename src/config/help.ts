import { readBoolean } from "../base/go-text.ts";
import { nearestName } from "../base/nearest-name.ts";
import { err, ok, type Result } from "../base/result.ts";
import { commands } from "./commands.ts";
import {
  fileVariant,
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
\`automc-router help settings\` prints the same list.

* A variable that is set but empty counts as unset. Settings are read once, at the start.
* Durations are written as in Go: \`90s\`, \`1m30s\`, \`500ms\`. Switches are \`true\` or \`false\`. Lists are
  separated by commas or newlines.
* A variable that ends in \`_FILE\` names a file that holds the secret. systemd may pass it as a credential with
  the setting's name: \`LoadCredential=AUTOMC_DSN:/etc/automc-router.dsn\`.
  Connection strings, tokens and the headers of the scaling webhook are read again from there at SIGHUP.
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
  `  ${words.padEnd(26)} ${meaning}`.trimEnd();

/** How to use the program, on one screen of 80 columns. */
export function helpText(): string {
  const lines = commands.map(({ name, argument, flags, meaning }) => {
    const words = [name, argument, ...flags.map((flag) => `[${flag}]`)];
    return commandLine(words.filter((word) => word !== "").join(" "), meaning);
  });
  return `${[
    "automc-router routes Minecraft Java players by hostname.",
    "Environment variables configure it, such as MAPPING=play.example.org=10.0.0.5",
    "",
    "Commands, behind automc-router:",
    commandLine("(none)", "runs the router"),
    ...lines,
    "",
    "help settings lists every setting, help NAME tells of one.",
    "status, explain, ping, sessions and log ask the router on this machine.",
    "Exit codes: 0 yes or done, 1 no or failed, 2 configuration, 70 own faults.",
  ].join("\n")}\n`;
}

/** Every supported setting, and the names of those that are not. Plain text for a terminal. */
export function settingsHelp(): string {
  const groups = supportedGroups().map(({ title, settings: rows }) => {
    const entries = rows.flatMap((setting) => [
      `  ${namesOf(setting).join(" or ")}${defaultNote(setting)}`,
      ...wrapped(withoutMarks(setting.meaning), "      "),
    ]);
    return [`${title}:`, ...entries].join("\n");
  });
  const missing = settings.filter((setting) => setting.status === "refused");
  const names = missing.map((setting) => `  ${setting.name}`);
  return `${[...groups, ["Not supported:", ...names].join("\n")].join("\n\n")}\n`;
}

/** What there is to say of one setting or command; the error suggests a name, and is one line. */
export function helpOn(name: string): Result<string, string> {
  const command = commands.find((each) => each.name === name);
  if (command !== undefined) {
    const words = ["automc-router", command.name, command.argument, ...command.flags];
    return ok(`${words.filter((word) => word !== "").join(" ")}\n  ${command.meaning}\n`);
  }
  const upper = name.toUpperCase();
  const setting = settings.find((each) => namesOf(each).includes(upper));
  if (setting !== undefined) return ok(settingHelp(setting));
  const near = nearestName(upper, settings.flatMap(namesOf));
  const hint = near === null ? "help settings lists them" : `did you mean ${near}?`;
  return err(`there is no setting ${JSON.stringify(name)}; ${hint}`);
}

function settingHelp(setting: NamedSetting): string {
  const group = settingGroups.find(({ settings: rows }) =>
    rows.some(({ name }) => name === setting.name),
  );
  const file = fileVariant(setting);
  const lines = [
    `${setting.name}${defaultNote(setting)}`,
    ...wrapped(withoutMarks(setting.meaning), "  "),
    ...(setting.advice === undefined ? [] : wrapped(`${setting.status}: ${setting.advice}`, "  ")),
    ...(setting.otherName === undefined ? [] : [`  Also: ${setting.otherName}`]),
    ...(file === null
      ? []
      : wrapped(
          `A secret: it may stand in a file that ${file} names, or be a credential of that name.`,
          "  ",
        )),
    `  In the group "${group?.title ?? ""}" of help settings.`,
  ];
  return `${lines.join("\n")}\n`;
}

/** A file for `EnvironmentFile=` of systemd, with every supported setting at its default, commented out. */
export function environmentFile(): string {
  const head = [
    ...wrapped(
      "Settings of automc-router: NAME=value, one a line. Take the # away from a line to set it, then run automc-router check and restart the service.",
      "# ",
    ),
    "",
  ];
  const groups = supportedGroups().flatMap(({ title, settings: rows }) => [
    `# == ${title} ==`,
    "",
    ...rows.flatMap((setting) => {
      const file = fileVariant(setting);
      const unset = setting.defaultText === undefined ? [] : [`Default: ${setting.defaultText}.`];
      return [
        ...wrapped(withoutMarks([setting.meaning, ...unset].join(" ")), "# "),
        `#${setting.name}=${setting.default}`,
        ...(file === null ? [] : [`#${file}=`]),
        "",
      ];
    }),
  ]);
  return `${[...head, ...groups].join("\n").trimEnd()}\n`;
}

/** The text in lines of at most 80 columns. */
function wrapped(text: string, indent: string): readonly string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && indent.length + line.length + 1 + word.length > 80) {
      lines.push(indent + line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
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
