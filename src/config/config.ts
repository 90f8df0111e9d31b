import { resolve } from "node:path";
import { err, ok, type Result } from "../base/result.ts";
import type { AddressRange, ClientFilterRanges } from "../limits/cidr.ts";
import type { EgressRules } from "../limits/egress.ts";
import type { BalancePolicy } from "../net/balance.ts";
import type { Hostname } from "../routing/hostname.ts";
import type { Route } from "../routing/route.ts";
import { statusPath } from "../session/status-store.ts";
import type { KickTexts } from "../session/texts.ts";
import type { WakePermissions } from "../session/wake-permission.ts";
import { parseAllowDeny } from "./allow-deny.ts";
import { type DockerConfig, readDocker } from "./docker.ts";
import { createEnvironment, type Environment, type Issue } from "./environment.ts";
import { readFixedRoutes } from "./fixed-routes.ts";
import { type KubernetesConfig, readKubernetes } from "./kubernetes.ts";
import { type Limits, readLimits } from "./limits.ts";
import { type MetricsConfig, readMetrics } from "./metrics.ts";
import { type PostgresConfig, readPostgres } from "./postgres.ts";
import type { LogLevel } from "./readers.ts";
import { type ReadSecrets, secretsReader } from "./secrets.ts";
import type { ReadFile, Variables } from "./setting.ts";
import { readTexts } from "./texts.ts";
import {
  noteDoubleNames,
  noteLibpqVariables,
  noteNearNames,
  noteUnsupported,
  runtimeProblems,
  unknownNames,
} from "./unused.ts";
import type { FixedListener } from "./values.ts";
import { readScaler, readWaker, type ScalerConfig, type WakerConfig } from "./wakers.ts";
import { type ApiConfig, readApi, readWebhook, type WebhookConfig } from "./web.ts";

/** Everything the operator decides, as plain data. It holds secrets: never print it whole. */
export interface Config {
  /** Print the version and end, as upstream does. */
  readonly printVersion: boolean;
  readonly listen: {
    /** An IP literal. */
    readonly bind: string;
    /** 0 for any free port. */
    readonly port: number;
    /** Other instances may listen on the same port. */
    readonly shared: boolean;
    readonly connectionsPerSecond: number;
    /** Further ports, whose clients are routed by this hostname, whatever they send. */
    readonly fixed: readonly FixedListener[];
  };
  /** Which clients may connect, by address; all of them where both lists are empty. */
  readonly clients: ClientFilterRanges;
  readonly proxyProtocol: {
    /** Clients come through proxies; with `trusted` null every sender is trusted. Null: they do not. */
    readonly receive: { readonly trusted: readonly AddressRange[] | null } | null;
    /** Backends get a header, unless their route says otherwise. */
    readonly send: boolean;
  };
  readonly limits: Limits;
  /** Where backends may be. */
  readonly egress: EgressRules;
  readonly dialTimeoutMs: number;
  /** How one of several addresses of a backend is chosen. */
  readonly balance: BalancePolicy;
  /** The hostname whose route takes logins of backends that are down; null: they are refused. */
  readonly fallback: Hostname | null;
  readonly simplifySrv: boolean;
  /** The fixed routes, by hostname; their source is "env" and their id the pattern's text. */
  readonly routes: readonly Route[];
  readonly routesFile: {
    /** Null: there is none. */
    readonly path: string | null;
    readonly watch: boolean;
  };
  /** Null: there is no API. */
  readonly api: ApiConfig | null;
  /** Path of the control socket; null: there is none. */
  readonly control: string | null;
  /** Server list texts; empty for none. */
  readonly motd: { readonly asleep: string; readonly loading: string };
  /**
   * What players read when they are refused, and what clients of unknown hostnames read; empty for nothing.
   */
  readonly texts: {
    readonly kicks: KickTexts;
    readonly unknown: { readonly motd: string; readonly kick: string };
  };
  /** How old an answer to a ping may be, ms; 0: the server is asked each time. */
  readonly statusCacheMs: number;
  /** Null: no routes from Postgres, and nothing of the extension is on. */
  readonly postgres: PostgresConfig | null;
  /** Null: servers of the table are not woken. */
  readonly waker: WakerConfig | null;
  /** When a server that was started counts as up: it answers a status request, or takes connections. */
  readonly ready: "status" | "tcp";
  /** Null: neither containers nor services are looked for. */
  readonly docker: DockerConfig | null;
  /** Null: no cluster is looked at. */
  readonly kubernetes: KubernetesConfig | null;
  /** What may be done with backends found on a platform whose labels or annotations do not say. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
  /** The webhook that starts and stops the backends of fixed routes; null for none. */
  readonly scaler: ScalerConfig | null;
  readonly idle: {
    /** How long a server must be without clients before it is stopped, ms; 0: not at all. */
    readonly afterMs: number;
    /** Which visits count. */
    readonly counts: "all" | "logins";
  };
  /** Which players may start servers, and the file that says so; null: all of them. */
  readonly allowDeny: { readonly path: string; readonly permissions: WakePermissions } | null;
  /** Whether waiting logins are kept alive. */
  readonly hold: boolean;
  readonly transferAsLogin: boolean;
  /**
   * How logins are relayed: on so many threads of their own where the system can do that, or in the main
   * thread's callbacks.
   */
  readonly relay: { readonly mode: "auto" | "callbacks"; readonly threads: number };
  readonly drainTimeoutMs: number;
  readonly metrics: MetricsConfig;
  /** Log and count each player who has joined, by name. */
  readonly recordLogins: boolean;
  /** The web server that events are posted to; null for none. */
  readonly webhook: WebhookConfig | null;
  /** Reads again the secrets above that may change in operation. */
  readonly readSecrets: ReadSecrets;
  readonly log: {
    readonly level: LogLevel;
    readonly format: "logfmt" | "json";
  };
}

