import type { Config } from "../config/config.ts";

/** What an operator should do about a configuration that can never have a route; null where it can. */
export function noRoutesAdvice(config: Config): string | null {
  const { routes, routesFile, api, postgres, docker, kubernetes } = config;
  const sources = [routesFile.path, api, postgres, docker, kubernetes];
  if (routes.length > 0 || sources.some((each) => each !== null)) return null;
  return "none is configured; set MAPPING, DEFAULT, ROUTES_CONFIG, AUTOMC_DSN or IN_DOCKER";
}
