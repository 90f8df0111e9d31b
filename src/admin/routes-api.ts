import { objectText } from "../base/json.ts";
import type { StaticRoutes } from "../providers/static/static-routes.ts";
import type { Address } from "../routing/address.ts";
import { parseAddress } from "../routing/address.ts";
import { toHostname } from "../routing/hostname.ts";
import { type Pattern, parsePattern, patternText } from "../routing/pattern.ts";
import type { Route } from "../routing/route.ts";
import type { RouteTable } from "../routing/table.ts";
import { readFields } from "./body.ts";
import { problem } from "./problem.ts";

/** What reading and editing routes needs. */
export interface RoutesApiDeps {
  readonly table: RouteTable;
  readonly routes: Pick<StaticRoutes, "set" | "remove">;
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** What scales the route's backend, as mc-router names it; empty for nothing. */
  scalingTarget(route: Route): string;
}

/** The API's ways to read and edit routes. Each answers whatever the client sends. */
interface RoutesApi {
  list(): Response;
  create(body: Uint8Array): Response | Promise<Response>;
  remove(serverAddress: string): Response | Promise<Response>;
  readDefault(): Response;
  setDefault(body: Uint8Array): Response | Promise<Response>;
  removeDefault(): Promise<Response>;
}

const fallback: Pattern = { kind: "default" };

/** The routes' part of the API, over the table and the routes that are its own. */
export function createRoutesApi(deps: RoutesApiDeps): RoutesApi {
  const { table, routes, simplifySrv } = deps;

  const shown = (route: Route): string =>
    JSON.stringify({ backend: route.address.text, scalingTarget: deps.scalingTarget(route) });

  /** All routes of exactly this pattern, the one that gets the players first. */
  function claimants(pattern: Pattern): readonly Route[] {
    const text = patternText(pattern);
    return table
      .explain(toHostname(sampleOf(pattern)))
      .filter(({ claim }) => patternText(claim.pattern) === text)
      .map(({ claim }) => claim.route);
  }

  async function put(pattern: Pattern, address: Address, status: number): Promise<Response> {
    const [owner] = claimants(pattern);
    if (owner !== undefined && !isApis(owner)) return conflict(pattern, owner, "change it there");
    await routes.set(pattern, address);
    return new Response(null, { status });
  }

  async function withdraw(pattern: Pattern, notFound: () => Response): Promise<Response> {
    const done = routes.remove(pattern);
    if (done === null) {
      const [owner] = claimants(pattern);
      return owner === undefined ? notFound() : conflict(pattern, owner, "remove it there");
    }
    await done;
    return new Response(null, { status: 200 });
  }

  return {
    list() {
      const hostnames = table.entries().filter(({ pattern }) => pattern.kind !== "default");
      const text = objectText(
        hostnames.map(({ pattern, route }) => [patternText(pattern), shown(route)]),
      );
      return jsonResponse(text);
    },

    create(body) {
      const fields = readFields(body, ["serveraddress", "backend"]);
      if (!fields.ok) return problem("bad-request", fields.error);
      const pattern = parsePattern(fields.value.get("serveraddress") ?? "", simplifySrv);
      if (!pattern.ok) return problem("bad-request", `the serverAddress ${pattern.error}`);
      const address = parseAddress(fields.value.get("backend") ?? "");
      if (!address.ok) return problem("bad-request", `the backend ${address.error}`);
      return put(pattern.value, address.value, 201);
    },

    remove(serverAddress) {
      const pattern = parsePattern(serverAddress, simplifySrv);
      const notFound = (): Response =>
        problem("not-found", `there is no route for ${JSON.stringify(serverAddress)}`);
      return pattern.ok ? withdraw(pattern.value, notFound) : notFound();
    },

    readDefault() {
      const [route] = claimants(fallback);
      return route === undefined ? noDefault() : jsonResponse(shown(route));
    },

    setDefault(body) {
      const fields = readFields(body, ["backend"]);
      if (!fields.ok) return problem("bad-request", fields.error);
      const address = parseAddress(fields.value.get("backend") ?? "");
      if (!address.ok) return problem("bad-request", `the backend ${address.error}`);
      return put(fallback, address.value, 200);
    },

    removeDefault: () => withdraw(fallback, noDefault),
  };
}

/** A hostname that the pattern fits. */
function sampleOf(pattern: Pattern): string {
  switch (pattern.kind) {
    case "exact":
      return pattern.hostname;
    case "wildcard":
      return `x.${pattern.suffix}`;
    case "default":
      return "";
  }
}

/** True for a route that the API may change: its own, or one of the routes file that it writes. */
const isApis = ({ source }: Route): boolean => source === "api" || source === "file";

const noDefault = (): Response => problem("not-found", "there is no default route");

function conflict(pattern: Pattern, { source, id }: Route, advice: string): Response {
  const owner = source === "env" ? "the environment (MAPPING, DEFAULT)" : `${source} ${id}`;
  const detail = `${patternText(pattern)} belongs to ${owner}; ${advice}`;
  return problem("conflict", detail, { members: { source, row: id } });
}

const jsonResponse = (text: string): Response =>
  new Response(text, { headers: { "Content-Type": "application/json" } });
