import { isIP } from "node:net";
import { hostPort } from "../../base/ip.ts";
import { err, ok, type Result } from "../../base/result.ts";

/** One place where the server may be. */
export type DsnHost =
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "unix"; readonly path: string };

/**
 * How the connection is protected; the words and their meaning are libpq's. `ca` is a PEM text; null stands for the
 * public authorities. A unix socket never uses TLS.
 */
export type TlsMode =
  | { readonly kind: "disable" }
  /** TLS when the server offers it, unverified; else plain. */
  | { readonly kind: "prefer" }
  /** TLS, unverified. */
  | { readonly kind: "require" }
  /** TLS, the certificate's chain is verified. */
  | { readonly kind: "verify-ca"; readonly ca: string }
  /** TLS, chain and name are verified. */
  | { readonly kind: "verify-full"; readonly ca: string | null };

/** Which of several servers will do: any that answers, one that takes writes, or one that is no standby. */
export type TargetSession = "any" | "read-write" | "primary";

/** A connection string as plain data. It holds the password: describe it with `describeDsn`. */
export interface Dsn {
  /** Tried in this order. Never empty. */
  readonly hosts: readonly DsnHost[];
  /** Null: the account this program runs as, or PGUSER. */
  readonly user: string | null;
  /** Null: none, or PGPASSWORD. */
  readonly password: string | null;
  /** Null: the one named like the user. */
  readonly database: string | null;
  readonly tls: TlsMode;
  readonly target: TargetSession;
  /** How long one connect may take; null: our own default. */
  readonly connectTimeoutMs: number | null;
  /** Settings that the session begins with. */
  readonly startup: Readonly<Record<string, string>>;
}

/** Gives the text of a file, or why it cannot. */
export type ReadFile = (path: string) => Result<string, string>;

const defaultPort = 5432;
/** A bare @ behind the hosts is refused: it belongs to a password with an unescaped / or ?, the rest of which would be printed. */
const shape = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#/@]*))?(?:\?([^#@]*))?$/;

/** Settings of the server that may be given as parameters; any other goes into `options`. */
const startupNames = new Set(["application_name", "options", "search_path", "statement_timeout"]);
const ownNames = new Set([
  "host",
  "port",
  "user",
  "password",
  "dbname",
  "sslmode",
  "sslrootcert",
  "target_session_attrs",
  "connect_timeout",
]);
/** Parameters of libpq that change nothing here as long as they have one of these values. */
const harmless: Readonly<Record<string, readonly string[]>> = {
  channel_binding: ["disable", "prefer"],
  client_encoding: ["UTF8", "utf8", "UTF-8", "utf-8", "auto"],
  gssencmode: ["disable", "prefer"],
  sslnegotiation: ["postgres"],
};

/**
 * A `postgres://` URL as data, read as libpq reads it: several hosts, percent-encoding, a socket folder as host.
 * The error says what is wrong and what is accepted; it never contains the password.
 */
