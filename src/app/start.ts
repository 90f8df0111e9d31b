import { createReadiness } from "../admin/health.ts";
import { createDeadlines, type Deadlines } from "../base/deadlines.ts";
import { formatDuration } from "../base/go-text.ts";
import { nearestName } from "../base/nearest-name.ts";
import { ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import { type AcceptQueue, createAcceptQueue } from "../limits/accept-queue.ts";
import type { Listener } from "../net/listen.ts";
import { createCallbackRelay } from "../net/relay/callbacks.ts";
import type { CreateLoginRelay } from "../net/relay/relay.ts";
import { openThreads } from "../net/relay/threads.ts";
import type { Observer } from "../observe/bus.ts";
import type { Metrics } from "../observe/metrics.ts";
import { createSummaries } from "../observe/summaries.ts";
import { createStaticRoutes, type StaticRoutes } from "../providers/static/static-routes.ts";
import { type Supervisor, superviseSources } from "../providers/supervisor.ts";
import type { RouteSource } from "../routing/source.ts";
import { createRouteTable, type RouteTable } from "../routing/table.ts";
import { openingMs } from "../session/opening.ts";
import { type LiveSession, overflow, type Sessions } from "../session/sessions.ts";
import { openStatusStore, statusPath } from "../session/status-store.ts";
import type { InheritedSocket } from "../system/activation.ts";
import { losesHandshakes } from "../system/port-sharing.ts";
import { type AllowDenyFile, openAllowDenyFile } from "./allow-deny-file.ts";
import { openApis, type RouterView } from "./api.ts";
import { type Backends, createBackends } from "./backends.ts";
import { noRoutesAdvice } from "./no-routes.ts";
import { openPorts } from "./ports.ts";
import { createPlatforms, sourcesOf } from "./providers.ts";
import { openSessions } from "./sessions.ts";

/** A router that is running. */
export interface App {
  readonly port: number;
  /** How many routes there are. */
  routes(): number;
  /** False when clients wait in the kernel and it has handed none over since the last call. */
  isAccepting(): boolean;
  /** Resolves when each source has published for the first time, or when the signal aborts. */
  firstRoutes(signal: AbortSignal): Promise<void>;
  /** Reads again what may have changed: the routes file, and the list of players that may start servers. */
  reload(): Promise<void>;
  /**
   * Refuses new clients, tells waiting players, and resolves when the last session is over: at the latest
   * after the drain timeout, and at once when the signal aborts. A second call joins the first.
   */
  stop(reason: string, now: AbortSignal): Promise<void>;
}

/** What a router needs of the host. */
export interface AppDeps {
  readonly emit: Observer;
  readonly metrics: Metrics;
  readonly view: RouterView;
  /** How many sessions there are file descriptors for. */
  readonly sessionLimit: number;
  /** The script of a relay thread, as this program has it. */
  readonly relayScript: URL;
  /** Listening sockets that the service manager passed on; none: the router opens its own. */
  readonly inherited?: readonly InheritedSocket[];
}

/** Every room of a router, before its port is open. */
interface Router extends Reports {
  readonly config: Config;
  readonly deadlines: Deadlines;
  readonly metrics: Metrics;
  readonly view: RouterView;
  readonly table: RouteTable;
  readonly staticRoutes: StaticRoutes;
  readonly supervisor: Supervisor;
  readonly readiness: ReturnType<typeof createReadiness>;
  readonly backends: Backends;
  readonly allowDeny: AllowDenyFile;
  readonly queue: AcceptQueue;
  readonly sessions: Sessions;
  readonly sessionLimit: number;
  /** Aborted when the router stops: no login waits any longer. */
  readonly stopping: AbortController;
  readonly closers: Closers;
}

interface Reports {
  readonly emit: Observer;
  fault(error: Error): void;
  warn(message: string): void;
}

/**
 * How long the port stays closed for routes that are still being read, ms: a player should not find the
 * router empty.
 */
const firstRoutesMs = 5_000;

/**
 * The same where another instance serves the port meanwhile: an upgrade must not replace its routes by none.
 */
const sharedFirstRoutesMs = 30_000;

/** Pause between two looks at the clients that have not said what they want, ms. */
const openingsPollMs = 50;

const oneAtATime =
  "CONNECTION_RATE_LIMIT=1, its default, serves one client a second: the server lists of a few players wait; set 1000";

const handshakesAreLost =
  "AUTOMC_REUSE_PORT without net.ipv4.tcp_migrate_req=1: clients that connect at the moment when an instance stops are disconnected";

/** Builds every room and opens the port. The error is one readable phrase. */
export async function start(config: Config, deps: AppDeps): Promise<Result<App, string>> {
  const { inherited = [] } = deps;
  const opened = await open(config, deps);
  if (!opened.ok) return opened;
  const router = opened.value;
  const serving = await serve(router, inherited);
  if (!serving.ok) {
    await router.closers.close();
    return serving;
  }
  const listener = serving.value;
  const isPortShared = config.listen.shared || inherited.length > 0;

  const { emit, table, allowDeny, staticRoutes } = router;
  let draining: Promise<void> | null = null;
  return ok({
    port: listener.port,
    routes: () => [...table.size().routes.values()].reduce((sum, count) => sum + count, 0),
    isAccepting: listener.isAccepting,
    firstRoutes: router.supervisor.firstRoutes,
    async reload() {
      emit({ kind: "reloading" });
      await allowDeny.reload();
      await staticRoutes.reload();
      router.supervisor.reload();
      emit({ kind: "reloaded" });
    },
    stop(reason, now) {
      draining ??= drain(router, listener, isPortShared, reason, now);
      return draining;
    },
  });
}

/** Builds the rooms and starts the sources; nothing listens yet. */
async function open(config: Config, deps: AppDeps): Promise<Result<Router, string>> {
  const deadlines = createDeadlines();
  const closers = createClosers();
  const observers = [deps.emit];
  const reports = createReports(observers);
  const { emit, fault, warn } = reports;

  const { simplifySrv } = config;
  const staticRoutes = createStaticRoutes({ ...config.routesFile, simplifySrv, emit });
  const loaded = await staticRoutes.load();
  if (!loaded.ok) return loaded;

  const table = createRouteTable();
  const platforms = createPlatforms(config);
  const snapshot = config.postgres?.snapshot ?? null;
  const statuses = await openStatusStore(snapshot && statusPath(snapshot), { deadlines, warn });
  closers.push(statuses.stop);

  const { startTimes } = statuses;
  const backends = createBackends(config, platforms, { deadlines, emit, fault, startTimes });
  const sources = sourcesOf(config, platforms, staticRoutes, emit);
  const supervisor = supervise(sources, table, backends, reports);
  const names = sources.map(({ name }) => name);
  const readiness = createReadiness({ sources: names, published: supervisor.published });
  observers.push(readiness.observe, passOverCluster(supervisor));
  closers.push(supervisor.stop);
  closers.push(backends.idle.stop);

  const allowDeny = openAllowDenyFile(config, warn);

  const stopping = new AbortController();
  const sessionLimit = limitOf(config, deps.sessionLimit, warn);
  const places = { served: sessionLimit, overflow: Math.min(overflow, sessionLimit) };
  const queue = createAcceptQueue({ perSecond: config.listen.connectionsPerSecond });
  const { sessions, refusals } = openSessions(
    { ...config, places },
    {
      ...backends,
      deadlines,
      table,
      queue,
      statusMemory: statuses.memory,
      stopping: stopping.signal,
      createRelay: loginRelay(config, deadlines, deps.relayScript, reports),
      wakePermissions: allowDeny.permissions,
      emit,
    },
  );
  observers.push(
    createSummaries({
      deadlines,
      emit: deps.emit,
      near: (hostname) => nearHostname(table, hostname),
      queueMs: queue.waitMs,
      perSecond: config.listen.connectionsPerSecond,
    }),
  );
  deps.metrics.attach({
    sessions: sessions.count,
    liveBytes: () => liveBytes(sessions.list()),
    routes: () => table.size().routes,
    rateLimitAvailable: queue.available,
    refusals,
    forbiddenDials: backends.egress.refused,
  });
  return ok({
    ...reports,
    config,
    deadlines,
    metrics: deps.metrics,
    view: deps.view,
    table,
    staticRoutes,
    supervisor,
    readiness,
    backends,
    allowDeny,
    queue,
    sessions,
    sessionLimit,
    stopping,
    closers,
  });
}

/** Opens the API, waits for the first routes, and opens the ports for players. */
async function serve(
  router: Router,
  inherited: readonly InheritedSocket[],
): Promise<Result<Listener, string>> {
  const { config, deadlines, supervisor, sessions, emit, fault, warn } = router;
  const api = await openApis(router);
  if (!api.ok) return api;
  for (const close of api.value) router.closers.push(close);

  const patience = new AbortController();
  const late = deadlines.after(config.listen.shared ? sharedFirstRoutesMs : firstRoutesMs, () =>
    patience.abort(),
  );
  await supervisor.firstRoutes(patience.signal);
  late.cancel();

  const opened = openPorts(config, inherited, sessions, fault);
  if (!opened.ok) return opened;
  const { address, port, endpoints, fixed } = opened.value;
  for (const endpoint of endpoints) router.backends.egress.listens(endpoint.ip, endpoint.port);
  const advice = noRoutesAdvice(config);
  if (advice !== null) warn(`there is no route, so no player gets in: ${advice}`);
  if (config.listen.connectionsPerSecond === 1) warn(oneAtATime);
  for (const { listener, hostname } of fixed) {
    emit({ kind: "listening-for", address: listener.address, port: listener.port, hostname });
  }
  emit({ kind: "listening", address, port, sessionLimit: router.sessionLimit });
  if (config.listen.shared && inherited.length === 0 && losesHandshakes()) warn(handshakesAreLost);
  return opened;
}

/** Closes the port, lets sessions end, and closes every room. */
async function drain(
  router: Router,
  listener: Listener,
  isPortShared: boolean,
  signal: string,
  now: AbortSignal,
): Promise<void> {
  const { deadlines, sessions, emit } = router;
  const drainMs = router.config.drainTimeoutMs;
  const until = deadlines.now() + drainMs;
  emit({ kind: "draining", signal, sessions: sessions.count(), drainMs });
  listener.stop();
  // Another instance takes the port's players from here on. Clients that this one has accepted already are
  // still served, and those in its accept queue do not wait for their turn: it would not come before the end.
  if (isPortShared) {
    router.queue.stop();
    await openingsOver(sessions, Math.min(openingMs, drainMs), deadlines, now);
  }
  router.backends.idle.stop();
  router.stopping.abort();
  const cut = await sessions.drain(Math.max(0, until - deadlines.now()), now);
  await router.closers.close();
  emit({ kind: "stopped", cut });
}

function createReports(observers: readonly Observer[]): Reports {
  const emit: Observer = (event) => {
    for (const observe of observers) observe(event);
  };
  return {
    emit,
    fault: (error) => emit({ kind: "fault", error }),
    warn: (message) => emit({ kind: "setting-warning", message }),
  };
}

/** What has been opened so far, to be closed in the opposite order. */
interface Closers {
  push(closer: () => void | Promise<void>): void;
  close(): Promise<void>;
}

function createClosers(): Closers {
  const closers: (() => void | Promise<void>)[] = [];
  return {
    push: (closer) => void closers.push(closer),
    async close() {
      for (const closer of closers.toReversed()) await closer();
    },
  };
}

/**
 * The way logins are relayed: on threads where the operator and the system allow it, else in the callbacks.
 */
function loginRelay(
  { relay: { mode, threads } }: Config,
  deadlines: Deadlines,
  script: URL,
  { fault, warn }: Reports,
): CreateLoginRelay {
  const callbacks = createCallbackRelay(deadlines);
  if (mode === "callbacks" || process.platform !== "linux") return callbacks;
  const opened = openThreads({ deadlines, threads, script, fault });
  if (opened.ok) return opened.value;
  warn(`AUTOMC_RELAY: no relay threads, players are relayed by the main thread: ${opened.error}`);
  return callbacks;
}

/** Runs the sources; wakes and idle times follow what changes in the table. */
function supervise(
  sources: readonly RouteSource[],
  table: RouteTable,
  { wakes, idle }: Backends,
  { emit, fault }: Reports,
): Supervisor {
  return superviseSources(sources, {
    table,
    changed: (source, changes) => {
      wakes.routesChanged(changes);
      idle.routesChanged(changes);
      emit({ kind: "routes-changed", source, changes });
    },
    fault: (error, source, nextMs) => {
      fault(error);
      const routes = table.size().routes.get(source) ?? 0;
      const reason = `a fault in the router; the source is run anew in ${formatDuration(nextMs)}`;
      emit({ kind: "source-lost", source, routes, reason });
    },
  });
}

/**
 * As mc-router does, the start does not wait for a cluster whose API cannot be reached; the source keeps
 * trying.
 */
const passOverCluster =
  (supervisor: Supervisor): Observer =>
  (event) => {
    if (event.kind === "source-lost" && event.source === "kubernetes") {
      supervisor.passOver(event.source);
    }
  };

/** Longer hostnames are compared with none. */
const longestCompared = 64;
/** In a table of more hostnames than this, none is looked for. */
const comparedHostnames = 2_000;

/** The hostname with a route that a client most likely meant; null when none is near. */
function nearHostname(table: RouteTable, hostname: string): string | null {
  if (hostname.length > longestCompared || table.size().claims > comparedHostnames) return null;
  return nearestName(
    hostname,
    table.entries().flatMap(({ pattern }) => (pattern.kind === "exact" ? [pattern.hostname] : [])),
    Math.max(1, Math.floor(hostname.length / 6)),
  );
}

/** How many sessions there may be: as many as the operator wants, if there are file descriptors for them. */
function limitOf(config: Config, possible: number, warn: (message: string) => void): number {
  const wanted = config.limits.connections.total ?? possible;
  if (wanted <= possible) return wanted;
  warn(`AUTOMC_MAX_CONNECTIONS=${wanted}: the limit of file descriptors allows ${possible}`);
  return possible;
}

/** Waits until no client is about to say what it wants, for at most `ms` and until the signal aborts. */
async function openingsOver(
  sessions: Sessions,
  ms: number,
  deadlines: Deadlines,
  now: AbortSignal,
): Promise<void> {
  const until = deadlines.now() + ms;
  const isOpening = ({ facts }: LiveSession): boolean => facts.intent === null;
  while (deadlines.now() < until && sessions.list().some(isOpening)) {
    if (!(await deadlines.sleep(openingsPollMs, now))) return;
  }
}

function liveBytes(live: readonly LiveSession[]): { toBackend: number; toClient: number } {
  const sum = { toBackend: 0, toClient: 0 };
  for (const { relayed } of live) {
    sum.toBackend += relayed?.toBackend ?? 0;
    sum.toClient += relayed?.toClient ?? 0;
  }
  return sum;
}
