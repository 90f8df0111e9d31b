import type { ConnectionRefusal } from "../limits/connection-limiter.ts";
import { patternText } from "../routing/pattern.ts";
import type { Claim } from "../routing/table.ts";
import type { SessionFacts } from "../session/event.ts";
import type { Answer, Dropped, Outcome } from "../session/outcome.ts";
import type { Observer } from "./bus.ts";
import type { RouteEvent, RouterEvent } from "./events.ts";
import { clientText, type Fields, type Level, type LogFormat, logLine } from "./line.ts";

/** What a log needs. */
export interface LogDeps {
  readonly level: Level;
  readonly format: LogFormat;
  /** Every attempt to log in has a line at info, also one that came to nothing. */
  readonly recordLogins: boolean;
  /** Lines carry a priority and no time, as journald adds its own. */
  readonly journald: boolean;
  /** The wall clock as RFC 3339 text. */
  now(): string;
  /** Takes one whole line; never blocks. */
  write(line: string): void;
}

/** One line, before it is printed. */
interface Entry {
  readonly level: Level;
  readonly message: string;
  readonly fields: Fields;
}

/** From the most to the least urgent. */
const levels: readonly Level[] = ["error", "warn", "info", "debug", "trace"];

/** More changed routes than this at once are summed up in one line. */
const routeLines = 20;

/** An observer that writes one line per event, at a level that tells who must act: client noise is debug, what an operator should mend is warn. */
export function createLog(deps: LogDeps): Observer {
  const limit = levels.indexOf(deps.level);
  return (event) => {
    if (levels.indexOf(leastLevel(event, deps.recordLogins)) > limit) return;
    for (const { level, message, fields } of describe(event, deps.recordLogins)) {
      if (levels.indexOf(level) > limit) continue;
      const time = deps.journald ? null : deps.now();
      deps.write(
        logLine(
          { time, level, message, fields: { event: event.kind, ...fields } },
          deps.format,
          deps.journald,
        ),
      );
    }
  };
}

/** The level of what comes by the thousand, before a word of it is made; of everything else, one that is always looked at. */
function leastLevel(event: RouterEvent, recordLogins: boolean): Level {
  switch (event.kind) {
    case "session-accepted":
      return "trace";
    case "session-relaying":
      return sessionLevel(event.session);
    case "session-ended":
      return endLevel(event.session, event.outcome, recordLogins);
    default:
      return "error";
  }
}

