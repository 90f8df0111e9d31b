import type { Environment } from "./environment.ts";
import type { PostgresConfig } from "./postgres.ts";

/** The control plane. */
export interface WakerConfig {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string | null;
  /** PEM text of the authorities that sign its certificate; null: the public ones. */
  readonly ca: string | null;
  readonly timeoutMs: number;
  readonly pollIntervalMs: number;
  /** Idle servers are put to sleep through it. */
  readonly mayStop: boolean;
}

/** mc-router's webhook scaler. */
export interface ScalerConfig {
  readonly url: string;
  /** Further headers, by lower-case name. */
  readonly headers: Readonly<Record<string, string>>;
  /** For one request, ms. */
  readonly timeoutMs: number;
  /** For a backend to come up after that, ms. */
  readonly wakeTimeoutMs: number;
}

/** Reads where the control plane is; null when the router has none to ask. */
export function readWaker(
  { read, warn }: Environment,
  postgres: PostgresConfig | null,
): WakerConfig | null {
  const url = read("AUTOMC_WAKER_URL");
  const token = read("AUTOMC_WAKER_TOKEN");
  const ca = read("AUTOMC_WAKER_CA");
  const timeoutMs = read("AUTOMC_WAKER_TIMEOUT");
  const pollIntervalMs = read("AUTOMC_WAKER_POLL_INTERVAL");
  const mayStop = read("AUTOMC_WAKER_STOP");
  if (url === null) {
    if (token !== null)
      warn("AUTOMC_WAKER_TOKEN", "AUTOMC_WAKER_URL beside it; alone it does nothing");
    return null;
  }
  if (postgres === null) {
    warn("AUTOMC_WAKER_URL", "AUTOMC_DSN beside it; only routes from Postgres are woken");
    return null;
  }
  return { url, token, ca, timeoutMs, pollIntervalMs, mayStop };
}

/** Reads where the scaling webhook is; null when none is set. */
export function readScaler({ read }: Environment): ScalerConfig | null {
  const headers = read("AUTO_SCALE_WEBHOOK_HEADERS");
  const timeoutMs = read("AUTO_SCALE_WEBHOOK_TIMEOUT");
  const wakeTimeoutMs = read("AUTO_SCALE_WEBHOOK_WAKE_TIMEOUT");
  const url = read("AUTO_SCALE_WEBHOOK_URL");
  return url === null ? null : { url, headers, timeoutMs, wakeTimeoutMs };
}
