import type { PostgresClient } from "./client.ts";
import type { PostgresFailure } from "./failure.ts";

/** lock_not_available and query_canceled (PostgreSQL, appendix A). */
const lockNotAvailable = "55P03";
const queryCanceled = "57014";

/**
 * Who holds the table so that nothing may read it. Other sessions' statements are not shown: they may hold
 * secrets.
 */
const holderQuery = `
SELECT l.pid, a.usename::text AS role, a.application_name AS program
FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
WHERE l.relation = to_regclass('servers') AND l.granted AND l.mode = 'AccessExclusiveLock'
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
LIMIT 1`;

/** The failure, in the words of a lock or a slow statement where it comes from one. */
export async function explainLock(
  client: PostgresClient,
  failure: PostgresFailure,
  limitMs: number,
): Promise<PostgresFailure> {
  if (failure.code === queryCanceled) {
    return { ...failure, reason: `reading the table servers took too long: ${failure.reason}` };
  }
  if (failure.code !== lockNotAvailable) return failure;
  const found = await client.within(limitMs, client.sql.unsafe(holderQuery));
  if (!found.ok) return found.error.kind === "lost" ? found.error : failure;
  const [holder] = found.value;
  if (holder === undefined) return { ...failure, reason: "the table servers is locked" };
  const { pid, role, program } = holder;
  const who =
    pid === null
      ? "a prepared transaction (pg_prepared_xacts)"
      : `process ${pid} (${[role && `role ${role}`, program].filter(Boolean).join(", ") || "of another role"})`;
  return { ...failure, reason: `the table servers is locked by ${who}` };
}