export function parseDsn(text: string, readFile: ReadFile): Result<Dsn, string> {
  const trimmed = text.trim();
  if (!/^postgres(ql)?:\/\//.test(trimmed))
    return err("must begin with postgres:// or postgresql://");
  const parts = shape.exec(trimmed);
  if (parts === null) {
    return err(
      "is not of the form postgres://user:password@host:port/database?name=value (percent-encode / ? # @ and % in its parts)",
    );
  }
  const [, account = "", authority = "", path = "", search = ""] = parts;
  const parameters = parseParameters(search);
  if (!parameters.ok) return parameters;
  const given = parameters.value;

  const [accountUser = "", ...accountPassword] = account.split(":");
  const user = decoded(accountUser, "the user");
  if (!user.ok) return user;
  const password = decoded(accountPassword.join(":"), "the password");
  if (!password.ok) return password;
  const database = decoded(path, "the database");
  if (!database.ok) return database;
  const hosts = parseHosts(authority, given);
  if (!hosts.ok) return hosts;
  const tls = parseTls(given, readFile);
  if (!tls.ok) return tls;
  const target = parseTarget(given.get("target_session_attrs") ?? "any");
  if (!target.ok) return target;
  const timeout = parseConnectTimeout(given.get("connect_timeout"));
  if (!timeout.ok) return timeout;

  return ok({
    hosts: hosts.value,
    user: given.get("user") || user.value || null,
    password: given.get("password") || password.value || null,
    database: given.get("dbname") || database.value || null,
    tls: tls.value,
    target: target.value,
    connectTimeoutMs: timeout.value,
    startup: Object.fromEntries([...given].filter(([name]) => startupNames.has(name))),
  });
}

/** `host:port/database` for logs; without user, password and settings. */
export function describeDsn(dsn: Dsn): string {
  const hosts = dsn.hosts.map(describeHost).join(",");
  return dsn.database === null ? hosts : `${hosts}/${dsn.database}`;
}

/** `host:port`, or the path of a unix socket. */
export function describeHost(host: DsnHost): string {
  if (host.kind === "unix") return host.path;
  return hostPort(host.host, host.port);
}

function parseParameters(search: string): Result<ReadonlyMap<string, string>, string> {
  const found = new Map<string, string>();
  for (const pair of search.split("&").filter((each) => each !== "")) {
    const split = pair.indexOf("=");
    if (split < 1) return err("has a parameter that is not name=value");
    const name = pair.slice(0, split);
    const value = decoded(pair.slice(split + 1), `the parameter ${name}`);
    if (!value.ok) return value;
    const problem = parameterProblem(name, value.value);
    if (problem !== null) return err(problem);
    found.set(name, value.value);
  }
  return ok(found);
}

function parameterProblem(name: string, value: string): string | null {
  if (startupNames.has(name) || ownNames.has(name)) return null;
  const allowed = harmless[name];
  if (allowed === undefined) {
    return `has the parameter ${name}, which is not supported (settings of the server go into options=-c%20name%3Dvalue)`;
  }
  return allowed.includes(value) ? null : `${name} may only be one of: ${allowed.join(", ")}`;
}

/** Hosts come from the authority or, as libpq allows, from `host=` and `port=`. */
function parseHosts(
  authority: string,
  given: ReadonlyMap<string, string>,
): Result<readonly DsnHost[], string> {
  const inParameter = given.get("host");
  const ports = (given.get("port") ?? "").split(",");
  const hosts: DsnHost[] = [];
  for (const [index, each] of (inParameter ?? authority).split(",").entries()) {
    const port = ports[index] ?? (ports.length === 1 ? ports[0] : undefined);
    const host = inParameter === undefined ? parseAuthority(each, port) : makeHost(each, port);
    if (!host.ok) return host;
    hosts.push(host.value);
  }
  return ok(hosts);
}

function parseAuthority(text: string, fallbackPort: string | undefined): Result<DsnHost, string> {
  const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(text);
  if (parts === null) return err("has a host with more than one colon; write IPv6 as [::1]");
  const [, written = "", port] = parts;
  const host = decoded(written, "the host");
  return host.ok ? makeHost(host.value, port ?? fallbackPort) : host;
}

function makeHost(text: string, portText: string | undefined): Result<DsnHost, string> {
  const port = portText === undefined || portText === "" ? defaultPort : Number(portText);
  if (!Number.isInteger(port) || port < 1 || port > 65_535) {
    return err("has a port that is not a number from 1 to 65535");
  }
  if (text === "") return err("names no host");
  if (text.startsWith("/")) return ok({ kind: "unix", path: `${text}/.s.PGSQL.${port}` });
  const host = /^\[.*\]$/.test(text) ? text.slice(1, -1) : text;
  if (host.includes(":") && isIP(host) === 0) return err("has a host that is no IPv6 address");
  return ok({ kind: "tcp", host, port });
}

/**
 * libpq's modes. One place is stricter: a root certificate that would go unused (`disable`, `prefer`) is refused,
 * because whoever names one expects to be protected by it. With `require` it makes `verify-ca`, as in libpq.
 */
function parseTls(given: ReadonlyMap<string, string>, readFile: ReadFile): Result<TlsMode, string> {
  const mode = given.get("sslmode") ?? "prefer";
  const path = given.get("sslrootcert");
  const isSystem = path === "system";
  switch (mode) {
    case "disable":
    case "prefer":
      if (path === undefined) return ok({ kind: mode });
      return err("sslrootcert needs sslmode=require, verify-ca or verify-full");
    case "require":
    case "verify-ca": {
      if (isSystem) return err("sslrootcert=system needs sslmode=verify-full");
      if (path !== undefined) {
        const ca = readAuthority(path, readFile);
        return ca.ok ? ok({ kind: "verify-ca", ca: ca.value }) : ca;
      }
      if (mode === "require") return ok({ kind: "require" });
      return err("sslmode=verify-ca needs sslrootcert=/path/to/ca.pem");
    }
    case "verify-full": {
      if (path === undefined || isSystem) return ok({ kind: "verify-full", ca: null });
      const ca = readAuthority(path, readFile);
      return ca.ok ? ok({ kind: "verify-full", ca: ca.value }) : ca;
    }
    default:
      return err("sslmode may only be one of: disable, prefer, require, verify-ca, verify-full");
  }
}

function readAuthority(path: string, readFile: ReadFile): Result<string, string> {
  const text = readFile(path);
  if (!text.ok) return err(`sslrootcert ${path} cannot be read: ${text.error}`);
  if (!/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.test(text.value)) {
    return err(`sslrootcert ${path} holds no PEM certificate`);
  }
  return text;
}

function parseTarget(text: string): Result<TargetSession, string> {
  switch (text) {
    case "any":
    case "read-write":
    case "primary":
      return ok(text);
    default:
      return err("target_session_attrs may only be one of: any, read-write, primary");
  }
}

/** libpq: whole seconds, 0 stands for the default, and 1 is taken as 2. */
function parseConnectTimeout(text: string | undefined): Result<number | null, string> {
  if (text === undefined || text === "0") return ok(null);
  if (!/^[1-9]\d{0,2}$/.test(text)) return err("connect_timeout must be a number of seconds");
  return ok(Math.max(2, Number(text)) * 1_000);
}

function decoded(text: string, what: string): Result<string, string> {
  try {
    return ok(decodeURIComponent(text));
  } catch {
    return err(`${what} has a % that is not followed by two hexadecimal digits (write %25)`);
  }
}
