import { describe, expect, test } from "bun:test";
import { err, ok } from "../../../src/base/result.ts";
import {
  type Dsn,
  type DsnHost,
  describeDsn,
  parseDsn,
} from "../../../src/providers/postgres/dsn.ts";
import type { TlsRules } from "../../../src/providers/postgres/tls-rules.ts";

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const key = "-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
const crl = "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n";
const files: Record<string, string> = {
  "/ca.pem": pem,
  "/client.pem": pem,
  "/client.key": key,
  "/ca.crl": crl,
  "/none": "not one",
  "/etc/ssl/certs/ca-certificates.crt": `${pem}${pem}`,
  "/pgpass": "db.example.com:5432:*:me:s3cret\n",
};
const readFile = (path: string) => {
  const text = files[path];
  return text === undefined ? err("no such file") : ok(text);
};
const parse = (text: string) => parseDsn(text, readFile);

const tcp = (host: string, port = 5432, ip: string | null = null): DsnHost => ({
  kind: "tcp",
  host,
  ip,
  port,
});
const unix = (folder: string, port = 5432, isDefault = false): DsnHost => ({
  kind: "unix",
  folder,
  isDefault,
  path: `${folder}/.s.PGSQL.${port}`,
  port,
});
const prefer: TlsRules = {
  sslmode: "prefer",
  use: "prefer",
  verify: "nothing",
  ca: null,
  crl: null,
  identity: null,
  sni: true,
  direct: false,
  minVersion: "TLSv1.2",
  maxVersion: "TLSv1.3",
};
const plain: Dsn = {
  hosts: [tcp("db.example.com")],
  user: null,
  password: null,
  passfile: [],
  database: null,
  tls: prefer,
  auth: { channelBinding: "prefer", methods: null },
  target: "any",
  loadBalance: false,
  connectTimeoutMs: null,
  keepAliveMs: 15_000,
  startup: {},
  withoutEffect: [],
};
const local = "/run/pg";
const tls = (rules: Partial<TlsRules>): Partial<Dsn> => ({ tls: { ...prefer, ...rules } });
const unused = (...withoutEffect: readonly string[]): Partial<Dsn> => ({ withoutEffect });
const at = "postgres://db.example.com";

