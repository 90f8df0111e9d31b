import { nearestName } from "../base/nearest-name.ts";
import type { RouteTable } from "../routing/table.ts";

/** Longer hostnames are compared with none. */
const longestCompared = 64;
/** In a table of more hostnames than this, none is looked for. */
const comparedHostnames = 2_000;

/** The hostname with a route that a client most likely meant; null when none is near. */
export function nearHostname(table: RouteTable, hostname: string): string | null {
  if (hostname.length > longestCompared || table.size().claims > comparedHostnames) return null;
  return nearestName(
    hostname,
    table.entries().flatMap(({ pattern }) => (pattern.kind === "exact" ? [pattern.hostname] : [])),
    Math.max(1, Math.floor(hostname.length / 6)),
  );
}
