import { describe, expect, test } from "bun:test";
import type { RouterEvent } from "../../src/observe/events.ts";
import { prometheusParts } from "../../src/observe/prometheus.ts";
import {
  createRouterMetrics,
  type RouterMetricsDeps,
  type RouterReadings,
} from "../../src/observe/router-metrics.ts";
import { parsePattern } from "../../src/routing/pattern.ts";
import type { Changes, Claim } from "../../src/routing/table.ts";
import { answered, dropped } from "../../src/session/outcome.ts";
import { ended, holding, relaying } from "../support/session/session-events.ts";
import { route } from "../support/session/session-world.ts";

const readings: RouterReadings = {
  sessions: () => 5,
  liveBytes: () => ({ toBackend: 1, toClient: 2 }),
  routes: () =>
    new Map([
      ["env", 3],
      ["postgres", 0],
    ] as const),
  rateLimitAvailable: () => 2,
  refusals: () => ({ rate: 5, client: 4, total: 3, opening: 0, pings: 2, logins: 1 }),
  forbiddenDials: () => 7,
};

/** The lines of a metric after these events, without its histogram's buckets. */
function linesOf(
  name: string,
  events: readonly RouterEvent[],
  given: Partial<RouterMetricsDeps> = {},
): readonly string[] {
  const { observe, families } = createRouterMetrics({
    version: "1.2.3",
    commit: "abc",
    now: () => 0,
    readings: () => readings,
    droppedLines: () => 7,
    droppedPoints: () => null,
    ...given,
  });
  for (const event of events) observe(event);
  const lines = [...prometheusParts(families)].join("").split("\n");
  return lines.filter((line) => line.startsWith(name) && !line.includes("_bucket"));
}

const login = (outcome: string, count: number): string =>
  `automc_logins_total{outcome="${outcome}"} ${count}`;
const live = (mode: "notify" | "poll"): RouterEvent => ({
  kind: "source-live",
  source: "postgres",
  routes: 1,
  mode,
  awayMs: 0,
});
const lost: RouterEvent = { kind: "source-lost", source: "postgres", reason: "gone", routes: 1 };
const snapshot: RouterEvent = {
  kind: "snapshot-loaded",
  source: "postgres",
  routes: 1,
  path: "/routes.json",
  ageMs: 60_000,
};
const done = (by: "control-plane" | "row"): RouterEvent => ({
  kind: "wake-done",
  server: "a",
  address: "10.0.0.5:1",
  by,
  waiters: 1,
  tookMs: 1_500,
});

/** One change of each kind. */
function someChanges(): Changes {
  const pattern = parsePattern("a.example.com");
  if (!pattern.ok) throw new Error(pattern.error);
  const claim: Claim = { pattern: pattern.value, route: route("a.example.com", "10.0.0.5:1") };
  return {
    added: [claim],
    removed: [claim, claim],
    changed: [{ before: claim, after: claim }],
    conflicts: [{ pattern: pattern.value, winner: claim.route, loser: claim.route }],
  };
}

