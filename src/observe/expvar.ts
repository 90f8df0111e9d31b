import { mcRouterMetrics, type Recorder } from "./recorder.ts";

/** The media type of `varsText`. */
export const varsContentType = "application/json; charset=utf-8";

/** mc-router's metrics as its expvar output has them: without labels, all there from the start. */
interface ExpvarRecorder extends Recorder {
  /** Sums of counters, and of each gauge what was set last, for whatever labels. */
  values(): Readonly<Record<string, number>>;
}

/** A recorder with everything at 0. */
export function createExpvarRecorder(): ExpvarRecorder {
  const values = new Map<string, number>();
  for (const { expvar } of Object.values(mcRouterMetrics)) values.set(expvar, 0);
  return {
    add(metric, _labels, amount) {
      const { expvar } = mcRouterMetrics[metric];
      values.set(expvar, (values.get(expvar) ?? 0) + amount);
    },
    set: (metric, _labels, value) => values.set(mcRouterMetrics[metric].expvar, value),
    values: () => Object.fromEntries(values),
  };
}

/** A JSON object as Go's expvar package writes it: one line for each variable, sorted by name. */
export function varsText(variables: Readonly<Record<string, unknown>>): string {
  const lines = Object.entries(variables)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`);
  return `{\n${lines.join(",\n")}\n}\n`;
}

/** Memory under those names of Go's runtime.MemStats that mean something here too, bytes. */
export function memoryStatistics(): Readonly<Record<string, number>> {
  const { rss, heapTotal, heapUsed } = process.memoryUsage();
  return { Alloc: heapUsed, Sys: rss, HeapAlloc: heapUsed, HeapSys: heapTotal };
}
