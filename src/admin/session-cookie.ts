import { createHash, createHmac, timingSafeEqual } from "node:crypto";

/** What a caller with a token may do. */
export type Scope = "read" | "change";

/** The tokens of the API; null where none is set. */
export interface Tokens {
  readonly change: string | null;
  readonly read: string | null;
}

/** False where every caller that reaches the API is let in. */
export const asksToken = ({ change, read }: Tokens): boolean => change !== null || read !== null;

/** How long a sign-in at the page lasts, s. */
const signInSeconds = 12 * 3_600;

const cookieName = "automc_session";

/**
 * The value of a cookie that stands for a token without holding it: scope, end and a signature keyed by the
 * token. It outlives a restart of the router, and ends with a change of the token.
 */
export function signCookie(scope: Scope, token: string, nowMs: number): string {
  const payload = `${scope}.${Math.floor(nowMs / 1_000) + signInSeconds}`;
  return `${payload}.${signature(payload, token)}`;
}

/** The Set-Cookie header of a sign-in, or of a sign-out where the value is empty. */
export function cookieHeader(value: string, isHttps: boolean): string {
  const age = value === "" ? 0 : signInSeconds;
  const secure = isHttps ? "; Secure" : "";
  return `${cookieName}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${age}${secure}`;
}

/** What the cookie of a request allows; null without a valid one. */
export function scopeOfCookie(headers: Headers, tokens: Tokens, nowMs: number): Scope | null {
  for (const part of (headers.get("cookie") ?? "").split(";")) {
    const [, scope, end, signed] =
      /^\s*automc_session=(read|change)\.(\d{1,12})\.([0-9a-f]{64})\s*$/.exec(part) ?? [];
    if (scope === undefined || end === undefined || signed === undefined) continue;
    const known: Scope = scope === "change" ? "change" : "read";
    const token = tokens[known];
    if (token === null || Number(end) * 1_000 < nowMs) continue;
    if (isEqual(signed, signature(`${known}.${end}`, token))) return known;
  }
  return null;
}

/** What a token allows; null for a wrong one. */
export function scopeOfToken(given: string, tokens: Tokens): Scope | null {
  if (tokens.change !== null && isEqual(given, tokens.change)) return "change";
  if (tokens.read !== null && isEqual(given, tokens.read)) return "read";
  return null;
}

const signature = (payload: string, token: string): string =>
  createHmac("sha256", `automc-router page ${token}`).update(payload).digest("hex");

/** Compares digests: the comparison needs equal lengths, and must not reveal the token's. */
const isEqual = (a: string, b: string): boolean => timingSafeEqual(digest(a), digest(b));

const digest = (text: string): Buffer => createHash("sha256").update(text).digest();
