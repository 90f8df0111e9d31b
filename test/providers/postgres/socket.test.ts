import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { err, ok } from "../../../src/base/result.ts";
import { parseDsn } from "../../../src/providers/postgres/dsn.ts";
import schema from "../../../src/providers/postgres/schema.sql" with { type: "text" };
import { type Authority, makeAuthority } from "../../support/net/certificates.ts";
import { openTcpGate } from "../../support/net/tcp-gate.ts";
import {
  startPostgres,
  type TestDatabase,
  type TestPostgres,
  until,
} from "../../support/postgres/postgres.ts";
import { patientTimings, type RunningSource, runSource, settled } from "../run-source.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "automc-tls-"));
const running: RunningSource[] = [];
let authority: Authority;
let stranger: Authority;
let withTls: TestDatabase;
let withoutTls: TestDatabase;
const servers: TestPostgres[] = [];

beforeAll(async () => {
  authority = makeAuthority(folder, "ours");
  stranger = makeAuthority(folder, "other");
  const [secure, plain] = await Promise.all([
    startPostgres({ tls: authority.certify() }),
    startPostgres(),
  ]);
  servers.push(secure, plain);
  withTls = await secure.createDatabase();
  withoutTls = await plain.createDatabase();
  for (const { sql } of [withTls, withoutTls]) {
    await sql.unsafe(schema);
    await sql`INSERT INTO servers VALUES ('a', 'a.x', 'h:1')`;
  }
});
afterEach(() => Promise.all(running.splice(0).map((source) => source.stop())));
afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true, force: true });
});

function follow(database: TestDatabase, host: string, query: string): RunningSource {
  const text = database
    .dsn({
      query: query.replace("CA", authority.path).replace("OTHER", stranger.path),
    })
    .replace("127.0.0.1", host);
  const dsn = parseDsn(text, (path) => {
    try {
      return ok(readFileSync(path, "utf8"));
    } catch (error) {
      return err(String(error));
    }
  });
  if (!dsn.ok) throw new Error(dsn.error);
  const source = runSource({ dsn: dsn.value, timings: patientTimings(10) });
  running.push(source);
  return source;
}

const isEncrypted = async ({ sql, name }: TestDatabase) => {
  const rows = await sql<{ ssl: boolean }[]>`
    SELECT s.ssl FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
    WHERE a.datname = ${name} AND a.application_name = 'automc-router'`;
  return rows.map(({ ssl }) => ssl);
};

const linked: readonly {
  name: string;
  tls: boolean;
  host: string;
  query: string;
  encrypted: boolean;
}[] = [
  {
    name: "disable, on a server with TLS",
    tls: true,
    host: "localhost",
    query: "sslmode=disable",
    encrypted: false,
  },
  {
    name: "prefer, on a server with TLS",
    tls: true,
    host: "localhost",
    query: "sslmode=prefer",
    encrypted: true,
  },
  {
    name: "prefer, on a server without",
    tls: false,
    host: "localhost",
    query: "sslmode=prefer",
    encrypted: false,
  },
  {
    name: "nothing, on a server with TLS",
    tls: true,
    host: "127.0.0.1",
    query: "",
    encrypted: true,
  },
  { name: "require", tls: true, host: "127.0.0.1", query: "sslmode=require", encrypted: true },
  {
    name: "require with the right authority",
    tls: true,
    host: "127.0.0.1",
    query: "sslmode=require&sslrootcert=CA",
    encrypted: true,
  },
  {
    name: "verify-ca, whatever the name",
    tls: true,
    host: "127.0.0.1",
    query: "sslmode=verify-ca&sslrootcert=CA",
    encrypted: true,
  },
  {
    name: "verify-full by the certificate's name",
    tls: true,
    host: "localhost",
    query: "sslmode=verify-full&sslrootcert=CA",
    encrypted: true,
  },
];

