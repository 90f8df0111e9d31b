import { laterPort } from "../net/ports.ts";

/** The API of a router that is started with `env`, as its operator reads it. */
export interface RouterApi {
  readonly env: Readonly<Record<string, string>>;
  /** `hostname address` of every route, sorted. */
  routes(): Promise<readonly string[]>;
  /** Every series of `/metrics` with its value, by what stands before the value: `automc_faults_total`. */
  metrics(): Promise<ReadonlyMap<string, number>>;
  /** One series. Throws when there is none. */
  metric(series: string): Promise<number>;
  /** Any request, by its path, as `fetch` takes it. */
  request(path: string, init?: RequestInit): Promise<Response>;
}

/** An API on a port of its own, or on a socket file there, which is reached from outside a network namespace; with mc-router's metrics as well. */
export function reserveRouterApi(socketFile: string | null = null): RouterApi {
  const binding = socketFile === null ? `127.0.0.1:${laterPort()}` : `unix:${socketFile}`;
  const request = (path: string, init: RequestInit = {}): Promise<Response> =>
    socketFile === null
      ? fetch(`http://${binding}${path}`, init)
      : // Not kept open: the router's descriptors are counted.
        fetch(`http://router${path}`, { ...init, unix: socketFile, keepalive: false });
  async function get(path: string): Promise<string> {
    const response = await request(path);
    const text = await response.text();
    if (!response.ok) throw new Error(`${path}: ${response.status} ${text}`);
    return text;
  }

  async function metrics(): Promise<ReadonlyMap<string, number>> {
    const lines = (await get("/metrics")).split("\n").filter((line) => /^[a-z]/.test(line));
    return new Map(
      lines.map((line) => {
        const at = line.lastIndexOf(" ");
        return [line.slice(0, at), Number(line.slice(at + 1))];
      }),
    );
  }

  return {
    env: { API_BINDING: binding, METRICS_BACKEND: "prometheus" },
    async routes() {
      const routes: Record<string, { backend: string }> = JSON.parse(await get("/routes"));
      return Object.entries(routes)
        .map(([hostname, { backend }]) => `${hostname} ${backend}`)
        .sort();
    },
    metrics,
    request,
    async metric(series) {
      const value = (await metrics()).get(series);
      if (value === undefined) throw new Error(`no series ${series}`);
      return value;
    },
  };
}

/** By how much the router's event loop was late at most between two readings of its metrics, as the bound of the histogram's bucket. */
export function worstLag(
  before: ReadonlyMap<string, number>,
  after: ReadonlyMap<string, number>,
): string {
  const name = "automc_event_loop_lag_seconds";
  const rise = (series: string): number => (after.get(series) ?? 0) - (before.get(series) ?? 0);
  const samples = rise(`${name}_count`);
  for (const series of after.keys()) {
    const bound = series.startsWith(`${name}_bucket`)
      ? /le="([\d.]+)"/.exec(series)?.[1]
      : undefined;
    if (bound !== undefined && rise(series) === samples)
      return `at most ${Number(bound) * 1000} ms`;
  }
  return "more than any bound";
}
