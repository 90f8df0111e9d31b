import { readFile } from "node:fs/promises";
import { createReadiness } from "./admin/health.ts";
import { startAdminServer } from "./admin/server.ts";
import { createControlPlane } from "./backend/control-plane.ts";
import { createFleet } from "./backend/fleet.ts";
import { createIdle } from "./backend/idle.ts";
import { createWebhook } from "./backend/webhook.ts";
import { parseAllowDeny } from "./config/allow-deny.ts";
import type { Config } from "./config/config.ts";
import { createAddressSet, createClientFilter } from "./net/cidr.ts";
import { createDeadlines } from "./net/deadlines.ts";
import { createDialer } from "./net/dial.ts";
import { listen } from "./net/listen.ts";
import { createAcceptQueue } from "./net/rate.ts";
import { createResolver } from "./net/resolve.ts";
import type { Observer } from "./observe/bus.ts";
import type { Metrics } from "./observe/metrics.ts";
import { err, ok, type Result } from "./result.ts";
import { type Route, wakeName } from "./routing/route.ts";
import type { RouteSource } from "./routing/source.ts";
import { createRouteTable } from "./routing/table.ts";
import { createSessions, type LiveSession } from "./session/sessions.ts";
import { createStatusCache } from "./session/status-cache.ts";
import { everybody } from "./session/wake-permission.ts";
import { createEnvSource } from "./sources/env.ts";
import { createPostgresSource } from "./sources/postgres.ts";
import { scaledByWebhook } from "./sources/scaled.ts";
import { createStaticRoutes, type StaticRoutes } from "./sources/static-routes.ts";
import { superviseSources } from "./sources/supervisor.ts";
import { openStatusStore, statusPath } from "./status-store.ts";
import { messageOf } from "./thrown.ts";

/** A router that is running. */
export interface App {
  readonly port: number;
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
}

/** mc-router's least time for an attempt to connect to a backend that is being woken, ms. */
const leastAttemptMs = 250;

/** How long the port stays closed for routes that are still being read, ms: a player should not find the router empty. */
const firstRoutesMs = 5_000;

