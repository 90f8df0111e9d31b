import { afterEach, describe, expect, test } from "bun:test";
import { join } from "node:path";
import type { Metrics, MetricsDeps } from "../../src/observe/metrics.ts";
import { mcRouterMetrics } from "../../src/observe/recorder.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import { patternText } from "../../src/routing/pattern.ts";
import { createRouteTable } from "../../src/routing/table.ts";
import { echo, startBackend } from "../support/net/backend.ts";
import { ended, relaying } from "../support/session/session-events.ts";
import { route } from "../support/session/session-world.ts";
import { until } from "../support/until.ts";
import {
  dashboardQueries,
  everyMetric,
  type MetricsKind,
  readings,
  startMetrics,
} from "./run-metrics.ts";

const docs = join(import.meta.dir, "../../docs");
const backends: readonly MetricsKind[] = ["discard", "expvar", "prometheus"];

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

/** Metrics that end with the test. */
function start(kind: MetricsKind, given: Partial<MetricsDeps> = {}): Metrics {
  const metrics = startMetrics(kind, given);
  cleanups.push(() => metrics.stop(AbortSignal.abort()));
  return metrics;
}

const get = (headers: Readonly<Record<string, string>> = {}): Headers => new Headers(headers);

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
    await until("it is -1", async () =>
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
}, 300_000);

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
    const text = await everyMetric(start("prometheus", { recordLogins: true }));
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
