import { hostPort } from "../base/ip.ts";
import type { ConnectionRefusal } from "../limits/connection-limiter.ts";
import type { SessionEvent, SessionFacts } from "../session/event.ts";
import type { Answer, Dropped, Outcome } from "../session/outcome.ts";
import { type Entry, info, seconds } from "./entry.ts";
import type { RouterEvent } from "./events.ts";
import { clientText, type Fields, type Level } from "./line.ts";

/** The level of an event that comes once or more per session; null for every other event. */
export function sessionEventLevel(event: RouterEvent, recordLogins: boolean): Level | null {
  switch (event.kind) {
    case "session-accepted":
      return "trace";
    case "session-relaying":
      return sessionLevel(event.session);
    case "session-ended":
      return endLevel(event.session, event.outcome, recordLogins);
    default:
      return null;
  }
}

/** The log's entry for an event of a session, or of clients that got none. */
export function sessionEntry(event: SessionEvent, recordLogins: boolean): Entry {
  const level = sessionEventLevel(event, recordLogins) ?? "info";
  switch (event.kind) {
    case "session-accepted": {
      const { ip, port } = event.client;
      return { level, message: "accepted", fields: { client: hostPort(ip, port) } };
    }
    case "clients-refused":
      return {
        level: event.why === "total" || event.why === "opening" ? "warn" : "info",
        message: "clients are turned away",
        fields: { why: refusalTexts[event.why], count: event.count, lastClient: event.lastIp },
      };
    case "session-holding":
      return info("a player waits for the server", sessionFields(event.session));
    case "session-relaying":
      return { level, message: "connected", fields: sessionFields(event.session) };
    case "session-ended": {
      const { session, outcome, durationMs } = event;
      const fields = {
        ...sessionFields(session),
        ...(recordLogins && loginFields(session)),
        waited: session.waitedMs === null ? null : seconds(session.waitedMs),
        ...outcomeFields(outcome),
        seconds: Number((durationMs / 1000).toFixed(3)),
      };
      return { level, message: endMessage(outcome), fields };
    }
    case "fault":
      return {
        level: "error",
        message: "an error in the router's own code; the session it happened in is cut",
        fields: { error: event.error.message, stack: event.error.stack ?? null },
      };
  }
}

/** Field names are mc-router's where it has them: `server` is the hostname that the client asked for. */
function sessionFields(session: SessionFacts): Fields {
  return {
    session: session.id,
    client: hostPort(session.client.ip, session.client.port),
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
      // A flood has a line of its own for all of it.
      if (outcome.answer === "throttled") return "debug";
      if (outcome.answer === "unknown-host") return recordLogins ? "info" : "debug";
      return isOperatorsMatter(outcome.answer) ? "warn" : "info";
    case "dropped":
      // A player who waited and left is a fact about the wake; every other drop is what clients do.
      return session.waitedMs === null && !recordLogins ? "debug" : "info";
  }
}

const isOperatorsMatter = (answer: Answer): boolean =>
  answer === "unreachable" ||
  answer === "wake-failed" ||
  answer === "wake-refused" ||
  answer === "full";

const answerMessages: Readonly<Record<Answer, string>> = {
  running: "ping answered with the server's last known status",
  asleep: "ping answered: the server is asleep",
  waking: "ping answered: the server is starting",
  unreachable: "refused: the server cannot be reached",
  "wake-failed": "refused: the server did not start in time",
  "wake-denied": "refused: the player may not start the server",
  "wake-refused": "refused: the server is not started now",
  unproven: "refused: the client did not prove that it is a game",
  mute: "refused: the client did not answer while it waited",
  "bad-name": "refused: the player's name is too long",
  throttled: "refused: too many joins from the client's address",
  full: "refused: the router is full",
  stopping: "refused: the router is stopping",
  "too-old": "refused: the client is older than Minecraft 1.7",
  "unknown-host": "refused: no route for the hostname",
};

const refusalTexts: Readonly<Record<ConnectionRefusal, string>> = {
  rate: "too many connections a second from their address",
  client: "too many connections at a time from their address",
  total: "the router is full",
  opening: "too many clients have not sent their handshake yet",
  pings: "too many pings from their address",
  logins: "too many joins from their address",
};

const droppedMessages: Readonly<Record<Dropped, string>> = {
  silent: "closed: the client sent nothing",
  filtered: "closed: the client's address may not connect",
  "bad-proxy-header": "closed: the PROXY protocol header is wrong",
  throttled: "closed: too many connections or pings from the client's address",
  "not-minecraft": "closed: not Minecraft",
  "other-packet": "closed: the first packet is no handshake",
  "too-slow": "closed: no complete handshake and login start in time",
  left: "closed: the client left",
  "unknown-host": "closed: no route for the hostname",
  "no-answer": "closed: the server did not answer the ping",
  "out-of-turn": "closed: the client spoke out of turn while it waited",
  fault: "closed: an error in the router's own code",
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
