import { hostPort } from "../../base/ip.ts";
import {
  listOf,
  type Members,
  membersOf,
  numberOf,
  textOf,
  textsOf,
  within,
} from "../../base/members.ts";
import type { Result } from "../../base/result.ts";
import { findRouter, type RunningRouter } from "./running-router.ts";
import { cut, exitCodes, plain, shortTime, type Terminal, table } from "./terminal.ts";

const watchMs = 1_000;

/** Clears the screen and puts the cursor into its corner (ECMA-48). */
const clear = "\u001b[H\u001b[2J\u001b[3J";

/**
 * `status [--json] [--watch]`: the running router on one page. The exit code is 0 when it is ready for
 * players.
 */
export async function showStatus(terminal: Terminal, flags: readonly string[]): Promise<number> {
  const found = await findRouter(terminal.variables);
  if (!found.ok) {
    terminal.complain(`${found.error}\n`);
    return exitCodes.no;
  }
  const toText = flags.includes("--json") ? jsonText : statusText;
  for (;;) {
    const status = await readStatus(found.value);
    if (!status.ok) {
      terminal.complain(`${status.error}\n`);
      return exitCodes.no;
    }
    const isWatched = flags.includes("--watch");
    terminal.print((isWatched && terminal.isTty ? clear : "") + toText(status.value));
    if (!isWatched) return status.value.status["isReady"] === true ? exitCodes.yes : exitCodes.no;
    await Bun.sleep(watchMs);
  }
}

/** What the API says of the router and its servers. */
export interface RouterStatus {
  readonly status: Members;
  readonly servers: readonly Members[];
}

/** Asks the running router. */
export async function readStatus(router: RunningRouter): Promise<Result<RouterStatus, string>> {
  const status = await router.read("/status");
  if (!status.ok) return status;
  const servers = await router.read("/servers");
  if (!servers.ok) return servers;
  return {
    ok: true,
    value: {
      status: membersOf(status.value) ?? {},
      servers: listOf({ servers: servers.value }, "servers"),
    },
  };
}

const jsonText = ({ status, servers }: RouterStatus): string =>
  `${JSON.stringify({ ...status, serverList: servers }, null, 2)}\n`;

/** The page that `status` prints, 80 columns wide. */
function statusText({ status, servers }: RouterStatus, now = Date.now()): string {
  const parts = [headText(status, now), serversText(servers), sourcesText(status)];
  const warnings = listOf(status, "warnings").map(
    (warning) =>
      `${(textOf(warning, "at") ?? "").slice(11, 19)}  ${textOf(warning, "message") ?? ""}`,
  );
  if (warnings.length > 0) parts.push(`WARNINGS\n${warnings.slice(-10).map(line).join("")}`);
  return parts.filter((part) => part !== "").join("\n");
}

const line = (text: string): string => `${cut(plain(text))}\n`;

function headText(status: Members, now: number): string {
  const sessions = within(status, "sessions");
  const count = (name: string): number => numberOf(sessions, name) ?? 0;
  const upMs = now - Date.parse(textOf(status, "startedAt") ?? "");
  const reasons = listOf(status, "notReady").map(
    (each) => `${textOf(each, "name") ?? ""}: ${textOf(each, "reason") ?? ""}`,
  );
  const ready = status["isReady"] === true ? "ready" : "not ready";
  const services = listOf(status, "services").map((service) =>
    service["isUp"] === true
      ? `${textOf(service, "name")} up`
      : `${textOf(service, "name")} away (${textOf(service, "reason") ?? "no answer"})`,
  );
  const limit = numberOf(sessions, "limit");
  return [
    `automc-router ${textOf(status, "version") ?? ""}, up ${shortTime(upMs)}, ${ready}`,
    ...reasons.map((reason) => `  ${reason}`),
    `listening  ${textOf(status, "listening") ?? "not yet"}`,
    `clients    ${count("relaying")} joined, ${count("waiting")} waiting, ${count("opening")} opening` +
      (limit === null ? "" : `; at most ${limit}`),
    ...services.map((service) => `service    ${service}`),
    `log level  ${textOf(status, "logLevel") ?? ""}`,
  ]
    .map(line)
    .join("");
}

