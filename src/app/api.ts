import type { ApiDeps, LogLevel, ServerActions } from "../admin/api.ts";
import type { Readiness } from "../admin/health.ts";
import { type AdminServerDeps, startAdminServer } from "../admin/server.ts";
import { err, ok, type Result } from "../base/result.ts";
import { toError } from "../base/thrown.ts";
import { build } from "../base/version.ts";
import type { Config } from "../config/config.ts";
import type { Observer } from "../observe/bus.ts";
import type { EventLog } from "../observe/event-log.ts";
import { levels } from "../observe/line.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { Overview } from "../observe/overview.ts";
import type { StaticRoutes } from "../providers/static/static-routes.ts";
import { type Route, wakeId } from "../routing/route.ts";
import type { RouteTable } from "../routing/table.ts";
import type { Sessions } from "../session/sessions.ts";
import { rememberedAs, type StatusMemory } from "../session/status-memory.ts";
import type { Backends } from "./backends.ts";
import type { SecretStore } from "./secrets.ts";

/** What the API shows of the router besides its rooms. */
export interface RouterView {
  readonly overview: Overview;
  readonly events: EventLog;
  readonly logLevel: LogLevel;
}

/** The rooms of the router that the API reaches. */
export interface ApiRooms {
  readonly config: Config;
  readonly secrets: SecretStore;
  readonly metrics: Metrics;
  readonly view: RouterView;
  readonly table: RouteTable;
  readonly staticRoutes: StaticRoutes;
  readonly readiness: Readiness;
  readonly backends: Backends;
  readonly sessions: Sessions;
  readonly statusMemory: StatusMemory;
  readonly stopping: AbortController;
  readonly emit: Observer;
  fault(error: Error): void;
  warn(message: string): void;
}

/**
 * Opens the API where a binding is set, and the control socket. Gives what closes them. A control socket that
 * cannot be opened is a warning; a binding that cannot, an error in one readable phrase.
 */
export async function openApis(rooms: ApiRooms): Promise<Result<readonly Closer[], string>> {
  const { config, secrets, emit, warn } = rooms;
  const deps = depsOf(rooms);
  const closers: Closer[] = [];
  if (config.api !== null) {
    const api = await startAdminServer({
      ...deps,
      ...config.api,
      tokens: () => secrets.current().apiTokens,
    });
    if (!api.ok) return err(api.error);
    closers.push(api.value.stop);
    emit({ kind: "api-listening", binding: api.value.binding });
  }
  if (config.control !== null) {
    const control = await startAdminServer({ ...deps, ...ownersOnly, binding: at(config.control) });
    if (control.ok) closers.push(control.value.stop);
    else warn(`AUTOMC_CONTROL: ${control.error}; status, explain and log cannot reach this router`);
  }
  return ok(closers);
}

type Closer = () => Promise<void>;

const at = (path: string) => ({ kind: "unix", path, takesOver: true }) as const;

/** The mode of the control socket decides who may connect. It needs few places of its own. */
const ownersOnly = {
  tokens: () => ({ change: null, read: null }),
  hosts: [],
  limits: { connections: 16 },
};

function depsOf(rooms: ApiRooms): Omit<AdminServerDeps, "binding" | "tokens" | "hosts"> {
  const { config, view, metrics, sessions, emit } = rooms;
  return {
    build,
    ...view,
    logLevel: announced(view.logLevel, emit),
    table: rooms.table,
    routes: rooms.staticRoutes,
    simplifySrv: config.simplifySrv,
    scalingTarget,
    servers: serverActions(rooms),
    notReady: rooms.readiness.notReady,
    sessions: sessions.list,
    metrics: metrics.prometheusResponse,
    vars: metrics.varsResponse,
    warn: rooms.warn,
    audit: emit,
    fault: rooms.fault,
  };
}

/** The level, with an event for each change, which is emitted while the more talkative of both is set. */
const announced = ({ read, set }: LogLevel, emit: Observer): LogLevel => ({
  read,
  set(level) {
    const isQuieter = levels.indexOf(level) < levels.indexOf(read());
    if (isQuieter) emit({ kind: "log-level-changed", level });
    set(level);
    if (!isQuieter) emit({ kind: "log-level-changed", level });
  },
});

/** What the API calls a route's scaling target: the backend that is scaled; empty for one that is not. */
const scalingTarget: ApiDeps["scalingTarget"] = ({ wake }) => (wake === null ? "" : wakeId(wake));

function serverActions({ backends, statusMemory, stopping, fault }: ApiRooms): ServerActions {
  const { wakes } = backends;
  return {
    wakes: wakes.views,
    may: wakes.may,
    icon: (route) => statusMemory.icon(rememberedAs(route)),
    start({ wake: target, address }: Route, ip: string) {
      if (target === null || !wakes.may(target).start) return err("the router cannot start it");
      const starter = { ip, player: null, mayStart: true, prove: null };
      wakes
        .wake({ target, address }, starter, stopping.signal)
        .then((woken) => {
          if (woken.kind === "awake") woken.pass.arrived();
        })
        .catch((thrown: unknown) => fault(toError(thrown)));
      return ok(null);
    },
    async stop({ wake: target }: Route) {
      if (target === null || !wakes.may(target).stop) return err("the router cannot stop it");
      const stopped = await wakes.stop(target, stopping.signal);
      return stopped.ok ? ok(null) : stopped;
    },
  };
}
