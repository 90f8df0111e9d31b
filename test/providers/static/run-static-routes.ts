import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { SourceEvent } from "../../../src/providers/event.ts";
import {
  createStaticRoutes,
  type StaticRoutes,
  type StaticRoutesDeps,
} from "../../../src/providers/static/static-routes.ts";
import { type Supervisor, superviseSources } from "../../../src/providers/supervisor.ts";
import { parseAddress } from "../../../src/routing/address.ts";
import { type Pattern, parsePattern, patternText } from "../../../src/routing/pattern.ts";
import type { SourceName } from "../../../src/routing/route.ts";
import { type Changes, createRouteTable, type RouteTable } from "../../../src/routing/table.ts";

/** The file's and the API's routes at work, over a file in a folder of their own. */
export interface RunningStaticRoutes {
  readonly folder: string;
  readonly path: string;
  readonly table: RouteTable;
  readonly routes: StaticRoutes;
  readonly supervisor: Supervisor;
  readonly events: SourceEvent[];
  /** Everything that changed the table after the start. */
  readonly changes: { readonly source: SourceName; readonly changes: Changes }[];
  /** `source: hostname address` of every claim, sorted by hostname. */
  claims(): string[];
  set(name: string, backend: string): Promise<string | null>;
  remove(name: string): Promise<string | null> | null;
}

/** Waits of a test: short, and the poll out of the way unless a test wants it. */
export const fileTimings = { debounceMs: 20, pollMs: 3_600_000, retryMs: 20 };

/** A folder of its own, which the caller removes. */
export const freshFolder = (): string => mkdtempSync(join(tmpdir(), "automc-routes-"));

/** Loads the file, and runs both sources into a table. The caller stops the supervisor. */
export async function runStaticRoutes(
  folder: string,
  deps: Partial<StaticRoutesDeps> = {},
): Promise<RunningStaticRoutes> {
  const path = join(folder, "routes.json");
  const table = createRouteTable();
  const events: SourceEvent[] = [];
  const routes = createStaticRoutes({
    path,
    watch: false,
    simplifySrv: false,
    emit: (event) => events.push(event),
    timings: fileTimings,
    ...deps,
  });
  const loaded = await routes.load();
  if (!loaded.ok) throw new Error(loaded.error);
  const changes: { source: SourceName; changes: Changes }[] = [];
  const supervisor = superviseSources(routes.sources, {
    table,
    changed: (source, change) => changes.push({ source, changes: change }),
    fault(error) {
      throw error;
    },
  });
  await supervisor.firstRoutes(AbortSignal.timeout(5_000));
  changes.length = 0;
  return {
    folder,
    path,
    table,
    routes,
    supervisor,
    events,
    changes,
    claims: () => claimsOf(table),
    set(name, backend) {
      const address = parseAddress(backend);
      if (!address.ok) throw new Error(address.error);
      return routes.set(patternOf(name), address.value);
    },
    remove: (name) => routes.remove(patternOf(name)),
  };
}

/** `source: hostname address` of every claim that has players. */
export const claimsOf = (table: RouteTable): string[] =>
  table
    .entries()
    .map(({ pattern, route }) => `${route.source}: ${patternText(pattern)} ${route.address.text}`);

/** `*` is the default route. */
export function patternOf(name: string): Pattern {
  if (name === "*") return { kind: "default" };
  const pattern = parsePattern(name);
  if (!pattern.ok) throw new Error(pattern.error);
  return pattern.value;
}
