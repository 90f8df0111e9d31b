import { ok } from "../../src/base/result.ts";
import { createResolver } from "../../src/net/resolve.ts";
import type { SourceEvent } from "../../src/providers/event.ts";
import { type Dsn, parseDsn } from "../../src/providers/postgres/dsn.ts";
import {
  createPostgresSource,
  type PostgresSourceDeps,
} from "../../src/providers/postgres/source.ts";
import { defaultTimings, type PostgresTimings } from "../../src/providers/postgres/timings.ts";
import { patternText } from "../../src/routing/pattern.ts";
import type { Delta } from "../../src/routing/source.ts";
import { createRouteTable, type RouteTable } from "../../src/routing/table.ts";
import type { TestDatabase } from "../support/postgres/postgres.ts";
import { until } from "../support/until.ts";

/** A Postgres source at work, and everything it has said. */
export interface RunningSource {
  readonly table: RouteTable;
  readonly events: SourceEvent[];
  /** Every patch that was published, in order. */
  readonly patches: Delta[];
  /** `hostname address` of every claim, sorted. */
  claims(): string[];
  count(kind: SourceEvent["kind"]): number;
  last<K extends SourceEvent["kind"]>(kind: K): Extract<SourceEvent, { kind: K }> | undefined;
  /** Waits until it is live for the n-th time. */
  live(times?: number, limitMs?: number): Promise<void>;
  stop(): Promise<void>;
  reload(): void;
}

/** All the waits, `factor` times shorter. */
export function scaledTimings(factor: number): PostgresTimings {
  const { dialBurst, ...waits } = defaultTimings;
  const scaled = Object.entries(waits).map(([name, ms]) => [name, ms / factor]);
  return { ...defaultTimings, ...Object.fromEntries(scaled), dialBurst };
}

/** The pauses, `factor` times shorter; what a slow machine needs time for keeps its default. */
export function patientTimings(factor: number): PostgresTimings {
  const { roundMs, readMs, echoMs } = defaultTimings;
  return { ...scaledTimings(factor), roundMs, readMs, echoMs };
}

/** A connection string that must be right. */
export function dsnOf(text: string): Dsn {
  const dsn = parseDsn(text, () => ok(""));
  if (!dsn.ok) throw new Error(dsn.error);
  return dsn.value;
}

/** What a source may be told here; one of `dsn` and `connections` counts. */
export type SourceOptions = Partial<PostgresSourceDeps> & {
  readonly dsn: Dsn;
  readonly listenDsn?: Dsn | null;
};

/** Runs a source into a real table. The caller stops it. */
export function runSource({ dsn, listenDsn = null, ...deps }: SourceOptions): RunningSource {
  const table = createRouteTable();
  const events: SourceEvent[] = [];
  const patches: Delta[] = [];
  const stopping = new AbortController();
  const source = createPostgresSource({
    connections: () => ok({ dsn, listenDsn }),
    resolver: createResolver({}),
    resyncMs: 60_000,
    wakeable: true,
    simplifySrv: false,
    snapshotPath: null,
    emit: (event) => events.push(event),
    ...deps,
  });
  const publish = {
    replace: (routes: Parameters<RouteTable["replace"]>[1]) => {
      table.replace("postgres", routes);
    },
    patch: (delta: Delta) => {
      patches.push(delta);
      table.patch("postgres", delta);
    },
  };
  const ended = source.run(publish, stopping.signal);
  const count = (kind: SourceEvent["kind"]) => events.filter((event) => event.kind === kind).length;
  return {
    table,
    events,
    patches,
    claims: () =>
      table.entries().map(({ pattern, route }) => `${patternText(pattern)} ${route.address.text}`),
    count,
    last: (kind) => events.findLast((event) => event.kind === kind) as never,
    live: (times = 1, limitMs = 10_000) =>
      until(`live ${times} times`, () => count("source-live") >= times, limitMs),
    reload: () => source.reload?.(),
    stop() {
      stopping.abort();
      return ended;
    },
  };
}

/** What the table should hold, from the query that defines it; for rows with one plain hostname each. */
export async function expectedClaims({ sql }: TestDatabase): Promise<string[]> {
  const rows = await sql<{ domain: string; address: string }[]>`
    SELECT domain, address FROM servers WHERE domain != '' AND address != ''`;
  return rows.map(({ domain, address }) => `${domain} ${address}`).sort();
}

/** Waits until the routing table says what the database says. */
export async function settled(
  running: RunningSource,
  database: TestDatabase,
  limitMs = 10_000,
): Promise<void> {
  await until(
    "the table equals the SELECT",
    async () => Bun.deepEquals(running.claims(), await expectedClaims(database)),
    limitMs,
  );
}
