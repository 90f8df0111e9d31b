import { promisify } from "node:util";
import { gzip as gzipWithCallback } from "node:zlib";
import type { Observer } from "./bus.ts";
import { createExpvarRecorder, memoryStatistics, varsContentType, varsText } from "./expvar.ts";
import { createHistogram, type Family } from "./family.ts";
import {
  createInfluxRecorder,
  type InfluxEvent,
  type InfluxOptions,
  type InfluxRecorder,
} from "./influx.ts";
import { loopLagBounds, loopLagMetric, sampleLoopLag } from "./loop-lag.ts";
import { createProcessMetrics } from "./process-metrics.ts";
import { createPrometheusRecorder, prometheusContentType, prometheusParts } from "./prometheus.ts";
import { discard, type Recorder } from "./recorder.ts";
import { createRouterMetrics, type RouterReadings } from "./router-metrics.ts";
import { createTraffic } from "./traffic.ts";

const gzip = promisify(gzipWithCallback);

/** Longest time the event loop is kept busy, ms. */
const longestTurnMs = 5;

/** Where mc-router's metrics go. The router's own and the process's are always served to Prometheus. */
export type MetricsBackend =
  | { readonly kind: "discard" | "expvar" | "prometheus" }
  | { readonly kind: "influxdb"; readonly influx: InfluxOptions };

/** What metrics need. */
export interface MetricsDeps {
  readonly backend: MetricsBackend;
  /** Count players by name. */
  readonly recordLogins: boolean;
  /** How often the gauge of the rate limit is set, ms; 0 or less: never. */
  readonly rateLimitPeriodMs: number;
  readonly version: string;
  readonly commit: string;
  /** The program and its arguments, for `/vars`. */
  readonly commandLine: readonly string[];
  /** Log lines lost since the start. */
  droppedLines(): number;
  /** Told how sending to InfluxDB goes. */
  emit(event: InfluxEvent): void;
}

/** Everything that is counted. */
export interface Metrics {
  readonly observe: Observer;
  /** Every metric that Prometheus may scrape. */
  readonly families: readonly Family[];
  /** Gives access to the router, which is built after those who watch it. */
  attach(readings: RouterReadings): void;
  /** Answers `/metrics`, compressed where the client accepts that. */
  prometheusResponse(headers: Headers): Promise<Response>;
  /** Answers `/vars`. */
  varsResponse(): Response;
  /**
   * Stops the timers and sends what is left to InfluxDB. Resolves after that, or at once when the signal
   * aborts.
   */
  stop(signal: AbortSignal): Promise<void>;
}

/** Starts counting. Its timers keep no process alive. */
export function createMetrics(deps: MetricsDeps): Metrics {
  let readings: RouterReadings | null = null;
  let rateLimitTimer: Timer | null = null;

  const { recorder, families, values, influx } = createRecorder(deps);
  const traffic =
    recorder === discard ? null : createTraffic({ recorder, recordLogins: deps.recordLogins });
  const router = createRouterMetrics({
    version: deps.version,
    commit: deps.commit,
    now: () => performance.now(),
    readings: () => readings,
    droppedLines: deps.droppedLines,
    droppedPoints: () => influx?.dropped ?? null,
  });
  const ofProcess = createProcessMetrics();
  const lag = createHistogram(loopLagMetric, loopLagBounds);
  lag.declare({});
  const stopSampling = sampleLoopLag(lag);
  const all = [...families, ...router.families, lag, ...ofProcess.families];

  function attach(attached: RouterReadings): void {
    readings = attached;
    if (deps.rateLimitPeriodMs <= 0 || recorder === discard) return;
    const sample = (): void =>
      recorder.set("rateLimitAvailable", {}, attached.rateLimitAvailable());
    sample();
    rateLimitTimer = setInterval(sample, deps.rateLimitPeriodMs);
    rateLimitTimer.unref();
  }

  return {
    observe(event) {
      traffic?.(event);
      router.observe(event);
    },
    families: all,
    attach,
    async prometheusResponse(requested) {
      await ofProcess.refresh();
      const text = await joined(prometheusParts(all));
      const headers = { "content-type": prometheusContentType };
      if (!acceptsGzip(requested)) return new Response(text, { headers });
      // In the thread pool: with thousands of players it is a megabyte of text.
      const body = await gzip(text);
      return new Response(body, { headers: { ...headers, "content-encoding": "gzip" } });
    },
    varsResponse() {
      const memstats = memoryStatistics();
      const text = varsText({ cmdline: deps.commandLine, memstats, ...values() });
      return new Response(text, { headers: { "content-type": varsContentType } });
    },
    async stop(signal) {
      stopSampling();
      if (rateLimitTimer !== null) clearInterval(rateLimitTimer);
      await influx?.stop(signal);
    },
  };
}

/** The whole text. The event loop runs every few milliseconds, as a relay must not wait for a scrape. */
async function joined(parts: Iterable<string>): Promise<string> {
  let text = "";
  let since = performance.now();
  for (const part of parts) {
    text += part;
    if (performance.now() - since < longestTurnMs) continue;
    await new Promise((resolve) => setImmediate(resolve));
    since = performance.now();
  }
  return text;
}

/** True when `gzip` is among the encodings that are wanted: RFC 9110, 12.5.3. */
function acceptsGzip(headers: Headers): boolean {
  const wanted = (headers.get("accept-encoding") ?? "").split(",");
  return wanted.some((encoding) => {
    const [name = "", weight = ""] = encoding.split(";").map((part) => part.trim().toLowerCase());
    return name === "gzip" && !/^q=0(\.0*)?$/.test(weight);
  });
}

/** The recorder of the chosen backend, and what there is to see of it. */
function createRecorder({ backend, emit }: MetricsDeps): {
  readonly recorder: Recorder;
  readonly families: readonly Family[];
  readonly values: () => Readonly<Record<string, number>>;
  readonly influx: InfluxRecorder | null;
} {
  const nothing = { families: [], values: () => ({}), influx: null };
  switch (backend.kind) {
    case "discard":
      return { ...nothing, recorder: discard };
    case "expvar": {
      const recorder = createExpvarRecorder();
      return { ...nothing, recorder, values: recorder.values };
    }
    case "prometheus":
      return { ...nothing, ...createPrometheusRecorder() };
    case "influxdb": {
      const influx = createInfluxRecorder({ ...backend.influx, now: Date.now, emit });
      return { ...nothing, recorder: influx, influx };
    }
  }
}
