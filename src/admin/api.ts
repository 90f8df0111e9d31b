import type { Result } from "../base/result.ts";
import type { EventLog } from "../observe/event-log.ts";
import { type Level, levels } from "../observe/line.ts";
import type { Overview } from "../observe/overview.ts";
import type { Route, WakeTarget } from "../routing/route.ts";
import type { RouteTable } from "../routing/table.ts";
import type { Icon } from "../session/icon.ts";
import type { LiveSession } from "../session/sessions.ts";
import type { WakeView } from "../wake/wakes.ts";
import { readFields } from "./body.ts";
import { eventStream } from "./event-stream.ts";
import { healthResponse, type NotReady, readinessResponse } from "./health.ts";
import type { ApiRequest } from "./http-server.ts";
import { explainResponse, sessionsResponse } from "./inspect.ts";
import { openApiDocument } from "./openapi.ts";
import type { OperationId } from "./operations.ts";
import { pageHandlers, signIn, signOut } from "./page.ts";
import { problem } from "./problem.ts";
import { createRoutesApi, type RoutesApiDeps } from "./routes-api.ts";
import { type May, type Server, type ServerView, serversOf, serverViews } from "./servers.ts";
import { asksToken, type Scope, type Tokens } from "./session-cookie.ts";
import { statusOf } from "./status.ts";

/** What the operations of the API need. */
export interface ApiDeps extends RoutesApiDeps {
  readonly build: { readonly version: string; readonly commit: string };
  readonly table: RouteTable;
  readonly overview: Overview;
  readonly events: EventLog;
  readonly logLevel: LogLevel;
  /** Without any, no token is asked for. */
  tokens(): Tokens;
  readonly servers: ServerActions;
  notReady(): readonly NotReady[];
  sessions(): readonly LiveSession[];
  /** Answer `/metrics` and `/vars`. */
  metrics(headers: Headers): Response | Promise<Response>;
  vars(): Response | Promise<Response>;
}

/** The log's level, which may change at run time. */
export interface LogLevel {
  read(): Level;
  set(level: Level): void;
}

/** What the API may do with servers. */
export interface ServerActions {
  /** What is known of each server, by `wakeKey`. */
  wakes(): ReadonlyMap<string, WakeView>;
  may(target: WakeTarget): May;
  /** The icon that players last saw; null where none is known. */
  icon(route: Route): Icon | null;
  /**
   * Starts a server, as for a player of that address who joins; returns at once. The error is one readable
   * phrase.
   */
  start(route: Route, clientIp: string): Result<null, string>;
  /** Stops a server. The error is one readable phrase. */
  stop(route: Route): Promise<Result<null, string>>;
}

/** A request with what its path holds. */
interface ApiCall extends ApiRequest {
  readonly parameters: Readonly<Record<string, string>>;
  /** What the caller may do; null for what is open to all. */
  readonly scope: Scope | null;
}

/** Answers one operation. */
type Handler = (call: ApiCall) => Response | Promise<Response>;

