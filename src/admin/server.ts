import { chmodSync, lstatSync, unlinkSync } from "node:fs";
import { connect } from "node:net";
import { err, ok, type Result } from "../base/result.ts";
import { codeOf, messageOf } from "../base/thrown.ts";
import type { RouteTable } from "../routing/table.ts";
import type { LiveSession } from "../session/sessions.ts";
import { type Binding, bindingText } from "./binding.ts";
import { createGuard } from "./guard.ts";
import { healthResponse, type NotReady, readinessResponse } from "./health.ts";
import { explainResponse, sessionsResponse } from "./inspect.ts";
import { problem } from "./problem.ts";
import { createRoutesApi, type RoutesApiDeps } from "./routes-api.ts";

/** What the API needs. */
export interface AdminServerDeps extends RoutesApiDeps {
  readonly binding: Binding;
  /** Null: no token is asked for. */
  readonly token: string | null;
  /** Further names that the API is called by. */
  readonly hosts: readonly string[];
  readonly table: RouteTable;
  notReady(): readonly NotReady[];
  sessions(): Iterable<LiveSession>;
  /** Answers `/metrics` and `/vars`, whatever the method. */
  metrics(request: Request): Response | Promise<Response>;
  vars(request: Request): Response | Promise<Response>;
  /** A handler threw: a defect. The client gets a 500. */
  fault(error: Error): void;
}

/** The API, listening. */
export interface AdminServer {
  /** Where it listens, with the port that it got. */
  readonly binding: string;
  /** Closes the listener and what is open on it. */
  stop(): Promise<void>;
}

type Answer = Response | Promise<Response>;
type Handler = (request: Request) => Answer;
type Methods = Readonly<Partial<Record<"GET" | "HEAD" | "POST" | "DELETE", Handler>>>;

const largestBody = 64 * 1024;
/** Longest silence on a connection, s. Unix sockets have the runtime's own. */
const idleTimeout = 30;
/** Owner and group: without a token the mode of the socket decides who may connect. */
const socketMode = 0o660;

/** Opens the API: mc-router's paths and the router's own. The error is one readable phrase. */
export async function startAdminServer(
  deps: AdminServerDeps,
): Promise<Result<AdminServer, string>> {
  const { binding } = deps;
  try {
    const server = await listen(deps);
    const bound = binding.kind === "tcp" ? { ...binding, port: server.port ?? 0 } : binding;
    return ok({ binding: bindingText(bound), stop: () => server.stop(true) });
  } catch (cause) {
    const reason = messageOf(cause);
    return err(`the API cannot listen at ${bindingText(binding)}: ${reason}`);
  }
}

async function listen(deps: AdminServerDeps): Promise<Bun.Server<undefined>> {
  const { binding } = deps;
  if (binding.kind === "tcp") return listenTcp(binding.host, binding.port, deps);
  await removeDeadSocket(binding.path);
  const server = serve({ unix: binding.path }, deps);
  chmodSync(binding.path, socketMode);
  return server;
}

/** Without a host on every address; where there is no IPv6, those of IPv4 are all. */
function listenTcp(host: string, port: number, deps: AdminServerDeps): Bun.Server<undefined> {
  if (host !== "") return serve({ hostname: host, port, idleTimeout }, deps);
  try {
    return serve({ hostname: "::", port, idleTimeout }, deps);
  } catch (cause) {
    if (codeOf(cause) === "EADDRINUSE") throw cause;
    return serve({ hostname: "0.0.0.0", port, idleTimeout }, deps);
  }
}