const refused: readonly {
  name: string;
  tls: boolean;
  host: string;
  query: string;
  says: string;
}[] = [
  {
    name: "verify-full by another name",
    tls: true,
    host: "127.0.0.1",
    query: "sslmode=verify-full&sslrootcert=CA",
    says: "ERR_TLS_CERT_ALTNAME_INVALID",
  },
  {
    name: "verify-full with another authority",
    tls: true,
    host: "localhost",
    query: "sslmode=verify-full&sslrootcert=OTHER",
    says: "TLS failed: unable to",
  },
  {
    name: "verify-full with the public authorities",
    tls: true,
    host: "localhost",
    query: "sslmode=verify-full",
    says: "TLS failed: unable to",
  },
  {
    name: "verify-ca with another authority",
    tls: true,
    host: "localhost",
    query: "sslmode=verify-ca&sslrootcert=OTHER",
    says: "TLS failed: unable to",
  },
  {
    name: "require with another authority",
    tls: true,
    host: "localhost",
    query: "sslmode=require&sslrootcert=OTHER",
    says: "TLS failed: unable to",
  },
  {
    name: "require, on a server without TLS",
    tls: false,
    host: "localhost",
    query: "sslmode=require",
    says: "the server does not offer TLS, but sslmode=require requires it",
  },
  {
    name: "verify-full, on a server without TLS",
    tls: false,
    host: "localhost",
    query: "sslmode=verify-full&sslrootcert=CA",
    says: "the server does not offer TLS, but sslmode=verify-full requires it",
  },
  {
    name: "a name that does not resolve",
    tls: false,
    host: "db.invalid",
    query: "sslmode=disable",
    says: "the name db.invalid does not resolve",
  },
];

describe("sslmode", () => {
  test.each([...linked])("links: $name", async ({ tls, host, query, encrypted }) => {
    const database = tls ? withTls : withoutTls;
    await until(
      "the last test's sessions are gone",
      async () => (await isEncrypted(database)).length === 0,
    );
    const source = follow(database, host, query);
    await source.live();
    await settled(source, database);
    expect(await isEncrypted(database)).toEqual([encrypted, encrypted]);
  });

  test.each([...refused])("is refused in words: $name", async ({ tls, host, query, says }) => {
    const source = follow(tls ? withTls : withoutTls, host, query);
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain(says);
    expect(source.claims()).toEqual([]);
  });

  test("never takes bytes that come before TLS begins for the server's", async () => {
    const gate = await openTcpGate(withTls.sql.options.port[0] ?? 0);
    gate.toClient = (chunk) =>
      chunk.length === 1 && chunk[0] === 0x53 ? Buffer.from("SZ\0\0\0\x05I") : chunk;
    const source = follow(
      { ...withTls, dsn: ({ query } = {}) => withTls.dsn({ port: gate.port, query: query ?? "" }) },
      "localhost",
      "sslmode=require",
    );
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain("did not answer the request for TLS");
    gate.stop();
  });

  test("a lost connection with TLS is noticed and made again", async () => {
    const source = follow(withTls, "localhost", "sslmode=verify-full&sslrootcert=CA");
    await source.live();
    for (const pid of await withTls.routerPids()) {
      await withTls.sql`SELECT pg_terminate_backend(${pid})`;
    }
    await source.live(2);
    await withTls.sql`UPDATE servers SET address = 'h:2'`;
    await settled(source, withTls);
  });
});

test("a server that asks for a password is told apart by its message", async () => {
  const [secure] = servers;
  if (secure === undefined) throw new Error("the server did not start");
  await withTls.sql`CREATE ROLE guarded LOGIN PASSWORD 'right'`;
  await withTls.sql`GRANT SELECT ON servers TO guarded`;
  const rules = join(secure.folder, "data", "pg_hba.conf");
  await Bun.write(rules, `host all guarded all scram-sha-256\n${await Bun.file(rules).text()}`);
  await withTls.sql`SELECT pg_reload_conf()`;
  const as = (password: string) =>
    follow(
      {
        ...withTls,
        dsn: (options) => withTls.dsn(options).replace("postgres@", `guarded:${password}@`),
      },
      "127.0.0.1",
      "sslmode=require",
    );
  const wrong = as("wr0ng");
  await until("the outage", () => wrong.count("source-lost") === 1);
  expect(wrong.last("source-lost")?.reason).toContain("check user and password");
  expect(JSON.stringify(wrong.events)).not.toContain("wr0ng");
  await as("right").live();
});
