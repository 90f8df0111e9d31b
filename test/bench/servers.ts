import schema from "../../src/providers/postgres/schema.sql" with { type: "text" };
import { seedSchema } from "../providers/postgres/seed-schema.ts";
import type { TestDatabase, TestPostgres } from "../support/postgres/postgres.ts";

/** A database with the table `servers`, empty. Dispose removes nothing: the database goes with its server. */
export interface Servers extends AsyncDisposable {
  readonly sql: TestDatabase["sql"];
  readonly dsn: string;
}

/**
 * A fresh one with our own schema, or with the one that the extension began with, whose trigger does not
 * say which row has changed.
 */
export async function openServers(server: TestPostgres, kind: "own" | "seed"): Promise<Servers> {
  const database = await server.createDatabase();
  await database.sql.unsafe(kind === "own" ? schema : seedSchema);
  return {
    sql: database.sql,
    dsn: database.dsn(),
    [Symbol.asyncDispose]: () => database.sql.end({ timeout: 1 }),
  };
}
