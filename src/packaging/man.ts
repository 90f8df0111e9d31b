import { commands } from "../config/commands.ts";
import { namesOf, settingGroups } from "../config/settings.ts";
import type { Stamp } from "./compile.ts";

/** The man page automc-router(8), from the tables of commands and settings. */
export function manPage({ version, date }: Stamp): string {
  const day = date.toISOString().slice(0, 10);
  const settings = settingGroups.flatMap(({ title, settings: rows }) => {
    const supported = rows.filter(({ status }) => status === "supported");
    if (supported.length === 0) return [];
    return [
      `.SS ${roff(title)}`,
      ...supported.flatMap((row) => {
        const standard = row.defaultText ?? row.default;
        const note = standard === "" ? "" : ` (default: ${standard.replaceAll("`", "")})`;
        const names = namesOf(row).map((name) => `\\fB${roff(name)}\\fR`);
        return [".TP", `${names.join(" or ")}${roff(note)}`, roff(row.meaning.replaceAll("`", ""))];
      }),
    ];
  });
  const lines = [
    `.TH AUTOMC-ROUTER 8 "${day}" "automc-router ${version}" "System Administration"`,
    ".SH NAME",
    "automc-router \\- route Minecraft Java players by hostname and wake sleeping servers",
    ".SH SYNOPSIS",
    ".B automc-router",
    "[\\fICOMMAND\\fR]",
    ".SH DESCRIPTION",
    "Without a command automc-router runs the router: it reads the hostname that a player typed, picks the route for it,",
    "and relays the connection to that backend. A backend that sleeps is started while the player waits.",
    "It is configured by environment variables only; as a service they are in",
    ".IR /etc/automc-router.env .",
    ".SH COMMANDS",
    ...commands.flatMap(({ name, argument, flags, meaning }) => [
      ".TP",
      [
        `\\fB${roff(name)}\\fR`,
        ...(argument === "" ? [] : [`\\fI${roff(argument)}\\fR`]),
        ...flags.map((flag) => `[\\fB${roff(flag)}\\fR]`),
      ].join(" "),
      `${roff(`${meaning.slice(0, 1).toUpperCase()}${meaning.slice(1)}`)}.`,
    ]),
    ".SH ENVIRONMENT",
    "A variable that is set but empty counts as unset. Durations are written as in Go: 90s, 1m30s, 500ms.",
    "A variable that ends in _FILE names a file that holds the secret.",
    ...settings,
    ".SH FILES",
    ".TP",
    ".I /etc/automc-router.env",
    "Settings of the service, one NAME=VALUE a line.",
    ".TP",
    ".I /etc/credstore/",
    "Secrets of the service, each in a file that is called like its setting.",
    ".TP",
    ".I /var/lib/automc-router/",
    "The snapshot of the routes from Postgres.",
    ".SH EXIT STATUS",
    ".TP",
    ".B 0",
    "It did what was asked.",
    ".TP",
    ".B 1",
    "It could not run: the port is in use.",
    ".TP",
    ".B 2",
    "The configuration is wrong.",
    ".TP",
    ".B 70",
    "More than 10 unexpected errors of its own within a minute.",
    ".SH SEE ALSO",
    ".BR systemctl (1),",
    ".BR journalctl (1)",
  ];
  return `${lines.join("\n")}\n`;
}

/** Text that roff prints as it is. */
const roff = (text: string): string =>
  text.replaceAll("\\", "\\e").replaceAll("-", "\\-").replace(/^[.']/, "\\&$&");
