import { createReadiness } from "../admin/health.ts";
import { startAdminServer } from "../admin/server.ts";
import { createDeadlines, type Deadlines } from "../base/deadlines.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import type { Limits } from "../config/limits.ts";
import { createAcceptQueue } from "../limits/accept-queue.ts";
import { createAddressSet, createClientFilter } from "../limits/cidr.ts";
import { createClientLimits } from "../limits/client-limits.ts";
import {
  type ConnectionLimiter,
  type ConnectionLimiterDeps,
  createConnectionLimiter,
} from "../limits/connection-limiter.ts";
import { createEgress, type Egress } from "../limits/egress.ts";
import { createWakeBudget } from "../limits/wake-budget.ts";
import { createDialer, type Dialer } from "../net/dial.ts";
import { listen, listenOn } from "../net/listen.ts";
import { createResolver } from "../net/resolve.ts";
import type { Observer } from "../observe/bus.ts";
import type { Metrics } from "../observe/metrics.ts";
import { createControlPlane } from "../providers/control-plane/waker.ts";
import { createDockerSource } from "../providers/docker/source.ts";
import { createDockerWaker } from "../providers/docker/waker.ts";
import { createKubernetesSource } from "../providers/kubernetes/source.ts";
import { createKubernetesWaker } from "../providers/kubernetes/waker.ts";
import { createPostgresSource } from "../providers/postgres/source.ts";
import { createEnvSource } from "../providers/static/env.ts";
import { createStaticRoutes, type StaticRoutes } from "../providers/static/static-routes.ts";
import { type Supervisor, superviseSources } from "../providers/supervisor.ts";
import { createSwarmSource } from "../providers/swarm/source.ts";
import { createSwarmWaker } from "../providers/swarm/waker.ts";
import { scaledByWebhook } from "../providers/webhook/scaled.ts";
import { createWebhook } from "../providers/webhook/waker.ts";
import { type Route, wakeId } from "../routing/route.ts";
import type { RouteSource } from "../routing/source.ts";
import { createRouteTable } from "../routing/table.ts";
import { createHolds } from "../session/hold.ts";
import { openingMs } from "../session/opening.ts";
import { createRecentDialFailures } from "../session/recent-dial-failures.ts";
import { createRefusals } from "../session/refusals.ts";
import { createSessions, type LiveSession, overflow, type Sessions } from "../session/sessions.ts";
import { createStatusCache } from "../session/status-cache.ts";
import { openStatusStore, statusPath } from "../session/status-store.ts";
import type { InheritedSocket } from "../system/activation.ts";
import { losesHandshakes } from "../system/port-sharing.ts";
import { createIdle, type Idle } from "../wake/idle.ts";
import { createWakes, type Wakes } from "../wake/wakes.ts";
import { openAllowDenyFile } from "./allow-deny-file.ts";
import { createPlatforms, type Platforms } from "./providers.ts";

/** A router that is running. */
export interface App {
  readonly port: number;
  /** How many routes there are. */
  routes(): number;
  /** False when clients wait in the kernel and it has handed none over since the last call. */
  isAccepting(): boolean;
  /** Reads again what may have changed: the routes file, and the one that says who may start servers. */
  reload(): Promise<void>;
  /**
   * Refuses new clients, tells waiting players, and resolves when the last session is over: at the latest after the drain
   * timeout, and at once when the signal aborts. A second call joins the first.
   */
  stop(reason: string, now: AbortSignal): Promise<void>;
}

/** What a router needs of the host. */
export interface AppDeps {
  readonly emit: Observer;
  readonly metrics: Metrics;
  /** How many sessions there are file descriptors for. */
  readonly sessionLimit: number;
  /** Sockets for clients that somebody else has opened; none: the router opens its own. */
  readonly inherited?: readonly InheritedSocket[];
}

/** mc-router's least time for an attempt to connect to a backend that is being woken, ms. */
const leastAttemptMs = 250;

/** How long the port stays closed for routes that are still being read, ms: a player should not find the router empty. */
const firstRoutesMs = 5_000;

