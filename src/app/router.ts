import { createReadiness } from "../admin/health.ts";
import { createDeadlines, type Deadlines } from "../base/deadlines.ts";
import { formatDuration } from "../base/go-text.ts";
import { ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import { type AcceptQueue, createAcceptQueue } from "../limits/accept-queue.ts";
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
import { type LiveSession, overflow, type Sessions } from "../session/sessions.ts";
import type { StatusMemory } from "../session/status-memory.ts";
import { openStatusStore, statusPath } from "../session/status-store.ts";
import { type AllowDenyFile, openAllowDenyFile } from "./allow-deny-file.ts";
import type { RouterView } from "./api.ts";
import { type Backends, createBackends } from "./backends.ts";
import { nearHostname } from "./near-hostname.ts";
import { createPlatforms, sourcesOf } from "./providers.ts";
import { openSecrets, type SecretStore } from "./secrets.ts";
import { openSessions } from "./sessions.ts";

/** What a router needs of the host. */
export interface RouterDeps {
  readonly emit: Observer;
  readonly metrics: Metrics;
  readonly view: RouterView;
  /** How many sessions there are file descriptors for. */
  readonly sessionLimit: number;
  /** The script of a relay thread, as this program has it. */
  readonly relayScript: URL;
}

/** Every room of a router, before its port is open. */
export interface Router extends Routes {
  readonly metrics: Metrics;
  readonly view: RouterView;
  readonly allowDeny: AllowDenyFile;
  readonly queue: AcceptQueue;
  readonly sessions: Sessions;
  readonly sessionLimit: number;
  /** Aborted when the router stops: no login waits any longer. */
  readonly stopping: AbortController;
}

/** Where routes come from, and the backends that they lead to. */
interface Routes extends Ground {
  readonly table: RouteTable;
  readonly staticRoutes: StaticRoutes;
  readonly supervisor: Supervisor;
  readonly readiness: ReturnType<typeof createReadiness>;
  readonly backends: Backends;
  readonly statusMemory: StatusMemory;
}

/** What every room needs. */
interface Ground extends Reports {
  readonly config: Config;
  readonly secrets: SecretStore;
  readonly deadlines: Deadlines;
  /** Told of every event; rooms that exist only later are added. */
  readonly observers: Observer[];
  readonly closers: Closers;
}

interface Reports {
  readonly emit: Observer;
  fault(error: Error): void;
  warn(message: string): void;
}

/** Builds the rooms and starts the sources; nothing listens yet. */
export async function openRouter(
  config: Config,
  deps: RouterDeps,
): Promise<Result<Router, string>> {
  const observers = [deps.emit];
  const reports = createReports(observers);
  const routes = await openRoutes({
    ...reports,
    config,
    secrets: openSecrets(config, reports.warn),
    deadlines: createDeadlines(),
    observers,
    closers: createClosers(),
  });
  return routes.ok ? ok(withSessions(routes.value, deps)) : routes;
}

async function openRoutes(ground: Ground): Promise<Result<Routes, string>> {
  const { config, secrets, deadlines, observers, closers, emit, fault, warn } = ground;
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
  const backing = { deadlines, secrets, emit, fault, startTimes };
  const backends = createBackends(config, platforms, backing);
  const sources = sourcesOf(config, platforms, staticRoutes, emit);
  const supervisor = supervise(sources, table, backends, ground);
  const names = sources.map(({ name }) => name);
  const readiness = createReadiness({ sources: names, published: supervisor.published });
  observers.push(readiness.observe, passOverCluster(supervisor));
  closers.push(supervisor.stop);
  closers.push(backends.idle.stop);
  const statusMemory = statuses.memory;
  return ok({ ...ground, table, staticRoutes, supervisor, readiness, backends, statusMemory });
}

function withSessions(routes: Routes, deps: RouterDeps): Router {
  const { config, deadlines, table, backends, observers, emit, warn } = routes;
  const allowDeny = openAllowDenyFile(config, warn);
  const stopping = new AbortController();
  const sessionLimit = limitOf(config, deps.sessionLimit, warn);
  const places = { served: sessionLimit, overflow: Math.min(overflow, sessionLimit) };
  const perSecond = config.listen.connectionsPerSecond;
  const queue = createAcceptQueue({ perSecond });
  const { sessions, refusals } = openSessions(
    { ...config, places },
    {
      ...backends,
      deadlines,
      table,
      queue,
      statusMemory: routes.statusMemory,
      stopping: stopping.signal,
      createRelay: loginRelay(config, deadlines, deps.relayScript, routes),
      wakePermissions: allowDeny.permissions,
      emit,
    },
  );
  const near = (hostname: string): string | null => nearHostname(table, hostname);
  observers.push(
    createSummaries({ deadlines, emit: deps.emit, near, queueMs: queue.waitMs, perSecond }),
  );
  deps.metrics.attach({
    sessions: sessions.count,
    liveBytes: () => liveBytes(sessions.list()),
    routes: () => table.size().routes,
    rateLimitAvailable: queue.available,
    refusals,
    forbiddenDials: backends.egress.refused,
  });
  const { metrics, view } = deps;
  return { ...routes, metrics, view, allowDeny, queue, sessions, sessionLimit, stopping };
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

/** How many sessions there may be: as many as the operator wants, if there are file descriptors for them. */
function limitOf(config: Config, possible: number, warn: (message: string) => void): number {
  const wanted = config.limits.connections.total ?? possible;
  if (wanted <= possible) return wanted;
  warn(`AUTOMC_MAX_CONNECTIONS=${wanted}: the limit of file descriptors allows ${possible}`);
  return possible;
}

function liveBytes(live: readonly LiveSession[]): { toBackend: number; toClient: number } {
  const sum = { toBackend: 0, toClient: 0 };
  for (const { relayed } of live) {
    sum.toBackend += relayed?.toBackend ?? 0;
    sum.toClient += relayed?.toClient ?? 0;
  }
  return sum;
}
