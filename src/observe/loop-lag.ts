import type { Histogram, Metric } from "./family.ts";

/** The metric that the sampler keeps. */
export const loopLagMetric: Metric = {
  name: "automc_event_loop_lag_seconds",
  type: "histogram",
  help: "How late a timer of 100 ms fired, in seconds; the router's event loop was busy for that long.",
  labels: [],
};

/** Ends of the histogram's buckets, seconds. 50 ms is one tick of the game. */
export const loopLagBounds: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5,
];

const periodMs = 100;

/**
 * Measures how late the event loop is, ten times a second, with one timer that keeps no process alive.
 * The function it returns stops it.
 */
export function sampleLoopLag(lag: Histogram): () => void {
  let due = performance.now() + periodMs;
  let timer = setTimeout(sample, periodMs);
  timer.unref();

  function sample(): void {
    const now = performance.now();
    lag.observe({}, Math.max(0, now - due) / 1000);
    due = now + periodMs;
    timer = setTimeout(sample, periodMs);
    timer.unref();
  }

  return () => clearTimeout(timer);
}
