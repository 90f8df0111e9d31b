import type { Overview } from "../observe/overview.ts";
import type { SourceName } from "../routing/route.ts";
import type { NotReady } from "./health.ts";
import type { ServerView } from "./servers.ts";

/** What a status is made of. */
interface StatusDeps {
  readonly build: { readonly version: string; readonly commit: string };
  readonly overview: Overview;
  readonly logLevel: string;
  readonly notReady: readonly NotReady[];
  /** How many clients are connected. */
  readonly sessions: number;
  readonly servers: readonly ServerView[];
  /** How many routes each source has published. */
  readonly routes: ReadonlyMap<SourceName, number>;
}

/** What `GET /status` shows: the router on one page. */
export function statusOf(deps: StatusDeps): Readonly<Record<string, unknown>> {
  const { overview, servers, notReady } = deps;
  const { relaying, waiting } = overview.counts();
  const known = overview.sources();
  const quiet = [...deps.routes.keys()].filter((name) => known.every((one) => one.name !== name));
  const sources = [
    // A source that cannot be lost tells nothing of itself.
    ...quiet.map((name) => ({ name, state: "up", mode: null, ageMs: 0, reason: null })),
    ...known,
  ].map((source) => ({ ...source, routes: deps.routes.get(source.name) ?? 0 }));
  const states: Record<string, number> = {};
  for (const { state } of servers) states[state] = (states[state] ?? 0) + 1;
  return {
    ...deps.build,
    startedAt: overview.startedAt,
    isReady: notReady.length === 0,
    notReady,
    listening: overview.listening(),
    sessions: {
      opening: Math.max(0, deps.sessions - relaying - waiting),
      waiting,
      relaying,
      limit: overview.sessionLimit(),
    },
    servers: states,
    sources,
    services: overview.services(),
    warnings: overview.warnings(),
    logLevel: deps.logLevel,
  };
}