/** Builds every room and opens the port. The error is one readable phrase. */
export async function start(config: Config, deps: AppDeps): Promise<Result<App, string>> {
  const { sessionLimit, metrics } = deps;
  const emit: Observer = (event) => {
    readiness.observe(event);
    deps.emit(event);
  };
  const fault = (error: Error): void => emit({ kind: "fault", error });
  const deadlines = createDeadlines();
  const stopping = new AbortController();

  const table = createRouteTable();
  const staticRoutes = createStaticRoutes({
    ...config.routesFile,
    simplifySrv: config.simplifySrv,
    emit: (event) => emit(event),
  });
  const sources = sourcesOf(config, staticRoutes, (event) => emit(event));
  const readiness = createReadiness({
    sources: sources.map(({ name }) => name),
    published: () => table.size().routes,
  });
  const loaded = await staticRoutes.load();
  if (!loaded.ok) return loaded;

  const resolver = createResolver({});
  const dialer = createDialer({ resolver, deadlines, timeoutMs: config.dialTimeoutMs, fault });
  const { waker, scaler } = config;
  const attemptMs = Math.max(leastAttemptMs, config.dialTimeoutMs);
  const fleet = createFleet({
    wakers: {
      "control-plane": waker && createControlPlane({ ...waker, deadlines, emit }),
      webhook: scaler && createWebhook({ ...scaler, attemptMs, deadlines, emit }),
    },
    dialer: createDialer({ resolver, deadlines, timeoutMs: attemptMs, fault }),
    deadlines,
    emit,
  });
  const idle = createIdle({
    ...config.idle,
    deadlines,
    canStop: fleet.canStop,
    stop: fleet.stop,
    orphaned: fleet.forget,
    emit,
    fault,
  });

  const supervisor = superviseSources(sources, {
    table,
    changed: (source, changes) => {
      idle.routesChanged(changes);
      emit({ kind: "routes-changed", source, changes });
    },
    fault: (error, source) => {
      fault(error);
      const routes = table.size().routes.get(source) ?? 0;
      emit({
        kind: "source-lost",
        source,
        routes,
        reason: "a defect ended it; restart the router",
      });
    },
  });
  let wakePermissions = config.allowDeny?.permissions ?? everybody;

  const { receive, send } = config.proxyProtocol;
  const snapshot = config.postgres?.snapshot ?? null;
  const statuses = await openStatusStore(snapshot && statusPath(snapshot), {
    deadlines,
    warn: (message) => emit({ kind: "setting-warning", message }),
  });
  const queue = createAcceptQueue({ perSecond: config.listen.connectionsPerSecond });
  const sessions = createSessions({
    queue,
    limit: sessionLimit,
    table,
    dialer,
    fleet,
    idle,
    wakePermissions: () => wakePermissions,
    deadlines,
    emit,
    proxies: receive && { trusted: receive.trusted && createAddressSet(receive.trusted) },
    filter: createClientFilter(config.clients),
    sendProxyProtocol: send,
    statusMemory: statuses.memory,
    statusCache:
      config.statusCacheMs === 0
        ? null
        : createStatusCache({ maxAgeMs: config.statusCacheMs, deadlines }),
    simplifySrv: config.simplifySrv,
    asleepText: config.motd.asleep,
    loadingText: config.motd.loading,
    hasLoadingText: (config.motd.loading || config.motd.asleep) !== "",
    hold: config.hold,
    transferAsLogin: config.transferAsLogin,
    stopping: stopping.signal,
  });

  metrics.attach({
    sessions: sessions.count,
    liveBytes: () => liveBytes(sessions.list()),
    routes: () => table.size().routes,
    rateLimitAvailable: queue.available,
  });

  const admin =
    config.api &&
    (await startAdminServer({
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
    }));
  if (admin?.ok === false) {
    idle.stop();
    await supervisor.stop();
    return admin;
  }
  if (admin?.ok) emit({ kind: "api-listening", binding: admin.value.binding });

  const patience = new AbortController();
  const patienceOver = deadlines.after(firstRoutesMs, () => patience.abort());
  await supervisor.firstRoutes(patience.signal);
  patienceOver.cancel();

  const { bind, port } = config.listen;
  const listener = listen({ bind, port, accept: sessions.accept, fault });
  if (!listener.ok) {
    if (admin?.ok) await admin.value.stop();
    idle.stop();
    await supervisor.stop();
    return err(listener.error);
  }
  emit({
    kind: "listening",
    address: listener.value.address,
    port: listener.value.port,
    sessionLimit,
  });

  async function end(reason: string, now: AbortSignal): Promise<void> {
    emit({
      kind: "draining",
      signal: reason,
      sessions: sessions.count(),
      drainMs: config.drainTimeoutMs,
    });
    if (listener.ok) listener.value.stop();
    stopping.abort();
    idle.stop();
    const cut = await sessions.drain(config.drainTimeoutMs, now);
    if (admin?.ok) await admin.value.stop();
    await Promise.all([supervisor.stop(), statuses.stop()]);
    emit({ kind: "stopped", cut });
  }

  let ending: Promise<void> | null = null;
  const stop = (reason: string, now: AbortSignal): Promise<void> => {
    ending ??= end(reason, now);
    return ending;
  };
  /** A file that cannot be used changes nothing. */
  async function reloadPermissions(path: string): Promise<void> {
    const text = await readText(path);
    const read = text.ok ? parseAllowDeny(text.value, config.simplifySrv) : text;
    if (read.ok) {
      wakePermissions = read.value;
      return;
    }
    const message = `AUTO_SCALE_ALLOW_DENY=${path} cannot be used, what it said before stays in force: ${read.error}`;
    emit({ kind: "setting-warning", message });
  }

  const reload = async (): Promise<void> => {
    emit({ kind: "reloading" });
    if (config.allowDeny !== null) await reloadPermissions(config.allowDeny.path);
    await staticRoutes.reload();
  };
  return ok({ port: listener.value.port, reload, stop });
}

/** What the API calls a route's scaling target: the backend that is scaled; empty for one that is not. */
const scalingTarget = ({ wake }: Route): string => (wake === null ? "" : wakeName(wake));

async function readText(path: string): Promise<Result<string, string>> {
  try {
    return ok(await readFile(path, "utf8"));
  } catch (cause) {
    return err(messageOf(cause));
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

/** Every place that routes come from. A new one is one line here. */
export function sourcesOf(
  config: Config,
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
  return sources;
}
