import { spawnSync } from "node:child_process";
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
// biome-ignore lint/correctness/noUndeclaredDependencies: the very package that src uses
import postgres from "postgres";
import { childrenOf } from "../../bench/measure.ts";
import { until } from "../until.ts";
import { serverAccount } from "./account.ts";
import { type PostgresOrigin, postgresBinaries } from "./binaries.ts";

/** A client, or one transaction of it. */
export type TestSql = postgres.Sql | postgres.TransactionSql;

/** One database of a private server, with a client of its own for what the test does as operator. */
export interface TestDatabase {
  readonly name: string;
  readonly sql: postgres.Sql;
  /**
   * Runs one statement without parameters, for tests that kill the server: on a connection of its own that is
   * made anew after any failure. Rejects after 5 s at the latest. The client's own reconnects may hang for
   * ever after a few deaths of the server.
   */
  ask<Row extends object>(statement: string): Promise<readonly Row[]>;
  /** What the server has said on the side (NOTICE, WARNING). */
  readonly notices: readonly string[];
  /** Connection string of the database, as the router gets it; `port` may be that of a proxy in front. */
  dsn(options?: { readonly port?: number; readonly query?: string }): string;
  /** Process ids of the router's connections. */
  routerPids(): Promise<readonly number[]>;
}

/** A private PostgreSQL server in a folder under the system's temporary one, on 127.0.0.1. */
export interface TestPostgres {
  readonly port: number;
  readonly folder: string;
  /** A fresh, empty database. Its client is closed by `stop`. */
  createDatabase(): Promise<TestDatabase>;
  /**
   * A database that is there already, as on the promoted standby of a server that had it. Its client is
   * closed by `stop`.
   */
  connect(name: string): TestDatabase;
  start(): Promise<void>;
  /** Ends the server at once, as a crash would (`pg_ctl -m immediate`). Committed rows survive. */
  kill(): Promise<void>;
  /**
   * Ends the server's first process by SIGKILL, as the kernel does when memory runs out, and waits until the
   * others have noticed.
   */
  crash(): Promise<void>;
  /** Makes a standby the primary; resolves when it is. */
  promote(): Promise<void>;
  /** Ends the server for good and deletes the folder. */
  stop(): Promise<void>;
}

/** What a server may have beyond the defaults. */
export interface TestPostgresOptions {
  readonly settings?: Readonly<Record<string, string>>;
  /** PEM texts; with them the server offers TLS. */
  readonly tls?: { readonly certificate: string; readonly key: string };
  /** Whose programs run it; left out: the installed ones, else those of the package. */
  readonly origin?: PostgresOrigin;
  /** The server becomes a hot standby of this one, which must be up. */
  readonly standbyOf?: TestPostgres;
}

/** A started server: about 0.8 s. Throws, with what to install, when PostgreSQL is not there. */
export async function startPostgres(options: TestPostgresOptions = {}): Promise<TestPostgres> {
  const binaries = postgresBinaries(options.origin);
  const folder = mkdtempSync(join(tmpdir(), "automc-postgres-"));
  own(folder);
  const data = join(folder, "data");
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    port: String(await freePort()),
    unix_socket_directories: folder,
    shared_buffers: "16MB",
    full_page_writes: "off",
    ...options.settings,
  };
  const clients = new Set<postgres.Sql>();
  let databases = 0;

  const primary = options.standbyOf;
  if (primary === undefined) {
    const flags = "-A trust -U postgres -E UTF8 --locale=C --no-sync --no-instructions";
    await run(join(binaries, "initdb"), ["-D", data, ...flags.split(" ")]);
  } else {
    await copyAsStandby(primary, data);
  }
  if (options.tls !== undefined) {
    settings["ssl"] = "on";
    settings["ssl_cert_file"] = writeOwned(join(folder, "server.pem"), options.tls.certificate);
    settings["ssl_key_file"] = writeOwned(join(folder, "server.key"), options.tls.key);
  }
  const flags = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
  const control = (...words: readonly string[]) =>
    run(join(binaries, "pg_ctl"), ["-D", data, "-w", "-s", ...words]);
  // -F: no fsync. A killed server loses nothing by it, only a killed machine would.
  const start = () => control("-l", join(folder, "log"), "-o", `-F ${flags.join(" ")}`, "start");
  const undertaker = startUndertaker(binaries, folder);
  await start();

  const port = Number(settings["port"]);
  const open = (database: string, notices: string[] = []) => {
    const sql = postgres({
      host: "127.0.0.1",
      port,
      database,
      user: "postgres",
      ssl: false,
      max: 1,
      backoff: () => 0.05,
      // A connection that a killed server's queue has swallowed is not waited for.
      connect_timeout: 5,
      onnotice: (notice) => notices.push(String(notice["message"])),
    });
    clients.add(sql);
    return sql;
  };
  const admin = open("postgres");

  function connect(name: string): TestDatabase {
    const notices: string[] = [];
    const sql = open(name, notices);
    let asking: postgres.Sql | null = null;

    async function ask<Row extends object>(statement: string): Promise<readonly Row[]> {
      asking ??= open(name);
      const client = asking;
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => reject(new Error("no answer from Postgres in 5 s")), 5_000);
      try {
        return await Promise.race([client.unsafe<Row[]>(statement), late]);
      } catch (error) {
        if (asking === client) asking = null;
        clients.delete(client);
        // It is given up, however it takes that.
        client.end({ timeout: 0 }).catch(() => undefined);
        throw error;
      } finally {
        clearTimeout(timer);
      }
    }

    return {
      name,
      sql,
      ask,
      notices,
      dsn: (to = {}) =>
        `postgres://postgres@127.0.0.1:${to.port ?? port}/${name}?${to.query ?? "sslmode=disable"}`,
      async routerPids() {
        const rows = await ask<{ pid: number }>(
          `SELECT pid FROM pg_stat_activity WHERE datname = '${name}' AND application_name = 'automc-router'`,
        );
        return rows.map(({ pid }) => pid);
      },
    };
  }

  return {
    port,
    folder,
    async createDatabase() {
      databases += 1;
      const name = `test_${databases}`;
      await admin.unsafe(`CREATE DATABASE ${name}`);
      return connect(name);
    },
    connect,
    start,
    kill: () => control("-m", "immediate", "stop"),
    async crash() {
      const pid = Number(readFileSync(join(data, "postmaster.pid"), "utf8").split("\n", 1)[0]);
      // 0 would be our own process and all of its group.
      if (!(pid > 0)) throw new Error("the server has left no process id");
      const family = [pid, ...childrenOf(pid)];
      process.kill(pid, "SIGKILL");
      await until("no process of the server is left", () => !family.some(isRunning));
      // Where nobody buries the dead at once, the next start would take the old process for one that runs.
      for (const lock of [join(data, "postmaster.pid"), join(folder, `.s.PGSQL.${port}.lock`)]) {
        rmSync(lock, { force: true });
      }
    },
    promote: () => control("promote"),
    async stop() {
      await Promise.all([...clients].map((sql) => sql.end({ timeout: 0 })));
      await undertaker.stdin.end();
      await undertaker.exited;
    },
  };
}

