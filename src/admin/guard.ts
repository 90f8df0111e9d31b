import { createHash, timingSafeEqual } from "node:crypto";
import { isIPv4, isIPv6 } from "node:net";
import { problem } from "./problem.ts";

/** Who may ask. */
export interface GuardDeps {
  /** Null: everybody who reaches the API. */
  readonly token: string | null;
  /** The names that the API is called by, beside IP literals and localhost, in lower case; null: any, where no browser can come from. */
  readonly names: readonly string[] | null;
}

/** Decides about a request before anything of it is used; null lets it in. */
export interface Guard {
  /** For everything that shows or changes something. */
  checkCaller(request: Request): Response | null;
  /** For what a load balancer may ask without a token. */
  checkHost(request: Request): Response | null;
}

/**
 * A guard with the given rules. A good token is enough. Without one in force, a web page that has its own name resolve to this machine
 * (DNS rebinding) could ask in the name of whoever looks at it, and its requests show by their Host.
 */
export function createGuard({ token, names }: GuardDeps): Guard {
  const expected = token === null ? null : digest(token);

  function checkHost(request: Request): Response | null {
    const host = request.headers.get("host");
    // Only HTTP/1.0 has none, which no browser speaks and HAProxy's checks do.
    if (names === null || host === null || isKnown(host, names)) return null;
    const detail = `${JSON.stringify(host)} is no name of this API; AUTOMC_API_HOSTS lists those that are`;
    return problem("wrong-host", detail);
  }

  function checkCaller(request: Request): Response | null {
    if (expected === null) return checkHost(request);
    const [, given] = /^Bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "") ?? [];
    // Digests, because the comparison takes equal lengths, and a length tells something.
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
