import type { Result } from "../../base/result.ts";
import { buildText } from "../../base/version.ts";
import { commands } from "../../config/commands.ts";
import {
  environmentFile,
  helpOn,
  helpText,
  settingsHelp,
  variableForFlag,
} from "../../config/help.ts";
import schema from "../../providers/postgres/schema.sql" with { type: "text" };
import { unitKinds, unitText } from "../../system/unit.ts";
import { type Explanation, explain, explainRunning, explanationText } from "../explain.ts";
import { errorStream, openLog } from "../observers.ts";
import { check } from "./check.ts";
import { readConfig, refuse } from "./configuration.ts";
import { pingHost } from "./ping.ts";
import { findRouter } from "./running-router.ts";
import { setLogLevel, showSessions, showStatus } from "./status.ts";
import { exitCodes, type Terminal } from "./terminal.ts";

/** What may be asked in the form of a flag, and the command that it means. */
const asked: ReadonlyMap<string, string> = new Map([
  ["--version", "version"],
  ["--help", "help"],
  ["-h", "help"],
]);

/** Runs the command that the arguments, at least one, name. Gives the exit code. */
export function runCommand(argv: readonly string[], terminal: Terminal): number | Promise<number> {
  const [first = "", ...rest] = argv;
  const name = rest.length === 0 ? (asked.get(first) ?? first) : first;
  const flags = argv.filter((argument) => argument.startsWith("-") && !asked.has(argument));
  const command = commands.find((each) => each.name === name);
  const unknown = flags.filter((flag) => command?.flags.includes(flag) !== true);
  if (unknown.length > 0) return misused(terminal, unknown);
  if (command === undefined) return misused(terminal, [name]);
  const words = rest.filter((argument) => !flags.includes(argument));
  if (words.length > (command.argument === "" ? 0 : 1)) return misused(terminal, words.slice(-1));
  const [word] = words;
  switch (name) {
    case "status":
      return showStatus(terminal, flags);
    case "explain":
      return explainHost(terminal, word);
    case "ping":
      return pingNamed(terminal, word);
    case "sessions":
      return showSessions(terminal, flags);
    case "log":
      return setLogLevel(terminal, word);
    case "check":
      return check(terminal, flags.includes("--dry"));
    case "unit":
      return printUnit(terminal, word ?? "service");
    case "help":
      return help(terminal, word);
    default:
      terminal.print(printedBy(name));
      return exitCodes.yes;
  }
}

/** What the commands print that print always the same. */
function printedBy(name: string): string {
  switch (name) {
    case "env":
      return environmentFile();
    case "schema":
      return schema;
    default:
      return `${buildText}\n`;
  }
}

function misused(terminal: Terminal, given: readonly string[]): number {
  for (const argument of given) {
    const variable = variableForFlag(argument);
    terminal.complain(
      variable === null
        ? `${JSON.stringify(argument)} is no command; automc-router help lists them\n`
        : `${argument}: automc-router is configured by environment variables only; set ${variable}\n`,
    );
  }
  return exitCodes.configuration;
}

function printUnit(terminal: Terminal, word: string): number {
  const kind = unitKinds.find((known) => known === word);
  if (kind === undefined) return misused(terminal, [word]);
  terminal.print(unitText(kind));
  return exitCodes.yes;
}

function help(terminal: Terminal, word: string | undefined): number {
  if (word === undefined) terminal.print(helpText());
  else if (word === "settings") terminal.print(settingsHelp());
  else {
    const text = helpOn(word);
    if (!text.ok) {
      terminal.complain(`${text.error}\n`);
      return exitCodes.no;
    }
    terminal.print(text.value);
  }
  return exitCodes.yes;
}

/** `explain HOST`: the exit code is 0 when the hostname leads to a backend. */
async function explainHost(terminal: Terminal, host: string | undefined): Promise<number> {
  if (host === undefined) {
    terminal.complain("explain needs a hostname: automc-router explain play.example.com\n");
    return exitCodes.configuration;
  }
  const found = await findRouter(terminal.variables);
  if (found.ok) return explained(terminal, await explainRunning(found.value, host));
  const parsed = readConfig(terminal);
  if (!parsed.ok) return refuse(terminal, parsed.error);
  terminal.complain(`${found.error}; this explains the settings in this shell\n`);
  const log = openLog(parsed.value.config, errorStream(terminal.variables));
  const explanation = await explain(parsed.value.config, host, log.observe);
  await log.flush();
  return explained(terminal, explanation);
}

function explained(terminal: Terminal, explanation: Result<Explanation, string>): number {
  if (!explanation.ok) {
    terminal.complain(`${explanation.error}\n`);
    return exitCodes.no;
  }
  terminal.print(explanationText(explanation.value));
  return explanation.value.claims.length > 0 ? exitCodes.yes : exitCodes.no;
}

async function pingNamed(terminal: Terminal, host: string | undefined): Promise<number> {
  if (host === undefined) {
    terminal.complain("ping needs a hostname: automc-router ping play.example.com\n");
    return exitCodes.configuration;
  }
  const parsed = readConfig(terminal);
  if (!parsed.ok) return refuse(terminal, parsed.error);
  return await pingHost(terminal, host, parsed.value.config.listen);
}
