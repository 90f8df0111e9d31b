import type { Result } from "../../base/result.ts";
import { inChunks } from "../../base/wait.ts";
import type { Resolver } from "../../net/resolve.ts";
import type { Publish, RouteSource } from "../../routing/source.ts";
import type { SourceEvent } from "../event.ts";
import { createOutage } from "../outage.ts";
import { describeDsn } from "./dsn.ts";
import {
  type Connections,
  createPostgresLink,
  type LinkReport,
  type PostgresLink,
} from "./link.ts";
import { createChangePublisher, type PublishChanges } from "./publish.ts";
import { createRefresh } from "./refresh.ts";
import { createServerRows, type ServerRows } from "./rows.ts";
import { createSnapshotWriter, loadSnapshot, type SnapshotWriter } from "./snapshot.ts";
import { defaultTimings, type PostgresTimings } from "./timings.ts";

/** What the Postgres source needs. */
export interface PostgresSourceDeps {
  /** Reads the connection strings; called for each new connection, because secrets are rotated. */
  readonly connections: () => Result<Connections, string>;
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
/** A name alone is read for less than ten rows of a full read; 2,000 names are some milliseconds of work. */
const namesPerRead = { least: 200, most: 2_000, share: 0.1 };

/** The routes in the table `servers`, followed live. While Postgres is away, the last ones stay published. */
export function createPostgresSource(deps: PostgresSourceDeps): RouteSource {
  let link: PostgresLink | null = null;
  return {
    name: source,
    async run(publish, signal) {
      const rows = createServerRows({
        wakeable: deps.wakeable,
        simplifySrv: deps.simplifySrv,
        onComplaint: (row, reason) => deps.emit({ kind: "row-skipped", source, row, reason }),
      });
      const publishing = await startFromSnapshot(deps, rows, publish);
      link = openLink(deps, rows, publishing.apply);
      await link.run(signal);
      await publishing.writer?.stop();
    },
    reload: () => link?.reload(),
  };
}

/** The way of changes to the table and to the snapshot. */
interface Publishing {
  readonly apply: PublishChanges;
  /** Null: no snapshot is kept. */
  readonly writer: SnapshotWriter | null;
}

/** Publishes what the snapshot holds. The first read of the table then finds only the differences. */
async function startFromSnapshot(
  { snapshotPath: path, timings, emit }: PostgresSourceDeps,
  rows: ServerRows,
  publish: Publish,
): Promise<Publishing> {
  const publishChanges = createChangePublisher(publish);
  if (path === null) return { apply: publishChanges, writer: null };
  const loaded = await loadSnapshot(path);
  if (!loaded.ok) warn(emit, `the snapshot ${path} cannot be used: ${loaded.error}`);
  if (loaded.ok && loaded.value !== null) {
    const { rows: saved, savedAt } = loaded.value;
    const full = rows.beginFull();
    for await (const chunk of inChunks(saved)) full.add(chunk);
    await publishChanges(await full.commit());
    const ageMs = Math.max(0, Date.now() - savedAt.getTime());
    emit({ kind: "snapshot-loaded", source, routes: rows.routeCount(), path, ageMs });
  }
  const writer = createSnapshotWriter({
    path,
    everyMs: timings?.snapshotMs ?? defaultTimings.snapshotMs,
    rows: rows.goodRows,
    onFailure: (reason) => warn(emit, `the snapshot ${path} cannot be written: ${reason}`),
  });
  return {
    writer,
    async apply(changes) {
      await publishChanges(changes);
      if (changes.upsert.length + changes.removed.length > 0) writer.changed();
    },
  };
}

function openLink(deps: PostgresSourceDeps, rows: ServerRows, apply: PublishChanges): PostgresLink {
  const timings = { ...defaultTimings, ...deps.timings };
  const { confirmMs } = timings;
  return createPostgresLink({
    ...deps,
    timings,
    mostNames() {
      const { least, most, share } = namesPerRead;
      return Math.min(most, Math.max(least, share * rows.routeCount()));
    },
    refresh: createRefresh({ rows, apply, confirmMs, warn: (text) => warn(deps.emit, text) }),
    report: createReporter(deps, rows, timings),
  });
}

/** Turns what the link says into events. */
function createReporter(
  { connections, emit }: PostgresSourceDeps,
  rows: ServerRows,
  timings: PostgresTimings,
): (report: LinkReport) => void {
  const outage = createOutage(source, emit);
  const polled = `the table is read every ${timings.pollMs / 1_000} s`;
  return (report) => {
    switch (report.kind) {
      case "live":
        outage.live(rows.routeCount(), report.mode);
        return;
      case "down":
        outage.down(report.reason, rows.routeCount(), report.nextMs);
        return;
      case "polling": {
        const { reason, advice } = report;
        if (advice === null)
          warn(emit, `LISTEN${listenPlace(connections)} does not work, so ${polled}: ${reason}`);
        else warn(emit, `${reason}, so ${polled}; ${advice}`);
        return;
      }
    }
  };
}

function listenPlace(connections: PostgresSourceDeps["connections"]): string {
  const found = connections();
  return found.ok ? ` at ${describeDsn(found.value.listenDsn ?? found.value.dsn)}` : "";
}

const warn = (emit: PostgresSourceDeps["emit"], message: string): void =>
  emit({ kind: "source-warning", source, message });