/** A configuration that can be run, with what is odd about it. */
export interface ParsedConfig {
  readonly config: Config;
  readonly warnings: readonly Issue[];
}

/**
 * The configuration that the variables describe, or every problem with it at once. Other programs' variables
 * are left alone.
 */
export function parseConfig(
  variables: Variables,
  readFile: ReadFile,
): Result<ParsedConfig, readonly Issue[]> {
  const env = createEnvironment(variables, readFile);
  const config = readConfig(env);
  noteUnsupported(env);
  noteDoubleNames(env);
  noteNearNames(env);
  if (config.postgres !== null) noteLibpqVariables(env);
  refuseSharedFiles(env, config);
  const problems = [...env.problems, ...unknownNames(variables), ...runtimeProblems(variables)];
  return problems.length > 0 ? err(problems) : ok({ config, warnings: env.warnings });
}

function readConfig(env: Environment): Config {
  const { read } = env;
  const simplifySrv = read("SIMPLIFY_SRV");
  const postgres = readPostgres(env);
  const listen = {
    bind: read("AUTOMC_BIND"),
    port: read("PORT"),
    shared: read("AUTOMC_REUSE_PORT"),
    connectionsPerSecond: read("CONNECTION_RATE_LIMIT"),
    fixed: read("AUTOMC_LISTENERS"),
  };
  const egress = { allow: read("AUTOMC_BACKEND_ALLOW"), deny: read("AUTOMC_BACKEND_DENY") };
  return {
    printVersion: read("VERSION"),
    listen,
    clients: { allow: read("CLIENTS_TO_ALLOW"), deny: read("CLIENTS_TO_DENY") },
    proxyProtocol: { receive: readProxies(env), send: read("USE_PROXY_PROTOCOL") },
    limits: readLimits(env),
    egress,
    dialTimeoutMs: read("BACKEND_DIAL_TIMEOUT"),
    balance: read("AUTOMC_BALANCE"),
    fallback: read("AUTOMC_FALLBACK"),
    simplifySrv,
    routes: readFixedRoutes(env, { simplifySrv, egress, listen }),
    routesFile: { path: read("ROUTES_CONFIG"), watch: read("ROUTES_CONFIG_WATCH") },
    api: readApi(env),
    control: env.read("AUTOMC_CONTROL"),
    motd: { asleep: read("AUTO_SCALE_ASLEEP_MOTD"), loading: read("AUTO_SCALE_LOADING_MOTD") },
    texts: readTexts(env),
    statusCacheMs: read("AUTOMC_STATUS_CACHE"),
    postgres,
    waker: readWaker(env, postgres),
    ready: env.read("AUTOMC_READY"),
    docker: readDocker(env),
    kubernetes: readKubernetes(env),
    scaling: { up: read("AUTO_SCALE_UP"), down: read("AUTO_SCALE_DOWN") },
    scaler: readScaler(env),
    idle: { afterMs: read("AUTO_SCALE_DOWN_AFTER"), counts: read("AUTOMC_IDLE_COUNTS") },
    allowDeny: readAllowDeny(env, simplifySrv),
    hold: read("AUTOMC_HOLD"),
    transferAsLogin: read("AUTOMC_TRANSFER_AS_LOGIN"),
    relay: { mode: read("AUTOMC_RELAY"), threads: read("AUTOMC_RELAY_THREADS") },
    drainTimeoutMs: read("AUTOMC_DRAIN_TIMEOUT"),
    metrics: readMetrics(env),
    recordLogins: read("RECORD_LOGINS"),
    webhook: readWebhook(env),
    readSecrets: secretsReader(env),
    log: { level: readLogLevel(env), format: read("AUTOMC_LOG_FORMAT") },
  };
}

/** The list has no effect without the switch; a fault in it is a problem all the same. */
function readProxies({ read, warn }: Environment): Config["proxyProtocol"]["receive"] {
  const trusted = read("TRUSTED_PROXIES");
  if (!read("RECEIVE_PROXY_PROTOCOL")) return null;
  if (trusted.length > 0) return { trusted };
  warn(
    "RECEIVE_PROXY_PROTOCOL",
    "TRUSTED_PROXIES beside it; without it every client may claim any address",
  );
  return { trusted: null };
}

/** Two writers of one file would destroy what the other one keeps there. */
function refuseSharedFiles({ problem }: Environment, { routesFile, postgres }: Config): void {
  const snapshot = postgres?.snapshot ?? null;
  if (routesFile.path === null || snapshot === null) return;
  const path = resolve(routesFile.path);
  if (path !== resolve(snapshot) && path !== resolve(statusPath(snapshot))) return;
  const expected = "another file than those that AUTOMC_SNAPSHOT keeps";
  problem("ROUTES_CONFIG", expected, routesFile.path);
}

function readLogLevel({ read }: Environment): LogLevel {
  const level = read("LOG_LEVEL");
  const isDebug = read("DEBUG");
  if (read("TRACE")) return "trace";
  return isDebug ? "debug" : level;
}

function readAllowDeny(env: Environment, simplifySrv: boolean): Config["allowDeny"] {
  const path = env.read("AUTO_SCALE_ALLOW_DENY");
  if (path === null) return null;
  const text = env.readFile(path);
  const permissions = text.ok ? parseAllowDeny(text.value, simplifySrv) : text;
  if (permissions.ok) return { path, permissions: permissions.value };
  env.problem("AUTO_SCALE_ALLOW_DENY", `an allow and deny file (${permissions.error})`);
  return null;
}
