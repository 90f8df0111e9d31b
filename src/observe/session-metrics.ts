import type { SessionFacts } from "../session/event.ts";
import type { Outcome } from "../session/outcome.ts";
import type { RefusalCounts } from "../session/refusals.ts";
import { createCounter, createGauge, createReading, type Family, type Metric } from "./family.ts";
import type { MetricsPart } from "./part.ts";

/** What is read from the sessions when the metrics are; each call costs next to nothing. */
export interface SessionReadings {
  /** How many clients are connected. */
  sessions(): number;
  /** Bytes of the relays that go on at this moment. */
  liveBytes(): RelayBytes;
  /** Clients turned away by a limit. */
  refusals(): RefusalCounts;
  /** Connections to backends that the egress rules forbade. */
  forbiddenDials(): number;
}

/** Bytes given to either side of a relay. */
interface RelayBytes {
  readonly toBackend: number;
  readonly toClient: number;
}

const loginsMetric: Metric = {
  name: "automc_logins_total",
  type: "counter",
  help: "Attempts to join, by how they ended.",
  labels: ["outcome"],
};
const limitMetric: Metric = {
  name: "automc_session_limit",
  type: "gauge",
  help: "Highest number of clients that are served at once.",
  labels: [],
};
const sessionsMetric: Metric = {
  name: "automc_sessions",
  type: "gauge",
  help: "Connected clients: holding (a player waits for a server), relaying (joined to a backend), or opening (all others, such as those waiting for their turn).",
  labels: ["state"],
};
const refusedMetric: Metric = {
  name: "automc_clients_refused_total",
  type: "counter",
  help: "Clients turned away, by why: rate or client (too many connections a second, or at a time, from their address), pings or logins (too many of these), total (the router is full), or opening (too many clients have not sent their handshake yet).",
  labels: ["why"],
};
const forbiddenMetric: Metric = {
  name: "automc_dials_forbidden_total",
  type: "counter",
  help: "Connections to backends that were not made because the egress rules forbid the address.",
  labels: [],
};
const bytesMetric: Metric = {
  name: "automc_relay_bytes_total",
  type: "counter",
  help: "Bytes relayed, by direction; running sessions included.",
  labels: ["direction"],
};

/** The ways in which a login may end, each counted from 0 so that the first one is seen as a rise. */
const loginOutcomes = [
  "joined",
  "unreachable",
  "wake-failed",
  "wake-denied",
  "wake-refused",
  "unproven",
  "mute",
  "throttled",
  "full",
  "stopping",
  "too-old",
  "left",
  "unknown-host",
  "out-of-turn",
];

/** The metrics of sessions. `readings` gives null as long as the router is not built. */
export function createSessionMetrics(readings: () => SessionReadings | null): MetricsPart {
  const holding = new Set<number>();
  const relaying = new Set<number>();
  const bytes = createRelayedBytes(() => readings()?.liveBytes() ?? { toBackend: 0, toClient: 0 });
  const limit = createGauge(limitMetric);
  const logins = createCounter(loginsMetric);
  for (const outcome of loginOutcomes) logins.add({ outcome }, 0);

  const sessions = createReading(sessionsMetric, () => {
    const count = readings()?.sessions() ?? holding.size + relaying.size;
    const opening = Math.max(0, count - holding.size - relaying.size);
    return [
      { labels: { state: "opening" }, value: opening },
      { labels: { state: "holding" }, value: holding.size },
      { labels: { state: "relaying" }, value: relaying.size },
    ];
  });
  const refused = createReading(refusedMetric, () =>
    Object.entries(readings()?.refusals() ?? {}).map(([why, value]) => ({
      labels: { why },
      value,
    })),
  );
  const forbidden = createReading(forbiddenMetric, () => [
    { labels: {}, value: readings()?.forbiddenDials() ?? 0 },
  ]);

  function ended(session: SessionFacts, outcome: Outcome): void {
    holding.delete(session.id);
    relaying.delete(session.id);
    if (outcome.kind === "relayed") bytes.ended(outcome.end);
    else if (isLogin(session)) logins.add({ outcome: endText(outcome) });
  }

  return {
    observe(event) {
      switch (event.kind) {
        case "listening":
          return limit.set({}, event.sessionLimit);
        case "session-holding":
          holding.add(event.session.id);
          return;
        case "session-relaying":
          holding.delete(event.session.id);
          relaying.add(event.session.id);
          if (isLogin(event.session)) logins.add({ outcome: "joined" });
          return;
        case "session-ended":
          return ended(event.session, event.outcome);
        default:
          return;
      }
    },
    families: [logins, limit, sessions, refused, forbidden, bytes.family],
  };
}

function createRelayedBytes(live: () => RelayBytes): {
  readonly family: Family;
  ended(session: RelayBytes): void;
} {
  let endedBytes: RelayBytes = { toBackend: 0, toClient: 0 };
  let shown = endedBytes;
  const family = createReading(bytesMetric, () => {
    const { toBackend, toClient } = live();
    // A session that is just ending is in neither sum for a moment; a counter that falls would read as a
    // restart.
    shown = {
      toBackend: Math.max(shown.toBackend, endedBytes.toBackend + toBackend),
      toClient: Math.max(shown.toClient, endedBytes.toClient + toClient),
    };
    return [
      { labels: { direction: "to_backend" }, value: shown.toBackend },
      { labels: { direction: "to_client" }, value: shown.toClient },
    ];
  });
  return {
    family,
    ended({ toBackend, toClient }) {
      endedBytes = {
        toBackend: endedBytes.toBackend + toBackend,
        toClient: endedBytes.toClient + toClient,
      };
    },
  };
}

const endText = (outcome: Exclude<Outcome, { kind: "relayed" }>): string =>
  outcome.kind === "answered" ? outcome.answer : outcome.why;

const isLogin = ({ intent }: SessionFacts): boolean =>
  intent === "login" || intent === "transfer" || intent === "legacy-login";
