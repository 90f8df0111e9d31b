import { afterEach, describe, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Metrics, MetricsDeps } from "../../src/observe/metrics.ts";
import { mcRouterMetrics } from "../../src/observe/recorder.ts";
import { enterGame, failTwice, startSmallNetwork } from "../e2e/small-network.ts";
import { dashboardQueries, everyMetric, readings, startMetrics } from "../observe/run-metrics.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { laterPort } from "../support/net/ports.ts";
import { promtool, startPrometheus } from "../support/process/prometheus.ts";
import { route, startSessions } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";

setDefaultTimeout(120_000);

const docs = join(import.meta.dir, "../../docs");
const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Metrics that end with the test. */
function start(given: Partial<MetricsDeps>): Metrics {
  const metrics = startMetrics("prometheus", given);
  cleanups.push(() => metrics.stop(AbortSignal.abort()));
  return metrics;
}

describe("promtool", () => {
  test("finds nothing amiss but the names that mc-router gave its counters", async () => {
    const text = await everyMetric(start({ recordLogins: true }));
    const { output } = await promtool(["check", "metrics"], text);
    const counters = Object.values(mcRouterMetrics).filter(({ type }) => type === "counter");
    expect(output.trim().split("\n").toSorted()).toEqual(
      counters
        .map(({ prometheus }) => `${prometheus} counter metrics should have "_total" suffix`)
        .toSorted(),
    );
  });

  test("accepts the alert rules", async () => {
    const { code, output } = await promtool(["check", "rules", join(docs, "alerts.yml")]);
    expect(output).toContain("SUCCESS");
    expect(code).toBe(0);
  });

  /** A series that goes up by one each minute once the alert should fire, or has these values. */
  const job = 'instance="r", job="automc-router"';
  for (const { alert, series, at = "20m", labels } of [
    { alert: "RouterDown", series: { [`up{${job}}`]: "0x20" }, labels: { severity: "critical" } },
    {
      alert: "PlayersRefused",
      series: { [`automc_logins_total{${job}, outcome="unreachable"}`]: "0+1x20" },
      labels: { severity: "warning", outcome: "unreachable" },
    },
    {
      alert: "WakesFailing",
      series: { [`automc_wake_seconds_count{${job}, result="failed"}`]: "0x15 1x5" },
      labels: { severity: "warning" },
    },
    {
      alert: "WakesRefused",
      series: { [`automc_wakes_refused_total{${job}, why="total"}`]: "0x15 9x5" },
      labels: { severity: "warning", why: "total" },
    },
    {
      alert: "ClientsTurnedAway",
      series: { [`automc_clients_refused_total{${job}, why="opening"}`]: "0x15 9x5" },
      labels: { severity: "warning", why: "opening" },
    },
    {
      alert: "ControlPlaneAway",
      series: { [`automc_control_plane_up{${job}}`]: "0x20" },
      labels: { severity: "warning" },
    },
    {
      alert: "DatabaseAway",
      series: { [`automc_source_up{${job}, source="postgres"}`]: "0x20" },
      labels: { severity: "warning", source: "postgres" },
    },
    {
      alert: "RoutesOld",
      series: { [`automc_source_age_seconds{${job}, source="postgres"}`]: "7200x20" },
      labels: { severity: "critical", source: "postgres" },
    },
    {
      alert: "RoutesPolled",
      series: {
        [`automc_source_listening{${job}, source="postgres"}`]: "0x20",
        [`automc_source_up{${job}, source="postgres"}`]: "1x20",
      },
      labels: { severity: "info", source: "postgres" },
    },
    {
      alert: "EventLoopLag",
      series: {
        [`automc_event_loop_lag_seconds_bucket{${job}, le="0.05"}`]: "0+580x20",
        [`automc_event_loop_lag_seconds_bucket{${job}, le="0.1"}`]: "0+600x20",
        [`automc_event_loop_lag_seconds_bucket{${job}, le="+Inf"}`]: "0+600x20",
      },
      labels: { severity: "warning" },
    },
    {
      alert: "FileDescriptorsRunOut",
      series: {
        [`process_open_fds{${job}}`]: "90x20",
        [`process_max_fds{${job}}`]: "100x20",
        [`automc_build_info{${job}, version="1", commit="a"}`]: "1x20",
      },
      labels: { severity: "warning" },
    },
    {
      alert: "RouterFault",
      series: { [`automc_faults_total{${job}}`]: "0x15 1x5" },
      labels: { severity: "warning" },
    },
    {
      alert: "LogLinesLost",
      series: { [`automc_log_lines_dropped_total{${job}}`]: "0x15 9x5" },
      labels: { severity: "info" },
    },
  ] as readonly {
    readonly alert: string;
    readonly series: Readonly<Record<string, string>>;
    readonly at?: string;
    readonly labels: Readonly<Record<string, string>>;
  }[]) {
    test(`sees the alert ${alert} fire, and no other`, async () => {
      const groups = await alertGroups();
      const all = groups.flatMap(({ rules }) => rules.map((rule) => rule.alert));
      const isSummed = [
        "PlayersRefused",
        "WakesFailing",
        "WakesRefused",
        "ClientsTurnedAway",
        "EventLoopLag",
      ].includes(alert);
      const expected = { instance: "r", ...(isSummed ? {} : { job: "automc-router" }), ...labels };
      const folder = mkdtempSync(join(tmpdir(), "automc-rules-"));
      cleanups.push(() => rmSync(folder, { recursive: true }));
      const file = join(folder, "test.yml");
      // Their texts would have to be expected word by word.
      const bare = groups.map(({ name, rules }) => ({
        name,
        rules: rules.map(({ annotations: _, ...rule }) => rule),
      }));
      writeFileSync(join(folder, "rules.yml"), JSON.stringify({ groups: bare }));
      const inputs = Object.entries(series).map(([name, values]) => ({ series: name, values }));
      const unitTest = {
        rule_files: ["rules.yml"],
        evaluation_interval: "1m",
        tests: [
          {
            interval: "1m",
            input_series: inputs,
            alert_rule_test: all.map((name) => ({
              eval_time: at,
              alertname: name,
              exp_alerts: name === alert ? [{ exp_labels: expected }] : [],
            })),
          },
        ],
      };
      writeFileSync(file, JSON.stringify(unitTest));
      const { code, output } = await promtool(["test", "rules", file]);
      expect(all).toContain(alert);
      expect(output).not.toContain("FAILED");
      expect(code).toBe(0);
    });
  }
});

