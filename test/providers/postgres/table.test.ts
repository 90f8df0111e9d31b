import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import { dsnOf, patientTimings, type RunningSource, runSource, settled } from "../run-source.ts";
import { seedSchema } from "./seed-schema.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

const timings = patientTimings(10);
const running: RunningSource[] = [];
let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres({
    settings: { wal_level: "logical", max_prepared_transactions: "2" },
  });
});
afterEach(() => Promise.all(running.splice(0).map((source) => source.stop())));
afterAll(() => server.stop());

function follow(database: TestDatabase, role = "postgres"): RunningSource {
  const dsn = dsnOf(database.dsn().replace("postgres@", `${role}@`));
  const source = runSource({ dsn, timings });
  running.push(source);
  return source;
}

async function databaseWith(...scripts: readonly string[]): Promise<TestDatabase> {
  const database = await server.createDatabase();
  for (const script of scripts) await database.sql.unsafe(script);
  return database;
}

const warnings = ({ events }: RunningSource): string =>
  events.flatMap((event) => (event.kind === "source-warning" ? [event.message] : [])).join("\n");

const row = "INSERT INTO servers VALUES ('a', 'a.x', 'h:1')";
const evasive = `
  CREATE FUNCTION evade() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.address := 'h:2'; RETURN NEW; END $$;
  CREATE TRIGGER evade BEFORE UPDATE ON servers FOR EACH ROW EXECUTE FUNCTION evade();
  ALTER TABLE servers ADD COLUMN note TEXT;`;
const change = "UPDATE servers SET address = 'h:2'";

describe("a table that does not tell of its changes is polled, and the command that mends it is named", () => {
  const rows: readonly {
    name: string;
    scripts: readonly string[];
    says: string;
    change: string;
  }[] = [
    {
      name: "no trigger",
      scripts: ["CREATE TABLE servers(name TEXT PRIMARY KEY, domain TEXT, address TEXT)"],
      says: "has no trigger that tells of changes, so the table is read every 0.5 s; run as its owner: automc-router schema | psql",
      change,
    },
    {
      name: "a disabled trigger",
      scripts: [schema, "ALTER TABLE servers DISABLE TRIGGER automc_routes_notify"],
      says: "ALTER TABLE servers ENABLE TRIGGER automc_routes_notify;",
      change,
    },
    {
      name: "UPDATE OF that a BEFORE trigger evades",
      scripts: [seedSchema, evasive],
      says: "misses what the BEFORE trigger evade changes",
      change: "UPDATE servers SET note = 'x'",
    },
  ];
  test.each([...rows])("$name", async ({ scripts, says, change }) => {
    const database = await databaseWith(
      ...scripts,
      row.replace("VALUES", "(name, domain, address) VALUES"),
    );
    const source = follow(database);
    await source.live();
    expect(source.last("source-live")?.mode).toBe("poll");
    expect(warnings(source)).toContain(says);
    await database.sql.unsafe(change);
    await settled(source, database);
    expect(source.claims()).toEqual(["a.x h:2"]);
    expect(source.count("source-warning")).toBe(1);
  });

  test("until the trigger is there", async () => {
    const database = await databaseWith(schema, row, "ALTER TABLE servers DISABLE TRIGGER ALL");
    const source = follow(database);
    await source.live();
    await database.sql.unsafe("ALTER TABLE servers ENABLE TRIGGER ALL");
    await source.live(2);
    expect(source.last("source-live")).toMatchObject({ mode: "notify", awayMs: 0 });
  });

  test("after another table has taken its name", async () => {
    const database = await databaseWith(schema, row);
    const source = follow(database);
    await source.live();
    await database.sql.unsafe(`CREATE TABLE fresh (LIKE servers); INSERT INTO fresh VALUES ('b', 'b.x', 'h:3', '');
      ALTER TABLE servers RENAME TO old; ALTER TABLE fresh RENAME TO servers; NOTIFY automc_routes_changed`);
    await settled(source, database);
    await source.live(2);
    expect(source.last("source-live")?.mode).toBe("poll");
  });
});

test("our trigger tells what a BEFORE trigger changes", async () => {
  const database = await databaseWith(schema, row, evasive);
  const source = follow(database);
  await source.live();
  expect(source.last("source-live")?.mode).toBe("notify");
  await database.sql`UPDATE servers SET note = 'x'`;
  await settled(source, database);
  expect(source.claims()).toEqual(["a.x h:2"]);
});

test("a subscriber of logical replication is polled until its triggers fire always", async () => {
  const publisher = await databaseWith(schema, row, "CREATE PUBLICATION routes FOR TABLE servers");
  const subscriber = await databaseWith(schema);
  await publisher.sql`SELECT pg_create_logical_replication_slot('routes', 'pgoutput')`;
  await subscriber.sql.unsafe(`CREATE SUBSCRIPTION routes
    CONNECTION 'host=127.0.0.1 port=${server.port} user=postgres dbname=${publisher.name}'
    PUBLICATION routes WITH (create_slot = false, slot_name = 'routes')`);
  const source = follow(subscriber);
  await source.live();
  expect(source.last("source-live")?.mode).toBe("poll");
  expect(warnings(source)).toContain("ENABLE ALWAYS TRIGGER automc_routes_notify;");
  await subscriber.sql.unsafe(schema);
  await until("changes are heard", () => source.last("source-live")?.mode === "notify");
  await settled(source, publisher);
  await publisher.sql.unsafe(change);
  await settled(source, publisher);
  // One by one: in one transaction, DROP would wait for workers that wait for the ALTERs.
  await subscriber.sql`ALTER SUBSCRIPTION routes DISABLE`;
  await subscriber.sql`ALTER SUBSCRIPTION routes SET (slot_name = NONE)`;
  await subscriber.sql`DROP SUBSCRIPTION routes`;
  await publisher.sql`SELECT pg_drop_replication_slot('routes') FROM pg_replication_slots
    WHERE slot_name = 'routes' AND NOT active`;
});

