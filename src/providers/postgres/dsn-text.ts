import { err, ok, type Result } from "../../base/result.ts";

/**
 * The parameters of a connection string by libpq's names, with escapes undone. Empty values count as not
 * given.
 */
export type GivenParameters = ReadonlyMap<string, string>;

/**
 * A bare @ behind the hosts is refused: it belongs to a password with an unescaped / or ?, which would be
 * printed.
 */
const uriShape = /^postgres(?:ql)?:\/\/(?:([^/?#]*)@)?([^/?#@]*)(?:\/([^?#/@]*))?(?:\?([^#@]*))?$/;

/**
 * Splits a connection string as libpq does (PostgreSQL, "Connection Strings"): a URI, or keywords and values.
 * Errors never hold a value, as any of them may be a part of the password.
 */
export function splitConnectionText(text: string): Result<GivenParameters, string> {
  const trimmed = text.trim();
  if (/^postgres(ql)?:\/\//.test(trimmed)) return splitUri(trimmed);
  if (trimmed.includes("://") || !trimmed.includes("=")) {
    return err(
      "must begin with postgres:// or postgresql://, or be of the form host=... dbname=...",
    );
  }
  return splitKeywords(trimmed);
}

function splitUri(text: string): Result<GivenParameters, string> {
  const parts = uriShape.exec(text);
  if (parts === null) {
    return err(
      "is not of the form postgres://user:password@host:port/database?name=value (percent-encode / ? # @ and % in its parts)",
    );
  }
  const [, account = "", authority = "", path = "", search = ""] = parts;
  const [user = "", ...password] = account.split(":");
  const hosts = splitAuthority(authority);
  if (!hosts.ok) return hosts;
  const raw: readonly (readonly [name: string, value: string, what: string])[] = [
    ["user", user, "the user"],
    ["password", password.join(":"), "the password"],
    ["dbname", path, "the database"],
    ["host", hosts.value.host, "the host"],
    ["port", hosts.value.port, "the port"],
  ];
  const given = new Map<string, string>();
  for (const [name, value, what] of raw) {
    const text = decoded(value, what);
    if (!text.ok) return text;
    if (text.value !== "") given.set(name, text.value);
  }
  for (const pair of search.split("&").filter((each) => each !== "")) {
    const split = pair.indexOf("=");
    if (split < 1) return err("has a parameter that is not name=value");
    const name = pair.slice(0, split);
    const value = decoded(pair.slice(split + 1), `the parameter ${name}`);
    if (!value.ok) return value;
    given.set(name, value.value);
  }
  return ok(given);
}

/**
 * The hosts and ports of a URI as the two lists that libpq's parameters `host` and `port` hold; "" for none.
 */
function splitAuthority(
  authority: string,
): Result<{ readonly host: string; readonly port: string }, string> {
  const hosts: string[] = [];
  const ports: string[] = [];
  for (const each of authority.split(",")) {
    const parts = /^(\[[^\]]*\]|[^:]*)(?::(.*))?$/.exec(each);
    if (parts === null) return err("has a host with more than one colon; write IPv6 as [::1]");
    hosts.push((parts[1] ?? "").replace(/^\[(.*)\]$/, "$1"));
    ports.push(parts[2] ?? "");
  }
  const list = (items: readonly string[]) =>
    items.every((item) => item === "") ? "" : items.join(",");
  return ok({ host: list(hosts), port: list(ports) });
}

/** `name=value` pairs between spaces; values with spaces stand in single quotes, and a backslash escapes. */
function splitKeywords(text: string): Result<GivenParameters, string> {
  const given = new Map<string, string>();
  const pair =
    /\s*([A-Za-z_]\w*)\s*=\s*(?:'((?:[^'\\]|\\.)*)'(?=\s|$)|((?:[^\s'\\]|\\.)(?:[^\s\\]|\\.)*)?(?=\s|$))/sy;
  let last = "";
  while (/\S/.test(text.slice(pair.lastIndex))) {
    const found = pair.exec(text);
    if (found === null) {
      const where = last === "" ? "at its beginning" : `behind the parameter ${last}`;
      return err(`is not name=value ${where}; values with spaces stand in single quotes`);
    }
    const [, name = "", quoted, bare = ""] = found;
    given.set(name, (quoted ?? bare).replace(/\\(.)/gs, "$1"));
    last = name;
  }
  return ok(given);
}

function decoded(text: string, what: string): Result<string, string> {
  try {
    return ok(decodeURIComponent(text));
  } catch {
    return err(`${what} has a % that is not followed by two hexadecimal digits (write %25)`);
  }
}
