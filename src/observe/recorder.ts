import type { Labels } from "./family.ts";

/** One of mc-router's metrics under the name that each of its outputs gives it. */
interface McRouterMetric {
  readonly type: "counter" | "gauge";
  readonly labels: readonly string[];
  readonly prometheus: string;
  /** Several metrics may share a key. */
  readonly expvar: string;
  readonly influx: string;
  readonly help: string;
}

const playerLabels = ["player_name", "player_uuid", "server_address"] as const;

/** mc-router's metrics: names, types and labels are what dashboards of today are built on. */
export const mcRouterMetrics = {
  errors: {
    type: "counter",
    labels: ["type"],
    prometheus: "mc_router_errors",
    expvar: "errors",
    influx: "mc_router_errors",
    help: "Connections that failed, by type of error.",
  },
  bytes: {
    type: "counter",
    labels: [],
    prometheus: "mc_router_bytes",
    expvar: "bytes",
    influx: "mc_router_transmitted_bytes",
    help: "Bytes relayed in both directions, counted when a session ends.",
  },
  frontendConnections: {
    type: "counter",
    labels: ["side"],
    prometheus: "mc_router_frontend_connections",
    expvar: "connections",
    influx: "mc_router_connections",
    help: "Connections opened by clients.",
  },
  backendConnections: {
    type: "counter",
    labels: ["host", "side"],
    prometheus: "mc_router_backend_connections",
    expvar: "connections",
    influx: "mc_router_connections",
    help: "Sessions that reached their backend, by the route that matched.",
  },
  activeConnections: {
    type: "gauge",
    labels: [],
    prometheus: "mc_router_active_connections",
    expvar: "active_connections",
    influx: "mc_router_connections_active",
    help: "Sessions joined to a backend.",
  },
  serverActivePlayer: {
    type: "gauge",
    labels: playerLabels,
    prometheus: "mc_router_server_active_player",
    expvar: "server_active_player",
    influx: "mc_router_server_player_active",
    help: "1 while the player is on the server, 0 after that; only with RECORD_LOGINS.",
  },
  serverLogins: {
    type: "counter",
    labels: playerLabels,
    prometheus: "mc_router_server_logins",
    expvar: "server_logins",
    influx: "mc_router_server_logins",
    help: "Logins that reached their backend, by player; only with RECORD_LOGINS.",
  },
  serverActiveConnections: {
    type: "gauge",
    labels: ["server_address"],
    prometheus: "mc_router_server_active_connections",
    expvar: "server_active_connections",
    influx: "mc_router_server_active_connections",
    help: "Sessions joined to a backend, by the route that matched.",
  },
  rateLimitAvailable: {
    type: "gauge",
    labels: [],
    prometheus: "mc_router_rate_limit_available",
    expvar: "rate_limit_available",
    influx: "mc_router_rate_limit_available",
    help: "Connections that would be served at once; -1 while some wait for their turn.",
  },
} as const satisfies Record<string, McRouterMetric>;

type McRouterMetrics = typeof mcRouterMetrics;
type NamesOf<Type> = {
  [Name in keyof McRouterMetrics]: McRouterMetrics[Name]["type"] extends Type ? Name : never;
}[keyof McRouterMetrics];

/** Those that only grow, and those that are set. */
type CounterName = NamesOf<"counter">;
type GaugeName = NamesOf<"gauge">;

/** Records mc-router's metrics for one of its outputs. Both calls return at once and never throw. */
export interface Recorder {
  add(metric: CounterName, labels: Labels, amount: number): void;
  set(metric: GaugeName, labels: Labels, value: number): void;
}

/** Counts nothing. */
export const discard: Recorder = { add: () => undefined, set: () => undefined };