/** The handler of each operation. */
export function createHandlers(deps: ApiDeps): Readonly<Record<OperationId, Handler>> {
  const routes = createRoutesApi(deps);
  const servers = createServersApi(deps);
  return {
    listRoutes: routes.list,
    createRoute: ({ body }) => routes.create(body),
    deleteRoute: ({ parameters }) => routes.remove(parameters["serverAddress"] ?? ""),
    readDefaultRoute: routes.readDefault,
    setDefaultRoute: ({ body }) => routes.setDefault(body),
    deleteDefaultRoute: routes.removeDefault,
    readMetrics: ({ headers }) => deps.metrics(headers),
    readVars: deps.vars,
    explainHostname: ({ search }) =>
      explainResponse(new URLSearchParams(search), deps.table, deps.simplifySrv),
    listSessions: () => sessionsResponse(deps.sessions()),
    readStatus: () => Response.json(servers.status()),
    listServers: () => Response.json(servers.views()),
    readServerIcon: ({ parameters }) => servers.icon(parameters["name"] ?? ""),
    followEvents: ({ headers }) => eventStream(deps.events, headers.get("last-event-id")),
    wakeServer: ({ parameters, clientIp }) => servers.wake(parameters["name"] ?? "", clientIp),
    stopServer: ({ parameters, search }) => {
      const force = new URLSearchParams(search).get("force") === "true";
      return servers.stop(parameters["name"] ?? "", force);
    },
    readLogLevel: () => Response.json({ level: deps.logLevel.read() }),
    setLogLevel: ({ body }) => setLogLevel(body, deps.logLevel),
    readHealth: healthResponse,
    readReadiness: () => readinessResponse(deps.notReady(), deps.overview.sources()),
    ...pageHandlers,
    readSignIn: ({ scope }) => Response.json({ scope, asksToken: asksToken(deps.tokens()) }),
    signIn: (call) => signIn(call, deps.tokens()),
    signOut,
    readOpenApi: () => Response.json(openApiDocument(deps.build.version)),
  };
}

function setLogLevel(body: Uint8Array, logLevel: LogLevel): Response {
  const fields = readFields(body, ["level"]);
  if (!fields.ok) return problem("bad-request", fields.error);
  const level = levels.find((known) => known === fields.value.get("level"));
  if (level === undefined) return problem("bad-request", `level is one of ${levels.join(", ")}`);
  logLevel.set(level);
  return Response.json({ level });
}

/** A browser keeps an icon for a day: its path, as `GET /servers` has it, changes with the icon. */
const iconHeaders = {
  "Content-Type": "image/png",
  "Content-Security-Policy": "default-src 'none'",
  "X-Content-Type-Options": "nosniff",
  "Cache-Control": "private, max-age=86400",
};

/** The operations on servers. */
function createServersApi(deps: ApiDeps) {
  const { table, overview } = deps;

  const all = (): readonly Server[] => serversOf(table.entries());
  const viewsOf = (servers: readonly Server[]): readonly ServerView[] =>
    serverViews(servers, {
      wakes: deps.servers.wakes(),
      sessions: deps.sessions(),
      may: deps.servers.may,
      icon: deps.servers.icon,
    });
  const find = (name: string): Server | undefined => all().find((server) => server.name === name);
  const unknown = (name: string): Response =>
    problem("not-found", `there is no server ${JSON.stringify(name)}; GET /servers lists them`);

  return {
    views: () => viewsOf(all()),
    status: () =>
      statusOf({
        build: deps.build,
        overview,
        logLevel: deps.logLevel.read(),
        notReady: deps.notReady(),
        sessions: deps.sessions().length,
        servers: viewsOf(all()),
        routes: table.size().routes,
      }),
    icon(name: string): Response {
      const server = find(name);
      if (server === undefined) return unknown(name);
      const icon = deps.servers.icon(server.route);
      if (icon === null) return problem("not-found", `the icon of ${name} is not known`);
      return new Response(icon.png, { headers: iconHeaders });
    },
    wake(name: string, clientIp: string | null): Response {
      const server = find(name);
      if (server === undefined) return unknown(name);
      const started = deps.servers.start(server.route, clientIp ?? "127.0.0.1");
      if (!started.ok) return problem("conflict", started.error);
      return new Response(null, { status: 202 });
    },
    async stop(name: string, force: boolean): Promise<Response> {
      const server = find(name);
      if (server === undefined) return unknown(name);
      const [view] = viewsOf([server]);
      const players = (view?.players ?? 0) + (view?.waiting ?? 0);
      if (players > 0 && !force) {
        const subject =
          players === 1 ? "1 player is on it or waits" : `${players} players are on it or wait`;
        return problem("conflict", `${subject} for it; add ?force=true`);
      }
      const stopped = await deps.servers.stop(server.route);
      if (!stopped.ok) return problem("not-stopped", stopped.error);
      return new Response(null, { status: 200 });
    },
  };
}
