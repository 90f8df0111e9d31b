import { readFile } from "node:fs/promises";
import { createServer, isIP } from "node:net";
import { err } from "../../base/result.ts";
import { codeOf, messageOf } from "../../base/thrown.ts";
import type { Config } from "../../config/config.ts";
import { createResolver } from "../../net/resolve.ts";
import { callApi } from "../../providers/http-api.ts";
import { createKubernetesApi } from "../../providers/kubernetes/api.ts";
import { parseRoutesFile, readRoutes } from "../../providers/static/routes-file.ts";
import { placesOf } from "../../routing/address.ts";
import type { Route } from "../../routing/route.ts";
import { noRoutesAdvice } from "../no-routes.ts";
import type { Finding } from "./finding.ts";
import { reachPostgres } from "./reach-postgres.ts";

/** How long one of them may take, ms. */
const patienceMs = 10_000;

/**
 * Reaches for everything that the configuration names. `listening` is where a running router of this machine
 * takes players; null without one.
 */
export async function reach(config: Config, listening: string | null): Promise<readonly Finding[]> {
  const { path } = config.routesFile;
  const file = path === null ? null : await reachRoutesFile(path, config.simplifySrv);
  const findings = await Promise.all([
    reachPorts(config, listening),
    reachApi(config, listening),
    file?.findings ?? [],
    reachBackends([...config.routes, ...(file?.routes ?? [])]),
    config.postgres === null ? [] : reachPostgres(config.postgres.dsn),
    reachControlPlane(config),
    reachDocker(config),
    reachKubernetes(config),
    hasRoutes(config),
  ]);
  return findings.flat();
}

function reachPorts({ listen }: Config, listening: string | null): Promise<readonly Finding[]> {
  const { bind, port, shared, fixed } = listen;
  const ports = shared ? [] : [port, ...fixed.map((listener) => listener.port)];
  return Promise.all(
    ports
      .filter((each) => each !== 0)
      .map(async (each) => {
        const what = `port ${each} at ${bind} for players`;
        // The running router has its further ports open as well.
        if (listening?.endsWith(`:${port}`)) {
          return { what: `${what}, of the running router`, problem: null };
        }
        return { what, problem: await portProblem(bind, each) };
      }),
  );
}

async function reachApi({ api }: Config, listening: string | null): Promise<readonly Finding[]> {
  // The running router has its own API open, most likely there.
  if (api === null || api.binding.kind === "unix" || listening !== null) return [];
  const { host, port } = api.binding;
  if (port === 0) return [];
  const problem = await portProblem(host === "" ? "::" : host, port);
  return [{ what: `port ${port} for the API`, problem }];
}

/** Why the router could not listen there, and what to do; null when it could. */
function portProblem(host: string, port: number): Promise<string | null> {
  const { promise, resolve } = Promise.withResolvers<string | null>();
  const server = createServer();
  server.once("error", (cause) => {
    switch (codeOf(cause)) {
      case "EADDRINUSE":
        return resolve(`it is in use; ss -ltnp 'sport = :${port}' tells by which program`);
      case "EACCES":
        return resolve("permission denied; ports below 1024 need CAP_NET_BIND_SERVICE");
      case "EADDRNOTAVAIL":
        return resolve(`this machine has no address ${host}`);
      default:
        return resolve(messageOf(cause));
    }
  });
  server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(null)));
  return promise;
}

interface FileFindings {
  readonly findings: readonly Finding[];
  readonly routes: readonly Route[];
}

async function reachRoutesFile(path: string, simplifySrv: boolean): Promise<FileFindings> {
  const what = `routes file ${path}`;
  const file = await readRoutesOf(path);
  if (!file.ok) return { findings: [{ what, problem: file.error }], routes: [] };
  const { routes, problems } = readRoutes(file.value, simplifySrv);
  const findings = Array.from(problems, ([key, problem]) => ({
    what: `${what}: ${JSON.stringify(key)}`,
    problem,
  }));
  const read = { what: `${what}, with ${routes.size} routes`, problem: null };
  return { findings: [read, ...findings], routes: [...routes.values()] };
}

async function readRoutesOf(path: string): Promise<ReturnType<typeof parseRoutesFile>> {
  try {
    return parseRoutesFile(await readFile(path));
  } catch (cause) {
    if (codeOf(cause) !== "ENOENT") return err(messageOf(cause));
    return err('it does not exist; create it with {"mappings":{}}, or unset ROUTES_CONFIG');
  }
}

/** Looks every name up that a fixed route leads to. */
function reachBackends(routes: readonly Route[]): Promise<readonly Finding[]> {
  const resolver = createResolver({});
  const hosts = new Set(
    routes
      .flatMap(({ address }) => placesOf(address).map(({ host }) => host))
      .filter((host) => isIP(host) === 0),
  );
  return Promise.all(
    Array.from(hosts, async (host) => {
      const found = await resolver.resolve(host, AbortSignal.timeout(patienceMs));
      const what = `backend ${host}`;
      return found.ok
        ? { what: `${what} is ${found.value.join(", ")}`, problem: null }
        : { what, problem: found.error.message };
    }),
  );
}

const authorities = (ca: string | null) =>
  ca === null ? null : { ca, cert: null, key: null, verify: true, serverName: null };

async function reachControlPlane({ waker }: Config): Promise<readonly Finding[]> {
  if (waker === null) return [];
  const what = `control plane ${waker.url}`;
  const path = "/servers/automc-router-check";
  const answer = await callApi(
    { url: waker.url, unix: null, tls: authorities(waker.ca) },
    { method: "GET", path, headers: waker.token === null ? {} : { "x-api-key": waker.token } },
    patienceMs,
    AbortSignal.timeout(patienceMs),
  );
  // It does not know a server of that name, and says so.
  if (answer.ok || answer.error.status === 404) return [{ what, problem: null }];
  const { status, message } = answer.error;
  const isRefused = status === 401 || status === 403;
  const advice = `it rejected the token (${status} on GET ${path}); check AUTOMC_WAKER_TOKEN`;
  return [{ what, problem: isRefused ? advice : message }];
}

async function reachDocker({ docker }: Config): Promise<readonly Finding[]> {
  if (docker === null) return [];
  const { endpoint } = docker;
  const what = `Docker at ${endpoint.unix ?? endpoint.url}`;
  const request = { method: "GET", path: "/version" } as const;
  const signal = AbortSignal.timeout(patienceMs);
  const answer = await callApi(endpoint, request, patienceMs, signal);
  const advice = "; is Docker running, and may this user open its socket (group docker)?";
  return [{ what, problem: answer.ok ? null : answer.error.message + advice }];
}

async function reachKubernetes({ kubernetes }: Config): Promise<readonly Finding[]> {
  if (kubernetes === null) return [];
  const { access, namespace } = kubernetes;
  const path = namespace === null ? "/api/v1/services" : `/api/v1/namespaces/${namespace}/services`;
  const api = createKubernetesApi(access);
  const signal = AbortSignal.timeout(patienceMs);
  const answer = await api.call({ method: "GET", path: `${path}?limit=1` }, signal);
  return [
    { what: `Kubernetes at ${access.server}`, problem: answer.ok ? null : answer.error.message },
  ];
}

/** A router without a source of routes lets no player in. */
function hasRoutes(config: Config): readonly Finding[] {
  const problem = noRoutesAdvice(config);
  return problem === null ? [] : [{ what: "routes", problem }];
}