const accepted: readonly { name: string; text: string; dsn: Partial<Dsn>; described?: string }[] = [
  { name: "only a host", text: at, dsn: {}, described: "db.example.com:5432" },
  {
    name: "everything",
    text: "postgresql://me:p%40ss%3A%2F@db.example.com:6000/routes?sslmode=disable&application_name=edge%201",
    dsn: {
      hosts: [tcp("db.example.com", 6000)],
      user: "me",
      password: "p@ss:/",
      database: "routes",
      tls: { ...prefer, sslmode: "disable", use: "never" },
      startup: { application_name: "edge 1" },
    },
    described: "db.example.com:6000/routes",
  },
  {
    name: "a password with colons",
    text: "postgres://me:a:b:c@db.example.com/",
    dsn: { user: "me", password: "a:b:c" },
  },
  {
    name: "several hosts",
    text: "postgres://a:1,b,[2001:db8::1]:3/x?target_session_attrs=read-write",
    dsn: {
      hosts: [tcp("a", 1), tcp("b"), tcp("2001:db8::1", 3)],
      database: "x",
      target: "read-write",
    },
    described: "a:1,b:5432,[2001:db8::1]:3/x",
  },
  {
    name: "no host, which is the socket of this machine",
    text: "postgres:///routes",
    dsn: {
      hosts: [unix("/var/run/postgresql", 5432, true), unix("/tmp", 5432, true)],
      database: "routes",
    },
  },
  {
    name: "a socket folder as a parameter",
    text: `postgres:///routes?host=${local}`,
    dsn: { hosts: [unix(local)], database: "routes" },
    described: `${local}/.s.PGSQL.5432/routes`,
  },
  {
    name: "a socket folder as a host",
    text: "postgres://%2Frun%2Fpg:5433/routes",
    dsn: { hosts: [unix("/run/pg", 5433)], database: "routes" },
  },
  {
    name: "an abstract socket",
    text: "host=@pg dbname=x",
    dsn: {
      hosts: [{ ...unix("@pg"), path: "\0pg/.s.PGSQL.5432" } as DsnHost],
      database: "x",
    },
  },
  {
    name: "hosts and ports as parameters",
    text: "postgres://?host=a,b&port=1,2&user=u&password=s&dbname=d",
    dsn: { hosts: [tcp("a", 1), tcp("b", 2)], user: "u", password: "s", database: "d" },
  },
  {
    name: "one port for all hosts",
    text: "host=a,b port=6432",
    dsn: { hosts: [tcp("a", 6432), tcp("b", 6432)] },
  },
  {
    name: "keywords and values",
    text: String.raw`host = db.example.com user=me password='it\'s \\ me' dbname=routes connect_timeout=10`,
    dsn: { user: "me", password: "it's \\ me", database: "routes", connectTimeoutMs: 10_000 },
  },
  {
    name: "addresses beside names",
    text: "host=a,b hostaddr=10.0.0.1,::1",
    dsn: { hosts: [tcp("a", 5432, "10.0.0.1"), tcp("b", 5432, "::1")] },
  },
  {
    name: "an address alone",
    text: "hostaddr=10.0.0.1 port=5433",
    dsn: { hosts: [tcp("10.0.0.1", 5433, "10.0.0.1")] },
  },
  {
    name: "a password file",
    text: `${at}?passfile=/pgpass`,
    dsn: {
      passfile: [
        { host: "db.example.com", port: "5432", database: null, user: "me", password: "s3cret" },
      ],
    },
  },
  {
    name: "sslmode=allow",
    text: `${at}?sslmode=allow`,
    dsn: tls({ sslmode: "allow", use: "allow" }),
  },
  {
    name: "sslmode=require",
    text: `${at}?sslmode=require&channel_binding=require`,
    dsn: {
      ...tls({ sslmode: "require", use: "always" }),
      auth: { channelBinding: "require", methods: null },
    },
  },
  {
    name: "JDBC's ssl=true",
    text: `${at}?ssl=true`,
    dsn: tls({ sslmode: "require", use: "always" }),
  },
  {
    name: "sslmode=require with a root certificate, which verifies the chain as in libpq",
    text: `${at}?sslmode=require&sslrootcert=/ca.pem`,
    dsn: tls({ sslmode: "require", use: "always", verify: "chain", ca: pem }),
  },
  {
    name: "sslmode=verify-ca",
    text: `${at}?sslmode=verify-ca&sslrootcert=/ca.pem&sslcrl=/ca.crl`,
    dsn: tls({ sslmode: "verify-ca", use: "always", verify: "chain", ca: pem, crl }),
  },
  {
    name: "sslmode=verify-full with a root certificate",
    text: `${at}?sslmode=verify-full&sslrootcert=/ca.pem`,
    dsn: tls({ sslmode: "verify-full", use: "always", verify: "name", ca: pem }),
  },
  {
    name: "the system's authorities, which make verify-full the default",
    text: `${at}?sslrootcert=system`,
    dsn: tls({ sslmode: "verify-full", use: "always", verify: "name", ca: `${pem}${pem}` }),
  },
  {
    name: "a client certificate",
    text: `${at}?sslmode=require&sslcert=/client.pem&sslkey=/client.key&sslpassword=s3cret`,
    dsn: tls({
      sslmode: "require",
      use: "always",
      identity: { cert: pem, key, passphrase: "s3cret" },
    }),
  },
  {
    name: "a client certificate that is not to be sent",
    text: `${at}?sslcert=/client.pem&sslkey=/client.key&sslcertmode=disable`,
    dsn: {},
  },
  {
    name: "direct TLS and versions",
    text: `${at}?sslmode=require&sslnegotiation=direct&sslsni=0&ssl_min_protocol_version=TLSv1.3`,
    dsn: tls({
      sslmode: "require",
      use: "always",
      direct: true,
      sni: false,
      minVersion: "TLSv1.3",
    }),
  },
  {
    name: "methods of authentication",
    text: `${at}?require_auth=scram-sha-256,gss`,
    dsn: { auth: { channelBinding: "prefer", methods: new Set(["scram-sha-256"]) } },
  },
  {
    name: "forbidden methods of authentication",
    text: `${at}?require_auth=!password,!md5`,
    dsn: { auth: { channelBinding: "prefer", methods: new Set(["none", "scram-sha-256"]) } },
  },
  {
    name: "a connect timeout of one second, which libpq takes as two",
    text: `${at}?connect_timeout=1`,
    dsn: { connectTimeoutMs: 2_000 },
  },
  { name: "no connect timeout", text: `${at}?connect_timeout=0`, dsn: {} },
  {
    name: "keep-alive",
    text: `${at}?keepalives=1&keepalives_idle=60&keepalives_interval=5&keepalives_count=3`,
    dsn: {
      keepAliveMs: 60_000,
      ...unused(
        "keepalives_interval has no effect: the router's heartbeat notices a dead connection within 15 s",
        "keepalives_count has no effect: the router's heartbeat notices a dead connection within 15 s",
      ),
    },
  },
  { name: "no keep-alive", text: `${at}?keepalives=0`, dsn: { keepAliveMs: null } },
  {
    name: "a random order",
    text: `${at}?load_balance_hosts=random&target_session_attrs=prefer-standby`,
    dsn: { loadBalance: true, target: "prefer-standby" },
  },
  {
    name: "Prisma's parameters",
    text: `${at}?schema=net&pgbouncer=true&connection_limit=1&sslaccept=accept_invalid_certs`,
    dsn: {
      startup: { search_path: '"net"' },
      ...unused(
        "pgbouncer has no effect: the router uses no prepared statements anyway",
        "connection_limit has no effect: the router has two connections and no pool",
      ),
    },
  },
  {
    name: "pgx's parameters",
    text: `${at}?pool_max_conns=4&pool_max_conn_lifetime=1h`,
    dsn: unused(
      "pool_max_conns has no effect: the router has two connections and no pool",
      "pool_max_conn_lifetime has no effect: the router has two connections and no pool",
    ),
  },
  {
    name: "an application name that is only a fallback",
    text: `${at}?fallback_application_name=edge`,
    dsn: { startup: { application_name: "edge" } },
  },
  {
    name: "no GSSAPI",
    text: `${at}?gssencmode=disable&krbsrvname=postgres`,
    dsn: unused("krbsrvname has no effect: the router does not use GSSAPI"),
  },
];

