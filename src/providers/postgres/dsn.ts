import { isIP } from "node:net";
import { hostPort } from "../../base/ip.ts";
import { err, ok, type Result } from "../../base/result.ts";
import { type GivenParameters, splitConnectionText } from "./dsn-text.ts";
import { checkParameters } from "./parameters.ts";
import { type PassfileLine, parsePassfile } from "./passfile.ts";
import { parseTls, type ReadFile, type TlsRules } from "./tls-rules.ts";

/** One place where the server may be. */
export type DsnHost =
  | {
      readonly kind: "tcp";
      /** A name or an IP literal; the name that a certificate is checked against. */
      readonly host: string;
      /** The IP literal to dial instead of resolving `host` (`hostaddr`); null: none is given. */
      readonly ip: string | null;
      readonly port: number;
    }
  | {
      readonly kind: "unix";
      /** As written. */
      readonly folder: string;
      /** True: no host is given, and this folder is where servers put their socket. */
      readonly isDefault: boolean;
      readonly path: string;
      readonly port: number;
    };

/** Which of several servers will do; libpq's `target_session_attrs`. */
export type TargetSession = (typeof targets)[number];

/** A method of authentication that a server may ask for, by libpq's name. */
export type AuthMethod = (typeof authMethods)[number];

/** What the router demands of the authentication. */
export interface AuthRules {
  /** Whether SCRAM is bound to the TLS connection. */
  readonly channelBinding: "disable" | "prefer" | "require";
  /** The methods that are accepted; null: all that the router knows. */
  readonly methods: ReadonlySet<AuthMethod> | null;
}

/** A connection string as plain data. It holds secrets: describe it with `describeDsn`. */
export interface Dsn {
  /** Tried in this order, or in a random one with `loadBalance`. Never empty. */
  readonly hosts: readonly DsnHost[];
  /** Null: the account this program runs as. */
  readonly user: string | null;
  /** Null: what `passfile` says. */
  readonly password: string | null;
  readonly passfile: readonly PassfileLine[];
  /** Null: the one named like the user. */
  readonly database: string | null;
  readonly tls: TlsRules;
  readonly auth: AuthRules;
  readonly target: TargetSession;
  readonly loadBalance: boolean;
  /** How long one connect may take; null: the router's own default. */
  readonly connectTimeoutMs: number | null;
  /** When the kernel first probes a silent connection, ms; null: never. */
  readonly keepAliveMs: number | null;
  /** Settings that the session begins with. */
  readonly startup: Readonly<Record<string, string>>;
  /** What is given and has no effect: name and reason. */
  readonly withoutEffect: readonly string[];
}

const targets = ["any", "read-write", "read-only", "primary", "standby", "prefer-standby"] as const;
const authMethods = ["none", "password", "md5", "scram-sha-256"] as const;
/** Methods of libpq that the router does not know: it never uses them, so forbidding them is no problem. */
const foreignMethods: readonly string[] = ["gss", "sspi", "creds", "oauth"];

const defaultPort = 5432;
const defaultKeepAliveMs = 15_000;
/** Where servers put their socket: packages of distributions, then PostgreSQL's own default. */
const socketFolders = ["/var/run/postgresql", "/tmp"];

/**
 * A connection string as libpq reads it: a `postgres://` URI, or keywords and values. Every parameter of
 * libpq is honoured, named in `withoutEffect`, or refused with the reason. The error completes "this one ..."
 * and never holds the password. Files that it names are read by `readFile`.
 */