function describe(event: RouterEvent, recordLogins: boolean): readonly Entry[] {
  switch (event.kind) {
    case "started":
      return [info("automc-router starts", { version: event.version, commit: event.commit })];
    case "setting-warning":
      return [warn(event.message, {})];
    case "listening":
      return [
        info("listening for players", {
          listenAddress: endpointText(event.address, event.port),
          port: event.port,
          sessionLimit: event.sessionLimit,
        }),
      ];
    case "failed":
      return [{ level: "error", message: event.reason, fields: {} }];
    case "reloading":
      return [info("reloading files; settings are read at start only", {})];
    case "reloaded":
      return [debug("the files are read", {})];
    case "draining":
      return [
        info("stopping: no new players, those in a game may finish", {
          signal: event.signal,
          sessions: event.sessions,
          limit: seconds(event.drainMs),
        }),
      ];
    case "stopped":
      return [info("stopped", { cut: event.cut })];

    case "routes-changed":
      return routeEntries(event);
    case "source-live":
      return [
        info("routes are read and kept up to date", {
          source: event.source,
          routes: event.routes,
          changes: changesText[event.mode],
          away: event.awayMs > 0 ? seconds(event.awayMs) : null,
        }),
      ];
    case "source-lost":
      return [
        warn(event.routes > 0 ? routesStay : "the source of the routes does not answer", {
          source: event.source,
          reason: event.reason,
          routes: event.routes,
        }),
      ];
    case "source-retry":
      return [
        debug("the source of the routes is still away", {
          source: event.source,
          reason: event.reason,
          next: seconds(event.nextMs),
        }),
      ];
    case "row-skipped":
      return [
        warn("a row cannot be used", {
          source: event.source,
          row: event.row,
          reason: event.reason,
        }),
      ];
    case "service-state": {
      const { source, service, before, state } = event;
      const entry = state === "failed" ? warn : info;
      return [entry("a service is in another state", { source, service, before, state })];
    }
    case "source-warning":
      return [warn(event.message, { source: event.source })];
    case "snapshot-loaded":
      return [
        info("routes taken from the snapshot file until their source answers", {
          source: event.source,
          routes: event.routes,
          path: event.path,
          age: seconds(event.ageMs),
        }),
      ];

    case "wake-started":
      return [info("starting a server", { row: event.server })];
    case "wake-done":
      return [
        info(
          event.by === "row"
            ? "nobody can tell, but the server accepts players at the address that was known"
            : "the server is up",
          {
            row: event.server,
            backendHostPort: event.address,
            waiters: event.waiters,
            took: seconds(event.tookMs),
          },
        ),
      ];
    case "wake-failed":
      return [
        warn("the server did not come up in time", {
          row: event.server,
          reason: event.reason,
          waiters: event.waiters,
          took: seconds(event.tookMs),
        }),
      ];
    case "wake-refused":
      return [
        debug("a server that sleeps is not started", {
          row: event.server,
          why: event.why,
          reason: event.reason,
        }),
      ];
    case "wake-abandoned":
      return [
        info("nobody waits for the server any more", {
          row: event.server,
          took: seconds(event.tookMs),
        }),
      ];
    case "control-plane-lost":
      return [
        warn(
          "the control plane does not answer as it should; the server is tried at its row's address",
          { row: event.server, reason: event.reason },
        ),
      ];
    case "control-plane-back":
      return [info("the control plane answers again", { row: event.server })];
    case "webhook-lost":
      return [
        warn("the webhook does not start the server; it is tried as it is", {
          row: event.server,
          reason: event.reason,
        }),
      ];
    case "webhook-back":
      return [info("the webhook starts the server again", { row: event.server })];
    case "idle-armed":
      return [
        debug("nobody is on the server", { row: event.server, sleepsIn: seconds(event.afterMs) }),
      ];
    case "sleep-started":
      return [info("putting an idle server to sleep", { row: event.server })];
    case "sleep-done":
      return [info("the server is asleep", { row: event.server, took: seconds(event.tookMs) })];
    case "sleep-failed":
      return [
        warn("the server could not be put to sleep", {
          row: event.server,
          reason: event.reason,
          next: seconds(event.retryMs),
        }),
      ];

    case "api-listening":
      return [info("the API listens", { binding: event.binding })];
    case "influx-lost":
      return [warn("metrics do not reach InfluxDB", { reason: event.reason })];
    case "influx-back":
      return [info("metrics reach InfluxDB again", { dropped: event.dropped })];
    case "notifier-lost":
      return [warn("notices to WEBHOOK_URL are lost", { reason: event.reason })];
    case "notifier-back":
      return [info("notices to WEBHOOK_URL arrive again", { missed: event.missed })];

    case "session-accepted":
      return [
        {
          level: leastLevel(event, recordLogins),
          message: "accepted",
          fields: { client: clientEndpoint(event.client) },
        },
      ];
    case "clients-refused":
      return [
        {
          ...info("clients are turned away", {
            why: refusalTexts[event.why],
            count: event.count,
            lastClient: event.lastIp,
          }),
          level: event.why === "total" || event.why === "opening" ? "warn" : "info",
        },
      ];
    case "session-holding":
      return [info("a player waits for the server", sessionFields(event.session))];
    case "session-relaying":
      return [
        {
          level: leastLevel(event, recordLogins),
          message: "connected",
          fields: sessionFields(event.session),
        },
      ];
    case "session-ended":
      return [
        {
          level: leastLevel(event, recordLogins),
          message: endMessage(event.outcome),
          fields: {
            ...sessionFields(event.session),
            ...(recordLogins && loginFields(event.session)),
            waited: event.session.waitedMs === null ? null : seconds(event.session.waitedMs),
            ...outcomeFields(event.outcome),
            seconds: Number((event.durationMs / 1000).toFixed(3)),
          },
        },
      ];
    case "fault":
      return [
        {
          level: "error",
          message: "unexpected error; the session it happened in is cut",
          fields: { error: event.error.message, stack: event.error.stack ?? null },
        },
      ];
  }
}

const info = (message: string, fields: Fields): Entry => ({ level: "info", message, fields });
const warn = (message: string, fields: Fields): Entry => ({ level: "warn", message, fields });
const debug = (message: string, fields: Fields): Entry => ({ level: "debug", message, fields });