describe("a table of the operator's own making", () => {
  const rows: readonly { name: string; script: string; claims: readonly string[] }[] = [
    {
      name: "without a state, with addresses of type INET",
      script:
        "CREATE TABLE servers(name TEXT PRIMARY KEY, domain TEXT, address INET); INSERT INTO servers VALUES ('a', 'a.x', '10.0.0.5')",
      claims: ["a.x 10.0.0.5:25565"],
    },
    {
      name: "with lists of hostnames",
      script:
        "CREATE TABLE servers(name TEXT PRIMARY KEY, domain TEXT[], address TEXT); INSERT INTO servers VALUES ('a', '{a.x,b.x}', 'h:1')",
      claims: ["a.x h:1", "b.x h:1"],
    },
    {
      name: "with padded columns",
      script:
        "CREATE TABLE servers(name CHAR(20) PRIMARY KEY, domain CHAR(20), address CHAR(20)); INSERT INTO servers VALUES ('a', 'a.x', 'h:1')",
      claims: ["a.x h:1"],
    },
    {
      name: "with a field of 17 MB",
      script:
        `${schema}; ${row}; INSERT INTO servers VALUES ('huge', repeat('b', 17000000), 'h:3')`.replace(
          "UNIQUE (domain)",
          "CHECK (true)",
        ),
      claims: ["a.x h:1"],
    },
  ];
  test.each([...rows])("is read: $name", async ({ script, claims }) => {
    const source = follow(await databaseWith(script));
    await source.live();
    expect(source.claims()).toEqual([...claims]);
  });

  test("takes our trigger, and names of CHAR(n) are heard", async () => {
    const database = await databaseWith(
      "CREATE TABLE servers(name CHAR(20) PRIMARY KEY, domain TEXT UNIQUE, address TEXT)",
      schema,
      "INSERT INTO servers VALUES ('a', 'a.x', 'h:1')",
    );
    const source = follow(database);
    await source.live();
    expect(source.last("source-live")?.mode).toBe("notify");
    source.patches.length = 0;
    await database.sql.unsafe(change);
    await settled(source, database);
    expect(source.patches.map(({ upsert }) => upsert.map(({ id }) => id))).toEqual([["a"]]);
  });
});

describe("a role", () => {
  test("without the right to read is told the command", async () => {
    const database = await databaseWith(schema, row, "CREATE ROLE poor LOGIN");
    const source = follow(database, "poor");
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toBe(
      'role "poor" may not read the table; run as its owner: GRANT SELECT ON servers TO poor;',
    );
    await database.sql.unsafe("GRANT SELECT ON servers TO poor");
    await source.live();
    expect(await database.routerPids()).toHaveLength(2);
  });

  test("without the right to one column loses that one only", async () => {
    const database = await databaseWith(
      schema,
      row,
      "ALTER TABLE servers ADD COLUMN proxy_protocol BOOLEAN; CREATE ROLE partly LOGIN; GRANT SELECT (name, domain, address) ON servers TO partly",
    );
    const source = follow(database, "partly");
    await source.live();
    expect(source.claims()).toEqual(["a.x h:1"]);
    expect(warnings(source)).toContain(
      'proxy_protocol of the table servers has no effect: role "partly" may not',
    );
  });

  test("from whom row level security hides all rows keeps the last routes, and is told why", async () => {
    const database = await databaseWith(
      schema,
      row,
      "CREATE ROLE blind LOGIN; GRANT SELECT ON servers TO blind",
    );
    const source = follow(database, "blind");
    await source.live();
    await database.sql.unsafe(
      "ALTER TABLE servers ENABLE ROW LEVEL SECURITY; NOTIFY automc_routes_changed",
    );
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain(
      "CREATE POLICY automc_router ON servers FOR SELECT TO blind USING (true);",
    );
    expect(source.claims()).toEqual(["a.x h:1"]);
    await database.sql.unsafe(
      "CREATE POLICY automc_router ON servers FOR SELECT TO blind USING (true)",
    );
    await source.live(2);
    expect(warnings(source)).toBe("");
  });
});

describe("a locked table", () => {
  test("is given up soon, keeps two backends, and its holder is named", async () => {
    const database = await databaseWith(schema, row);
    const source = follow(database);
    await source.live();
    const pids = await database.routerPids();
    const [holder] = await database.sql.begin(async (sql) => {
      await sql`LOCK TABLE servers`;
      await sql`SELECT pg_notify('automc_routes_changed', '')`;
      const other = server.connect(database.name);
      await other.sql`NOTIFY automc_routes_changed`;
      await until("the outage", () => source.count("source-lost") === 1);
      await until("more attempts", () => source.count("source-retry") > 2);
      expect(await other.routerPids()).toEqual([...pids]);
      return await sql`SELECT pg_backend_pid() AS pid`;
    });
    expect(source.last("source-lost")?.reason).toBe(
      `the table servers is locked by process ${holder?.["pid"]} (role postgres, postgres.js)`,
    );
    await source.live(2);
    expect(await database.routerPids()).toEqual([...pids]);
  });

  test("may be locked by a prepared transaction", async () => {
    const database = await databaseWith(schema, row);
    await database.sql.unsafe("BEGIN; LOCK TABLE servers; PREPARE TRANSACTION 'held'");
    const source = follow(database);
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain("a prepared transaction");
    await database.sql.unsafe("ROLLBACK PREPARED 'held'");
    await source.live();
  });
});
