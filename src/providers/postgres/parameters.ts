import { err, ok, type Result } from "../../base/result.ts";
import type { GivenParameters } from "./dsn-text.ts";

/** What the router does with a parameter of a connection string. */
type Rule =
  /** It means what libpq says. */
  | { readonly kind: "honoured" }
  /** It is sent to the server, as a setting that the session begins with. */
  | { readonly kind: "startup" }
  /** It is accepted and has no effect here, for this reason. */
  | { readonly kind: "without-effect"; readonly why: string }
  /** It is refused with this advice, unless it has one of the harmless values. */
  | { readonly kind: "refused"; readonly why: string; readonly harmless: readonly string[] };

const honoured: Rule = { kind: "honoured" };
const startup: Rule = { kind: "startup" };
const withoutEffect = (why: string): Rule => ({ kind: "without-effect", why });
const refused = (why: string, harmless: readonly string[] = []): Rule => ({
  kind: "refused",
  why,
  harmless,
});

const heartbeats = withoutEffect("the router's heartbeat notices a dead connection within 15 s");
const noGssapi = withoutEffect("the router does not use GSSAPI");
const noOauth = refused("the router does not log in by OAuth; use a password or a certificate");
const ownPool = withoutEffect("the router has two connections and no pool");

/** All parameters of libpq up to PostgreSQL 18 ("Parameter Key Words"), and those of Prisma, pgx and JDBC. */
const rules: Readonly<Record<string, Rule>> = {
  host: honoured,
  hostaddr: honoured,
  port: honoured,
  dbname: honoured,
  user: honoured,
  password: honoured,
  passfile: honoured,
  require_auth: honoured,
  channel_binding: honoured,
  connect_timeout: honoured,
  client_encoding: withoutEffect("the router always speaks UTF8"),
  options: startup,
  application_name: startup,
  fallback_application_name: honoured,
  keepalives: honoured,
  keepalives_idle: honoured,
  keepalives_interval: heartbeats,
  keepalives_count: heartbeats,
  tcp_user_timeout: heartbeats,
  replication: refused("the router opens ordinary sessions", ["false", "off", "no", "0"]),
  gssencmode: refused("the router does not use GSSAPI; use sslmode", ["disable", "prefer"]),
  krbsrvname: noGssapi,
  gsslib: noGssapi,
  gssdelegation: noGssapi,
  sslmode: honoured,
  ssl: honoured,
  requiressl: refused("write sslmode=require", ["0"]),
  sslnegotiation: honoured,
  sslcompression: withoutEffect("TLS is never compressed"),
  sslcert: honoured,
  sslkey: honoured,
  sslpassword: honoured,
  sslcertmode: honoured,
  sslrootcert: honoured,
  sslcrl: honoured,
  sslcrldir: refused("write the revocation lists into one file and name it by sslcrl"),
  sslsni: honoured,
  sslkeylogfile: refused("the router writes no TLS secrets"),
  ssl_min_protocol_version: honoured,
  ssl_max_protocol_version: honoured,
  min_protocol_version: refused("the router speaks protocol 3.0", ["3.0"]),
  max_protocol_version: withoutEffect("the router speaks protocol 3.0"),
  requirepeer: refused("the router cannot see the owner of a socket; protect its folder instead"),
  service: refused("the router reads no service file; write its parameters here"),
  servicefile: refused("the router reads no service file; write its parameters here"),
  target_session_attrs: honoured,
  load_balance_hosts: honoured,
  scram_client_key: refused("give the password instead"),
  scram_server_key: refused("give the password instead"),
  oauth_issuer: noOauth,
  oauth_client_id: noOauth,
  oauth_client_secret: noOauth,
  oauth_scope: noOauth,
  // Settings of the server that pgx and JDBC take as parameters.
  search_path: startup,
  statement_timeout: startup,
  lock_timeout: startup,
  // Prisma.
  schema: honoured,
  pgbouncer: withoutEffect("the router uses no prepared statements anyway"),
  connection_limit: ownPool,
  pool_timeout: ownPool,
  socket_timeout: heartbeats,
  statement_cache_size: withoutEffect("the router uses no prepared statements"),
  single_use_connections: ownPool,
  sslaccept: refused("write sslmode=verify-full and sslrootcert", ["accept_invalid_certs"]),
  sslidentity: refused("give the certificate as PEM files: sslcert and sslkey"),
  // pgx.
  pool_max_conns: ownPool,
  pool_min_conns: ownPool,
  pool_min_idle_conns: ownPool,
  pool_max_conn_lifetime: ownPool,
  pool_max_conn_lifetime_jitter: ownPool,
  pool_max_conn_idle_time: ownPool,
  pool_health_check_period: ownPool,
  default_query_exec_mode: withoutEffect("the router uses no prepared statements"),
  statement_cache_capacity: withoutEffect("the router uses no prepared statements"),
  description_cache_capacity: withoutEffect("the router uses no prepared statements"),
  min_read_buffer_size: withoutEffect("the router has buffers of its own"),
  // node-postgres.
  uselibpqcompat: withoutEffect("sslmode means what libpq says anyway"),
};

/** What was made of the parameters' names. */
interface CheckedParameters {
  /** Settings that the session begins with. */
  readonly startup: Readonly<Record<string, string>>;
  /** What is given and has no effect: name and reason, for a warning. */
  readonly withoutEffect: readonly string[];
}

/**
 * Sorts the parameters by what the router does with them. The error names the first that is refused, and the
 * reason.
 */
export function checkParameters(given: GivenParameters): Result<CheckedParameters, string> {
  const session: Record<string, string> = {};
  const unused: string[] = [];
  for (const [name, value] of given) {
    const rule = Object.hasOwn(rules, name) ? rules[name] : undefined;
    if (rule === undefined) {
      return err(
        `has the parameter ${name}, which is not supported (settings of the server go into options=-c%20name%3Dvalue)`,
      );
    }
    switch (rule.kind) {
      case "honoured":
        break;
      case "startup":
        if (value !== "") session[name] = value;
        break;
      case "without-effect":
        unused.push(`${name} has no effect: ${rule.why}`);
        break;
      case "refused":
        if (!rule.harmless.includes(value)) return err(`has the parameter ${name}: ${rule.why}`);
    }
  }
  const fallbackName = given.get("fallback_application_name");
  const schema = given.get("schema");
  return ok({
    startup: {
      ...(fallbackName ? { application_name: fallbackName } : {}),
      ...(schema ? { search_path: `"${schema.replaceAll('"', '""')}"` } : {}),
      ...session,
    },
    withoutEffect: unused,
  });
}
