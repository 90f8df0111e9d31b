import type { StartRefused } from "../limits/wake-budget.ts";
import type { SourceName } from "../routing/route.ts";
import type { SessionFacts } from "../session/event.ts";
import type { Outcome } from "../session/outcome.ts";
import type { RefusalCounts } from "../session/refusals.ts";
import type { Observer } from "./bus.ts";
import {
  createCounter,
  createGauge,
  createHistogram,
  createReading,
  type Family,
} from "./family.ts";

/** What can only be read from the router while it runs; each call costs next to nothing. */
export interface RouterReadings {
  /** How many clients are connected. */
  sessions(): number;
  /** Bytes of the relays that go on at this moment. */
  liveBytes(): RelayBytes;
  /** How many routes each source has published. */
  routes(): ReadonlyMap<SourceName, number>;
  /** Connections that would be taken up at once; see `AcceptQueue.available`. */
  rateLimitAvailable(): number;
  /** Clients turned away for what they or others do too much of. */
  refusals(): RefusalCounts;
  /** Connections that were not made, as nothing may be connected to there. */
  forbiddenDials(): number;
}

/** Bytes given to either side of a relay. */
export interface RelayBytes {
  readonly toBackend: number;
  readonly toClient: number;
}

/** What the router's own metrics need. */
export interface RouterMetricsDeps {
  readonly version: string;
  readonly commit: string;
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** Null as long as the router is not built. */
  readings(): RouterReadings | null;
  /** Log lines lost since the start. */
  droppedLines(): number;
  /** Points lost on their way to InfluxDB; null where none are sent. */
  droppedPoints(): number | null;
}

/** How long wakes take, in seconds; the longest is up to the operator and 90 by default. */
const wakeBounds = [0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300];

/** Who told that a server is up, or why nobody did. */
const wakeResults = [
  "control-plane",
  "webhook",
  "docker",
  "swarm",
  "kubernetes",
  "row",
  "failed",
  "abandoned",
] as const;
type WakeResult = (typeof wakeResults)[number];

/** Why a server that sleeps is not started. */
const wakeRefusals: readonly StartRefused["why"][] = ["client", "total", "server", "proof"];

/** The ways in which a login may end up, each counted from 0 so that the first one is seen as a rise. */
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

/** The metrics that mc-router does not have, and the observer that keeps them. */
export function createRouterMetrics(deps: RouterMetricsDeps): {
  readonly observe: Observer;
  readonly families: readonly Family[];
} {
  const parts = [createSessionMetrics(deps), createWakeMetrics(), createSourceMetrics(deps)];
  const faults = createCounter({
    name: "automc_faults_total",
    type: "counter",
    help: "Errors in the router's own code; each is in the log and worth a report.",
    labels: [],
  });
  faults.add({}, 0);

  const build = createReading(
    {
      name: "automc_build_info",
      type: "gauge",
      help: "1; the labels tell which build this is.",
      labels: ["version", "commit"],
    },
    () => [{ labels: { version: deps.version, commit: deps.commit }, value: 1 }],
  );
  const droppedLines = createReading(
    {
      name: "automc_log_lines_dropped_total",
      type: "counter",
      help: "Log lines lost because whoever reads the log was too slow.",
      labels: [],
    },
    () => [{ labels: {}, value: deps.droppedLines() }],
  );
  const droppedPoints = createReading(
    {
      name: "automc_influx_points_dropped_total",
      type: "counter",
      help: "Points that never got to InfluxDB: it was away for too long, or refused them.",
      labels: [],
    },
    () => [{ labels: {}, value: deps.droppedPoints() }],
  );

  return {
    observe(event) {
      for (const part of parts) part.observe(event);
      if (event.kind === "fault") faults.add({});
    },
    families: [
      ...parts.flatMap(({ families }) => families),
      faults,
      build,
      droppedLines,
      droppedPoints,
    ],
  };
}

interface Part {
  readonly observe: Observer;
  readonly families: readonly Family[];
}