const refused: readonly { name: string; text: string; says: string }[] = [
  { name: "another scheme", text: "mysql://db", says: "must begin with postgres://" },
  { name: "a driver in the scheme", text: "postgresql+psycopg2://db/x", says: "must begin with" },
  { name: "one word", text: "routes", says: "must begin with postgres://" },
  { name: "a port of 0", text: "postgres://db:0", says: "port that is not a number from 1 to" },
  { name: "a port of 70000", text: "postgres://db:70000", says: "port that is not a number" },
  { name: "a port in words", text: "postgres://db:pg", says: "port that is not a number" },
  {
    name: "a bare IPv6 address",
    text: "postgres://2001:db8::1/x",
    says: "port that is not a number",
  },
  { name: "no IPv6 address in brackets", text: "postgres://[::x]/x", says: "no IPv6 address" },
  { name: "a bad escape", text: "postgres://me:100%@db", says: "the password has a %" },
  { name: "a slash in the password", text: "postgres://me:se/cret@db/x", says: "percent-encode" },
  { name: "more ports than hosts", text: "host=a port=1,2", says: "1 hosts and 2 ports" },
  {
    name: "fewer addresses than hosts",
    text: "host=a,b hostaddr=::1",
    says: "2 hosts and 1 of hostaddr",
  },
  { name: "a name as an address", text: "hostaddr=db", says: "hostaddr that is no IP address" },
  {
    name: "a value without quotes",
    text: "host=db password=two words",
    says: "behind the parameter password",
  },
  { name: "an open quote", text: "host=db password='two", says: "behind the parameter host" },
  { name: "sslmode=no-verify", text: `${at}?sslmode=no-verify`, says: "verify-full" },
  { name: "an empty sslmode", text: `${at}?sslmode=`, says: "sslmode may only be one of" },
  { name: "verify-ca alone", text: `${at}?sslmode=verify-ca`, says: "needs sslrootcert" },
  { name: "verify-full alone", text: `${at}?sslmode=verify-full`, says: "or sslrootcert=system" },
  {
    name: "a weak mode with the system's authorities",
    text: `${at}?sslmode=require&sslrootcert=system`,
    says: "needs sslmode=verify-full",
  },
  {
    name: "a root certificate that is not there",
    text: `${at}?sslmode=verify-full&sslrootcert=/missing.pem`,
    says: "sslrootcert /missing.pem cannot be read: no such file",
  },
  {
    name: "a root certificate that is none",
    text: `${at}?sslmode=verify-full&sslrootcert=/none`,
    says: "holds no PEM certificate",
  },
  {
    name: "a client certificate without its key",
    text: `${at}?sslcert=/client.pem`,
    says: "needs sslkey",
  },
  {
    name: "a key that is none",
    text: `${at}?sslcert=/client.pem&sslkey=/none`,
    says: "holds no PEM private key",
  },
  {
    name: "direct TLS that is not required",
    text: `${at}?sslnegotiation=direct`,
    says: "needs sslmode=require",
  },
  {
    name: "bound authentication without TLS",
    text: `${at}?sslmode=disable&channel_binding=require`,
    says: "forbids it",
  },
  {
    name: "an unknown method",
    text: `${at}?require_auth=magic`,
    says: "require_auth may only name",
  },
  {
    name: "only methods that the router does not know",
    text: `${at}?require_auth=gss`,
    says: "leaves no method",
  },
  { name: "a mistyped parameter", text: `${at}?sslmod=require`, says: "sslmod, which is not" },
  {
    name: "a parameter called like a property",
    text: `${at}?constructor=x`,
    says: "constructor, which is not",
  },
  { name: "a parameter without a value", text: `${at}?sslmode`, says: "not name=value" },
  {
    name: "an unknown kind of server",
    text: `${at}?target_session_attrs=master`,
    says: "any, read-write",
  },
  { name: "a timeout in words", text: `${at}?connect_timeout=soon`, says: "number of seconds" },
  { name: "a service", text: "service=db", says: "service: the router reads no service file" },
  { name: "GSSAPI", text: `${at}?gssencmode=require`, says: "does not use GSSAPI" },
  { name: "replication", text: `${at}?replication=database`, says: "ordinary sessions" },
  { name: "Prisma's strict TLS", text: `${at}?sslaccept=strict`, says: "sslmode=verify-full" },
  {
    name: "a password file that is not there",
    text: `${at}?passfile=/missing`,
    says: "passfile /missing cannot be read",
  },
];