function serve(
  where:
    | { readonly hostname: string; readonly port: number; readonly idleTimeout: number }
    | { readonly unix: string },
  deps: AdminServerDeps,
): Bun.Server<undefined> {
  const { table, simplifySrv } = deps;
  const api = createRoutesApi(deps);
  const guard = createGuard({ token: deps.token, names: namesOf(deps) });

  /** Checked by the token, or by the Host where there is none. */
  const guarded =
    (answer: Handler): Handler =>
    (request) =>
      guard.checkCaller(request) ?? answer(request);
  const upstream = (methods: Methods): Handler => guarded(byMethod(methods, bareNotAllowed));
  const readable = (answer: Handler): Handler =>
    byMethod({ GET: answer, HEAD: answer }, notAllowed);
  const own = (answer: Handler): Handler => guarded(readable(answer));
  /** For load balancers, which have no token. */
  const probe =
    (answer: Handler): Handler =>
    (request) =>
      guard.checkHost(request) ?? readable(answer)(request);

  const routes = {
    "/routes": upstream({ GET: api.list, POST: api.create }),
    "/defaultRoute": upstream({
      GET: api.readDefault,
      POST: api.setDefault,
      DELETE: api.removeDefault,
    }),
    "/metrics": guarded(deps.metrics),
    "/vars": guarded(deps.vars),
    "/explain": own((request) => explainResponse(urlOf(request), table, simplifySrv)),
    "/sessions": own(() => sessionsResponse(deps.sessions())),
    "/healthz": probe(healthResponse),
    "/readyz": probe(() => readinessResponse(deps.notReady())),
  };
  const paths = new Set(Object.keys(routes));

  return Bun.serve({
    ...where,
    routes: {
      ...routes,
      "/routes/:serverAddress": (request) => {
        const { serverAddress } = request.params;
        // mc-router takes the decoded path apart, so that an encoded slash ends the segment.
        if (serverAddress.includes("/")) return guarded(unknownPath)(request);
        return upstream({ DELETE: () => api.remove(serverAddress) })(request);
      },
    },
    fetch: guarded((request) => elsewhere(urlOf(request), paths)),
    error(thrown) {
      deps.fault(thrown);
      return problem("failed", "the log has the error");
    },
    maxRequestBodySize: largestBody,
    development: false,
  });
}

/** Removes the socket that a killed process left behind. One that answers, or another file, stays. */
async function removeDeadSocket(path: string): Promise<void> {
  if (!lstatSync(path, { throwIfNoEntry: false })?.isSocket()) return;
  const isDead = await new Promise<boolean>((resolve) => {
    const client = connect(path);
    client.once("connect", () => {
      client.destroy();
      resolve(false);
    });
    client.once("error", (error) => resolve(codeOf(error) === "ECONNREFUSED"));
  });
  if (isDead) unlinkSync(path);
}

/** The names in a Host header that mean this API. No browser can be made to open a unix socket. */
function namesOf({ binding, hosts }: AdminServerDeps): readonly string[] | null {
  if (binding.kind === "unix") return null;
  return [binding.host, ...hosts].filter((name) => name !== "").map((name) => name.toLowerCase());
}

function byMethod(methods: Methods, other: (methods: Methods) => Response): Handler {
  const answers = new Map<string, Handler>(Object.entries(methods));
  return (request) => answers.get(request.method)?.(request) ?? other(methods);
}

/** As mc-router answers, without the Allow that RFC 9110 asks for. */
const bareNotAllowed = (): Response => new Response(null, { status: 405 });

function notAllowed(methods: Methods): Response {
  const allowed = Object.keys(methods).join(", ");
  return problem("method-not-allowed", `use ${allowed}`, { headers: { Allow: allowed } });
}

/** The answer for an unknown path. A known path with doubled slashes is redirected, as by mc-router. */
function elsewhere({ pathname, search }: URL, paths: ReadonlySet<string>): Response {
  const clean = pathname.replace(/\/{2,}/g, "/");
  // The URL's parser has resolved `.` and `..`; the runtime matched the path as it was sent.
  if (clean === pathname && !paths.has(clean)) return unknownPath();
  return new Response(null, { status: 301, headers: { Location: clean + search } });
}

const unknownPath = (): Response =>
  new Response("404 page not found\n", {
    status: 404,
    headers: { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" },
  });

/** A request's URL; without a usable Host the runtime gives its path only. */
const urlOf = (request: Request): URL =>
  URL.parse(request.url, "http://localhost") ?? new URL("http://localhost/");