export function parseDsn(text: string, readFile: ReadFile): Result<Dsn, string> {
  const split = splitConnectionText(text);
  if (!split.ok) return split;
  const given = split.value;
  const checked = checkParameters(given);
  if (!checked.ok) return checked;
  const hosts = parseHosts(given);
  if (!hosts.ok) return hosts;
  const passfile = readPassfile(given.get("passfile") ?? "", readFile);
  if (!passfile.ok) return passfile;
  const tls = parseTls(given, readFile);
  if (!tls.ok) return tls;
  const auth = parseAuth(given, tls.value);
  if (!auth.ok) return auth;
  const target = oneOf("target_session_attrs", given.get("target_session_attrs") || "any", targets);
  if (!target.ok) return target;
  const balance = oneOf("load_balance_hosts", given.get("load_balance_hosts") || "disable", [
    "disable",
    "random",
  ]);
  if (!balance.ok) return balance;
  const timeout = parseSeconds("connect_timeout", given);
  if (!timeout.ok) return timeout;
  const idle = parseSeconds("keepalives_idle", given);
  if (!idle.ok) return idle;
  return ok({
    hosts: hosts.value,
    user: given.get("user") || null,
    password: given.get("password") || null,
    passfile: passfile.value,
    database: given.get("dbname") || null,
    tls: tls.value,
    auth: auth.value,
    target: target.value,
    loadBalance: balance.value === "random",
    // libpq takes one second as two.
    connectTimeoutMs: timeout.value && Math.max(2_000, timeout.value),
    keepAliveMs: given.get("keepalives") === "0" ? null : (idle.value ?? defaultKeepAliveMs),
    ...checked.value,
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

/** The lists `host`, `hostaddr` and `port` side by side; a single port is that of all hosts. */
function parseHosts(given: GivenParameters): Result<readonly DsnHost[], string> {
  const list = (name: string) => (given.get(name) ?? "").split(",").map((item) => item.trim());
  const names = list("host");
  const ips = list("hostaddr");
  const ports = list("port");
  const hasIps = ips.some((ip) => ip !== "");
  const isNamed = names.some((name) => name !== "");
  const count = isNamed || !hasIps ? names.length : ips.length;
  if (hasIps && isNamed && ips.length !== names.length) {
    return err(`has ${names.length} hosts and ${ips.length} of hostaddr; one belongs to each host`);
  }
  if (ports.length !== 1 && ports.length !== count) {
    return err(`has ${count} hosts and ${ports.length} ports; give one port, or one for each host`);
  }
  const hosts: DsnHost[] = [];
  for (let index = 0; index < count; index += 1) {
    const port = parsePort((ports.length === 1 ? ports[0] : ports[index]) ?? "");
    if (!port.ok) return port;
    const made = makeHosts(names[index] ?? "", ips[index] ?? "", port.value);
    if (!made.ok) return made;
    hosts.push(...made.value);
  }
  return ok(hosts);
}

/** Without a name and an address: the Unix sockets of this machine. */
function makeHosts(name: string, ip: string, port: number): Result<readonly DsnHost[], string> {
  if (ip !== "" && isIP(ip) === 0) return err("has a hostaddr that is no IP address");
  if (ip === "" && name === "")
    return ok(socketFolders.map((folder) => socketHost(folder, port, true)));
  if (ip === "" && name.startsWith("/")) return ok([socketHost(name, port, false)]);
  // A name that begins with @ is one of Linux's abstract sockets.
  if (ip === "" && name.startsWith("@")) {
    const path = `\0${name.slice(1)}/.s.PGSQL.${port}`;
    return ok([{ kind: "unix", folder: name, isDefault: false, path, port }]);
  }
  if (name.includes(":") && isIP(name) === 0) return err("has a host that is no IPv6 address");
  return ok([{ kind: "tcp", host: name || ip, ip: ip || null, port }]);
}

const socketHost = (folder: string, port: number, isDefault: boolean): DsnHost => ({
  kind: "unix",
  folder,
  isDefault,
  path: `${folder}/.s.PGSQL.${port}`,
  port,
});

function parsePort(text: string): Result<number, string> {
  const port = text === "" ? defaultPort : Number(text);
  const isPort = Number.isInteger(port) && port >= 1 && port <= 65_535;
  return isPort ? ok(port) : err("has a port that is not a number from 1 to 65535");
}

function readPassfile(path: string, readFile: ReadFile): Result<readonly PassfileLine[], string> {
  if (path === "") return ok([]);
  const text = readFile(path);
  return text.ok
    ? ok(parsePassfile(text.value))
    : err(`passfile ${path} cannot be read: ${text.error}`);
}

function parseAuth(given: GivenParameters, tls: TlsRules): Result<AuthRules, string> {
  const binding = oneOf("channel_binding", given.get("channel_binding") || "prefer", [
    "disable",
    "prefer",
    "require",
  ]);
  if (!binding.ok) return binding;
  if (binding.value === "require" && tls.use === "never") {
    return err("channel_binding=require needs TLS, but sslmode=disable forbids it");
  }
  const methods = parseMethods(given.get("require_auth") ?? "");
  return methods.ok ? ok({ channelBinding: binding.value, methods: methods.value }) : methods;
}

/** `a,b` allows only these; `!a,!b` allows all but these. */
function parseMethods(text: string): Result<AuthRules["methods"], string> {
  if (text === "") return ok(null);
  const names = text.split(",").map((name) => name.trim());
  const forbidden = names.filter((name) => name.startsWith("!")).map((name) => name.slice(1));
  if (forbidden.length > 0 && forbidden.length < names.length) {
    return err("require_auth may not mix methods with and without a !");
  }
  const listed = forbidden.length > 0 ? forbidden : names;
  const unknown = listed.find(
    (name) => !foreignMethods.includes(name) && !authMethods.some((known) => known === name),
  );
  if (unknown !== undefined) {
    return err(`require_auth may only name: ${[...authMethods, ...foreignMethods].join(", ")}`);
  }
  const isAllowed = (method: AuthMethod) => listed.includes(method) === (forbidden.length === 0);
  const methods = new Set(authMethods.filter(isAllowed));
  return methods.size > 0
    ? ok(methods)
    : err(`require_auth leaves no method that the router knows (${authMethods.join(", ")})`);
}

function oneOf<T extends string>(
  name: string,
  text: string,
  values: readonly T[],
): Result<T, string> {
  const value = values.find((known) => known === text);
  return value === undefined ? err(`${name} may only be one of: ${values.join(", ")}`) : ok(value);
}

/** Whole seconds as milliseconds; null when none are given, or none is meant: zero, or less. */
function parseSeconds(name: string, given: GivenParameters): Result<number | null, string> {
  const text = (given.get(name) ?? "").trim();
  if (text === "" || /^(?:-\d+|[+]?0+)$/.test(text)) return ok(null);
  if (!/^[+]?\d{1,7}$/.test(text)) return err(`${name} must be a number of seconds`);
  return ok(Number(text) * 1_000);
}
