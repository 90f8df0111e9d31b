import { err, ok, type Result } from "../../base/result.ts";
import type { PostgresClient } from "./client.ts";
import type { PostgresFailure } from "./failure.ts";

/** A column of the table, as the role sees it. */
export interface TableColumn {
  readonly name: string;
  /** The type's name, `_text` for an array of text. */
  readonly type: string;
  readonly isArray: boolean;
  readonly isReadable: boolean;
}

/** A trigger on the table. */
interface TableTrigger {
  readonly name: string;
  /**
   * pg_trigger.tgenabled: O and A fire for changes made here, R and A for those that replication applies, D
   * never.
   */
  readonly enabled: string;
  /** pg_trigger.tgtype. */
  readonly type: number;
  /** The columns of UPDATE OF; empty: all. */
  readonly columns: readonly string[];
  /** Its function names the channel. */
  readonly notifies: boolean;
}

/** What the system catalogs say about the table `servers`. */
export interface TableFacts {
  readonly role: string;
  readonly isView: boolean;
  readonly columns: readonly TableColumn[];
  readonly triggers: readonly TableTrigger[];
  /** Logical replication fills it. */
  readonly isSubscribed: boolean;
  /** Row level security applies to the role, and no policy shows it all rows. */
  readonly isFiltered: boolean;
}

/** Whether changes of the table are told; `reason` and `advice` are for the operator. */
export type Hearing =
  | { readonly kind: "heard" }
  | { readonly kind: "unheard"; readonly reason: string; readonly advice: string };

/** Only catalogs: none of it waits for a lock on the table. */
const factsQuery = `
SELECT current_user::text AS role, c.relkind = 'v' AS "isView",
  EXISTS (SELECT FROM pg_catalog.pg_subscription_rel s WHERE s.srrelid = c.oid) AS "isSubscribed",
  pg_catalog.row_security_active(c.oid) AND (
    NOT EXISTS (
      SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd IN ('r', '*')
        AND pg_catalog.pg_get_expr(p.polqual, p.polrelid) = 'true'
        AND (p.polroles = '{0}' OR EXISTS (
          SELECT FROM unnest(p.polroles) AS granted WHERE pg_catalog.pg_has_role(granted, 'USAGE')))
    ) OR EXISTS (
      SELECT FROM pg_catalog.pg_policy p WHERE p.polrelid = c.oid AND NOT p.polpermissive AND p.polcmd IN ('r', '*')
    )
  ) AS "isFiltered",
  (
    SELECT coalesce(json_agg(json_build_object('name', a.attname, 'type', t.typname, 'isArray', t.typcategory = 'A',
      'isReadable', pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT'))), '[]')
    FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
    WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  )::text AS columns,
  (
    SELECT coalesce(json_agg(json_build_object('name', g.tgname, 'enabled', g.tgenabled, 'type', g.tgtype,
      'notifies', f.prosrc LIKE '%automc_routes_changed%', 'columns', (
        SELECT coalesce(json_agg(a.attname), '[]') FROM pg_catalog.pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY (g.tgattr::int2[])
      ))), '[]')
    FROM pg_catalog.pg_trigger g JOIN pg_catalog.pg_proc f ON f.oid = g.tgfoid
    WHERE g.tgrelid = c.oid AND NOT g.tgisinternal
  )::text AS triggers
FROM pg_catalog.pg_class c WHERE c.oid = to_regclass('servers')`;

/** Looks the table up. The error names what keeps the role from reading it, and the command that mends it. */
export async function inspectTable(
  client: PostgresClient,
  limitMs: number,
): Promise<Result<TableFacts, PostgresFailure>> {
  const answer = await client.within(limitMs, client.sql.unsafe(factsQuery));
  if (!answer.ok) return answer;
  const [row] = answer.value;
  if (row === undefined) {
    const reason =
      "there is no table servers in the role's search_path; create the table: automc-router schema | psql";
    return err({ kind: "refused", code: "42P01", reason });
  }
  const facts: TableFacts = {
    role: row["role"],
    isView: row["isView"],
    isSubscribed: row["isSubscribed"],
    isFiltered: row["isFiltered"],
    columns: JSON.parse(row["columns"]),
    triggers: JSON.parse(row["triggers"]),
  };
  const problem = columnProblem(facts);
  return problem === null ? ok(facts) : err(problem);
}

/** The columns without which there are no routes. */
const required = ["name", "domain", "address"];

