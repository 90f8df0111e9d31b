import { listOf, textOf } from "../../base/members.ts";
import type { ParsedConfig } from "../../config/config.ts";
import { issueText } from "../../config/environment.ts";
import { hasSettings, readConfig, refuse } from "./configuration.ts";
import type { Finding } from "./finding.ts";
import { reach } from "./reach.ts";
import { findRouter, type RunningRouter } from "./running-router.ts";
import { type RouterStatus, readStatus } from "./status.ts";
import { exitCodes, plain, type Terminal } from "./terminal.ts";

/**
 * `check [--dry]`: every problem of the settings in this environment, then whether what they name can be
 * reached: with `--dry` not even that. In an environment without settings the running router tells of its
 * own. The exit code is 2 for problems of the settings, and 1 when something cannot be reached.
 */
export async function check(terminal: Terminal, isDry: boolean): Promise<number> {
  const parsed = readConfig(terminal);
  if (!parsed.ok) return refuse(terminal, parsed.error);
  for (const warning of parsed.value.warnings) {
    terminal.print(`warning: ${issueText(warning)}\n`);
  }
  if (isDry) return conclude(terminal, []);
  const found = await findRouter(terminal.variables);
  if (!hasSettings(terminal)) {
    if (found.ok) return checkRunning(terminal, found.value);
    terminal.complain(`${found.error}; this checks the settings in this shell, which has none\n`);
  }
  return await checkReach(terminal, parsed.value, found.ok ? found.value : null);
}

async function checkReach(
  terminal: Terminal,
  { config }: ParsedConfig,
  running: RunningRouter | null,
): Promise<number> {
  const status = running === null ? null : await readStatus(running);
  const listening = status?.ok ? textOf(status.value.status, "listening") : null;
  const findings = await reach(config, listening);
  return conclude(terminal, findings);
}

/** What the running router says of itself. */
async function checkRunning(terminal: Terminal, router: RunningRouter): Promise<number> {
  terminal.print(`this shell has no settings; the router at ${router.path} says of its own:\n`);
  const status = await readStatus(router);
  if (!status.ok) {
    terminal.complain(`${status.error}\n`);
    return exitCodes.no;
  }
  for (const warning of listOf(status.value.status, "warnings")) {
    terminal.print(`warning: ${plain(textOf(warning, "message") ?? "")}\n`);
  }
  return conclude(terminal, findingsOf(status.value));
}

function findingsOf({ status, servers }: RouterStatus): readonly Finding[] {
  const nameOf = (each: Parameters<typeof textOf>[0]): string => textOf(each, "name") ?? "";
  const reasonOf = (each: Parameters<typeof textOf>[0]): string =>
    textOf(each, "reason") ?? "no answer";
  const listening = textOf(status, "listening");
  return [
    { what: `players are accepted at ${listening ?? "no port yet"}`, problem: null },
    ...listOf(status, "notReady").map((each) => ({ what: nameOf(each), problem: reasonOf(each) })),
    ...listOf(status, "sources").map((each) => ({
      what: `routes from ${nameOf(each)}`,
      problem: textOf(each, "state") === "up" ? null : reasonOf(each),
    })),
    ...listOf(status, "services").map((each) => ({
      what: nameOf(each),
      problem: each["isUp"] === true ? null : reasonOf(each),
    })),
    ...(servers.length > 0
      ? []
      : [{ what: "routes", problem: "there is none, so no player gets in" }]),
  ];
}

/** Prints the findings, one line each, and what comes of them. */
function conclude(terminal: Terminal, findings: readonly Finding[]): number {
  const failed = findings.filter(({ problem }) => problem !== null);
  const colour = (code: number, text: string): string =>
    terminal.isTty ? `\u001b[${code}m${text}\u001b[0m` : text;
  for (const { what, problem } of findings) {
    terminal.print(
      problem === null
        ? `${colour(32, "ok  ")}  ${plain(what)}\n`
        : `${colour(31, "FAIL")}  ${plain(what)}: ${plain(problem)}\n`,
    );
  }
  if (failed.length > 0) {
    terminal.print(`${failed.length} of ${findings.length} checks failed\n`);
    return exitCodes.no;
  }
  terminal.print("the configuration is good\n");
  return exitCodes.yes;
}
