import { afterEach, describe, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createMetrics, type Metrics, type MetricsDeps } from "../../src/observe/metrics.ts";
import { mcRouterMetrics } from "../../src/observe/recorder.ts";
import type { RouterReadings } from "../../src/observe/router-metrics.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import { patternText } from "../../src/routing/pattern.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import { login } from "../support/minecraft/wire.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { until as untilAsync } from "../support/postgres/postgres.ts";
import { promtool, startPrometheus } from "../support/process/prometheus.ts";
import { until } from "../support/session/session-clock.ts";
import { ended, holding, relaying } from "../support/session/session-events.ts";
import { route, startSessions } from "../support/session/session-world.ts";

const docs = join(import.meta.dir, "../../docs");
const backends = ["discard", "expvar", "prometheus"] as const;

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

const readings: RouterReadings = {
  sessions: () => 1,
  liveBytes: () => ({ toBackend: 0, toClient: 0 }),
  routes: () => new Map([["env", 1]] as const),
  rateLimitAvailable: () => 2,
  refusals: () => ({ rate: 5, client: 4, total: 3, opening: 0, pings: 2, logins: 1 }),
  forbiddenDials: () => 7,
};

/** Metrics that end with the test. */
function start(kind: (typeof backends)[number], given: Partial<MetricsDeps> = {}): Metrics {
  const metrics = createMetrics({
    backend: { kind },
    recordLogins: false,
    rateLimitPeriodMs: 1_000,
    version: "1.2.3",
    commit: "abc",
    commandLine: ["automc-router"],
    droppedLines: () => 0,
    emit: () => undefined,
    ...given,
  });
  cleanups.push(() => metrics.stop(AbortSignal.abort()));
  return metrics;
}

const get = (headers: Readonly<Record<string, string>> = {}): Request =>
  new Request("http://127.0.0.1/metrics", { headers });

const scrape = async (metrics: Metrics): Promise<string> =>
  await (await metrics.prometheusResponse(get())).text();

const seriesCount = (metrics: Metrics): number =>
  metrics.families.flatMap((family) => family.samples()).length;

