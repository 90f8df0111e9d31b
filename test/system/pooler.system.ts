import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import schema from "../../src/providers/postgres/schema.sql" with { type: "text" };
import {
  dsnOf,
  patientTimings,
  type RunningSource,
  runSource,
  settled,
} from "../providers/run-source.ts";
import { type PgBouncer, startPgBouncer } from "../support/postgres/pgbouncer.ts";
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
} from "../support/postgres/postgres.ts";
import { until } from "../support/until.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

// The echo that never comes is waited for, so it stays short.
const timings = { ...patientTimings(10), echoMs: 1_000 };
const running: RunningSource[] = [];
let server: TestPostgres;
let database: TestDatabase;
let pooler: PgBouncer;

function follow(listenPort: number | null): RunningSource {
  const source = runSource({
    dsn: dsnOf(database.dsn({ port: pooler.port })),
    listenDsn: listenPort === null ? null : dsnOf(database.dsn({ port: listenPort })),
    timings,
  });
  running.push(source);
  return source;
}

beforeAll(async () => {
  server = await startPostgres();
  database = await server.createDatabase();
  await database.sql.unsafe(schema);
  await database.sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1'), ('b', 'b.x', 'h:2')`;
  pooler = await startPgBouncer(server);
});
afterEach(() => Promise.all(running.splice(0).map((source) => source.stop())));
afterAll(async () => {
  await pooler[Symbol.asyncDispose]();
  await server.stop();
});

describe("through PgBouncer in transaction mode", () => {
  test("the table is polled, and what to do about it is said once", async () => {
    const source = follow(null);
    await source.live();
    expect(source.last("source-live")?.mode).toBe("poll");
    await database.sql`UPDATE servers SET address = 'h:8' WHERE name = 'b'`;
    await settled(source, database);
    expect(source.count("source-warning")).toBe(1);
    expect(source.last("source-warning")?.message).toContain("AUTOMC_LISTEN_DSN");
    expect(source.count("source-lost")).toBe(0);
  });

  test("a direct connection for LISTEN hears every change", async () => {
    const source = follow(server.port);
    await source.live();
    expect(source.last("source-live")?.mode).toBe("notify");
    source.patches.length = 0;
    await database.sql`UPDATE servers SET address = 'h:9' WHERE name = 'a'`;
    await settled(source, database);
    expect(source.patches).toHaveLength(1);
    await until("a heartbeat or two have passed", () =>
      Bun.sleep(2 * timings.heartbeatMs).then(() => true),
    );
    expect(source.count("source-lost")).toBe(0);
  });
});

test("through PgBouncer in session mode, every change is heard", async () => {
  await using sessions = await startPgBouncer(server, "session");
  const source = runSource({ dsn: dsnOf(database.dsn({ port: sessions.port })), timings });
  try {
    await source.live();
    expect(source.last("source-live")?.mode).toBe("notify");
    await database.sql`UPDATE servers SET address = 'h:10' WHERE name = 'a'`;
    await settled(source, database);
    expect(source.count("source-warning")).toBe(0);
  } finally {
    await source.stop();
  }
});