function createSessionMetrics({ readings }: RouterMetricsDeps): Part {
  const holding = new Set<number>();
  const relaying = new Set<number>();
  let endedBytes: RelayBytes = { toBackend: 0, toClient: 0 };
  let shownBytes = endedBytes;

  const logins = createCounter({
    name: "automc_logins_total",
    type: "counter",
    help: "Players who wanted to join, by what came of it.",
    labels: ["outcome"],
  });
  for (const outcome of loginOutcomes) logins.add({ outcome }, 0);

  const limit = createGauge({
    name: "automc_session_limit",
    type: "gauge",
    help: "Most clients at once.",
    labels: [],
  });
  const sessions = createReading(
    {
      name: "automc_sessions",
      type: "gauge",
      help: "Connected clients: holding (a player waits for a server), relaying (joined to a backend), or opening (everything else, such as waiting for a turn).",
      labels: ["state"],
    },
    () => {
      const count = readings()?.sessions() ?? holding.size + relaying.size;
      const opening = Math.max(0, count - holding.size - relaying.size);
      return [
        { labels: { state: "opening" }, value: opening },
        { labels: { state: "holding" }, value: holding.size },
        { labels: { state: "relaying" }, value: relaying.size },
      ];
    },
  );
  const refused = createReading(
    {
      name: "automc_clients_refused_total",
      type: "counter",
      help: "Clients turned away, by why: rate or client (too many connections a second, or at a time, from their address), pings or logins (too many of these), total (the router is full), or opening (too many that have not said what they want).",
      labels: ["why"],
    },
    () =>
      Object.entries(readings()?.refusals() ?? {}).map(([why, value]) => ({
        labels: { why },
        value,
      })),
  );
  const forbidden = createReading(
    {
      name: "automc_dials_forbidden_total",
      type: "counter",
      help: "Connections to backends that were not made, as a route or whoever starts servers named an address that nothing may be connected to.",
      labels: [],
    },
    () => [{ labels: {}, value: readings()?.forbiddenDials() ?? 0 }],
  );
  const bytes = createReading(
    {
      name: "automc_relay_bytes_total",
      type: "counter",
      help: "Bytes passed on, sessions that still go on included.",
      labels: ["direction"],
    },
    () => {
      const live = readings()?.liveBytes() ?? { toBackend: 0, toClient: 0 };
      // A session that is just ending is in neither sum for a moment, and a counter that falls reads as a restart.
      shownBytes = {
        toBackend: Math.max(shownBytes.toBackend, endedBytes.toBackend + live.toBackend),
        toClient: Math.max(shownBytes.toClient, endedBytes.toClient + live.toClient),
      };
      return [
        { labels: { direction: "to_backend" }, value: shownBytes.toBackend },
        { labels: { direction: "to_client" }, value: shownBytes.toClient },
      ];
    },
  );

  function ended(session: SessionFacts, outcome: Outcome): void {
    holding.delete(session.id);
    relaying.delete(session.id);
    switch (outcome.kind) {
      case "relayed":
        endedBytes = {
          toBackend: endedBytes.toBackend + outcome.end.toBackend,
          toClient: endedBytes.toClient + outcome.end.toClient,
        };
        return;
      case "answered":
        if (isLogin(session)) logins.add({ outcome: outcome.answer });
        return;
      case "dropped":
        if (isLogin(session)) logins.add({ outcome: outcome.why });
        return;
    }
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
    families: [logins, limit, sessions, refused, forbidden, bytes],
  };
}

const isLogin = ({ intent }: SessionFacts): boolean =>
  intent === "login" || intent === "transfer" || intent === "legacy-login";

