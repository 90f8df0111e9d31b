import { formatDuration, type Reader, readDuration } from "../base/go-text.ts";
import { err, ok } from "../base/result.ts";

/** How much the log says; upstream's `panic` and `fatal` are `error` here, as nothing is logged above it. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** The integer literals of the Go specification; a leading 0 makes an octal one. An underscore stands between digits, or behind the base. */
const integerLiteral =
  /^[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)$/;

/** A Go integer (`strconv.ParseInt` with base 0 and 64 bits). Beyond 2^53 the number is the nearest one that JavaScript has. */
export const readInteger: Reader<number> = (text) => {
  const expected = err("an integer");
  if (!integerLiteral.test(text)) return expected;
  const digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = text.startsWith("-") ? -size : size;
  return BigInt.asIntN(64, value) === value ? ok(Number(value)) : expected;
};

/** Longest duration of our own settings, ms; timers count milliseconds in 31 bits, which is 24 days. */
export const dayMs = 86_400_000;

/** A duration of at least and at most so many milliseconds. */
export const durationWithin =
  (leastMs: number, mostMs: number): Reader<number> =>
  (text) => {
    const duration = readDuration(text);
    if (duration.ok && duration.value >= leastMs && duration.value <= mostMs) return duration;
    return err(
      `a duration such as 90s or 1h30m, from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}`,
    );
  };

/** Parts between commas and newlines, without the whitespace around them; empty parts are dropped. */
export const readList = (text: string): readonly string[] =>
  text
    .split(/[,\n]/)
    .map(trimSpace)
    .filter((part) => part !== "");

/** One `key=value` of a map. */
export interface MapEntry {
  readonly key: string;
  readonly value: string;
}

/** A list whose parts are cut at their first `=`; without one the value is empty. Keys that come twice are both given, in order. */
export const readMap = (text: string): readonly MapEntry[] =>
  readList(text).map((part) => {
    const cut = part.indexOf("=");
    if (cut === -1) return { key: part, value: "" };
    return { key: trimSpace(part.slice(0, cut)), value: trimSpace(part.slice(cut + 1)) };
  });

const levelNames: ReadonlyMap<string, LogLevel> = new Map([
  ["panic", "error"],
  ["fatal", "error"],
  ["error", "error"],
  ["warn", "warn"],
  ["warning", "warn"],
  ["info", "info"],
  ["debug", "debug"],
  ["trace", "trace"],
]);

/** One of upstream's log levels, in any case. */
export const readLevel: Reader<LogLevel> = (text) => {
  const level = levelNames.get(text.toLowerCase());
  return level === undefined ? err("error, warn, info, debug or trace") : ok(level);
};

/** Any text is a value, down to its whitespace. */
export const readText: Reader<string> = (text) => ok(text);

/** What Go takes for whitespace: NEL counts, the byte order mark does not, and both are the other way round in JavaScript. */
const trimSpace = (text: string): string =>
  text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");