function columnProblem({ columns, role }: TableFacts): PostgresFailure | null {
  const missing = required.filter((name) => !columns.some((column) => column.name === name));
  if (missing.length > 0) {
    const reason = `the table servers has no column ${missing.join(" and no column ")}; it needs name, domain and address (automc-router schema)`;
    return { kind: "refused", code: "42703", reason };
  }
  const hidden = required.filter(
    (name) => !columns.some((column) => column.name === name && column.isReadable),
  );
  if (hidden.length === 0) return null;
  const what =
    hidden.length === required.length
      ? "the table"
      : `the column ${hidden.join(", ")} of the table`;
  const reason = `role "${role}" may not read ${what}; run as its owner: GRANT SELECT ON servers TO ${quoted(role)};`;
  return { kind: "refused", code: "42501", reason };
}

/** What keeps the role from seeing all rows, with the command that mends it; null: nothing. */
export function filterProblem({ isFiltered, role }: TableFacts): string | null {
  if (!isFiltered) return null;
  return `row level security may hide rows of the table servers from role "${role}"; run as its owner: CREATE POLICY automc_router ON servers FOR SELECT TO ${quoted(role)} USING (true);`;
}

/** Bits of pg_trigger.tgtype (PostgreSQL, src/include/catalog/pg_trigger.h). */
const bits = { row: 1, before: 2, insert: 4, delete: 8, update: 16 };

/** Decides by the triggers whether every change of a route is told. */
export function judgeHearing({ triggers, isSubscribed, isView }: TableFacts): Hearing {
  const notifying = triggers.filter(({ notifies }) => notifies);
  const [first] = notifying;
  if (first === undefined) {
    const what = isView
      ? "servers is a view, which has no trigger"
      : "the table servers has no trigger";
    return unheard(`${what} that tells of changes`, `run as its owner: ${schemaCommand}`);
  }
  const disabled = notifying.find(({ enabled }) => enabled === "D" || enabled === "R");
  const local = notifying.filter(({ enabled }) => enabled === "O" || enabled === "A");
  if (!tellsAll(local, triggers)) {
    if (disabled !== undefined) {
      return unheard(
        `the trigger ${disabled.name} on the table servers is disabled`,
        `run as its owner: ALTER TABLE servers ENABLE TRIGGER ${quoted(disabled.name)};`,
      );
    }
    const evading = evadingTrigger(triggers);
    return unheard(
      evading === undefined
        ? `the trigger ${first.name} on the table servers does not tell of every change`
        : `the trigger ${first.name} misses what the BEFORE trigger ${evading.name} changes in other updates`,
      `run as its owner: ${schemaCommand}`,
    );
  }
  const applied = notifying.filter(({ enabled }) => enabled === "R" || enabled === "A");
  if (isSubscribed && !tellsAll(applied, triggers)) {
    const silent = notifying.filter(({ enabled }) => enabled === "O");
    const commands = silent.map(
      ({ name }) => `ALTER TABLE servers ENABLE ALWAYS TRIGGER ${quoted(name)};`,
    );
    return unheard(
      `logical replication fills the table servers, and the trigger ${first.name} does not fire for it`,
      `run as its owner: ${commands.join(" ")}`,
    );
  }
  return { kind: "heard" };
}

const schemaCommand = "automc-router schema | psql";

const unheard = (reason: string, advice: string): Hearing => ({ kind: "unheard", reason, advice });

/** True when these triggers fire for each insert, delete, and update of domain or address. */
function tellsAll(notifying: readonly TableTrigger[], all: readonly TableTrigger[]): boolean {
  const tells = (bit: number) => notifying.filter(({ type }) => (type & bit) !== 0);
  if (tells(bits.insert).length === 0 || tells(bits.delete).length === 0) return false;
  const updates = tells(bits.update);
  if (updates.some(({ columns }) => columns.length === 0)) return true;
  const isTold = (name: string) => updates.some(({ columns }) => columns.includes(name));
  return isTold("domain") && isTold("address") && evadingTrigger(all) === undefined;
}

/** A trigger that may change columns which the UPDATE itself does not name: UPDATE OF does not see that. */
const evadingTrigger = (triggers: readonly TableTrigger[]): TableTrigger | undefined => {
  const evading = bits.row | bits.before | bits.update;
  return triggers.find(({ type, enabled }) => (type & evading) === evading && enabled !== "D");
};

/** An identifier for a command: quoted where it has to be. */
const quoted = (name: string): string =>
  /^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