/** Pause between two looks at who is still opening, ms. */
const openingsPollMs = 50;

const handshakesAreLost =
  "AUTOMC_REUSE_PORT without net.ipv4.tcp_migrate_req=1: whoever is just connecting when an instance stops is disconnected";

/** Builds every room and opens the port. The error is one readable phrase. */
export async function start(config: Config, deps: AppDeps): Promise<Result<App, string>> {
  const { metrics, inherited = [] } = deps;
  const emit: Observer = (event) => {
    readiness.observe(event);
    deps.emit(event);
  };
  const fault = (error: Error): void => emit({ kind: "fault", error });
  const warn = (message: string): void => emit({ kind: "setting-warning", message });
  const deadlines = createDeadlines();
  const stopping = new AbortController();
  const opened = createOpened();

  const table = createRouteTable();
  const platforms = createPlatforms(config);
  const staticRoutes = createStaticRoutes({
    ...config.routesFile,
    simplifySrv: config.simplifySrv,
    emit: (event) => emit(event),
  });
  const sources = sourcesOf(config, platforms, staticRoutes, (event) => {
    // mc-router does not wait for a cluster's API, and tries it again for as long as it takes.
    if (event.kind === "source-lost" && event.source === "kubernetes") {
      supervisor.passOver(event.source);
    }
    emit(event);
  });
  const readiness = createReadiness({
    sources: sources.map(({ name }) => name),
    published: () => supervisor.published(),
  });
  const loaded = await staticRoutes.load();
  if (!loaded.ok) return loaded;

  const egress = createEgress(config.egress);
  const { dialer, fleet, idle } = buildBackends(config, platforms, {
    deadlines,
    egress,
    emit,
    fault,
  });
  const supervisor = superviseSources(sources, {
    table,
    changed: (source, changes) => {
      fleet.routesChanged(changes);
      idle.routesChanged(changes);
      emit({ kind: "routes-changed", source, changes });
    },
    fault: (error, source) => {
      fault(error);
      const routes = table.size().routes.get(source) ?? 0;
      emit({ kind: "source-lost", source, routes, reason: "a defect; restart the router" });
    },
  });
  opened.push(supervisor.stop);
  opened.push(idle.stop);

  const allowDeny = openAllowDenyFile(config, warn);
  const snapshot = config.postgres?.snapshot ?? null;
  const statuses = await openStatusStore(snapshot && statusPath(snapshot), { deadlines, warn });
  opened.push(statuses.stop);

  const sessionLimit = limitOf(config, deps.sessionLimit, warn);
  const settings = sessionSettings(config, deadlines);
  const refusals = createRefusals({ deadlines, emit });
  const queue = createAcceptQueue({ perSecond: config.listen.connectionsPerSecond });
  const sessions = createSessions({
    ...settings,
    queue,
    limit: sessionLimit,
    limiter: connectionLimiterFor(config.limits, sessionLimit, settings.proxies, refusals.count),
    table,
    dialer,
    fleet,
    idle,
    wakePermissions: allowDeny.permissions,
    statusMemory: statuses.memory,
    deadlines,
    emit,
    holds: createHolds(
      stopping.signal,
      config.limits.connections.holding ?? Math.ceil(sessionLimit / 2),
    ),
  });
  metrics.attach({
    sessions: sessions.count,
    liveBytes: () => liveBytes(sessions.list()),
    routes: () => table.size().routes,
    rateLimitAvailable: queue.available,
    refusals: refusals.counts,
    forbiddenDials: egress.refused,
  });

  if (config.api !== null) {
    const admin = await startAdminServer({
      ...config.api,
      table,
      routes: staticRoutes,
      simplifySrv: config.simplifySrv,
      scalingTarget,
      notReady: readiness.notReady,
      sessions: sessions.list,
      metrics: metrics.prometheusResponse,
      vars: metrics.varsResponse,
      fault,
    });
    if (!admin.ok) return opened.closeBecause(admin.error);
    opened.push(admin.value.stop);
    emit({ kind: "api-listening", binding: admin.value.binding });
  }

  await firstRoutes(supervisor, deadlines);
  const hooks = { admits: sessions.admits, accept: sessions.accept, fault };
  const isInherited = inherited.length > 0;
  const opening = isInherited ? listenOn(inherited, hooks) : listen({ ...config.listen, ...hooks });
  if (!opening.ok) return opened.closeBecause(opening.error);
  const { value: listener } = opening;
  for (const { ip, port } of listener.endpoints) egress.listens(ip, port);
  emit({ kind: "listening", address: listener.address, port: listener.port, sessionLimit });
  if (config.listen.shared && !isInherited && losesHandshakes()) warn(handshakesAreLost);

  async function drain(signal: string, now: AbortSignal): Promise<void> {
    const drainMs = config.drainTimeoutMs;
    const until = deadlines.now() + drainMs;
    emit({ kind: "draining", signal, sessions: sessions.count(), drainMs });
    listener.stop();
    // Others go on taking players at the port; whoever came here a moment too early for them is served all the same.
    if (isInherited || config.listen.shared) {
      await openingsOver(sessions, Math.min(openingMs, drainMs), deadlines, now);
    }
    idle.stop();
    stopping.abort();
    const cut = await sessions.drain(Math.max(0, until - deadlines.now()), now);
    await opened.close();
    emit({ kind: "stopped", cut });
  }

  let draining: Promise<void> | null = null;
  return ok({
    port: listener.port,
    routes: () => [...table.size().routes.values()].reduce((sum, count) => sum + count, 0),
    isAccepting: listener.isAccepting,
    async reload() {
      emit({ kind: "reloading" });
      await allowDeny.reload();
      await staticRoutes.reload();
      emit({ kind: "reloaded" });
    },
    stop(reason, now) {
      draining ??= drain(reason, now);
      return draining;
    },
  });
}

