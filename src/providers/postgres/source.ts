import { ok } from "../../base/result.ts";
import { inChunks } from "../../base/wait.ts";
import type { Resolver } from "../../net/resolve.ts";
import type { Publish, RouteSource } from "../../routing/source.ts";
import type { SourceEvent } from "../event.ts";
import type { CycleDeps } from "./cycle.ts";
import { type Dsn, describeDsn } from "./dsn.ts";
import { type LinkReport, runPostgresLink } from "./link.ts";
import { createChangePublisher, type PublishChanges } from "./publish.ts";
import { createServerRows, type ServerRows } from "./rows.ts";
import { createSnapshotWriter, loadSnapshot } from "./snapshot.ts";
import { defaultTimings, type PostgresTimings } from "./timings.ts";

/** What the Postgres source needs. */
export interface PostgresSourceDeps {
  readonly dsn: Dsn;
  /** A direct connection for LISTEN, where `dsn` goes through a transaction pooler; null: `dsn` does both. */
  readonly listenDsn: Dsn | null;
  /** Looks up the hosts of the connection strings. */
  readonly resolver: Resolver;
  /** Everything is read again this often although the link is well, +-20 %. */
  readonly resyncMs: number;
  /** True: every route is woken through the control plane, by its row's name. */
  readonly wakeable: boolean;
  /** The one that look-ups use: SRV prefixes are cut off hostnames. */
  readonly simplifySrv: boolean;
  /** Where the last good rows are kept for a start without Postgres; null: nowhere. */
  readonly snapshotPath: string | null;
  readonly emit: (event: SourceEvent) => void;
  /** Waits that differ from `defaultTimings`. */
  readonly timings?: Partial<PostgresTimings>;
}

const source = "postgres";
/** A name is read one by one for less than it takes to read ten rows with all others; so many names at most, some milliseconds of work. */
const namesPerRead = { least: 200, most: 2_000, share: 0.1 };
/** Up to so many lost routes are never held back. */
const fewLosses = 10;

/** The routes in the table `servers`, followed live. While Postgres is away, the last ones stay published. */
export function createPostgresSource(deps: PostgresSourceDeps): RouteSource {
  return { name: source, run: (publish, signal) => follow(deps, publish, signal) };
}

async function follow(
  deps: PostgresSourceDeps,
  publish: Publish,
  signal: AbortSignal,
): Promise<void> {
  const { emit, snapshotPath: path } = deps;
  const timings = { ...defaultTimings, ...deps.timings };
  const rows = createServerRows({
    wakeable: deps.wakeable,
    simplifySrv: deps.simplifySrv,
    onComplaint: (row, reason) => emit({ kind: "row-skipped", source, row, reason }),
  });
  const publishChanges = createChangePublisher(publish);
  if (path !== null) await startFromSnapshot(path, rows, publishChanges, emit);
  const writer =
    path === null
      ? null
      : createSnapshotWriter({
          path,
          everyMs: timings.snapshotMs,
          rows: rows.goodRows,
          onFailure: (reason) => warn(emit, `the snapshot ${path} cannot be written: ${reason}`),
        });
  const apply: PublishChanges = async (changes) => {
    await publishChanges(changes);
    if (changes.upsert.length + changes.removed.length > 0) writer?.changed();
  };
  const refresh = createRefresh(rows, apply, timings.confirmMs, emit);
  const report = createReporter(deps, rows, timings);
  const mostNames = () => {
    const { least, most, share } = namesPerRead;
    return Math.min(most, Math.max(least, share * rows.routeCount()));
  };
  await runPostgresLink({ ...deps, timings, mostNames, refresh, report }, signal);
  await writer?.stop();
}

/** Publishes what the snapshot holds. The first read of the table then finds only the differences. */
async function startFromSnapshot(
  path: string,
  rows: ServerRows,
  publishChanges: PublishChanges,
  emit: PostgresSourceDeps["emit"],
): Promise<void> {
  const loaded = await loadSnapshot(path);
  if (!loaded.ok) warn(emit, `the snapshot ${path} cannot be used: ${loaded.error}`);
  if (!loaded.ok || loaded.value === null) return;
  const { rows: saved, savedAt } = loaded.value;
  const full = rows.beginFull();
  for await (const piece of inChunks(saved)) full.add(piece);
  await publishChanges(await full.commit());
  const ageMs = Math.max(0, Date.now() - savedAt.getTime());
  emit({ kind: "snapshot-loaded", source, routes: rows.routeCount(), path, ageMs });
}

/**
 * Reads what a hint names, or everything, and applies it. A table that has lost most of its routes is believed only
 * when it still has after `confirmMs`: a TRUNCATE and a refill are often two transactions.
 */
function createRefresh(
  rows: ServerRows,
  apply: PublishChanges,
  confirmMs: number,
  emit: PostgresSourceDeps["emit"],
): CycleDeps["refresh"] {
  let doubtedAt: number | null = null;
  const isDoubtful = (losses: number): boolean =>
    losses > fewLosses && losses * 2 > rows.routeCount();
  return async (reader, reload) => {
    if (reload.kind === "names") {
      const named = await reader.readNamed(reload.names);
      if (!named.ok && named.error.kind === "lost") return named;
      if (named.ok && !isDoubtful(rows.lossesAmong(reload.names, named.value))) {
        await apply(rows.applyNamed(reload.names, named.value));
        return ok({ againMs: null });
      }
      // Refused, as the payload was no name, or most routes are gone: what has happened is found by reading everything.
    }
    const full = rows.beginFull();
    const read = await reader.readAll(full.add);
    if (!read.ok) return read;

    const losses = full.losses();
    if (isDoubtful(losses)) {
      const now = performance.now();
      if (doubtedAt === null) {
        warn(
          emit,
          `${losses} of ${rows.routeCount()} routes are gone from the table; they stay until a second read in ${confirmMs / 1_000} s agrees`,
        );
      }
      doubtedAt ??= now;
      const leftMs = doubtedAt + confirmMs - now;
      if (leftMs > 0) return ok({ againMs: leftMs });
    }
    doubtedAt = null;
    await apply(await full.commit());
    return ok({ againMs: null });
  };
}

/** Turns what the link says into events: an outage is told once, its further attempts one by one. */
function createReporter(
  deps: PostgresSourceDeps,
  rows: ServerRows,
  timings: PostgresTimings,
): (report: LinkReport) => void {
  const { emit } = deps;
  let lostAt: number | null = null;
  return (report) => {
    const routes = rows.routeCount();
    switch (report.kind) {
      case "live": {
        const awayMs = lostAt === null ? 0 : Math.round(performance.now() - lostAt);
        lostAt = null;
        emit({ kind: "source-live", source, routes, mode: report.mode, awayMs });
        return;
      }
      case "down":
        if (lostAt === null) emit({ kind: "source-lost", source, reason: report.reason, routes });
        else emit({ kind: "source-retry", source, reason: report.reason, nextMs: report.nextMs });
        lostAt ??= performance.now();
        return;
      case "polling":
        warn(
          emit,
          `LISTEN at ${describeDsn(deps.listenDsn ?? deps.dsn)} does not work, so the table is read every ${timings.pollMs / 1_000} s: ${report.reason}`,
        );
        return;
    }
  };
}

const warn = (emit: PostgresSourceDeps["emit"], message: string): void =>
  emit({ kind: "source-warning", source, message });