function serversText(servers: readonly Members[]): string {
  if (servers.length === 0) return "no routes yet\n";
  const rows = servers.map((server) => [
    plain(textOf(server, "name") ?? "").slice(0, 22),
    textOf(server, "state") ?? "",
    shortTime(numberOf(server, "stateMs")),
    String(numberOf(server, "players") ?? 0),
    String(numberOf(server, "waiting") ?? 0),
    shortTime(numberOf(server, "usualStartMs")),
    plain(textsOf(server["hostnames"]).join(" ")),
  ]);
  const head = ["SERVER", "STATE", " FOR", " PLAYERS", " WAITING", " START", "HOSTNAMES"];
  const failures = servers
    .filter((server) => textOf(server, "lastFailure") !== null)
    .map((server) => line(`  ${textOf(server, "name")}: ${textOf(server, "lastFailure")}`));
  return table(head, rows) + (failures.length === 0 ? "" : `\nLAST FAILURES\n${failures.join("")}`);
}

function sourcesText(status: Members): string {
  const rows = listOf(status, "sources").map((source) => [
    textOf(source, "name") ?? "",
    textOf(source, "state") ?? "",
    String(numberOf(source, "routes") ?? 0),
    shortTime(numberOf(source, "ageMs")),
    textOf(source, "mode") ?? "-",
    plain(textOf(source, "reason") ?? ""),
  ]);
  return rows.length === 0 ? "" : table(["SOURCE", "STATE", " ROUTES", " AGE", "MODE", ""], rows);
}

/** `sessions [--json]`: the connected clients, oldest first. */
export async function showSessions(terminal: Terminal, flags: readonly string[]): Promise<number> {
  const found = await findRouter(terminal.variables);
  const sessions = found.ok ? await found.value.read("/sessions") : found;
  if (!sessions.ok) {
    terminal.complain(`${sessions.error}\n`);
    return exitCodes.no;
  }
  if (flags.includes("--json")) terminal.print(`${JSON.stringify(sessions.value, null, 2)}\n`);
  else terminal.print(sessionsText(listOf({ sessions: sessions.value }, "sessions")));
  return exitCodes.yes;
}

/** The table that `sessions` prints. */
function sessionsText(sessions: readonly Members[]): string {
  if (sessions.length === 0) return "no clients are connected\n";
  const rows = sessions.map((session) => [
    String(numberOf(session, "id") ?? ""),
    plain(textOf(within(session, "player"), "name") ?? "-").slice(0, 16),
    textOf(session, "intent") ?? "opening",
    shortTime(numberOf(session, "durationMs")),
    hostPort(
      textOf(within(session, "client"), "ip") ?? "",
      numberOf(within(session, "client"), "port") ?? 0,
    ),
    plain(`${textOf(session, "hostname") ?? "-"} -> ${textOf(session, "backend") ?? "-"}`),
  ]);
  return table([" ID", "PLAYER", "INTENT", " FOR", "CLIENT", "HOSTNAME -> BACKEND"], rows);
}

/** `log [LEVEL]`: shows or sets the level of the running router's log. */
export async function setLogLevel(terminal: Terminal, level: string | undefined): Promise<number> {
  const found = await findRouter(terminal.variables);
  const answer = await answerOf(found, level);
  if (!answer.ok) {
    terminal.complain(`${answer.error}\n`);
    return exitCodes.no;
  }
  const now = textOf(membersOf(answer.value) ?? {}, "level") ?? "";
  terminal.print(
    level === undefined ? `${now}\n` : `the log level is ${now} until the next start\n`,
  );
  return exitCodes.yes;
}

function answerOf(
  found: Result<RunningRouter, string>,
  level: string | undefined,
): Promise<Result<unknown, string>> {
  if (!found.ok) return Promise.resolve(found);
  if (level === undefined) return found.value.read("/log-level");
  return found.value.put("/log-level", { level: level.toLowerCase() });
}
