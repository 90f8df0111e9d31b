import type { InfluxOptions } from "../observe/influx.ts";
import type { MetricsBackend } from "../observe/metrics.ts";
import type { Environment } from "./environment.ts";

/** Where metrics go. */
export interface MetricsConfig {
  readonly backend: MetricsBackend;
  /** How often the gauge of the rate limit is set, ms; 0 or less: never. */
  readonly rateLimitPeriodMs: number;
}

/** Reads where metrics go. */
export function readMetrics(env: Environment): MetricsConfig {
  const rateLimitPeriodMs = env.read("METRICS_RATE_LIMIT_PERIOD");
  const influx = readInflux(env);
  const kind = env.read("METRICS_BACKEND");
  if (kind !== "influxdb") return { backend: { kind }, rateLimitPeriodMs };
  if (env.text("METRICS_BACKEND_CONFIG_INFLUXDB_ADDR") === "")
    env.problem("METRICS_BACKEND_CONFIG_INFLUXDB_ADDR", "the URL of InfluxDB");
  return { backend: { kind, influx }, rateLimitPeriodMs };
}

const readInflux = ({ read }: Environment): InfluxOptions => ({
  url: read("METRICS_BACKEND_CONFIG_INFLUXDB_ADDR") ?? "",
  database: read("METRICS_BACKEND_CONFIG_INFLUXDB_DATABASE"),
  retentionPolicy: read("METRICS_BACKEND_CONFIG_INFLUXDB_RETENTION_POLICY"),
  username: read("METRICS_BACKEND_CONFIG_INFLUXDB_USERNAME"),
  password: read("METRICS_BACKEND_CONFIG_INFLUXDB_PASSWORD"),
  tags: Object.fromEntries(
    read("METRICS_BACKEND_CONFIG_INFLUXDB_TAGS").map(({ key, value }) => [key, value]),
  ),
  intervalMs: read("METRICS_BACKEND_CONFIG_INFLUXDB_INTERVAL"),
});