const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)}s`;

const clientEndpoint = ({ ip, port }: SessionFacts["client"]): string => endpointText(ip, port);

const endpointText = (ip: string, port: number): string =>
  ip.includes(":") ? `[${ip}]:${port}` : `${ip}:${port}`;

const changesText = { notify: "heard at once", poll: "polled", reload: "at a reload" } as const;

const routesStay = "lost the source of the routes; the last known ones stay in force";

/** One line for each hostname that goes another way now, or one for all of them where there are many. */
function routeEntries({ source, changes }: RouteEvent): readonly Entry[] {
  const { added, removed, changed, conflicts } = changes;
  const entries: Entry[] = conflicts.map(({ pattern, winner, loser }) =>
    warn("two routes claim one hostname; the first one has it", {
      server: patternText(pattern),
      winner: `${winner.source} ${winner.id}`,
      loser: `${loser.source} ${loser.id}`,
    }),
  );
  const count = added.length + removed.length + changed.length;
  if (count > routeLines) {
    const sums = { source, added: added.length, removed: removed.length, changed: changed.length };
    return [...entries, info("routes changed", sums)];
  }
  for (const claim of added) entries.push(info("route added", claimFields(claim)));
  for (const { after } of changed) entries.push(info("route changed", claimFields(after)));
  for (const claim of removed) entries.push(info("route removed", claimFields(claim)));
  return entries;
}

const claimFields = ({ pattern, route }: Claim): Fields => ({
  serverAddress: patternText(pattern),
  backend: route.address.text,
  source: route.source,
  row: route.source === "env" ? null : route.id,
});

/** Field names are mc-router's where it has them: `server` is the hostname that the client asked for. */
function sessionFields(session: SessionFacts): Fields {
  return {
    session: session.id,
    client: clientEndpoint(session.client),
    intent: session.intent,
    protocol: session.protocol,
    server: session.hostname === null ? null : clientText(session.hostname),
    route: session.route,
    row: session.row,
    backendHostPort: session.backend,
    player: session.player === null ? null : playerText(session.player),
  };
}

/** What mc-router's lines about attempts to log in call the hostname. */
const loginFields = (session: SessionFacts): Fields =>
  sessionLevel(session) === "debug" || session.hostname === null
    ? {}
    : { serverAddress: clientText(session.hostname) };

const playerText = (player: { readonly name: string; readonly uuid: string | null }): string =>
  player.uuid === null ? clientText(player.name) : `${clientText(player.name)}/${player.uuid}`;

/** Pings come by the thousand; players are what a log is read for. */
const sessionLevel = (session: SessionFacts): Level =>
  session.intent === "login" || session.intent === "transfer" ? "info" : "debug";

function endLevel(session: SessionFacts, outcome: Outcome, recordLogins: boolean): Level {
  if (sessionLevel(session) === "debug") return "debug";
  switch (outcome.kind) {
    case "relayed":
      return "info";
    case "answered":
      // A flood; there is a line of its own for all of it.
      if (outcome.answer === "throttled") return "debug";
      return isOperatorsMatter(outcome.answer) ? "warn" : "info";
    case "dropped":
      // A player who waited and left is a fact about the wake; everything else of the kind is noise.
      return session.waitedMs === null && !recordLogins ? "debug" : "info";
  }
}

const isOperatorsMatter = (answer: Answer): boolean =>
  answer === "unreachable" ||
  answer === "wake-failed" ||
  answer === "wake-refused" ||
  answer === "full";

const answerMessages: Readonly<Record<Answer, string>> = {
  running: "told what the server last said",
  asleep: "told that the server is asleep",
  waking: "told that the server is starting",
  unreachable: "refused: the server cannot be reached",
  "wake-failed": "refused: the server did not start in time",
  "wake-denied": "refused: the player may not start the server",
  "wake-refused": "refused: the server is not started now",
  unproven: "refused: the client did not prove that it is a game",
  mute: "refused: the client did not answer while it waited",
  throttled: "refused: too many joins from the client's address",
  full: "refused: the router is full",
  stopping: "refused: the router is stopping",
  "too-old": "refused: the client is older than Minecraft 1.7",
};

const refusalTexts: Readonly<Record<ConnectionRefusal, string>> = {
  rate: "too many connections a second from their address",
  client: "too many connections at a time from their address",
  total: "the router is full",
  opening: "too many clients have not said yet what they want",
  pings: "too many pings from their address",
  logins: "too many joins from their address",
};

const droppedMessages: Readonly<Record<Dropped, string>> = {
  silent: "closed: nothing was sent",
  filtered: "closed: the client's address may not connect",
  "bad-proxy-header": "closed: the PROXY protocol header is wrong",
  throttled: "closed: too many connections or pings from the client's address",
  "not-minecraft": "closed: not Minecraft",
  "too-slow": "closed: no complete opening in time",
  left: "closed: the client left",
  "unknown-host": "closed: no route for the hostname",
  "no-answer": "closed: nothing to answer the ping with",
  "out-of-turn": "closed: the client spoke out of turn while it waited",
  fault: "closed: an unexpected error",
};

function endMessage(outcome: Outcome): string {
  switch (outcome.kind) {
    case "relayed":
      return "session ended";
    case "answered":
      return answerMessages[outcome.answer];
    case "dropped":
      return droppedMessages[outcome.why];
  }
}

function outcomeFields(outcome: Outcome): Fields {
  switch (outcome.kind) {
    case "relayed":
      return {
        endedBy: outcome.end.endedBy,
        how: outcome.end.ending,
        bytesToBackend: outcome.end.toBackend,
        bytesToClient: outcome.end.toClient,
      };
    case "answered":
    case "dropped":
      return { reason: outcome.reason };
  }
}
