import { mkdirSync } from "node:fs";
import { join } from "node:path";
// biome-ignore lint/correctness/noUndeclaredDependencies: the very package that src uses
import postgres from "postgres";
import { type PostgresOrigin, postgresBinaries } from "../support/postgres/binaries.ts";
import { freePort, own, run, writeOwned } from "../support/postgres/postgres.ts";

/** A private PostgreSQL server on 127.0.0.1 that asks for a password. Dispose ends it and closes its client; its files are left to whoever made the folder. */
export interface DemoPostgres extends AsyncDisposable {
  /** As the server tells it, such as `15.18`. */
  readonly version: string;
  /** Connection string with the password, for the router and for psql. */
  readonly dsn: string;
  readonly sql: postgres.Sql;
}

/** Starts a server in that folder, which must exist and be readable for the account that servers run as. By default the one on the PATH, where there is one. */
export async function startDemoPostgres(
  folder: string,
  origin?: PostgresOrigin,
): Promise<DemoPostgres> {
  const binaries = postgresBinaries(origin);
  mkdirSync(folder);
  own(folder);

  const data = join(folder, "data");
  const password = crypto.randomUUID();
  const passwordFile = writeOwned(join(folder, "password"), password);
  const create = "-U automc -A scram-sha-256 -E UTF8 --locale=C --no-sync --no-instructions";
  await run(join(binaries, "initdb"), [
    `--pwfile=${passwordFile}`,
    ...["-D", data],
    ...create.split(" "),
  ]);

  const port = await freePort();
  const control = (...words: readonly string[]) =>
    run(join(binaries, "pg_ctl"), ["-D", data, "-w", "-s", ...words]);
  // No sockets in the file system: their paths have a limit of about 100 bytes. -F, no fsync: nothing here outlives the demo.
  const settings = `-F -p ${port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=`;
  const stopServer = () => control("-m", "immediate", "stop");
  try {
    await control("-l", join(folder, "log"), "-o", settings, "start");
  } catch (cause) {
    // Ctrl-C may have ended pg_ctl but not the server that it had just started.
    await stopServer().catch(() => undefined);
    throw cause;
  }

  const dsn = `postgres://automc:${password}@127.0.0.1:${port}/postgres?sslmode=disable`;
  // One connection, because the schema is a transaction of several statements.
  const sql = postgres(dsn, { max: 1, ssl: false, onnotice: () => undefined });
  const stop = async (): Promise<void> => {
    await sql.end({ timeout: 0 });
    await stopServer();
  };
  try {
    const [row] = await sql<
      { version: string }[]
    >`SELECT current_setting('server_version') version`;
    const version = row?.version.split(" ")[0] ?? "";
    return { version, dsn, sql, [Symbol.asyncDispose]: stop };
  } catch (cause) {
    await stop();
    throw cause;
  }
}
