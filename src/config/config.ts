import { isIP } from "node:net";
import { isAbsolute, join } from "node:path";
import { type Binding, bindingProblem, parseBinding } from "../admin/binding.ts";
import { type Reader, readBoolean, readDuration } from "../base/go-text.ts";
import { err, ok, type Result } from "../base/result.ts";
import {
  type AddressRange,
  type ClientFilterRanges,
  parseAddressRange,
  parseCidr,
} from "../limits/cidr.ts";
import type { EgressRules } from "../limits/egress.ts";
import type { InfluxOptions } from "../observe/influx.ts";
import type { MetricsBackend } from "../observe/metrics.ts";
import { webhookEvents } from "../observe/webhook.ts";
import { type Dsn, parseDsn } from "../providers/postgres/dsn.ts";
import { type Address, parseAddress } from "../routing/address.ts";
import { type Pattern, parsePattern, patternText } from "../routing/pattern.ts";
import type { Route } from "../routing/route.ts";
import type { WakePermissions } from "../session/wake-permission.ts";
import { parseAllowDeny } from "./allow-deny.ts";
import { type DockerConfig, readDocker } from "./docker.ts";
import {
  createEnvironment,
  type Environment,
  type Issue,
  masked,
  type ReadFile,
  type Variables,
} from "./environment.ts";
import { type KubernetesConfig, readKubernetes } from "./kubernetes.ts";
import { type Limits, readEgress, readLimits } from "./limits.ts";
import {
  dayMs,
  durationWithin,
  type LogLevel,
  readInteger,
  readLevel,
  readList,
  readMap,
} from "./setting.ts";
import { noteDoubleNames, noteUnsupported, unknownNames } from "./unused.ts";

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
  };
  /** Who may connect, by address. Nobody in it: everybody. */
  readonly clients: ClientFilterRanges;
  readonly proxyProtocol: {
    /** Clients come through proxies; `trusted` null believes everybody. Null: they do not. */
    readonly receive: { readonly trusted: readonly AddressRange[] | null } | null;
    /** Backends get a header, unless their route says otherwise. */
    readonly send: boolean;
  };
  /** How much clients may have of everything. */
  readonly limits: Limits;
  /** Where backends may be. */
  readonly egress: EgressRules;
  readonly dialTimeoutMs: number;
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
  /** Server list texts; empty for none. */
  readonly motd: { readonly asleep: string; readonly loading: string };
  /** How old an answer to a ping may be, ms; 0: as old as the ping. */
  readonly statusCacheMs: number;
  /** Null: no routes from Postgres, and nothing of the extension is on. */
  readonly postgres: PostgresConfig | null;
  /** Null: nobody is woken. */
  readonly waker: WakerConfig | null;
  /** Null: neither containers nor services are looked for. */
  readonly docker: DockerConfig | null;
  /** Null: no cluster is looked at. */
  readonly kubernetes: KubernetesConfig | null;
  /** What may be done with backends found on a platform whose labels or annotations do not say. */
  readonly scaling: { readonly up: boolean; readonly down: boolean };
  /** The webhook that starts and stops the backends of fixed routes; null for none. */
  readonly scaler: ScalerConfig | null;
  readonly idle: {
    /** How long nobody must have been on a server before it is put to sleep, ms; 0 for no time at all. */
    readonly afterMs: number;
    /** Whose visits count. */
    readonly counts: "all" | "logins";
  };
  /** Who may start servers, and the file that says so; null: everybody. */
  readonly allowDeny: { readonly path: string; readonly permissions: WakePermissions } | null;
  /** Whether waiting logins are kept alive. */
  readonly hold: boolean;
  readonly transferAsLogin: boolean;
  readonly drainTimeoutMs: number;
  readonly metrics: {
    readonly backend: MetricsBackend;
    /** How often the gauge of the rate limit is set, ms; 0 or less: never. */
    readonly rateLimitPeriodMs: number;
  };
  /** Tell player by player who has joined, in the log and in the metrics. */
  readonly recordLogins: boolean;
  /** The web server that is told what happens; null for none. */
  readonly webhook: WebhookConfig | null;
  readonly log: {
    readonly level: LogLevel;
    readonly format: "logfmt" | "json";
  };
}

/** Where the routes are read, and where they are kept. */
export interface PostgresConfig {
  readonly dsn: Dsn;
  /** Null: `dsn` does both. */
  readonly listenDsn: Dsn | null;
  readonly resyncMs: number;
  /** Absolute path; null: no snapshot is kept. */
  readonly snapshot: string | null;
}

