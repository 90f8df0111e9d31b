import type { SessionFacts } from "../session/event.ts";
import type { Answer, Dropped, Outcome } from "../session/outcome.ts";
import type { Observer } from "./bus.ts";
import type { Labels } from "./family.ts";
import type { Recorder } from "./recorder.ts";

/** What counting by mc-router's rules needs. */
interface TrafficDeps {
  readonly recorder: Recorder;
  /** Count players by name. Names are what clients claim. */
  readonly recordLogins: boolean;
}

/** What a session that is joined to its backend is counted under, until it ends. */
interface Joined {
  readonly server: Labels;
  /** Null when players are not counted, or it has none. */
  readonly player: Labels | null;
}

/**
 * An observer that keeps mc-router's metrics. Servers are labelled by the route that matched, not by what a
 * client typed, so there are never more labels than routes. Gauges count sessions for each label.
 */
export function createTraffic({ recorder, recordLogins }: TrafficDeps): Observer {
  const joined = new Map<number, Joined>();
  const servers = createTally();
  const players = createTally();

  function join(session: SessionFacts): void {
    const route = routeLabel(session.route);
    const server = { server_address: route };
    const player = recordLogins ? playerLabels(session, route) : null;
    joined.set(session.id, { server, player });
    recorder.add("backendConnections", { host: route, side: "backend" }, 1);
    recorder.set("activeConnections", {}, joined.size);
    recorder.set("serverActiveConnections", server, servers.raise(route));
    if (player === null) return;
    players.raise(JSON.stringify(player));
    recorder.set("serverActivePlayer", player, 1);
    recorder.add("serverLogins", player, 1);
  }

  function leave(id: number): void {
    const left = joined.get(id);
    if (left === undefined) return;
    const { server, player } = left;
    joined.delete(id);
    recorder.set("activeConnections", {}, joined.size);
    recorder.set("serverActiveConnections", server, servers.lower(server["server_address"] ?? ""));
    if (player === null || players.lower(JSON.stringify(player)) > 0) return;
    recorder.set("serverActivePlayer", player, 0);
  }

  return (event) => {
    switch (event.kind) {
      case "session-accepted":
        return recorder.add("frontendConnections", { side: "frontend" }, 1);
      case "session-relaying":
        return join(event.session);
      case "session-ended": {
        const { session, outcome } = event;
        leave(session.id);
        if (outcome.kind === "relayed") {
          recorder.add("bytes", {}, outcome.end.toBackend + outcome.end.toClient);
        }
        const type = errorType(session, outcome);
        if (type !== null) recorder.add("errors", { type }, 1);
        return;
      }
      default:
        return;
    }
  };
}

/**
 * The values of the errors' label; mc-router has `read_deadline`, `wakeup_no_address` and `proxy_write` as
 * well.
 */
type ErrorType =
  | "read"
  | "unexpected_content"
  | "missing_backend"
  | "backend_failed"
  | "wakeup_failed"
  | "relay";

const answerErrors: Readonly<Record<Answer, ErrorType | null>> = {
  // mc-router finds out that a server sleeps by a dial that fails.
  running: null,
  asleep: "backend_failed",
  waking: null,
  unreachable: "backend_failed",
  "wake-failed": "wakeup_failed",
  "wake-denied": "backend_failed",
  "wake-refused": "wakeup_failed",
  "unknown-host": "missing_backend",
  "bad-name": "read",
  unproven: "wakeup_failed",
  mute: null,
  throttled: null,
  full: null,
  stopping: null,
  // To mc-router such a login is a packet with another number.
  "too-old": "unexpected_content",
};

const droppedErrors: Readonly<Record<Dropped, ErrorType | null>> = {
  // Health checks and port scans count, as they do in mc-router.
  silent: "read",
  "not-minecraft": "read",
  "other-packet": "unexpected_content",
  "too-slow": "read",
  "bad-proxy-header": "read",
  filtered: null,
  throttled: null,
  left: null,
  "unknown-host": "missing_backend",
  "no-answer": null,
  "out-of-turn": null,
  fault: null,
};

const relayErrors: ReadonlySet<string> = new Set(["reset", "timed-out"]);

/** What mc-router would have called the way a session ended; null for no error. */
export function errorType(session: SessionFacts, outcome: Outcome): ErrorType | null {
  switch (outcome.kind) {
    case "relayed":
      return relayErrors.has(outcome.end.ending) ? "relay" : null;
    case "answered":
      return answerErrors[outcome.answer];
    case "dropped":
      // Left within the opening, or later.
      if (outcome.why === "left" && session.intent === null) return "read";
      // There was an address, and no answer from it.
      if (outcome.why === "no-answer" && session.backend !== null) return "backend_failed";
      return droppedErrors[outcome.why];
  }
}

/** The label of the default route, whose pattern is no hostname. */
const routeLabel = (route: string | null): string =>
  route === null || route === "*" ? "default" : route;

/** mc-router's own text for a player without a UUID. */
const noUuid = "00000000-0000-0000-0000-000000000000";

const playerLabels = ({ player }: SessionFacts, route: string): Labels | null =>
  player === null
    ? null
    : { player_name: player.name, player_uuid: player.uuid ?? noUuid, server_address: route };

/** Counts by key. A count of 0 takes no memory. */
function createTally(): { raise(key: string): number; lower(key: string): number } {
  const counts = new Map<string, number>();
  return {
    raise(key) {
      const count = (counts.get(key) ?? 0) + 1;
      counts.set(key, count);
      return count;
    },
    lower(key) {
      const count = Math.max(0, (counts.get(key) ?? 0) - 1);
      if (count === 0) counts.delete(key);
      else counts.set(key, count);
      return count;
    },
  };
}
