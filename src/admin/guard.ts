import { isIPv4, isIPv6 } from "node:net";
import type { Access } from "./operations.ts";
import { problem } from "./problem.ts";
import {
  asksToken,
  type Scope,
  scopeOfCookie,
  scopeOfToken,
  type Tokens,
} from "./session-cookie.ts";

/** Which requests are let in. */
export interface GuardDeps {
  /** Without any, no token is asked for. */
  tokens(): Tokens;
  /**
   * Names of the API beside IP literals and localhost, in lower case; null: any, where no browser can
   * connect.
   */
  readonly names: readonly string[] | null;
}

/** A decision about a request. */
export type Admission =
  | { readonly kind: "admitted"; readonly scope: Scope }
  | { readonly kind: "refused"; readonly response: Response };

/** Decides about a request before its parameters or body are looked at. */
export type Guard = (headers: Headers, access: Exclude<Access, "open">) => Admission;

/**
 * A guard with the given rules. A good token is enough. Without one in force, a web page could send requests
 * through its visitor's browser: one whose name resolves to this machine (DNS rebinding) shows by its Host,
 * any other by its Origin.
 */
export function createGuard({ tokens, names }: GuardDeps): Guard {
  function byToken(headers: Headers, access: Access): Admission {
    const [, given] = /^Bearer +(\S.*)$/i.exec(headers.get("authorization") ?? "") ?? [];
    const scope =
      given === undefined
        ? scopeOfCookie(headers, tokens(), Date.now())
        : scopeOfToken(given, tokens());
    if (scope === null) return refused(unauthorized());
    if (access === "change" && scope !== "change") return refused(readOnly());
    if (given === undefined && access === "change" && !isFromOwnPage(headers)) {
      return refused(wrongOrigin(headers.get("origin")));
    }
    return { kind: "admitted", scope };
  }

  return (headers, access) => {
    if (asksToken(tokens())) return byToken(headers, access);
    const response = names === null ? null : checkHost(headers, names);
    return response === null ? { kind: "admitted", scope: "change" } : refused(response);
  };
}

const refused = (response: Response): Admission => ({ kind: "refused", response });

const unauthorized = (): Response =>
  problem("unauthorized", "send Authorization: Bearer with AUTOMC_API_TOKEN", {
    headers: { "WWW-Authenticate": "Bearer" },
  });

const readOnly = (): Response =>
  problem("forbidden", "AUTOMC_API_READ_TOKEN may only read; changes need AUTOMC_API_TOKEN");

const wrongOrigin = (origin: string | null): Response =>
  problem("wrong-origin", `pages of ${JSON.stringify(origin)} may not use this API`);

/** Null when the request is for one of the names, and from a page of theirs where it is from a page. */
function checkHost(headers: Headers, names: readonly string[]): Response | null {
  const host = headers.get("host");
  // Only HTTP/1.0 has none, which no browser speaks and HAProxy's checks do.
  if (host === null) return null;
  if (!isKnown(host, names)) {
    const detail = `${JSON.stringify(host)} is no name of this API; AUTOMC_API_HOSTS lists its names`;
    return problem("wrong-host", detail);
  }
  const origin = headers.get("origin");
  return origin === null || isOwn(origin, host, names) ? null : wrongOrigin(origin);
}

/**
 * True for a request of a page that this host served. Browsers send Origin with every request that changes
 * something (RFC 6454, section 7), so a request with a cookie and without Origin is refused as well.
 */
export function isFromOwnPage(headers: Headers): boolean {
  const origin = headers.get("origin");
  const host = headers.get("host");
  return origin !== null && host !== null && URL.parse(origin)?.host === host.toLowerCase();
}

/** `host` is a Host header: a name or an IP literal, and perhaps a port (RFC 9110, section 7.2). */
function isKnown(host: string, names: readonly string[]): boolean {
  const bare = host.replace(/:\d*$/, "").toLowerCase();
  if (bare.startsWith("[") && bare.endsWith("]")) return isIPv6(bare.slice(1, -1));
  return isIPv4(bare) || bare === "localhost" || names.includes(bare);
}

/**
 * True for the API's own pages, and for those of a proxy before it that has one of the names. At an IP
 * literal or localhost, another port is another program's.
 */
function isOwn(origin: string, host: string, names: readonly string[]): boolean {
  const page = URL.parse(origin);
  if (page === null) return false;
  const isName = !isIPv4(page.hostname) && page.hostname !== "localhost";
  return page.host === host.toLowerCase() || (isName && names.includes(page.hostname));
}