describe("/metrics", () => {
  for (const kind of backends) {
    test(`with ${kind}, has the process and the router in any case, and mc-router's metrics only with prometheus`, async () => {
      const metrics = start(kind);
      metrics.observe(relaying());
      const text = await scrape(metrics);
      expect(text).toMatch(/^process_resident_memory_bytes \d+$/m);
      expect(text).toMatch(/^process_cpu_seconds_total \d/m);
      expect(text).toMatch(/^process_start_time_seconds \d+/m);
      expect(text).toContain('automc_build_info{version="1.2.3",commit="abc"} 1\n');
      expect(text).toContain('automc_logins_total{outcome="joined"} 1\n');
      expect(text.includes("mc_router_")).toBe(kind === "prometheus");
    });
  }

  test("counts the file descriptors of the process", async () => {
    const metrics = start("discard");
    const openFds = async (): Promise<number> =>
      Number(/^process_open_fds (\d+)$/m.exec(await scrape(metrics))?.[1]);
    const before = await openFds();
    const backend = startBackend(echo);
    const with1 = await openFds();
    backend[Symbol.dispose]();
    expect(before).toBeGreaterThan(2);
    expect(with1).toBeGreaterThan(before);
    expect(await scrape(metrics)).toMatch(/^process_max_fds \d+$/m);
  });

  test("is plain text of format 0.0.4", async () => {
    const response = await start("discard").prometheusResponse(get());
    expect(response.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
    expect(response.headers.get("content-encoding")).toBeNull();
  });

  for (const { accepts, isCompressed } of [
    { accepts: "gzip", isCompressed: true },
    { accepts: "deflate, GZIP;q=0.5", isCompressed: true },
    { accepts: "gzip;q=0", isCompressed: false },
    { accepts: "gzip; q=0.0", isCompressed: false },
    { accepts: "identity", isCompressed: false },
    { accepts: "xgzip", isCompressed: false },
  ]) {
    test(`is ${isCompressed ? "" : "not "}compressed for who accepts ${accepts}`, async () => {
      const metrics = start("discard");
      const response = await metrics.prometheusResponse(get({ "accept-encoding": accepts }));
      const bytes = Buffer.from(await response.arrayBuffer());
      expect(response.headers.get("content-encoding")).toBe(isCompressed ? "gzip" : null);
      const text = Buffer.from(isCompressed ? Bun.gunzipSync(bytes) : bytes).toString();
      expect(text).toContain("automc_build_info");
    });
  }

  test("shows the rate limit from the start on, and what it is later", async () => {
    const metrics = start("prometheus", { rateLimitPeriodMs: 5 });
    let available = 2;
    metrics.attach({ ...readings, rateLimitAvailable: () => available });
    expect(await scrape(metrics)).toContain("mc_router_rate_limit_available 2\n");
    available = -1;
    await untilAsync("it is -1", async () =>
      (await scrape(metrics)).includes("mc_router_rate_limit_available -1\n"),
    );
  });

  test("has no rate limit with a period of 0", async () => {
    const metrics = start("prometheus", { rateLimitPeriodMs: 0 });
    metrics.attach(readings);
    expect(await scrape(metrics)).not.toContain("mc_router_rate_limit_available");
  });

  test("measures how late the event loop is", async () => {
    const metrics = start("discard");
    const slow = (): number => {
      const family = metrics.families.find(
        ({ metric }) => metric.name === "automc_event_loop_lag_seconds",
      );
      const samples = family?.samples() ?? [];
      const count = samples.at(-1)?.value ?? 0;
      const quick = samples.find(({ labels }) => labels["le"] === "0.1")?.value ?? 0;
      return count - quick;
    };
    Bun.sleepSync(400);
    await until("a late sample", () => slow() > 0);
    expect(slow()).toBeGreaterThan(0);
  });
});

describe("/vars", () => {
  test("has the command line and the memory, and with expvar mc-router's metrics, as JSON", async () => {
    for (const kind of backends) {
      const metrics = start(kind);
      metrics.observe(relaying());
      const response = metrics.varsResponse();
      expect(response.headers.get("content-type")).toBe("application/json; charset=utf-8");
      const vars = JSON.parse(await response.text());
      expect(vars).toMatchObject({
        cmdline: ["automc-router"],
        memstats: { Sys: expect.any(Number) },
      });
      expect(vars.connections).toBe(kind === "expvar" ? 1 : undefined);
    }
  });

  test("is written as Go writes it: sorted, one line for each variable", async () => {
    const text = await start("expvar").varsResponse().text();
    expect(text.split("\n").map((line) => /^"(\w+)": /.exec(line)?.[1] ?? line)).toEqual([
      "{",
      "active_connections",
      "bytes",
      "cmdline",
      "connections",
      "errors",
      "memstats",
      "rate_limit_available",
      "server_active_connections",
      "server_active_player",
      "server_logins",
      "}",
      "",
    ]);
  });
});

test("with influxdb, what is left is sent when the router stops", async () => {
  const bodies: string[] = [];
  using server = Bun.serve({
    hostname: "127.0.0.1",
    port: 0,
    async fetch(request) {
      bodies.push(await request.text());
      return new Response(null, { status: 204 });
    },
  });
  const influx = {
    url: `http://127.0.0.1:${server.port}`,
    database: "mc",
    retentionPolicy: "",
    username: "",
    password: "",
    tags: {},
    intervalMs: 3_600_000,
  };
  const metrics = start("discard", { backend: { kind: "influxdb", influx } });
  metrics.attach(readings);
  metrics.observe(ended());
  await metrics.stop(new AbortController().signal);
  expect(bodies.join("")).toMatch(
    /^mc_router_rate_limit_available value=2 \d{19}\nmc_router_transmitted_bytes count=1100 \d{19}\n$/,
  );
});

test("a million hostnames and a million players leave the number of series where it was", () => {
  const metrics = start("prometheus", { recordLogins: true });
  metrics.attach(readings);
  const table = createRouteTable();
  table.replace("postgres", [route(null, "10.0.0.1:1"), route("*.example.com", "10.0.0.1:1")]);

  const join = (id: number): void => {
    const random = Math.random().toString(36).slice(2);
    const typed = id % 2 === 0 ? `${random}.Example.com` : `${random}.${random}.org`;
    const hostname = toHostname(typed, false);
    const claim = table.resolve(hostname);
    if (claim === null) throw new Error(`nobody claims ${hostname}`);
    const session = {
      id,
      hostname,
      rawHost: typed,
      route: patternText(claim.pattern),
      player: { name: random, uuid: null },
    };
    metrics.observe(relaying(session));
    metrics.observe(ended(session));
  };

  for (let id = 0; id < 20_000; id++) join(id);
  const before = seriesCount(metrics);
  for (let id = 20_000; id < 1_000_000; id++) join(id);
  expect(seriesCount(metrics)).toBe(before);
  // Two metrics have players, and each keeps ten thousand of them.
  expect(before).toBeLessThan(20_300);
}, 120_000);

/** Everything there can be, with at least one series each. */
async function everything(): Promise<{ readonly metrics: Metrics; readonly text: string }> {
  const metrics = start("prometheus", {
    recordLogins: true,
    backend: { kind: "prometheus" },
  });
  metrics.attach(readings);
  metrics.observe({ kind: "session-accepted", client: { ip: "192.0.2.1", port: 1 } });
  metrics.observe(holding());
  metrics.observe(relaying());
  metrics.observe(ended({}, { kind: "dropped", why: "unknown-host", reason: null }));
  metrics.observe(ended({ id: 2 }));
  metrics.observe({ kind: "listening", address: "::", port: 25565, sessionLimit: 100 });
  metrics.observe({ kind: "control-plane-back", server: "survival" });
  metrics.observe({
    kind: "source-live",
    source: "postgres",
    routes: 1,
    mode: "notify",
    awayMs: 0,
  });
  metrics.observe({ kind: "row-skipped", source: "postgres", row: "a", reason: "bad" });
  const changes = { added: [], removed: [], changed: [], conflicts: [] };
  metrics.observe({ kind: "routes-changed", source: "postgres", changes });
  return { metrics, text: await scrape(metrics) };
}

describe("promtool", () => {
  test("finds nothing amiss but the names that mc-router gave its counters", async () => {
    const { text } = await everything();
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

test("a real Prometheus scrapes real sessions, knows the rules, and understands every panel of the dashboard", async () => {
  const metrics = start("prometheus", { recordLogins: true });
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
    fetch: (request) => metrics.prometheusResponse(request),
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
  await untilAsync(
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
}, 120_000);

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

/** Every query of every panel. */
async function dashboardQueries(): Promise<readonly string[]> {
  const dashboard = (await Bun.file(join(docs, "grafana-dashboard.json")).json()) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}

describe("the documents", () => {
  const code = (text: string): string => `\`${text}\``;
  const labelsText = (labels: readonly string[]): string => labels.map(code).join(", ") || "–";

  test("list each metric with its type, labels and meaning, and none that does not exist", async () => {
    const mcRouter = Object.values(mcRouterMetrics).map(
      ({ prometheus, type, labels, expvar, influx, help }) =>
        `| ${code(prometheus)} | ${type} | ${labelsText(labels)} | ${code(expvar)} | ${code(influx)} (${type === "counter" ? "count" : "value"}) | ${help} |`,
    );
    const others = start("discard").families.map(
      ({ metric: { name, type, labels, help } }) =>
        `| ${code(name)} | ${type} | ${labelsText(labels)} | ${help} |`,
    );
    const text = await Bun.file(join(docs, "metrics.md")).text();
    const listed = text.split("\n").filter((line) => /^\| `(mc_router|automc|process)_/.test(line));
    expect(listed).toEqual([...mcRouter, ...others]);
  });

  test("use no metric in an alert or a panel that does not exist", async () => {
    const { text } = await everything();
    const known = new Set<string>(text.match(/^\w+(?=[ {])/gm) ?? []);
    const { families } = start("prometheus");
    for (const { metric } of families) known.add(metric.name);
    const rules = await Bun.file(join(docs, "alerts.yml")).text();
    const queries = [...(rules.match(/expr: .*/g) ?? []), ...(await dashboardQueries())];
    const used = queries.flatMap(
      (query) => query.match(/\b(?:mc_router|automc|process)_\w+/g) ?? [],
    );
    expect(used.length).toBeGreaterThan(30);
    expect(used.filter((name) => !known.has(name))).toEqual([]);
  });
});