describe("the router's own metrics", () => {
  for (const { name, metric, events = [], lines, given = {} } of [
    {
      name: "logins are there from the start",
      metric: "automc_logins_total",
      lines: [
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
      ].map((outcome) => login(outcome, 0)),
    },
    {
      name: "a login has joined when its session begins, and is not counted again at its end",
      metric: 'automc_logins_total{outcome="joined"}',
      events: [relaying({ intent: "transfer" }), ended({ intent: "transfer" })],
      lines: [login("joined", 1)],
    },
    {
      name: "a login that was answered",
      metric: 'automc_logins_total{outcome="wake-failed"}',
      events: [ended({}, answered("wake-failed"))],
      lines: [login("wake-failed", 1)],
    },
    {
      name: "a login that was dropped",
      metric: 'automc_logins_total{outcome="unknown-host"}',
      events: [ended({}, dropped("unknown-host"))],
      lines: [login("unknown-host", 1)],
    },
    {
      name: "a login from before Minecraft 1.7",
      metric: 'automc_logins_total{outcome="too-old"}',
      events: [ended({ intent: "legacy-login" }, answered("too-old"))],
      lines: [login("too-old", 1)],
    },
    {
      name: "pings are no logins",
      metric: 'automc_logins_total{outcome="unreachable"}',
      events: [
        ended({ intent: "status" }, answered("unreachable")),
        ended({ intent: null }, dropped("silent")),
      ],
      lines: [login("unreachable", 0)],
    },
    {
      name: "sessions by state",
      metric: "automc_sessions{",
      events: [holding({ id: 1 }), holding({ id: 2 }), relaying({ id: 2 }), relaying({ id: 3 })],
      lines: [
        'automc_sessions{state="opening"} 2',
        'automc_sessions{state="holding"} 1',
        'automc_sessions{state="relaying"} 2',
      ],
    },
    {
      name: "sessions that have ended are in no state",
      metric: "automc_sessions{",
      events: [
        holding({ id: 1 }),
        relaying({ id: 2 }),
        ended({ id: 1 }, dropped("left")),
        ended({ id: 2 }),
      ],
      lines: [
        'automc_sessions{state="opening"} 5',
        'automc_sessions{state="holding"} 0',
        'automc_sessions{state="relaying"} 0',
      ],
    },
    {
      name: "clients that were turned away",
      metric: "automc_clients_refused_total",
      events: [],
      lines: [
        'automc_clients_refused_total{why="rate"} 5',
        'automc_clients_refused_total{why="client"} 4',
        'automc_clients_refused_total{why="total"} 3',
        'automc_clients_refused_total{why="opening"} 0',
        'automc_clients_refused_total{why="pings"} 2',
        'automc_clients_refused_total{why="logins"} 1',
      ],
    },
    {
      name: "dials that were forbidden",
      metric: "automc_dials_forbidden_total",
      events: [],
      lines: ["automc_dials_forbidden_total 7"],
    },
    {
      name: "the limit of sessions",
      metric: "automc_session_limit",
      events: [{ kind: "listening", address: "::", port: 25565, sessionLimit: 100 }],
      lines: ["automc_session_limit 100"],
    },
    {
      name: "bytes of sessions that have ended and of those that go on",
      metric: "automc_relay_bytes_total",
      events: [ended()],
      lines: [
        'automc_relay_bytes_total{direction="to_backend"} 101',
        'automc_relay_bytes_total{direction="to_client"} 1002',
      ],
    },
    {
      name: "a wake under way",
      metric: "automc_wakes_in_progress",
      events: [
        { kind: "wake-started", server: "a" },
        { kind: "wake-started", server: "b" },
        done("row"),
      ],
      lines: ["automc_wakes_in_progress 1"],
    },
    {
      name: "wakes that were refused, each kind from the start",
      metric: "automc_wakes_refused_total",
      events: [
        { kind: "wake-refused", server: "a", why: "client", reason: "" },
        { kind: "wake-refused", server: "b", why: "client", reason: "" },
        { kind: "wake-refused", server: "a", why: "proof", reason: "" },
      ],
      lines: [
        'automc_wakes_refused_total{why="total"} 0',
        'automc_wakes_refused_total{why="server"} 0',
        'automc_wakes_refused_total{why="client"} 2',
        'automc_wakes_refused_total{why="proof"} 1',
      ],
    },
    {
      name: "wakes by result",
      metric: "automc_wake_seconds_",
      events: [
        done("control-plane"),
        done("control-plane"),
        done("row"),
        { kind: "wake-failed", server: "a", reason: "late", waiters: 1, tookMs: 90_000 },
        { kind: "wake-abandoned", server: "a", tookMs: 500 },
      ],
      lines: [
        'automc_wake_seconds_sum{result="control-plane"} 3',
        'automc_wake_seconds_count{result="control-plane"} 2',
        'automc_wake_seconds_sum{result="webhook"} 0',
        'automc_wake_seconds_count{result="webhook"} 0',
        ...["docker", "swarm", "kubernetes"].flatMap((result) => [
          `automc_wake_seconds_sum{result="${result}"} 0`,
          `automc_wake_seconds_count{result="${result}"} 0`,
        ]),
        'automc_wake_seconds_sum{result="row"} 1.5',
        'automc_wake_seconds_count{result="row"} 1',
        'automc_wake_seconds_sum{result="failed"} 90',
        'automc_wake_seconds_count{result="failed"} 1',
        'automc_wake_seconds_sum{result="abandoned"} 0.5',
        'automc_wake_seconds_count{result="abandoned"} 1',
      ],
    },
    {
      name: "a control plane that was not needed yet",
      metric: "automc_control_plane_up",
      events: [done("row")],
      lines: [],
    },
    {
      name: "a control plane that works",
      metric: "automc_control_plane_up",
      events: [done("control-plane")],
      lines: ['automc_control_plane_up{call="status"} 1'],
    },
    {
      name: "a control plane that is lost",
      metric: "automc_control_plane_up",
      events: [{ kind: "control-plane-lost", server: "survival", call: "start", reason: "gone" }],
      lines: ['automc_control_plane_up{call="start"} 0'],
    },
    {
      name: "a control plane that is back",
      metric: "automc_control_plane_up",
      events: [
        { kind: "control-plane-lost", server: "survival", call: "start", reason: "gone" },
        { kind: "control-plane-back", server: "survival", call: "start" },
      ],
      lines: ['automc_control_plane_up{call="start"} 1'],
    },
    {
      name: "a call that works beside one that fails",
      metric: "automc_control_plane_up",
      events: [
        { kind: "control-plane-lost", server: "survival", call: "start", reason: "status 500" },
        done("control-plane"),
      ],
      lines: [
        'automc_control_plane_up{call="status"} 1',
        'automc_control_plane_up{call="start"} 0',
      ],
    },
    {
      name: "routes by source",
      metric: "automc_routes{",
      lines: ['automc_routes{source="env"} 3', 'automc_routes{source="postgres"} 0'],
    },
    {
      name: "changes of routes, of which conflicts are none",
      metric: "automc_route_changes_total",
      events: [{ kind: "routes-changed", source: "postgres", changes: someChanges() }],
      lines: ['automc_route_changes_total{source="postgres"} 4'],
    },
    {
      name: "rows that cannot be used",
      metric: "automc_rows_skipped_total",
      events: [{ kind: "row-skipped", source: "postgres", row: "a", reason: "bad" }],
      lines: ['automc_rows_skipped_total{source="postgres"} 1'],
    },
    {
      name: "a source that is heard",
      metric: "automc_source_",
      events: [live("notify")],
      lines: [
        'automc_source_age_seconds{source="postgres"} 0',
        'automc_source_listening{source="postgres"} 1',
        'automc_source_lost_total{source="postgres"} 0',
        'automc_source_up{source="postgres"} 1',
      ],
    },
    {
      name: "a source that is polled",
      metric: "automc_source_listening",
      events: [live("poll")],
      lines: ['automc_source_listening{source="postgres"} 0'],
    },
    {
      name: "a source that is lost",
      metric: "automc_source_",
      events: [live("notify"), lost],
      lines: [
        'automc_source_age_seconds{source="postgres"} 10',
        'automc_source_listening{source="postgres"} 0',
        'automc_source_lost_total{source="postgres"} 1',
        'automc_source_up{source="postgres"} 0',
      ],
    },
    {
      name: "a source that is back",
      metric: "automc_source_age_seconds",
      events: [lost, live("notify")],
      lines: ['automc_source_age_seconds{source="postgres"} 0'],
    },
    {
      name: "a snapshot is as old as it is",
      metric: "automc_source_age_seconds",
      events: [lost, snapshot],
      lines: ['automc_source_age_seconds{source="postgres"} 70'],
    },
    {
      name: "a snapshot does not get younger because its source is away",
      metric: "automc_source_age_seconds",
      events: [snapshot, lost],
      lines: ['automc_source_age_seconds{source="postgres"} 70'],
    },
    {
      name: "faults",
      metric: "automc_faults_total",
      events: [{ kind: "fault", error: new Error("defect") }],
      lines: ["automc_faults_total 1"],
    },
    {
      name: "the build",
      metric: "automc_build_info",
      lines: ['automc_build_info{version="1.2.3",commit="abc"} 1'],
    },
    {
      name: "lost log lines",
      metric: "automc_log_lines_dropped_total",
      lines: ["automc_log_lines_dropped_total 7"],
    },
    { name: "points that are not sent", metric: "automc_influx_points_dropped_total", lines: [] },
    {
      name: "lost points",
      metric: "automc_influx_points_dropped_total",
      given: { droppedPoints: () => 3 },
      lines: ["automc_influx_points_dropped_total 3"],
    },
    {
      name: "a router that is not built yet has no routes",
      metric: "automc_routes{",
      given: { readings: () => null },
      lines: [],
    },
  ] as readonly {
    readonly name: string;
    readonly metric: string;
    readonly events?: readonly RouterEvent[];
    readonly lines: readonly string[];
    readonly given?: Partial<RouterMetricsDeps>;
  }[]) {
    test(name, () => {
      // Ten seconds pass with each look at the clock.
      let now = 0;
      expect(linesOf(metric, events, { now: () => (now += 10_000), ...given })).toEqual([...lines]);
    });
  }

  test("relayed bytes do not fall while a session is between going on and having ended", () => {
    let toClient = 1_000;
    const { observe, families } = createRouterMetrics({
      version: "",
      commit: "",
      now: () => 0,
      readings: () => ({ ...readings, liveBytes: () => ({ toBackend: 0, toClient }) }),
      droppedLines: () => 0,
      droppedPoints: () => null,
    });
    const shown = () =>
      families
        .find(({ metric }) => metric.name === "automc_relay_bytes_total")
        ?.samples()
        .map(({ value }) => value);
    expect(shown()).toEqual([0, 1_000]);
    toClient = 0;
    expect(shown()).toEqual([0, 1_000]);
    observe(ended());
    expect(shown()).toEqual([100, 1_000]);
    toClient = 5;
    expect(shown()).toEqual([100, 1_005]);
  });
});
