import { err, ok, type Result } from "../base/result.ts";
import { hostnameFault } from "./fault.ts";
import { type Hostname, toHostname } from "./hostname.ts";

/**
 * What a route claims: one hostname, every hostname below a suffix (`*.example.com`, any depth), or every
 * hostname that no other pattern fits. `written` is the operator's spelling, where it differs; nothing is
 * compared by it.
 *
 * The patterns that fit a hostname are in total order: exact, then wildcards from the longest suffix to the
 * shortest, then the default. That order comes before every other: only claims of the very same pattern are
 * decided by their sources, and within a source by the routes' ids.
 */
export type Pattern =
  | { readonly kind: "exact"; readonly hostname: Hostname; readonly written?: string }
  | { readonly kind: "wildcard"; readonly suffix: Hostname; readonly written?: string }
  | { readonly kind: "default" };

/** A part of a list that is no pattern; `reason` completes "the hostname ...". */
interface PatternProblem {
  readonly text: string;
  readonly reason: string;
}

/**
 * No pattern is longer: the handshake has room for 255 characters of server address (Minecraft protocol,
 * "Handshake").
 */
export const longestPattern = 255;

/**
 * How many hostnames one entry may list: so many take some milliseconds to read, in which nothing
 * else happens.
 */
const mostPatterns = 10_000;

/**
 * Pattern from `play.example.com` or `*.example.com`, in the form that `toHostname` gives to what clients
 * send; `simplifySrv` must be the one that look-ups use. Names that no client can send are taken too: see
 * `patternFault`. The error completes "the hostname ...". The default route has no text: `*` alone is an
 * error.
 */
export function parsePattern(text: string, simplifySrv = false): Result<Pattern, string> {
  const name = text.trim();
  if (name.length > longestPattern) return err(`is longer than ${longestPattern} characters`);
  if (/[\s\p{Cc}]/u.test(name)) return err("has whitespace or a control character inside");
  if (name === "*") return err("is only *, expected a name or *.suffix");

  const isWildcard = name.startsWith("*.");
  const rest = isWildcard ? name.slice(2) : name;
  if (rest.includes("*")) return err("has a * that is not its whole first label");
  const hostname = toHostname(rest, simplifySrv);
  if (hostname === "") return err("is empty, expected a name or *.suffix");
  const spelling = rest === hostname ? {} : { written: name };
  return ok(
    isWildcard
      ? { kind: "wildcard", suffix: hostname, ...spelling }
      : { kind: "exact", hostname, ...spelling },
  );
}

/** Why no client can ever match that text, to complete "the hostname ..."; null when one can. */
export function patternFault(text: string, simplifySrv = false): string | null {
  const pattern = parsePattern(text, simplifySrv);
  if (!pattern.ok) return pattern.error;
  const name = text.trim();
  return hostnameFault(name.startsWith("*.") ? name.slice(2) : name);
}

/** The pattern of a text that clients can match; else the error completes "the hostname ...". */
export function matchablePattern(text: string, simplifySrv = false): Result<Pattern, string> {
  const fault = patternFault(text, simplifySrv);
  return fault === null ? parsePattern(text, simplifySrv) : err(fault);
}

/**
 * Patterns that clients can match from a list separated by commas or newlines, each once, in order. Empty
 * parts are dropped; a bad part does not spoil the others.
 * Of an overlong list only the beginning is read.
 */
export function parsePatterns(
  list: string,
  simplifySrv = false,
): { readonly patterns: readonly Pattern[]; readonly problems: readonly PatternProblem[] } {
  const patterns = new Map<string, Pattern>();
  const problems: PatternProblem[] = [];
  for (const part of parts(list)) {
    const text = part.trim();
    if (text === "") continue;
    if (patterns.size + problems.length >= mostPatterns) {
      const reason = `and all that follow are ignored: an entry may list ${mostPatterns} hostnames`;
      problems.push({ text: text.slice(0, longestPattern), reason });
      break;
    }
    const pattern = matchablePattern(text, simplifySrv);
    if (pattern.ok) patterns.set(patternText(pattern.value), pattern.value);
    else problems.push({ text, reason: pattern.error });
  }
  return { patterns: [...patterns.values()], problems };
}

/**
 * What stands between commas and newlines, one part after the other: a long list is not cut up as a
 * whole.
 */
function* parts(list: string): Generator<string, void> {
  let from = 0;
  for (let at = 0; at <= list.length; at += 1) {
    const mark = list.charAt(at);
    if (mark !== "," && mark !== "\n" && mark !== "") continue;
    yield list.slice(from, at);
    from = at + 1;
  }
}

/** The pattern's one printed form: `play.example.com`, `*.example.com` or `*`. */
export function patternText(pattern: Pattern): string {
  switch (pattern.kind) {
    case "exact":
      return pattern.hostname;
    case "wildcard":
      return `*.${pattern.suffix}`;
    case "default":
      return "*";
  }
}

/** The pattern as its operator wrote it; empty for the default. */
export const writtenPattern = (pattern: Pattern): string =>
  pattern.kind === "default" ? "" : (pattern.written ?? patternText(pattern));