test("promtool finds nothing else amiss in the page of a router with real players", async () => {
  const binding = `127.0.0.1:${laterPort()}`;
  await using network = await startSmallNetwork({
    API_BINDING: binding,
    METRICS_BACKEND: "prometheus",
  });
  using _session = await enterGame(network.router);
  await failTwice(network.router);
  const text = await (await fetch(`http://${binding}/metrics`)).text();
  // Upstream's counters have no _total, the only thing that promtool may object to.
  const { output } = await promtool(["check", "metrics"], text);
  const others = output.split("\n").filter((line) => line !== "" && !line.includes('"_total"'));
  expect(others).toEqual([]);
});

test("a real Prometheus scrapes real sessions, knows the rules, and understands every panel of the dashboard", async () => {
  const metrics = start({ recordLogins: true });
  using backend = startBackend(echo);
  await using world = startSessions({
    routes: [route("a.example.com", backend.address)],
    onEvent: metrics.observe,
  });
  metrics.attach({
    ...readings,
    sessions: () => world.sessions.count(),
    routes: () => world.table.size().routes,
  });
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    fetch: (request) => metrics.prometheusResponse(request.headers),
  });
  await using prometheus = await startPrometheus(`127.0.0.1:${server.port}`, [
    join(docs, "alerts.yml"),
  ]);

  await world.player(login({ host: "a.example.com", name: "Steve" }));
  await world.waitForEvent("session-relaying");
  const stranger = await world.player(login({ host: "b.example.com", name: "Alex" }));
  await stranger.waitForEnd();
  await world.ended();

  const numberOf = async (expression: string): Promise<string | null> =>
    (await prometheus.query(expression))[0]?.value[1] ?? null;
  const server_address = "a.example.com";
  const expected: Readonly<Record<string, string>> = {
    'up{job="automc-router"}': "1",
    'mc_router_frontend_connections{side="frontend"}': "2",
    [`mc_router_backend_connections{host="${server_address}",side="backend"}`]: "1",
    mc_router_active_connections: "1",
    [`mc_router_server_active_player{player_name="Steve",server_address="${server_address}"}`]: "1",
    'mc_router_errors{type="missing_backend"}': "1",
    'automc_logins_total{outcome="joined"}': "1",
    'automc_logins_total{outcome="unknown-host"}': "1",
    'automc_sessions{state="relaying"}': "1",
    'automc_routes{source="postgres"}': "1",
  };
  await until(
    "Prometheus has seen both",
    async () => (await numberOf('mc_router_errors{type="missing_backend"}')) === "1",
    60_000,
  );
  const seen = await Promise.all(
    Object.keys(expected).map(async (expression) => [expression, await numberOf(expression)]),
  );
  expect(Object.fromEntries(seen)).toEqual(expected);
  expect(await prometheus.rules()).toContain("PlayersRefused");

  for (const expression of await dashboardQueries()) {
    const filled = expression.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".*");
    expect(await prometheus.query(filled)).toBeArray();
  }
});

/** The groups of alert rules as they are in the file. */
async function alertGroups(): Promise<
  readonly {
    readonly name: string;
    readonly rules: readonly { readonly alert: string; readonly annotations: unknown }[];
  }[]
> {
  const text = await Bun.file(join(docs, "alerts.yml")).text();
  return (Bun.YAML.parse(text) as { groups: Awaited<ReturnType<typeof alertGroups>> }).groups;
}
