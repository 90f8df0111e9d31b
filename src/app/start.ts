import type { Deadlines } from "../base/deadlines.ts";
import { ok, type Result } from "../base/result.ts";
import type { Config } from "../config/config.ts";
import type { Listener } from "../net/listen.ts";
import { openingMs } from "../session/opening.ts";
import type { LiveSession, Sessions } from "../session/sessions.ts";
import type { InheritedSocket } from "../system/activation.ts";
import { losesHandshakes } from "../system/port-sharing.ts";
import { openApis } from "./api.ts";
import { noRoutesAdvice } from "./no-routes.ts";
import { openPorts } from "./ports.ts";
import { openRouter, type Router, type RouterDeps } from "./router.ts";

/** A router that is running. */
export interface App {
  readonly port: number;
  /** How many routes there are. */
  routes(): number;
  /** False when clients wait in the kernel and it has handed none over since the last call. */
  isAccepting(): boolean;
  /** Resolves when each source has published for the first time, or when the signal aborts. */
  firstRoutes(signal: AbortSignal): Promise<void>;
  /**
   * Reads again what may have changed: secrets in files, the routes file, and the list of players that
   * may start servers.
   */
  reload(): Promise<void>;
  /**
   * Refuses new clients, tells waiting players, and resolves when the last session is over: at the latest
   * after the drain timeout, and at once when the signal aborts. A second call joins the first.
   */
  stop(reason: string, now: AbortSignal): Promise<void>;
}

/** What a running router needs of the host. */
export interface AppDeps extends RouterDeps {
  /** Listening sockets that the service manager passed on; none: the router opens its own. */
  readonly inherited?: readonly InheritedSocket[];
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
  const opened = await openRouter(config, deps);
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
      router.secrets.reload();
      await staticRoutes.reload();
      router.supervisor.reload();
      emit({ kind: "reloaded" });
    },
    stop(reason, now) {
      draining ??= drain(router, { listener, isPortShared }, reason, now);
      return draining;
    },
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
  { listener, isPortShared }: { readonly listener: Listener; readonly isPortShared: boolean },
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
