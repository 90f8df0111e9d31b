import { describe, expect, test } from "bun:test";
import { err, ok } from "../../../src/base/result.ts";
import { type Dsn, describeDsn, parseDsn } from "../../../src/providers/postgres/dsn.ts";

const pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
const files: Record<string, string> = { "/ca.pem": pem, "/key.pem": "not one" };
const readFile = (path: string) => {
  const text = files[path];
  return text === undefined ? err("no such file") : ok(text);
};
const parse = (text: string) => parseDsn(text, readFile);

const plain: Dsn = {
  hosts: [{ kind: "tcp", host: "db.example.com", port: 5432 }],
  user: null,
  password: null,
  database: null,
  tls: { kind: "prefer" },
  target: "any",
  connectTimeoutMs: null,
  startup: {},
};
const local = "/var/run/postgresql";

const accepted: readonly { name: string; text: string; dsn: Partial<Dsn>; described?: string }[] = [
  {
    name: "only a host",
    text: "postgres://db.example.com",
    dsn: {},
    described: "db.example.com:5432",
  },
  {
    name: "everything",
    text: "postgresql://me:p%40ss%3A%2F@db.example.com:6000/routes?sslmode=disable&application_name=edge%201",
    dsn: {
      hosts: [{ kind: "tcp", host: "db.example.com", port: 6000 }],
      user: "me",
      password: "p@ss:/",
      database: "routes",
      tls: { kind: "disable" },
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
      hosts: [
        { kind: "tcp", host: "a", port: 1 },
        { kind: "tcp", host: "b", port: 5432 },
        { kind: "tcp", host: "2001:db8::1", port: 3 },
      ],
      database: "x",
      target: "read-write",
    },
    described: "a:1,b:5432,[2001:db8::1]:3/x",
  },
  {
    name: "a socket folder as a parameter",
    text: `postgres:///routes?host=${local}`,
    dsn: { hosts: [{ kind: "unix", path: `${local}/.s.PGSQL.5432` }], database: "routes" },
    described: `${local}/.s.PGSQL.5432/routes`,
  },
  {
    name: "a socket folder as a host",
    text: "postgres://%2Frun%2Fpg:5433/routes",
    dsn: { hosts: [{ kind: "unix", path: "/run/pg/.s.PGSQL.5433" }], database: "routes" },
  },
  {
    name: "hosts and ports as parameters",
    text: "postgres://?host=a,b&port=1,2&user=u&password=s&dbname=d",
    dsn: {
      hosts: [
        { kind: "tcp", host: "a", port: 1 },
        { kind: "tcp", host: "b", port: 2 },
      ],
      user: "u",
      password: "s",
      database: "d",
    },
  },
  {
    name: "sslmode=require",
    text: "postgres://db.example.com?sslmode=require&channel_binding=prefer",
    dsn: { tls: { kind: "require" } },
  },
  {
    name: "sslmode=require with a root certificate, which verifies the chain as in libpq",
    text: "postgres://db.example.com?sslmode=require&sslrootcert=/ca.pem",
    dsn: { tls: { kind: "verify-ca", ca: pem } },
  },
  {
    name: "sslmode=verify-full with a root certificate",
    text: "postgres://db.example.com?sslmode=verify-full&sslrootcert=/ca.pem",
    dsn: { tls: { kind: "verify-full", ca: pem } },
  },
  {
    name: "sslmode=verify-full against the public authorities",
    text: "postgres://db.example.com?sslmode=verify-full&sslrootcert=system",
    dsn: { tls: { kind: "verify-full", ca: null } },
  },
  {
    name: "a connect timeout of one second, which libpq takes as two",
    text: "postgres://db.example.com?connect_timeout=1",
    dsn: { connectTimeoutMs: 2_000 },
  },
];

const refused: readonly { name: string; text: string; says: string }[] = [
  { name: "another scheme", text: "mysql://db", says: "must begin with postgres://" },
  { name: "keywords and values", text: "host=db dbname=x", says: "must begin with postgres://" },
  { name: "no host", text: "postgres:///routes", says: "names no host" },
  {
    name: "a port of 0",
    text: "postgres://db:0",
    says: "port that is not a number from 1 to 65535",
  },
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
  {
    name: "sslmode=allow",
    text: "postgres://db?sslmode=allow",
    says: "sslmode may only be one of",
  },
  { name: "sslmode=no-verify", text: "postgres://db?sslmode=no-verify", says: "verify-full" },
  { name: "an empty sslmode", text: "postgres://db?sslmode=", says: "sslmode may only be one of" },
  { name: "verify-ca alone", text: "postgres://db?sslmode=verify-ca", says: "needs sslrootcert" },
  {
    name: "an unused root certificate",
    text: "postgres://db?sslrootcert=/ca.pem",
    says: "needs sslmode=",
  },
  {
    name: "a root certificate that is not there",
    text: "postgres://db?sslmode=verify-full&sslrootcert=/none.pem",
    says: "sslrootcert /none.pem cannot be read: no such file",
  },
  {
    name: "a root certificate that is none",
    text: "postgres://db?sslmode=verify-full&sslrootcert=/key.pem",
    says: "holds no PEM certificate",
  },
  {
    name: "client certificates",
    text: "postgres://db?sslcert=/c.pem",
    says: "sslcert, which is not supported",
  },
  {
    name: "channel binding",
    text: "postgres://db?channel_binding=require",
    says: "disable, prefer",
  },
  {
    name: "a mistyped parameter",
    text: "postgres://db?sslmod=require",
    says: "sslmod, which is not",
  },
  { name: "a parameter without a value", text: "postgres://db?sslmode", says: "not name=value" },
  {
    name: "a wanted standby",
    text: "postgres://db?target_session_attrs=standby",
    says: "any, read-write",
  },
  {
    name: "a timeout in words",
    text: "postgres://db?connect_timeout=soon",
    says: "number of seconds",
  },
];

describe("a connection string", () => {
  test.each([...accepted])("is read: $name", ({ text, dsn, described }) => {
    const parsed = parse(text);
    const hosts = text.includes("db.example.com") ? plain : { ...plain, hosts: [] };
    expect(parsed).toEqual(ok({ ...hosts, ...dsn }));
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
  });
});
