import { objectText } from "../base/json.ts";
import type { StaticRoutes } from "../providers/static/static-routes.ts";
import { addressFault, parseAddress } from "../routing/address.ts";
import { hostnameFault } from "../routing/fault.ts";
import { toHostname } from "../routing/hostname.ts";
import { type Pattern, parsePattern, patternText, writtenPattern } from "../routing/pattern.ts";
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
  /** Tells the operator of a route that can be of no use. */
  warn(message: string): void;
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

  async function put(
    pattern: Pattern,
    backend: string,
    status: number,
    hostnameWarning: string | null,
  ): Promise<Response> {
    const address = parseAddress(backend);
    if (!address.ok) return problem("bad-request", `the backend ${address.error}`);
    const [owner] = claimants(pattern);
    if (owner !== undefined && !isApis(owner)) return conflict(pattern, owner, "change it there");
    const fault = addressFault(backend);
    const warnings = [hostnameWarning, fault && `the backend ${fault}`].filter(isText);
    for (const warning of warnings) deps.warn(`API: ${patternText(pattern)}: ${warning}`);
    const failure = await routes.set(pattern, address.value);
    if (failure !== null) return notSaved(failure);
    return new Response(null, { status, headers: warningHeaders(warnings) });
  }

  async function withdraw(pattern: Pattern, notFound: () => Response): Promise<Response> {
    const done = routes.remove(pattern);
    if (done === null) {
      const [owner] = claimants(pattern);
      return owner === undefined ? notFound() : conflict(pattern, owner, "remove it there");
    }
    const failure = await done;
    return failure === null ? new Response(null, { status: 200 }) : notSaved(failure);
  }

  return {
    list() {
      const hostnames = table.entries().filter(({ pattern }) => pattern.kind !== "default");
      const text = objectText(
        hostnames.map(({ pattern, route }) => [writtenPattern(pattern), shown(route)]),
      );
      return jsonResponse(text);
    },

    create(body) {
      const fields = readFields(body, ["serveraddress", "backend"]);
      if (!fields.ok) return problem("bad-request", fields.error);
      const serverAddress = fields.value.get("serveraddress") ?? "";
      const pattern = parsePattern(serverAddress, simplifySrv);
      if (!pattern.ok) return problem("bad-request", `the serverAddress ${pattern.error}`);
      const fault = hostnameFault(serverAddress.trim().replace(/^\*\./, ""));
      const warning = fault && `the serverAddress ${fault}`;
      return put(pattern.value, fields.value.get("backend") ?? "", 201, warning);
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
      return put(fallback, fields.value.get("backend") ?? "", 200, null);
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

const isText = (text: string | null): text is string => text !== null && text !== "";

/** The change is in force until the next start; a client may try again, or mend the file. */
const notSaved = (reason: string): Response =>
  problem("not-saved", `the change is in force, but not in the routes file: ${reason}`);

/** One header for each warning: RFC 7234, section 5.5, code 299. */
function warningHeaders(warnings: readonly string[]): Headers {
  const headers = new Headers();
  for (const text of warnings) {
    // Header values are Latin-1, and a quoted string has its own escapes.
    const quoted = text.replace(/[^\x20-\x7e]/g, "?").replace(/["\\]/g, "\\$&");
    headers.append("Warning", `299 automc-router "${quoted}"`);
  }
  return headers;
}

const noDefault = (): Response => problem("not-found", "there is no default route");

function conflict(pattern: Pattern, { source, id }: Route, advice: string): Response {
  const owner = source === "env" ? "the environment (MAPPING, DEFAULT)" : `${source} ${id}`;
  const detail = `${patternText(pattern)} belongs to ${owner}; ${advice}`;
  return problem("conflict", detail, { members: { source, row: id } });
}

const jsonResponse = (text: string): Response =>
  new Response(text, { headers: { "Content-Type": "application/json" } });