/** A port of 127.0.0.1 that was free a moment ago, for programs that cannot be given port 0. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}

/** Gives a file or folder to the account that servers run as. */
export function own(path: string): void {
  if (serverAccount.uid !== undefined) chownSync(path, serverAccount.uid, serverAccount.gid);
}

/** Writes a file that only the server's account may read, and gives its path back. */
export function writeOwned(path: string, text: string): string {
  writeFileSync(path, text, { mode: 0o600 });
  own(path);
  return path;
}

/** Runs a program to its end as the server's account; throws with what it said on standard error. */
export async function run(program: string, words: readonly string[]): Promise<void> {
  const child = Bun.spawn([program, ...words], {
    ...serverAccount,
    cwd: tmpdir(),
    stdin: "ignore",
    stdout: "ignore",
    stderr: "pipe",
  });
  const [said, code] = await Promise.all([child.stderr.text(), child.exited]);
  if (code !== 0) throw new Error(`${program} ${words.join(" ")} ended with ${code}: ${said}`);
}

/** False too for one that has ended and that nobody has asked about yet. */
function isRunning(pid: number): boolean {
  if (process.platform !== "linux") return spawnSync("ps", ["-p", String(pid)]).status === 0;
  const stat = `/proc/${pid}/stat`;
  return existsSync(stat) && !/\) [ZX] /.test(readFileSync(stat, "utf8"));
}

/**
 * Makes a hot standby's folder from a backup of its primary; the packaged PostgreSQL has no pg_basebackup.
 */
async function copyAsStandby(primary: TestPostgres, data: string): Promise<void> {
  // The backup belongs to one connection; this client has no more than one.
  const { sql } = primary.connect("postgres");
  await sql`SELECT pg_backup_start('standby', true)`;
  await run("cp", ["-R", join(primary.folder, "data"), data]);
  const [backup] = await sql<{ labelfile: string }[]>`SELECT labelfile FROM pg_backup_stop(false)`;
  if (backup === undefined) throw new Error("pg_backup_stop has given no label");
  rmSync(join(data, "postmaster.pid"));
  writeOwned(join(data, "backup_label"), backup.labelfile);
  writeOwned(join(data, "standby.signal"), "");
  const at = `host=127.0.0.1 port=${primary.port} user=postgres`;
  writeOwned(join(data, "postgresql.auto.conf"), `primary_conninfo = '${at}'\n`);
}

/**
 * Waits until its standard input closes, by `stop` or because the test process is gone in whatever way; then
 * it ends the server and deletes the folder. So no server stays behind.
 */
function startUndertaker(binaries: string, folder: string) {
  const script = `trap "" INT TERM HUP; cat; "$0/pg_ctl" -D "$1/data" -m immediate -w -s stop; rm -rf "$1"`;
  const undertaker = Bun.spawn(["sh", "-c", script, binaries, folder], {
    ...serverAccount,
    cwd: tmpdir(),
    stdin: "pipe",
    stdout: "ignore",
    stderr: "ignore",
  });
  undertaker.unref();
  return undertaker;
}
