import type { StartRefused } from "../limits/wake-budget.ts";
import {
  createCounter,
  createGauge,
  createHistogram,
  createReading,
  type Metric,
} from "./family.ts";
import type { MetricsPart } from "./part.ts";

/** How long starts take, in seconds; the longest is up to the operator and 90 by default. */
const wakeBounds = [0.1, 0.5, 1, 2, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300];

/** What reported that a server is up, or how its start ended otherwise. */
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

const secondsMetric: Metric = {
  name: "automc_wake_seconds",
  type: "histogram",
  help: "Time from a server's start until it was ready, in seconds, by result: what reported the server up (control-plane, webhook, docker, swarm, kubernetes, or row: its own address answered), failed, or abandoned (all players left, and the start went on without them).",
  labels: ["result"],
};
const refusedMetric: Metric = {
  name: "automc_wakes_refused_total",
  type: "counter",
  help: "Players for whom a sleeping server was not started, by why: client (too many starts from their address), total (too many starts in all), server (its last starts failed), or proof (the client did not answer as a game does).",
  labels: ["why"],
};
const inProgressMetric: Metric = {
  name: "automc_wakes_in_progress",
  type: "gauge",
  help: "Servers that players wait for at this moment.",
  labels: [],
};
const controlPlaneMetric: Metric = {
  name: "automc_control_plane_up",
  type: "gauge",
  help: "1 while the control plane answers as it should, 0 while it does not, by call: start, status or stop.",
  labels: ["call"],
};

/** The metrics of servers that are started. */
export function createWakeMetrics(): MetricsPart {
  const underWay = new Set<string>();
  const seconds = createHistogram(secondsMetric, wakeBounds);
  for (const result of wakeResults) seconds.declare({ result });
  const refused = createCounter(refusedMetric);
  for (const why of wakeRefusals) refused.add({ why }, 0);
  const inProgress = createReading(inProgressMetric, () => [{ labels: {}, value: underWay.size }]);
  const controlPlane = createGauge(controlPlaneMetric);
  /** The servers for which each call failed when it was last made. */
  const failing = {
    start: new Set<string>(),
    status: new Set<string>(),
    stop: new Set<string>(),
  };

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
          if (event.by === "control-plane") controlPlane.set({ call: "status" }, 1);
          return over(event.server, event.by, event.tookMs);
        case "wake-refused":
          return refused.add({ why: event.why });
        case "wake-failed":
          return over(event.server, "failed", event.tookMs);
        case "wake-abandoned":
          return over(event.server, "abandoned", event.tookMs);
        case "control-plane-lost":
          failing[event.call].add(event.server);
          return controlPlane.set({ call: event.call }, 0);
        case "control-plane-back":
          failing[event.call].delete(event.server);
          return controlPlane.set({ call: event.call }, failing[event.call].size === 0 ? 1 : 0);
        default:
          return;
      }
    },
    families: [seconds, refused, inProgress, controlPlane],
  };
}