/** A web server of the operator's. */
export interface WebhookConfig {
  readonly url: string;
  readonly events: ReadonlySet<string>;
  /** Connections without a player are not told. */
  readonly requireUser: boolean;
  /** For one request, ms; 0 for no limit. */
  readonly timeoutMs: number;
}

/** The operator's door. */
export interface ApiConfig {
  readonly binding: Binding;
  readonly token: string | null;
  /** Further names that it is called by. */
  readonly hosts: readonly string[];
}

/** The control plane. */
export interface WakerConfig {
  /** Without a slash at its end. */
  readonly url: string;
  readonly token: string | null;
  readonly timeoutMs: number;
  readonly pollIntervalMs: number;
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

/** A configuration that can be run, with what is odd about it. */
export interface ParsedConfig {
  readonly config: Config;
  readonly warnings: readonly Issue[];
}

/** The configuration that the variables describe, or every problem with it at once. Variables that belong to nobody are left alone. */
export function parseConfig(
  variables: Variables,
  readFile: ReadFile,
): Result<ParsedConfig, readonly Issue[]> {
  const env = createEnvironment(variables, readFile);
  const simplifySrv = env.read("SIMPLIFY_SRV", readBoolean);
  const postgres = readPostgres(env, variables, readFile);
  const config: Config = {
    printVersion: readVersion(env),
    listen: readListen(env),
    clients: {
      allow: readRanges(env, "CLIENTS_TO_ALLOW", parseAddressRange, "IP addresses and networks"),
      deny: readRanges(env, "CLIENTS_TO_DENY", parseAddressRange, "IP addresses and networks"),
    },
    proxyProtocol: {
      receive: readProxies(env),
      send: env.read("USE_PROXY_PROTOCOL", readBoolean),
    },
    limits: readLimits(env),
    egress: readEgress(env),
    dialTimeoutMs: readDialTimeout(env),
    simplifySrv,
    routes: readRoutes(env, simplifySrv),
    routesFile: {
      path: env.text("ROUTES_CONFIG") || null,
      watch: env.read("ROUTES_CONFIG_WATCH", readBoolean),
    },
    api: readApi(env),
    motd: {
      asleep: env.text("AUTO_SCALE_ASLEEP_MOTD"),
      loading: env.text("AUTO_SCALE_LOADING_MOTD"),
    },
    statusCacheMs: env.read("AUTOMC_STATUS_CACHE", durationWithin(0, dayMs)),
    postgres,
    waker: readWaker(env, postgres),
    docker: readDocker(env, readFile),
    kubernetes: readKubernetes(env, variables, readFile),
    scaling: {
      up: env.read("AUTO_SCALE_UP", readBoolean),
      down: env.read("AUTO_SCALE_DOWN", readBoolean),
    },
    scaler: readScaler(env),
    idle: {
      afterMs: Math.max(0, env.read("AUTO_SCALE_DOWN_AFTER", readDuration)),
      counts: env.read("AUTOMC_IDLE_COUNTS", readIdleCounts),
    },
    allowDeny: readAllowDeny(env, readFile, simplifySrv),
    hold: env.read("AUTOMC_HOLD", readBoolean),
    transferAsLogin: env.read("AUTOMC_TRANSFER_AS_LOGIN", readBoolean),
    drainTimeoutMs: env.read("AUTOMC_DRAIN_TIMEOUT", durationWithin(0, dayMs)),
    metrics: {
      backend: readMetricsBackend(env),
      rateLimitPeriodMs: Math.min(env.read("METRICS_RATE_LIMIT_PERIOD", readDuration), dayMs),
    },
    recordLogins: env.read("RECORD_LOGINS", readBoolean),
    webhook: readWebhook(env),
    log: {
      level: readLogLevel(env),
      format: env.read("AUTOMC_LOG_FORMAT", readLogFormat),
    },
  };
  noteUnsupported(env);
  noteDoubleNames(env, variables);
  const problems = [...env.problems, ...unknownNames(variables)];
  return problems.length > 0 ? err(problems) : ok({ config, warnings: env.warnings });
}

function readListen(env: Environment): Config["listen"] {
  const rate = env.read("CONNECTION_RATE_LIMIT", readInteger);
  return {
    bind: env.read("AUTOMC_BIND", readIp),
    port: env.read("PORT", readPort),
    shared: env.read("AUTOMC_REUSE_PORT", readBoolean),
    // Upstream's bucket knows no rate below one each second, and counts in whole nanoseconds.
    connectionsPerSecond: Math.min(Math.max(rate, 1), 1_000_000_000),
  };
}

function readRanges(
  env: Environment,
  name: "CLIENTS_TO_ALLOW" | "CLIENTS_TO_DENY" | "TRUSTED_PROXIES",
  parse: (text: string) => Result<AddressRange, string>,
  what: string,
): readonly AddressRange[] {
  const ranges: AddressRange[] = [];
  for (const entry of readList(env.text(name))) {
    const range = parse(entry);
    if (range.ok) ranges.push(range.value);
    else env.problem(name, `${what} (the entry ${range.error})`, entry);
  }
  return ranges;
}

/** The list is of no use without the switch, and is read then only to be consistent: a mistake in it is one all the same. */
function readProxies(env: Environment): Config["proxyProtocol"]["receive"] {
  const trusted = readRanges(env, "TRUSTED_PROXIES", parseCidr, "networks such as 10.0.0.0/8");
  if (!env.read("RECEIVE_PROXY_PROTOCOL", readBoolean)) return null;
  if (trusted.length > 0) return { trusted };
  env.warn(
    "RECEIVE_PROXY_PROTOCOL",
    "TRUSTED_PROXIES beside it; without it every client may say that it is somebody else",
  );
  return { trusted: null };
}

function readDialTimeout(env: Environment): number {
  const timeoutMs = env.read("BACKEND_DIAL_TIMEOUT", readDuration);
  return timeoutMs <= 0 ? 2_000 : Math.min(timeoutMs, dayMs);
}

/** `VERSION` is what Minecraft images call the game's version, so anything but an exact boolean belongs to somebody else. */
function readVersion(env: Environment): boolean {
  const given = env.text("VERSION");
  if (given === "") return false;
  const version = readBoolean(given);
  if (version.ok) return version.value;
  env.warn("VERSION", "true or false; it is ignored");
  return false;
}

function readLogLevel(env: Environment): LogLevel {
  const level = env.read("LOG_LEVEL", readLevel);
  const isDebug = env.read("DEBUG", readBoolean);
  if (env.read("TRACE", readBoolean)) return "trace";
  return isDebug ? "debug" : level;
}

function readRoutes(env: Environment, simplifySrv: boolean): readonly Route[] {
  const routes = new Map<string, Route>();
  for (const { key, value } of readMap(env.text("MAPPING"))) {
    const entry = value === "" ? key : `${key}=${value}`;
    const pattern = parsePattern(key, simplifySrv);
    const address = parseAddress(value);
    if (!pattern.ok)
      env.problem("MAPPING", `hostname=host:port (the hostname ${pattern.error})`, entry);
    if (!address.ok)
      env.problem("MAPPING", `hostname=host:port (the address ${address.error})`, entry);
    if (!pattern.ok || !address.ok) continue;

    const route = envRoute(pattern.value, address.value);
    if (routes.has(route.id)) env.warn("MAPPING", "each hostname once; the last one counts", entry);
    routes.set(route.id, route);
  }

  const fallback = env.text("DEFAULT");
  if (fallback === "") return [...routes.values()];
  const address = parseAddress(fallback);
  if (address.ok) return [...routes.values(), envRoute({ kind: "default" }, address.value)];
  env.problem("DEFAULT", `host:port (the address ${address.error})`);
  return [];
}

const envRoute = (pattern: Pattern, address: Address): Route => ({
  source: "env",
  id: patternText(pattern),
  patterns: [pattern],
  address,
  wake: null,
});

/** Upstream takes an unknown backend for none; so does this, but not silently. */
function readMetricsBackend(env: Environment): MetricsBackend {
  const influx = readInflux(env);
  const name = (env.text("METRICS_BACKEND") || "discard").toLowerCase();
  switch (name) {
    case "discard":
    case "expvar":
    case "prometheus":
      return { kind: name };
    case "influxdb":
      if (influx.url === "")
        env.problem("METRICS_BACKEND_CONFIG_INFLUXDB_ADDR", "the URL of InfluxDB");
      return { kind: "influxdb", influx };
    default:
      env.warn("METRICS_BACKEND", "discard, expvar, influxdb or prometheus; it counts as discard");
      return { kind: "discard" };
  }
}

function readInflux(env: Environment): InfluxOptions {
  const prefix = "METRICS_BACKEND_CONFIG_INFLUXDB";
  const url = env.text(`${prefix}_ADDR`);
  if (url !== "" && httpUrl(url) === null)
    env.problem(`${prefix}_ADDR`, "a URL such as http://127.0.0.1:8086, without user", masked);
  const tags = readMap(env.text(`${prefix}_TAGS`));
  return {
    url,
    database: env.text(`${prefix}_DATABASE`),
    retentionPolicy: env.text(`${prefix}_RETENTION_POLICY`),
    username: env.text(`${prefix}_USERNAME`),
    password: env.secret(`${prefix}_PASSWORD`) ?? "",
    tags: Object.fromEntries(tags.map(({ key, value }) => [key, value])),
    intervalMs: env.read(`${prefix}_INTERVAL`, durationWithin(1, dayMs)),
  };
}

function readWebhook(env: Environment): WebhookConfig | null {
  const requireUser = env.read("WEBHOOK_REQUIRE_USER", readBoolean);
  const timeoutMs = env.read("WEBHOOK_TIMEOUT", durationWithin(0, dayMs));
  const names = readList(env.text("WEBHOOK_EVENTS"));
  const events = new Set(names.length > 0 ? names : webhookEvents.slice(0, 2));
  for (const name of events) {
    if (!(webhookEvents as readonly string[]).includes(name))
      env.warn("WEBHOOK_EVENTS", `names out of ${webhookEvents.join(", ")}`, name);
  }
  const url = env.secret("WEBHOOK_URL");
  if (url === null) return null;
  if (URL.parse(url) === null || !/^https?:/i.test(url))
    env.problem("WEBHOOK_URL", "a URL such as http://127.0.0.1:8080/events");
  return { url, events, requireUser, timeoutMs };
}

/** A URL for HTTP without an account in it; null for anything else. */
function httpUrl(text: string): URL | null {
  const url = /^https?:\/\//i.test(text) ? URL.parse(text) : null;
  return url === null || url.username !== "" || url.password !== "" ? null : url;
}

function readApi(env: Environment): ApiConfig | null {
  const token = readToken(env, "AUTOMC_API_TOKEN");
  const open = env.read("AUTOMC_API_OPEN", readBoolean);
  const text = env.text("API_BINDING");
  if (text === "") return null;
  // A token that cannot be used is a problem of its own, and not also the want of one.
  const isTokenBad = env.problems.some(({ variable }) => variable.startsWith("AUTOMC_API_TOKEN"));
  const problem = bindingProblem(text, token, open || isTokenBad);
  if (problem !== null) env.problem("API_BINDING", problem);
  const binding = parseBinding(text);
  return binding.ok
    ? { binding: binding.value, token, hosts: readList(env.text("AUTOMC_API_HOSTS")) }
    : null;
}

function readPostgres(
  env: Environment,
  variables: Variables,
  readFile: ReadFile,
): PostgresConfig | null {
  const dsn = readDsn(env, "AUTOMC_DSN", readFile);
  const listenDsn = readDsn(env, "AUTOMC_LISTEN_DSN", readFile);
  const resyncMs = env.read("AUTOMC_RESYNC_INTERVAL", durationWithin(1_000, dayMs));
  const snapshot = readSnapshot(env, variables);
  if (dsn !== null) return { dsn, listenDsn, resyncMs, snapshot };
  if (listenDsn !== null)
    env.warn("AUTOMC_LISTEN_DSN", "AUTOMC_DSN beside it; alone it does nothing");
  return null;
}

function readDsn(
  env: Environment,
  name: "AUTOMC_DSN" | "AUTOMC_LISTEN_DSN",
  readFile: ReadFile,
): Dsn | null {
  const text = env.secret(name);
  if (text === null) return null;
  const dsn = parseDsn(text, readFile);
  if (dsn.ok) return dsn.value;
  env.problem(name, `a Postgres URL (this one ${dsn.error})`);
  return null;
}

function readSnapshot(env: Environment, variables: Variables): string | null {
  const given = env.text("AUTOMC_SNAPSHOT");
  if (given === "off") return null;
  if (given !== "") {
    if (!isAbsolute(given)) env.problem("AUTOMC_SNAPSHOT", "an absolute path, or off");
    return given;
  }
  // A unit may have several state directories, separated by colons: systemd.exec(5).
  const [directory = ""] = (variables["STATE_DIRECTORY"] ?? "").split(":");
  return directory === "" ? null : join(directory, "routes.json");
}

function readWaker(env: Environment, postgres: PostgresConfig | null): WakerConfig | null {
  const url = readWakerUrl(env);
  const token = readToken(env, "AUTOMC_WAKER_TOKEN");
  const timeoutMs = env.read("AUTOMC_WAKER_TIMEOUT", durationWithin(1_000, dayMs));
  const pollIntervalMs = env.read("AUTOMC_WAKER_POLL_INTERVAL", durationWithin(100, dayMs));
  if (url === null) {
    if (token !== null)
      env.warn("AUTOMC_WAKER_TOKEN", "AUTOMC_WAKER_URL beside it; alone it does nothing");
    return null;
  }
  if (postgres === null) {
    env.warn("AUTOMC_WAKER_URL", "AUTOMC_DSN beside it; only routes from Postgres are woken");
    return null;
  }
  return { url, token, timeoutMs, pollIntervalMs };
}

function readWakerUrl(env: Environment): string | null {
  const given = env.text("AUTOMC_WAKER_URL");
  if (given === "") return null;
  const url = /^https?:\/\//i.test(given) ? URL.parse(given) : null;
  // A password may stand before an @, and a token behind a ?, also in a URL that is otherwise wrong.
  const value = /[@?#]/.test(given) ? masked : given;
  if (url === null) {
    env.problem("AUTOMC_WAKER_URL", "a URL such as http://127.0.0.1:8080", value);
    return null;
  }
  if (url.username !== "" || url.password !== "" || url.search !== "" || url.hash !== "") {
    const expected = "a URL without user, password, ? and #; a token goes into AUTOMC_WAKER_TOKEN";
    env.problem("AUTOMC_WAKER_URL", expected, value);
    return null;
  }
  return (url.origin + url.pathname).replace(/\/+$/, "");
}

function readScaler(env: Environment): ScalerConfig | null {
  const headers = readHeaders(env);
  const timeoutMs = env.read("AUTO_SCALE_WEBHOOK_TIMEOUT", durationWithin(0, dayMs));
  const wakeTimeoutMs = env.read("AUTO_SCALE_WEBHOOK_WAKE_TIMEOUT", readDuration);
  const url = env.secret("AUTO_SCALE_WEBHOOK_URL");
  if (url === null) return null;
  if (URL.parse(url) === null || !/^https?:/i.test(url))
    env.problem("AUTO_SCALE_WEBHOOK_URL", "a URL such as http://127.0.0.1:8080/scale");
  return {
    url,
    headers,
    // Upstream's 0 is no limit at all; every wait has one here.
    timeoutMs: timeoutMs === 0 ? dayMs : timeoutMs,
    wakeTimeoutMs: Math.min(Math.max(wakeTimeoutMs, 0), dayMs),
  };
}

/** Names and values that fit into HTTP (RFC 9110, 5.1 and 5.5): others would fail each request instead of the start. */
function readHeaders(env: Environment): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const { key, value } of readMap(env.secret("AUTO_SCALE_WEBHOOK_HEADERS") ?? "")) {
    const isHeader = /^[\w!#$%&'*+.^`|~-]+$/.test(key) && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
    if (isHeader) headers[key.toLowerCase()] = value;
    else env.problem("AUTO_SCALE_WEBHOOK_HEADERS", "headers such as Authorization=Bearer secret");
  }
  return headers;
}

const readIdleCounts: Reader<"all" | "logins"> = (text) => {
  const counts = text.toLowerCase();
  return counts === "all" || counts === "logins" ? ok(counts) : err("all or logins");
};

function readAllowDeny(
  env: Environment,
  readFile: ReadFile,
  simplifySrv: boolean,
): Config["allowDeny"] {
  const path = env.text("AUTO_SCALE_ALLOW_DENY");
  if (path === "") return null;
  const text = readFile(path);
  const permissions = text.ok ? parseAllowDeny(text.value, simplifySrv) : text;
  if (permissions.ok) return { path, permissions: permissions.value };
  env.problem("AUTO_SCALE_ALLOW_DENY", `an allow and deny file (${permissions.error})`);
  return null;
}

/** What does not fit into an HTTP header (RFC 9110, 5.5) would fail each request instead of the start. */
function readToken(
  env: Environment,
  name: "AUTOMC_WAKER_TOKEN" | "AUTOMC_API_TOKEN",
): string | null {
  const token = env.secret(name);
  if (token === null || /^[\x21-\x7e]+(?: +[\x21-\x7e]+)*$/.test(token)) return token;
  env.problem(name, "printable ASCII without spaces or line feeds around it");
  return null;
}

const readIp: Reader<string> = (text) =>
  isIP(text) === 0 ? err("an IP address such as ::, 0.0.0.0 or 127.0.0.1") : ok(text);

const readPort: Reader<number> = (text) => {
  const port = readInteger(text);
  if (port.ok && port.value >= 0 && port.value <= 65_535) return port;
  return err("an integer from 0 to 65535");
};

const readLogFormat: Reader<"logfmt" | "json"> = (text) => {
  const format = text.toLowerCase();
  return format === "logfmt" || format === "json" ? ok(format) : err("logfmt or json");
};
