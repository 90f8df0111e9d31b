import {
  afterAll,
  afterEach,
  beforeAll,
  describe,
  expect,
  setDefaultTimeout,
  test,
} from "bun:test";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
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
  writeOwned,
} from "../../support/postgres/postgres.ts";
import { until } from "../../support/until.ts";
import { patientTimings, type RunningSource, runSource, settled } from "../run-source.ts";

// For a machine that is busy with something else.
setDefaultTimeout(60_000);

const folder = mkdtempSync(join(tmpdir(), "automc-tls-"));
// The servers read their authority in it.
chmodSync(folder, 0o755);
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
    name: "allow, on a server with TLS that takes plain connections",
    tls: true,
    host: "localhost",
    query: "sslmode=allow",
    encrypted: false,
  },
  {
    name: "prefer with another authority, which goes on without TLS as in libpq",
    tls: true,
    host: "localhost",
    query: "sslmode=prefer&sslrootcert=OTHER",
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
    name: "verify-full with the authorities of this machine",
    tls: true,
    host: "localhost",
    query: "sslmode=verify-full&sslrootcert=system",
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
    says: "db.invalid:",
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

/** Rules for one role before all others (pg_hba.conf). */
async function admit(database: TestDatabase, server: TestPostgres, rules: string): Promise<void> {
  const path = join(server.folder, "data", "pg_hba.conf");
  await Bun.write(path, `${rules}\n${await Bun.file(path).text()}`);
  await database.sql`SELECT pg_reload_conf()`;
  await until("the rules are in force", async () => {
    const [line] = await database.sql`SELECT 1 FROM pg_hba_file_rules WHERE error IS NOT NULL`;
    return line === undefined;
  });
}

/** A source that logs in as this role. */
function followAs(account: string, query: string, database = withTls): RunningSource {
  const dsn: TestDatabase["dsn"] = (options) =>
    database.dsn(options).replace("postgres@", `${account}@`);
  return follow({ ...database, dsn }, "localhost", query);
}

describe("the login", () => {
  const methods: readonly { role: string; method: string; setting: string }[] = [
    { role: "by_scram", method: "scram-sha-256", setting: "scram-sha-256" },
    { role: "by_md5", method: "md5", setting: "md5" },
    { role: "by_text", method: "password", setting: "scram-sha-256" },
  ];
  // SASLprep turns the first character into "a", and the no-break space into a space.
  const passwords = { prepared: "\u00aa\u00a0pass", plain: "a pass" };

  beforeAll(async () => {
    const [secure] = servers;
    if (secure === undefined) throw new Error("the server did not start");
    for (const { role, setting } of methods) {
      await withTls.sql.unsafe(`SET password_encryption = '${setting}';
        CREATE ROLE ${role} LOGIN PASSWORD '${passwords.prepared}'; GRANT SELECT ON servers TO ${role}`);
    }
    const rules = methods.map(({ role, method }) => `host all ${role} all ${method}`);
    await withTls.sql.unsafe("CREATE ROLE over_tls LOGIN; GRANT SELECT ON servers TO over_tls");
    await withTls.sql.unsafe("CREATE ROLE plain_only LOGIN; GRANT SELECT ON servers TO plain_only");
    rules.push("hostssl all over_tls all trust", "hostnossl all over_tls all reject");
    rules.push("hostnossl all plain_only all trust", "hostssl all plain_only all reject");
    await admit(withTls, secure, rules.join("\n"));
  });

  test.each([...methods])("by $method works", async ({ role }) => {
    const account = `${role}:${encodeURIComponent(passwords.prepared)}`;
    await followAs(account, "sslmode=disable").live();
  });

  test("by SCRAM takes the password in the form that SASLprep gives it", async () => {
    await followAs(`by_scram:${encodeURIComponent(passwords.plain)}`, "sslmode=disable").live();
  });

  test("binds SCRAM to TLS where that is required", async () => {
    const query = "sslmode=require&channel_binding=require";
    await followAs(`by_scram:${encodeURIComponent(passwords.plain)}`, query).live();
  });

  const refusals: readonly { name: string; account: string; query: string; says: string }[] = [
    {
      name: "another way than the bound one",
      account: "by_text:x",
      query: "sslmode=require&channel_binding=require",
      says: "does not offer SCRAM bound to TLS",
    },
    {
      name: "no password at all, where binding is required",
      account: "over_tls",
      query: "sslmode=require&channel_binding=require",
      says: "does not offer SCRAM bound to TLS",
    },
    {
      name: "a method that require_auth forbids",
      account: "by_text:x",
      query: "sslmode=disable&require_auth=scram-sha-256",
      says: "password, which require_auth forbids",
    },
    {
      name: "a missing password",
      account: "by_scram",
      query: "sslmode=disable",
      says: "the connection string has none",
    },
  ];
  test.each([...refusals])("is refused in words: $name", async ({ account, query, says }) => {
    const source = followAs(account, query);
    await until("the outage", () => source.count("source-lost") === 1);
    expect(source.last("source-lost")?.reason).toContain(says);
  });

  test.each([
    { name: "allow, where the role needs TLS", account: "over_tls", query: "sslmode=allow" },
    {
      name: "prefer, where the role may not use TLS",
      account: "plain_only",
      query: "sslmode=prefer",
    },
  ])("falls back as in libpq: $name", async ({ account, query }) => {
    await followAs(account, query).live();
  });

  test("that is wrong is told apart by its message, which holds no password", async () => {
    const wrong = followAs("by_scram:wr0ng", "sslmode=require");
    await until("the outage", () => wrong.count("source-lost") === 1);
    expect(wrong.last("source-lost")?.reason).toContain("check user and password");
    expect(JSON.stringify(wrong.events)).not.toContain("wr0ng");
  });
});

test("a client certificate logs in where the server asks for one", async () => {
  const { certificate, key } = await authority.certify();
  writeFileSync(join(folder, "client.pem"), certificate);
  writeFileSync(join(folder, "client.key"), key);
  const server = await startPostgres({
    tls: await authority.certify(),
    settings: {
      ssl_ca_file: writeOwned(join(folder, "root.pem"), readFileSync(authority.path, "utf8")),
    },
  });
  servers.push(server);
  const database = await server.createDatabase();
  await database.sql.unsafe(schema);
  // The certificate is made out to this name.
  await database.sql.unsafe("CREATE ROLE localhost LOGIN; GRANT SELECT ON servers TO localhost");
  await admit(database, server, "hostssl all localhost all cert");
  const files = `sslcert=${join(folder, "client.pem")}&sslkey=${join(folder, "client.key")}`;
  await followAs("localhost", `sslmode=require&${files}`, database).live();
  const without = followAs("localhost", "sslmode=require", database);
  await until("the outage", () => without.count("source-lost") === 1);
});
