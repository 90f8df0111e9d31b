import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import { startPostgres, type TestPostgres } from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import { dsnOf, patientTimings, runSource, settled } from "../run-source.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({ origin: "packaged" });
});
afterAll(() => server.stop());

test("the newest PostgreSQL is read, heard, and waited for while the table is locked", async () => {
  const database = await server.createDatabase();
  await database.sql.unsafe(schema);
  await database.sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1')`;
  await database.sql.unsafe(
    "CREATE ROLE router LOGIN PASSWORD 'pass'; GRANT SELECT ON servers TO router",
  );
  const rules = join(server.folder, "data", "pg_hba.conf");
  await Bun.write(rules, `host all router all scram-sha-256\n${await Bun.file(rules).text()}`);
  await database.sql`SELECT pg_reload_conf()`;
  const dsn = dsnOf(database.dsn({ query: "sslmode=prefer" }).replace("postgres@", "router:pass@"));
  const source = runSource({ dsn, timings: patientTimings(10) });
  await source.live();
  expect(source.last("source-live")?.mode).toBe("notify");
  await database.sql`UPDATE servers SET address = 'h:2'`;
  await settled(source, database);
  await database.sql.begin(async (sql) => {
    await sql`LOCK TABLE servers`;
    await server.connect(database.name).sql`NOTIFY automc_routes_changed`;
    await until("the outage", () => source.count("source-lost") === 1);
  });
  expect(source.last("source-lost")?.reason).toContain("is locked by process");
  await source.live(2);
  await source.stop();
});
