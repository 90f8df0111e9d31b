import type { SourceName } from "../routing/route.ts";
import { createCounter, createGauge, createReading, type Metric } from "./family.ts";
import type { MetricsPart } from "./part.ts";

/** What the metrics of sources need. */
interface SourceMetricsDeps {
  /** Milliseconds on a clock that never jumps. */
  now(): number;
  /** How many routes each source has published; null as long as the router is not built. */
  routes(): ReadonlyMap<SourceName, number> | null;
}

const labels = ["source"];

const routesMetric: Metric = {
  name: "automc_routes",
  type: "gauge",
  help: "Routes, by source.",
  labels,
};
const ageMetric: Metric = {
  name: "automc_source_age_seconds",
  type: "gauge",
  help: "How old the routes of a source may be, in seconds: 0 while its changes are followed, else the time since they were last known to be current.",
  labels,
};
const upMetric: Metric = {
  name: "automc_source_up",
  type: "gauge",
  help: "1 while the source can be read, 0 while its last known routes stay in force without it.",
  labels,
};
const listeningMetric: Metric = {
  name: "automc_source_listening",
  type: "gauge",
  help: "1 while the source reports its changes at once, 0 while it is polled or away.",
  labels,
};
const lostMetric: Metric = {
  name: "automc_source_lost_total",
  type: "counter",
  help: "How often the source was lost.",
  labels,
};
const changesMetric: Metric = {
  name: "automc_route_changes_total",
  type: "counter",
  help: "Hostnames whose route was added, removed or changed by the source.",
  labels,
};
const skippedMetric: Metric = {
  name: "automc_rows_skipped_total",
  type: "counter",
  help: "Entries of a source that could not be used, each counted once for each problem.",
  labels,
};

/** The metrics of sources of routes. */
export function createSourceMetrics({ now, routes }: SourceMetricsDeps): MetricsPart {
  /** Since when each source's routes may differ from what it holds; null while they are kept up to date. */
  const staleSince = new Map<SourceName, number | null>();
  const routesBySource = createReading(routesMetric, () =>
    [...(routes() ?? [])].map(([source, value]) => ({ labels: { source }, value })),
  );
  const age = createReading(ageMetric, () =>
    [...staleSince].map(([source, since]) => ({
      labels: { source },
      value: since === null ? 0 : Math.max(0, (now() - since) / 1000),
    })),
  );
  const up = createGauge(upMetric);
  const listening = createGauge(listeningMetric);
  const lost = createCounter(lostMetric);
  const changes = createCounter(changesMetric);
  const skipped = createCounter(skippedMetric);

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
    families: [routesBySource, age, up, listening, lost, changes, skipped],
  };
}
