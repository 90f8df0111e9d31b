import type { SourceName } from "../routing/route.ts";
import { createCounter, createReading, type Metric } from "./family.ts";
import type { MetricsPart } from "./part.ts";
import { createSessionMetrics, type SessionReadings } from "./session-metrics.ts";
import { createSourceMetrics } from "./source-metrics.ts";
import { createWakeMetrics } from "./wake-metrics.ts";

/** What can only be read from the router while it runs; each call costs next to nothing. */
export interface RouterReadings extends SessionReadings {
  /** How many routes each source has published. */
  routes(): ReadonlyMap<SourceName, number>;
  /** Connections that would be taken up at once; see `AcceptQueue.available`. */
  rateLimitAvailable(): number;
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

const faultsMetric: Metric = {
  name: "automc_faults_total",
  type: "counter",
  help: "Errors in the router's own code; each is in the log and worth a report.",
  labels: [],
};
const buildMetric: Metric = {
  name: "automc_build_info",
  type: "gauge",
  help: "1; the labels name the build.",
  labels: ["version", "commit"],
};
const droppedLinesMetric: Metric = {
  name: "automc_log_lines_dropped_total",
  type: "counter",
  help: "Log lines lost because the reader of the log was too slow.",
  labels: [],
};
const droppedPointsMetric: Metric = {
  name: "automc_influx_points_dropped_total",
  type: "counter",
  help: "Points that were never written to InfluxDB: it was away for too long, or refused them.",
  labels: [],
};

/** The metrics that mc-router does not have, and the observer that keeps them. */
export function createRouterMetrics(deps: RouterMetricsDeps): MetricsPart {
  const { readings } = deps;
  const parts = [
    createSessionMetrics(readings),
    createWakeMetrics(),
    createSourceMetrics({ now: deps.now, routes: () => readings()?.routes() ?? null }),
  ];
  const faults = createCounter(faultsMetric);
  faults.add({}, 0);
  const { version, commit } = deps;

  return {
    observe(event) {
      for (const part of parts) part.observe(event);
      if (event.kind === "fault") faults.add({});
    },
    families: [
      ...parts.flatMap(({ families }) => families),
      faults,
      createReading(buildMetric, () => [{ labels: { version, commit }, value: 1 }]),
      createReading(droppedLinesMetric, () => [{ labels: {}, value: deps.droppedLines() }]),
      createReading(droppedPointsMetric, () => [{ labels: {}, value: deps.droppedPoints() }]),
    ],
  };
}