/** What has been opened so far, and has to be closed in the opposite order. */
function createOpened() {
  const closers: (() => void | Promise<void>)[] = [];

  async function close(): Promise<void> {
    for (const closer of closers.toReversed()) await closer();
  }

  return {
    push: (closer: () => void | Promise<void>) => void closers.push(closer),
    close,
    /** For a start that cannot go on. */
    async closeBecause(reason: string): Promise<Result<never, string>> {
      await close();
      return err(reason);
    },
  };
}

/** The way to backends, and what brings them up and to sleep. */
function buildBackends(
  config: Config,
  { docker, swarm, kubernetes }: Platforms,
  deps: {
    readonly deadlines: Deadlines;
    readonly egress: Egress;
    readonly emit: Observer;
    readonly fault: (error: Error) => void;
  },
): { readonly dialer: Dialer; readonly fleet: Wakes; readonly idle: Idle } {
  const { waker, scaler, dialTimeoutMs: timeoutMs } = config;
  const resolver = createResolver({});
  const attemptMs = Math.max(leastAttemptMs, timeoutMs);
  const fleet = createWakes({
    ...deps,
    wakers: {
      "control-plane": waker && createControlPlane({ ...waker, ...deps }),
      webhook: scaler && createWebhook({ ...scaler, ...deps, attemptMs }),
      kubernetes:
        kubernetes &&
        createKubernetesWaker({ ...kubernetes, awaitPods: config.kubernetes?.awaitPods ?? false }),
      docker: docker && createDockerWaker(docker),
      swarm: swarm && createSwarmWaker(swarm),
    },
    budget: createWakeBudget({
      ...config.limits.wakes,
      exempt: createAddressSet(config.limits.client.exempt),
      now: deps.deadlines.now,
    }),
    dialer: createDialer({ ...deps, resolver, timeoutMs: attemptMs }),
  });
  const idle = createIdle({
    ...config.idle,
    ...deps,
    canStop: fleet.canStop,
    stop: fleet.stop,
    orphaned: fleet.forget,
  });
  return { dialer: createDialer({ ...deps, resolver, timeoutMs }), fleet, idle };
}

