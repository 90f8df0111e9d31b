import { join } from "node:path";
import { createMetrics, type Metrics, type MetricsDeps } from "../../src/observe/metrics.ts";
import type { RouterReadings } from "../../src/observe/router-metrics.ts";
import { ended, holding, relaying } from "../support/session/session-events.ts";

/** Metrics backends that need nothing beside the router. */
export type MetricsKind = "discard" | "expvar" | "prometheus";

const docs = join(import.meta.dir, "../../docs");

/** Readings of a router with one session, one route and some refusals. */
export const readings: RouterReadings = {
  sessions: () => 1,
  liveBytes: () => ({ toBackend: 0, toClient: 0 }),
  routes: () => new Map([["env", 1]] as const),
  rateLimitAvailable: () => 2,
  refusals: () => ({ rate: 5, client: 4, total: 3, opening: 0, pings: 2, logins: 1 }),
  forbiddenDials: () => 7,
};

/** Metrics without readings; the caller attaches and stops them. */
export function startMetrics(kind: MetricsKind, given: Partial<MetricsDeps> = {}): Metrics {
  return createMetrics({
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
}

/** Gives each metric at least one series, and returns the page that Prometheus scrapes. */
export async function everyMetric(metrics: Metrics): Promise<string> {
  metrics.attach(readings);
  metrics.observe({ kind: "session-accepted", client: { ip: "192.0.2.1", port: 1 } });
  metrics.observe(holding());
  metrics.observe(relaying());
  metrics.observe(ended({}, { kind: "dropped", why: "unknown-host", reason: null }));
  metrics.observe(ended({ id: 2 }));
  metrics.observe({ kind: "listening", address: "::", port: 25565, sessionLimit: 100 });
  metrics.observe({ kind: "control-plane-back", server: "survival", call: "status" });
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
  return (await metrics.prometheusResponse(new Headers())).text();
}

/** Every query of every panel of the dashboard. */
export async function dashboardQueries(): Promise<readonly string[]> {
  const dashboard = (await Bun.file(join(docs, "grafana-dashboard.json")).json()) as {
    readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  };
  return dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
}
