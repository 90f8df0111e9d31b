import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { problem } from "./problem.ts";

/** Which requests are let in. */
interface GuardDeps {
  /** Null: no token is asked for. */
  readonly token: string | null;
  /**
   * Names of the API beside IP literals and localhost, in lower case; null: any, where no browser can
   * connect.
   */
  readonly names: readonly string[] | null;
}

/** Decides about a request before its path or body is looked at; null lets it in. */
interface Guard {
  /** For everything that shows or changes something. */
  checkCaller(request: Request): Response | null;
  /** For what a load balancer may ask without a token. */
  checkHost(request: Request): Response | null;
}

/**
 * * A guard with the given rules. A good token is enough. Without one in force, a web page could send
 * requests through its visitor's browser: one whose name resolves to this machine (DNS rebinding) shows by
 * its Host, any other by its Origin.
 */
export function createGuard({ token, names }: GuardDeps): Guard {
  const expected = token === null ? null : digest(token);

  function checkHost(request: Request): Response | null {
    const host = request.headers.get("host");
    // Only HTTP/1.0 has none, which no browser speaks and HAProxy's checks do.
    if (names === null || host === null) return null;
    if (!isKnown(host, names)) {
      const detail = `${JSON.stringify(host)} is no name of this API; AUTOMC_API_HOSTS lists those that are`;
      return problem("wrong-host", detail);
    }
    const origin = request.headers.get("origin");
    if (origin === null || isOwn(origin, host, names)) return null;
    return problem("wrong-origin", `pages of ${JSON.stringify(origin)} may not use this API`);
  }

  function checkCaller(request: Request): Response | null {
    if (expected === null) return checkHost(request);
    const [, given] = /^Bearer +(\S.*)$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    // Digests, because the comparison needs equal lengths, and must not reveal the token's.
    if (given !== undefined && timingSafeEqual(digest(given), expected)) return null;
    const headers = { "WWW-Authenticate": "Bearer" };
    return problem("unauthorized", "send Authorization: Bearer with AUTOMC_API_TOKEN", { headers });
  }

  return { checkCaller, checkHost };
}

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();

/** `host` is a Host header: a name or an IP literal, and perhaps a port (RFC 9110, section 7.2). */
function isKnown(host: string, names: readonly string[]): boolean {
  const bare = host.replace(/:\d*$/, "").toLowerCase();
  if (bare.startsWith("[") && bare.endsWith("]")) return isIPv6(bare.slice(1, -1));
  return isIPv4(bare) || bare === "localhost" || names.includes(bare);
}

/**
 * * `origin` is the Origin header that browsers send with every request that changes something (RFC 6454,
 * section 7): the API's own pages, or those of a proxy before it that has one of the names. At an IP literal
 * or localhost, another port is another program's.
 */
function isOwn(origin: string, host: string, names: readonly string[]): boolean {
  const page = URL.parse(origin);
  if (page === null) return false;
  const isName = !isIPv4(page.hostname) && page.hostname !== "localhost";
  return page.host === host.toLowerCase() || (isName && names.includes(page.hostname));
}