describe("a connection string", () => {
  test.each([...accepted])("is read: $name", ({ text, dsn, described }) => {
    const parsed = parse(text);
    expect(parsed).toEqual(ok({ ...plain, ...dsn }));
    if (parsed.ok && described !== undefined) expect(describeDsn(parsed.value)).toBe(described);
  });

  test.each([...refused])("is refused: $name", ({ text, says }) => {
    const parsed = parse(text);
    expect(parsed.ok ? "accepted" : parsed.error).toContain(says);
  });

  const secrets = ["s3cr3t", "s3cr3t%", "s3/cr3t", "s3cr3t@x:y", "s3?cr3t=1", "s3cr3t#1"];
  test.each(secrets)("never repeats the password %p", (secret) => {
    for (const rest of ["db:0/x", "db?bogus=1", "db?sslmode=bogus", "db/x"]) {
      const parsed = parse(`postgres://me:${secret}@${rest}`);
      const said = parsed.ok ? describeDsn(parsed.value) : parsed.error;
      expect(said).not.toContain("cr3t");
    }
    for (const text of [`host=db password=a ${secret}`, `password='${secret} host=db`]) {
      const parsed = parse(text);
      expect(parsed.ok ? describeDsn(parsed.value) : parsed.error).not.toContain("cr3t");
    }
  });
});