function createWakeMetrics(): Part {
  const underWay = new Set<string>();
  const seconds = createHistogram(
    {
      name: "automc_wake_seconds",
      type: "histogram",
      help: "How long it took to start a server, by result: control-plane, webhook, docker, swarm, kubernetes and row (it is up, told by either), failed, or abandoned (everybody left).",
      labels: ["result"],
    },
    wakeBounds,
  );
  for (const result of wakeResults) seconds.declare({ result });

  const refused = createCounter({
    name: "automc_wakes_refused_total",
    type: "counter",
    help: "Players who did not get a sleeping server started, by why: client (their address has started enough), total (all together have), server (it failed to come up before), or proof (the client did not answer as a game does).",
    labels: ["why"],
  });
  for (const why of wakeRefusals) refused.add({ why }, 0);

  const inProgress = createReading(
    {
      name: "automc_wakes_in_progress",
      type: "gauge",
      help: "Servers that are being started.",
      labels: [],
    },
    () => [{ labels: {}, value: underWay.size }],
  );
  const controlPlane = createGauge({
    name: "automc_control_plane_up",
    type: "gauge",
    help: "1 while the control plane answers as it should, 0 while it does not.",
    labels: [],
  });

  function over(server: string, result: WakeResult, tookMs: number): void {
    underWay.delete(server);
    seconds.observe({ result }, tookMs / 1000);
  }

  return {
    observe(event) {
      switch (event.kind) {
        case "wake-started":
          underWay.add(event.server);
          return;
        case "wake-done":
          if (event.by === "control-plane") controlPlane.set({}, 1);
          return over(event.server, event.by, event.tookMs);
        case "wake-refused":
          return refused.add({ why: event.why });
        case "wake-failed":
          return over(event.server, "failed", event.tookMs);
        case "wake-abandoned":
          return over(event.server, "abandoned", event.tookMs);
        case "control-plane-lost":
          return controlPlane.set({}, 0);
        case "control-plane-back":
          return controlPlane.set({}, 1);
        default:
          return;
      }
    },
    families: [seconds, refused, inProgress, controlPlane],
  };
}

function createSourceMetrics({ now, readings }: RouterMetricsDeps): Part {
  /** Since when each source's routes may differ from what it holds; null while they are kept up to date. */
  const staleSince = new Map<SourceName, number | null>();
  const labels = ["source"];

  const routes = createReading(
    { name: "automc_routes", type: "gauge", help: "Routes, by where they come from.", labels },
    () =>
      [...(readings()?.routes() ?? [])].map(([source, value]) => ({ labels: { source }, value })),
  );
  const age = createReading(
    {
      name: "automc_source_age_seconds",
      type: "gauge",
      help: "How old the routes of a source may be: 0 while its changes are heard, else the time since then, in seconds.",
      labels,
    },
    () =>
      [...staleSince].map(([source, since]) => ({
        labels: { source },
        value: since === null ? 0 : Math.max(0, (now() - since) / 1000),
      })),
  );
  const up = createGauge({
    name: "automc_source_up",
    type: "gauge",
    help: "1 while the source can be read, 0 while its last routes stay in force without it.",
    labels,
  });
  const listening = createGauge({
    name: "automc_source_listening",
    type: "gauge",
    help: "1 while the source tells of its changes at once, 0 while it is polled or away.",
    labels,
  });
  const lost = createCounter({
    name: "automc_source_lost_total",
    type: "counter",
    help: "How often the source was lost.",
    labels,
  });
  const changes = createCounter({
    name: "automc_route_changes_total",
    type: "counter",
    help: "Hostnames that go another way since a source said so.",
    labels,
  });
  const skipped = createCounter({
    name: "automc_rows_skipped_total",
    type: "counter",
    help: "Entries of a source that could not be used, each counted once for each problem.",
    labels,
  });

  return {
    observe(event) {
      switch (event.kind) {
        case "source-live":
          staleSince.set(event.source, null);
          up.set({ source: event.source }, 1);
          listening.set({ source: event.source }, event.mode === "notify" ? 1 : 0);
          return lost.add({ source: event.source }, 0);
        case "source-lost":
          // A snapshot is older than the moment in which its origin was found to be away.
          staleSince.set(event.source, staleSince.get(event.source) ?? now());
          up.set({ source: event.source }, 0);
          listening.set({ source: event.source }, 0);
          return lost.add({ source: event.source });
        case "snapshot-loaded":
          staleSince.set(event.source, now() - event.ageMs);
          return;
        case "row-skipped":
          return skipped.add({ source: event.source });
        case "routes-changed": {
          const { added, removed, changed } = event.changes;
          const count = added.length + removed.length + changed.length;
          return changes.add({ source: event.source }, count);
        }
        default:
          return;
      }
    },
    families: [routes, age, up, listening, lost, changes, skipped],
  };
}
