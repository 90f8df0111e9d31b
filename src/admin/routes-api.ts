import { objectText } from "../base/json.ts";
import type { StaticRoutes } from "../providers/static/static-routes.ts";
import type { Address } from "../routing/address.ts";
import { parseAddress } from "../routing/address.ts";
import { toHostname } from "../routing/hostname.ts";
import { type Pattern, parsePattern, patternText } from "../routing/pattern.ts";
import { type Route, sourceNames } from "../routing/route.ts";
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
  create(request: Request): Promise<Response>;
  remove(serverAddress: string): Promise<Response>;
  readDefault(): Response;
  setDefault(request: Request): Promise<Response>;
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
    const owner = claimants(pattern).find(outranksApi);
    if (owner !== undefined) return conflict(pattern, owner, "it comes first, so change it there");
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

    async create(request) {
      const fields = await readFields(request, ["serveraddress", "backend"]);
      if (!fields.ok) return new Response(null, { status: 400 });
      const pattern = parsePattern(fields.value.get("serveraddress") ?? "", simplifySrv);
      if (!pattern.ok) return problem("bad-request", `the serverAddress ${pattern.error}`);
      const address = parseAddress(fields.value.get("backend") ?? "");
      if (!address.ok) return problem("bad-request", `the backend ${address.error}`);
      return put(pattern.value, address.value, 201);
    },

    async remove(serverAddress) {
      const pattern = parsePattern(serverAddress, simplifySrv);
      const notFound = (): Response => new Response(null, { status: 404 });
      return pattern.ok ? await withdraw(pattern.value, notFound) : notFound();
    },

    readDefault() {
      const [route] = claimants(fallback);
      return route === undefined ? noDefault() : jsonResponse(shown(route));
    },

    async setDefault(request) {
      const fields = await readFields(request, ["backend"]);
      if (!fields.ok) return new Response(null, { status: 400 });
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

const outranksApi = ({ source }: Route): boolean =>
  source !== "file" && sourceNames.indexOf(source) < sourceNames.indexOf("api");

const noDefault = (): Response => problem("not-found", "there is no default route");

function conflict(pattern: Pattern, { source, id }: Route, advice: string): Response {
  const owner = source === "env" ? "the environment (MAPPING, DEFAULT)" : `${source} ${id}`;
  const detail = `${patternText(pattern)} belongs to ${owner}; ${advice}`;
  return problem("conflict", detail, { members: { source, row: id } });
}

const jsonResponse = (text: string): Response =>
  new Response(text, { headers: { "Content-Type": "application/json" } });
