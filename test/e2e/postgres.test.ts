import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startOpenRouter } from "../support/postgres/live-table.ts";
import { startPostgres, type TestPostgres } from "../support/postgres/postgres.ts";
import { printedSchema } from "../support/process/e2e-network.ts";
import { openNotifySocket } from "../support/process/notify-socket.ts";
import { until } from "../support/until.ts";

// For a machine that is busy with something else.
setDefaultTimeout(90_000);

const folder = mkdtempSync(join(tmpdir(), "automc-dsn-"));
let server: TestPostgres;
beforeAll(async () => {
  server = await startPostgres();
});
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function databaseWith(hostname: string) {
  const database = await server.createDatabase();
  await database.sql.unsafe(await printedSchema());
  await database.sql`INSERT INTO servers VALUES (${hostname}, ${hostname}, '127.0.0.1:1')`;
  return database;
}

test("libpq's variables change nothing, and are warned of", async () => {
  const database = await databaseWith("a.example.org");
  await using open = await startOpenRouter({
    AUTOMC_DSN: database.dsn(),
    PGHOST: "127.0.0.9",
    PGTARGETSESSIONATTRS: "any",
    PGSSLMODE: "verify-full",
    PGPASSWORD: "s3cret",
    PGAPPNAME: "other",
  });
  await until("it is routed", async () => (await open.api.routes()).length === 1);
  expect(await database.routerPids()).toHaveLength(2);
  const log = open.router.log();
  expect(log).toContain("PGTARGETSESSIONATTRS");
  expect(log).not.toContain("s3cret");
});

test("a connection string in a file is read again for a new connection, and at SIGHUP", async () => {
  const [first, second] = [
    await databaseWith("a.example.org"),
    await databaseWith("b.example.org"),
  ];
  const path = join(folder, "dsn");
  const write = (text: string) => writeFileSync(path, `${text}\n`, { mode: 0o600 });
  write(first.dsn().replace(first.name, "missing"));
  await using open = await startOpenRouter({ AUTOMC_DSN_FILE: path });
  write(first.dsn());
  await until("the corrected one is used", async () =>
    Bun.deepEquals(await open.api.routes(), ["a.example.org 127.0.0.1:1"]),
  );
  write(second.dsn());
  open.router.signal("SIGHUP");
  await until("the changed one is used", async () =>
    Bun.deepEquals(await open.api.routes(), ["b.example.org 127.0.0.1:1"]),
  );
});

test("systemd hears READY only when the routes are read", async () => {
  const database = await databaseWith("a.example.org");
  const path = join(folder, "late");
  writeFileSync(path, database.dsn().replace(database.name, "missing"), { mode: 0o600 });
  using socket = openNotifySocket("path");
  await using open = await startOpenRouter({ AUTOMC_DSN_FILE: path, NOTIFY_SOCKET: socket.path });
  await until("it says what it waits for", () =>
    socket
      .of("STATUS")
      .some(({ fields }) => fields["STATUS"]?.startsWith("waiting for the first routes")),
  );
  expect(socket.of("READY")).toHaveLength(0);
  writeFileSync(path, database.dsn(), { mode: 0o600 });
  await until("it is ready", () => socket.of("READY").length === 1, 30_000);
  expect(await open.api.routes()).toEqual(["a.example.org 127.0.0.1:1"]);
});
