import { patternText } from "../routing/pattern.ts";
import { type Route, type WakeTarget, wakeKey, wakeName } from "../routing/route.ts";
import type { Claim } from "../routing/table.ts";
import type { Icon } from "../session/icon.ts";
import type { LiveSession } from "../session/sessions.ts";
import type { WakeView } from "../wake/wakes.ts";

/** The server behind one or more hostnames. */
export interface Server {
  /** Its name where it is started, else its entry's name or its address. Unique. */
  readonly name: string;
  readonly route: Route;
  readonly routes: readonly RouteView[];
}

/** One hostname that leads to a server. */
interface RouteView {
  /** As it is claimed: `play.example.com`, `*.example.com`, or `*` for the default route. */
  readonly hostname: string;
  readonly backend: string;
  readonly source: string;
  readonly row: string;
}

/** What the router may do with a server. */
export interface May {
  readonly start: boolean;
  readonly stop: boolean;
}

/** What is known of servers beside their routes. */
export interface ServerFacts {
  /** By `wakeKey`. */
  readonly wakes: ReadonlyMap<string, WakeView>;
  readonly sessions: Iterable<LiveSession>;
  may(target: WakeTarget): May;
  icon(route: Route): Icon | null;
}

/** A server as `GET /servers` shows it. */
export interface ServerView {
  readonly name: string;
  readonly state: WakeView["state"] | "fixed";
  readonly stateMs: number | null;
  readonly by: WakeTarget["kind"] | null;
  readonly may: May;
  readonly address: string | null;
  readonly hostnames: readonly string[];
  readonly routes: readonly RouteView[];
  readonly source: string;
  readonly row: string;
  readonly players: number;
  readonly waiting: number;
  readonly startedBy: string | null;
  readonly usualStartMs: number | null;
  readonly lastFailure: string | null;
  /** The path of its icon, which changes with the icon. */
  readonly icon: string | null;
}

/** What tells one server from all others. */
const keyOf = (route: Route): string =>
  route.wake === null ? `address:${route.address.text}` : wakeKey(route.wake);

/** The servers behind the claims of a table, by name. */
export function serversOf(claims: readonly Claim[]): readonly Server[] {
  const servers = new Map<string, { route: Route; routes: RouteView[] }>();
  for (const { pattern, route } of claims) {
    const key = keyOf(route);
    const { address, source, id: row } = route;
    const view = { hostname: patternText(pattern), backend: address.text, source, row };
    const known = servers.get(key);
    if (known === undefined) servers.set(key, { route, routes: [view] });
    else known.routes.push(view);
  }
  const names = new Set<string>();
  return Array.from(servers.values(), ({ route, routes }) => {
    const name = uniqueName(nameOf(route), names);
    names.add(name);
    return { name, route, routes };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}

function nameOf({ wake, source, id, address }: Route): string {
  if (wake !== null) return wakeName(wake);
  return source === "postgres" || source === "docker" || source === "swarm" ? id : address.text;
}

function uniqueName(name: string, taken: ReadonlySet<string>): string {
  if (!taken.has(name)) return name;
  let number = 2;
  while (taken.has(`${name}#${number}`)) number += 1;
  return `${name}#${number}`;
}

/** The servers with their states, players and waiting clients. */
export function serverViews(
  servers: readonly Server[],
  { wakes, sessions, may, icon }: ServerFacts,
): readonly ServerView[] {
  const byHostname = new Map<string, { players: number; waiting: number }>();
  for (const { facts, relayed } of sessions) {
    if (facts.route === null || (facts.intent !== "login" && facts.intent !== "transfer")) continue;
    const count = byHostname.get(facts.route) ?? { players: 0, waiting: 0 };
    byHostname.set(facts.route, count);
    if (relayed === null) count.waiting += 1;
    else count.players += 1;
  }
  return servers.map(({ name, route, routes }) => {
    const hostnames = routes.map(({ hostname }) => hostname);
    const counts = hostnames.map((hostname) => byHostname.get(hostname));
    const sum = (of: "players" | "waiting"): number =>
      counts.reduce((total, count) => total + (count?.[of] ?? 0), 0);
    const wake = wakes.get(keyOf(route));
    return {
      name,
      state: route.wake === null ? "fixed" : (wake?.state ?? "unknown"),
      stateMs: roundOrNull(wake?.stateMs),
      by: route.wake?.kind ?? null,
      may: route.wake === null ? { start: false, stop: false } : may(route.wake),
      address: wake?.address ?? (route.address.text || null),
      hostnames,
      routes,
      source: route.source,
      row: route.id,
      players: sum("players"),
      waiting: Math.max(sum("waiting"), wake?.waiting ?? 0),
      startedBy: wake?.startedBy ?? null,
      usualStartMs: roundOrNull(wake?.usualStartMs),
      lastFailure: wake?.lastFailure ?? null,
      icon: iconPath(name, icon(route)),
    };
  });
}

const iconPath = (name: string, icon: Icon | null): string | null =>
  icon && `/servers/${encodeURIComponent(name)}/icon?v=${icon.version}`;

const roundOrNull = (ms: number | null | undefined): number | null =>
  ms === null || ms === undefined ? null : Math.round(ms);
