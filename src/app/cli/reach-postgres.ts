import { ok } from "../../base/result.ts";
import { createResolver } from "../../net/resolve.ts";
import type { PostgresClient } from "../../providers/postgres/client.ts";
import { openClient } from "../../providers/postgres/connection.ts";
import { askKind } from "../../providers/postgres/cycle.ts";
import { createDialBudget } from "../../providers/postgres/dial-budget.ts";
import { type Dsn, describeDsn } from "../../providers/postgres/dsn.ts";
import { defaultTimings } from "../../providers/postgres/timings.ts";
import type { Finding } from "./finding.ts";

const queryMs = 5_000;

/**
 * The table as this role sees it. A trigger that is disabled, or fires only on replicas, tells nothing of a
 * change (pg_trigger, `tgenabled`); row level security hides rows without an error.
 */
const tableQuery = `SELECT c.oid IS NOT NULL AS "hasTable",
    current_user AS role,
    coalesce(has_table_privilege(c.oid, 'SELECT'), false) AS "mayRead",
    coalesce(row_security_active(c.oid), false) AS "hidesRows",
    (SELECT coalesce(string_agg(wanted, ', '), '') FROM unnest(ARRAY['name', 'domain', 'address']) AS wanted
      WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = c.oid AND attname = wanted AND NOT attisdropped)) AS missing,
    EXISTS (SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
      WHERE t.tgrelid = c.oid AND t.tgenabled IN ('O', 'A') AND p.prosrc LIKE '%automc_routes_changed%') AS "hasTrigger"
  FROM (SELECT to_regclass('servers')::oid AS oid) AS c`;

/** What that query answers. */
interface TableFacts {
  readonly hasTable: boolean;
  readonly role: string;
  readonly mayRead: boolean;
  readonly hidesRows: boolean;
  readonly missing: string;
  readonly hasTrigger: boolean;
}

/** Logs in and looks at the table, its columns, grants, triggers and row level security. */
export async function reachPostgres(dsn: Dsn): Promise<readonly Finding[]> {
  const what = `Postgres ${describeDsn(dsn)}`;
  const { dialBurst, dialEveryMs } = defaultTimings;
  const opened = await openClient(
    {
      dsn,
      memory: { good: null },
      resolver: createResolver({}),
      budget: createDialBudget({ burst: dialBurst, everyMs: dialEveryMs }),
      timings: defaultTimings,
      greet: () => Promise.resolve(ok(undefined)),
      kindOf: (client) => askKind(client, queryMs),
      onEnd: () => {},
    },
    AbortSignal.timeout(defaultTimings.roundMs),
  );
  if (!opened.ok) return [{ what, problem: `${opened.error.reason} (AUTOMC_DSN)` }];
  const client = opened.value;
  const findings = await lookAtTable(client);
  await client.close();
  return [{ what, problem: null }, ...findings];
}

async function lookAtTable(client: PostgresClient): Promise<readonly Finding[]> {
  const answer = await client.within(queryMs, client.sql.unsafe<TableFacts[]>(tableQuery));
  const [facts] = answer.ok ? answer.value : [];
  if (!answer.ok) return [{ what: "table servers", problem: answer.error.reason }];
  if (facts === undefined) return [];
  return findingsOf(facts);
}

/** What an operator should do about the table. */
function findingsOf(facts: TableFacts): readonly Finding[] {
  const { hasTable, role, mayRead, hidesRows, missing, hasTrigger } = facts;
  const schema = "run as its owner: automc-router schema | psql";
  const what = "table servers";
  if (!hasTable) return [{ what, problem: `it does not exist; ${schema}` }];
  return [
    {
      what: "columns of servers",
      problem: missing === "" ? null : `${missing} missing; ${schema}`,
    },
    {
      what: `role ${JSON.stringify(role)} may read servers`,
      problem: mayRead
        ? null
        : `it may not; run as the owner: GRANT SELECT ON servers TO "${role}";`,
    },
    {
      what: "row level security of servers",
      problem: hidesRows
        ? `rows may be hidden from "${role}"; give it a policy: CREATE POLICY router ON servers FOR SELECT TO "${role}" USING (true);`
        : null,
    },
    {
      what: "trigger of servers",
      problem: hasTrigger
        ? null
        : `no enabled trigger notifies automc_routes_changed, so changes are found late; ${schema}`,
    },
  ];
}
