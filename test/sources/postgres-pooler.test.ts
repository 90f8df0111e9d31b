import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import schema from "../../src/sources/schema.sql" with { type: "text" };
import {
  freePort,
  own,
  serverAccount,
  startPostgres,
  type TestDatabase,
  type TestPostgres,
  until,
  writeOwned,
} from "../support/postgres.ts";
import { dsnOf, patientTimings, type RunningSource, runSource, settled } from "./run-source.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

const pgbouncer = Bun.which("pgbouncer", { PATH: `${process.env["PATH"]}:/usr/sbin` });
const folder = mkdtempSync(join(tmpdir(), "automc-pooler-"));
// The echo that never comes is waited for, so it stays short.
const timings = { ...patientTimings(10), echoMs: 1_000 };
const running: RunningSource[] = [];
let server: TestPostgres;
let database: TestDatabase;
let port = 0;
let pooler: Bun.Subprocess | null = null;

async function startPooler(program: string): Promise<void> {
  own(folder);
  port = await freePort();
  const settings = `
[databases]
* = host=127.0.0.1 port=${server.port} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
`;
  const path = writeOwned(join(folder, "pgbouncer.ini"), settings);
  pooler = Bun.spawn([program, "--quiet", path], {
    ...serverAccount,
    cwd: tmpdir(),
    stdio: ["ignore", "ignore", "ignore"],
  });
  await until("the pooler listens", () => {
    const socket = { open: (opened: Bun.Socket) => void opened.end(), data: () => undefined };
    const probe = Bun.connect({ hostname: "127.0.0.1", port, socket });
    return probe.then(
      () => true,
      () => false,
    );
  });
}

function follow(listenPort: number | null): RunningSource {
  const source = runSource({
    dsn: dsnOf(database.dsn({ port })),
    listenDsn: listenPort === null ? null : dsnOf(database.dsn({ port: listenPort })),
    timings,
  });
  running.push(source);
  return source;
}

/** The real pooler takes part where it is installed (`apt-get install pgbouncer`); a stand-in for it is in postgres-link.test.ts. */
function describePooler(program: string): void {
  beforeAll(async () => {
    server = await startPostgres();
    database = await server.createDatabase();
    await database.sql.unsafe(schema);
    await database.sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1'), ('b', 'b.x', 'h:2')`;
    await startPooler(program);
  });
  afterEach(() => Promise.all(running.splice(0).map((source) => source.stop())));
  afterAll(async () => {
    pooler?.kill("SIGKILL");
    await pooler?.exited;
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
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
}

if (pgbouncer !== null) describePooler(pgbouncer);
