import { readFields } from "./body.ts";
import { isFromOwnPage } from "./guard.ts";
import type { ApiRequest } from "./http-server.ts";
import { pageFiles } from "./page-files.ts" with { type: "macro" };
import { problem } from "./problem.ts";
import {
  cookieHeader,
  type Scope,
  scopeOfToken,
  signCookie,
  type Tokens,
} from "./session-cookie.ts";

const files = pageFiles();

/** Nothing but the page's own files: https://www.w3.org/TR/CSP3/ */
const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join("; ");

const file = (text: string, type: string) => (): Response =>
  new Response(text, {
    headers: {
      "Content-Type": type,
      "Content-Security-Policy": policy,
      "X-Content-Type-Options": "nosniff",
      "Referrer-Policy": "no-referrer",
      "Cache-Control": "no-cache",
    },
  });

/** The files of the page by the operation that gives them. */
export const pageHandlers = {
  readPage: file(files.html, "text/html; charset=utf-8"),
  readPageScript: file(files.script, "text/javascript; charset=utf-8"),
  readPageStyle: file(files.style, "text/css; charset=utf-8"),
  readPageIcon: file(files.icon, "image/svg+xml"),
} as const;

/** `POST /sign-in`: gives a cookie for a token, to the page alone. */
export function signIn({ headers, body }: ApiRequest, tokens: Tokens): Response {
  if (!isFromOwnPage(headers))
    return problem("wrong-origin", "only the router's own page signs in");
  const fields = readFields(body, ["token"]);
  if (!fields.ok) return problem("bad-request", fields.error);
  const token = fields.value.get("token") ?? "";
  const scope = scopeOfToken(token, tokens);
  if (scope === null) return problem("unauthorized", "the token is not valid");
  const cookie = signCookie(scope, token, Date.now());
  return withCookie(scope, cookieHeader(cookie, isHttps(headers)));
}

/** `POST /sign-out`: takes the cookie back. */
export function signOut({ headers }: ApiRequest): Response {
  if (!isFromOwnPage(headers))
    return problem("wrong-origin", "only the router's own page signs out");
  return withCookie(null, cookieHeader("", isHttps(headers)));
}

const withCookie = (scope: Scope | null, cookie: string): Response =>
  Response.json({ scope }, { headers: { "Set-Cookie": cookie } });

/** True behind a proxy that serves the page by https. */
const isHttps = (headers: Headers): boolean => headers.get("x-forwarded-proto") === "https";
