import { type Address, parseAddress } from "../routing/address.ts";
import { type Pattern, parsePattern, patternText } from "../routing/pattern.ts";
import type { Route } from "../routing/route.ts";
import type { Environment } from "./environment.ts";

/** The routes of `MAPPING` and `DEFAULT`. Each bad entry is a problem of its own. */
export function readFixedRoutes(env: Environment, simplifySrv: boolean): readonly Route[] {
  const routes = new Map<string, Route>();
  for (const { key, value } of env.read("MAPPING")) {
    const entry = value === "" ? key : `${key}=${value}`;
    const pattern = parsePattern(key, simplifySrv);
    const address = parseAddress(value);
    if (!pattern.ok)
      env.problem("MAPPING", `hostname=host:port (the hostname ${pattern.error})`, entry);
    if (!address.ok)
      env.problem("MAPPING", `hostname=host:port (the address ${address.error})`, entry);
    if (!pattern.ok || !address.ok) continue;

    const route = envRoute(pattern.value, address.value);
    if (routes.has(route.id)) env.warn("MAPPING", "each hostname once; the last one counts", entry);
    routes.set(route.id, route);
  }
  const fallback = env.read("DEFAULT");
  const fixed = [...routes.values()];
  return fallback === null ? fixed : [...fixed, envRoute({ kind: "default" }, fallback)];
}

const envRoute = (pattern: Pattern, address: Address): Route => ({
  source: "env",
  id: patternText(pattern),
  patterns: [pattern],
  address,
  wake: null,
});
