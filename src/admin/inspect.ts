import { type Hostname, toHostname } from "../routing/hostname.ts";
import { patternText } from "../routing/pattern.ts";
import type { RouteTable } from "../routing/table.ts";
import type { LiveSession } from "../session/sessions.ts";
import { problem } from "./problem.ts";

/**
 * `GET /explain?host=`: where a hostname leads, and every claim on it, as `automc-router explain` lists them.
 */
export function explainResponse(
  query: URLSearchParams,
  table: RouteTable,
  simplifySrv: boolean,
): Response {
  const host = query.get("host");
  if (host === null)
    return problem("bad-request", "name the hostname: /explain?host=play.example.com");
  const hostname: Hostname = toHostname(host, simplifySrv);
  const claims = table.explain(hostname).map(({ claim: { pattern, route }, standing }) => ({
    pattern: patternText(pattern),
    backend: route.address.text,
    source: route.source,
    row: route.id,
    wake: route.wake,
    standing,
  }));
  return Response.json({ hostname, backend: claims[0]?.backend ?? null, claims });
}

/** `GET /sessions`: who is connected, oldest first. */
export function sessionsResponse(sessions: Iterable<LiveSession>): Response {
  const list = Array.from(sessions, ({ facts, durationMs, relayed }) => ({
    ...facts,
    durationMs: Math.round(durationMs),
    bytesToBackend: relayed?.toBackend ?? 0,
    bytesToClient: relayed?.toClient ?? 0,
  }));
  return Response.json(list.sort((a, b) => a.id - b.id));
}