/** What the operator has decided about sessions. */
function sessionSettings(config: Config, deadlines: Deadlines) {
  const { receive, send } = config.proxyProtocol;
  const { asleep, loading } = config.motd;
  const maxAgeMs = config.statusCacheMs;
  return {
    proxies: receive && { trusted: receive.trusted && createAddressSet(receive.trusted) },
    filter: createClientFilter(config.clients),
    sendProxyProtocol: send,
    simplifySrv: config.simplifySrv,
    asleepText: asleep,
    loadingText: loading,
    absences: createRecentDialFailures(deadlines),
    hold: config.hold,
    wakeProof: config.limits.wakes.proof,
    transferAsLogin: config.transferAsLogin,
    statusCache: maxAgeMs === 0 ? null : createStatusCache({ maxAgeMs, deadlines }),
  };
}

/** How many sessions there may be: as many as the operator wants, if there are file descriptors for them. */
function limitOf(config: Config, possible: number, warn: (message: string) => void): number {
  const wanted = config.limits.connections.total ?? possible;
  if (wanted <= possible) return wanted;
  warn(`AUTOMC_MAX_CONNECTIONS=${wanted}: the limit of file descriptors allows ${possible}`);
  return possible;
}

/** Whom there is a place for. */
function connectionLimiterFor(
  { client, connections }: Limits,
  sessionLimit: number,
  proxies: ConnectionLimiterDeps["proxies"],
  refused: ConnectionLimiterDeps["refused"],
): ConnectionLimiter {
  return createConnectionLimiter({
    clients: createClientLimits({ ...client, exempt: createAddressSet(client.exempt) }),
    proxies,
    places: {
      total: sessionLimit + Math.min(overflow, sessionLimit),
      opening: connections.opening ?? Number.POSITIVE_INFINITY,
    },
    refused,
  });
}

/** Waits until every source has been read once, but not for ever. */
async function firstRoutes(supervisor: Supervisor, deadlines: Deadlines): Promise<void> {
  const patience = new AbortController();
  const over = deadlines.after(firstRoutesMs, () => patience.abort());
  await supervisor.firstRoutes(patience.signal);
  over.cancel();
}

/** Waits until nobody is about to say what he wants, for at most `ms` and until the signal aborts. */
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

/** What the API calls a route's scaling target: the backend that is scaled; empty for one that is not. */
const scalingTarget = ({ wake }: Route): string => (wake === null ? "" : wakeId(wake));

function liveBytes(live: readonly LiveSession[]): { toBackend: number; toClient: number } {
  const sum = { toBackend: 0, toClient: 0 };
  for (const { relayed } of live) {
    sum.toBackend += relayed?.toBackend ?? 0;
    sum.toClient += relayed?.toClient ?? 0;
  }
  return sum;
}

/** Every place that routes come from. A new one is one line here. */
export function sourcesOf(
  config: Config,
  { docker, swarm, kubernetes }: Platforms,
  staticRoutes: StaticRoutes,
  emit: Observer,
): readonly RouteSource[] {
  const fixed = [createEnvSource(config.routes), ...staticRoutes.sources];
  const sources: RouteSource[] = config.scaler === null ? fixed : fixed.map(scaledByWebhook);
  if (config.postgres !== null) {
    sources.push(
      createPostgresSource({
        dsn: config.postgres.dsn,
        listenDsn: config.postgres.listenDsn,
        resyncMs: config.postgres.resyncMs,
        snapshotPath: config.postgres.snapshot,
        wakeable: config.waker !== null,
        simplifySrv: config.simplifySrv,
        emit,
      }),
    );
  }
  if (config.kubernetes !== null && kubernetes !== null) {
    sources.push(
      createKubernetesSource({
        ...kubernetes,
        namespace: config.kubernetes.namespace,
        ownNamespace: config.kubernetes.access.ownNamespace,
        scaling: config.scaling,
        simplifySrv: config.simplifySrv,
        emit,
      }),
    );
  }
  const { scaling, simplifySrv } = config;
  if (docker !== null) {
    sources.push(createDockerSource({ api: docker, scaling, simplifySrv, emit }));
  }
  if (swarm !== null) {
    sources.push(createSwarmSource({ api: swarm, scaling, simplifySrv, emit }));
  }
  return sources;
}
