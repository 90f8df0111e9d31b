import { err, ok, type Result } from "../result.ts";

/** How much the log says; upstream's `panic` and `fatal` are `error` here, as nothing is logged above it. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/** Reads the text of one variable. The error completes "expected ..." and never holds the text. */
export type Reader<T> = (text: string) => Result<T, string>;

/** The words of Go's `strconv.ParseBool`, and no others: no trimming, no `yes`. */
export const readBoolean: Reader<boolean> = (text) => {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return ok(true);
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return ok(false);
  return err("true or false");
};

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

/** Nanoseconds in each unit of Go's durations; micro is written with either of its two Unicode signs. */
const unitNanoseconds: ReadonlyMap<string, bigint> = new Map([
  ["ns", 1n],
  ["us", 1_000n],
  ["\u00b5s", 1_000n],
  ["\u03bcs", 1_000n],
  ["ms", 1_000_000n],
  ["s", 1_000_000_000n],
  ["m", 60_000_000_000n],
  ["h", 3_600_000_000_000n],
]);

const durationGroup = /([0-9]*)(?:\.([0-9]*))?([^0-9.]+)/y;

/** A Go duration (`time.ParseDuration`): `1h30m`, `.5s`, `-300ms`, `0`. In milliseconds, possibly with a fraction; at most about 292 years. */
export const readDuration: Reader<number> = (text) => {
  const expected = err("a duration such as 90s, 1h30m or 300ms");
  const isNegative = text.startsWith("-");
  const groups = text.replace(/^[+-]/, "");
  if (groups === "0") return ok(0);
  if (groups === "") return expected;

  let total = 0n;
  durationGroup.lastIndex = 0;
  while (durationGroup.lastIndex < groups.length) {
    const [, whole = "", fraction = "", unit = ""] = durationGroup.exec(groups) ?? [];
    const scale = unitNanoseconds.get(unit);
    if (scale === undefined || whole + fraction === "") return expected;
    total += BigInt(whole) * scale;
    // A fraction of a unit is cut to whole nanoseconds, as Go does it.
    total += (BigInt(fraction) * scale) / 10n ** BigInt(fraction.length);
  }
  const signed = isNegative ? -total : total;
  return BigInt.asIntN(64, signed) === signed ? ok(Number(signed) / 1e6) : expected;
};

/** Milliseconds as Go prints a duration: `1h0m0s`, `45s`, `500ms`, `1.5µs`, `0s`. */
export function formatDuration(ms: number): string {
  const nanoseconds = Math.round(Math.abs(ms) * 1e6);
  const sign = ms < 0 && nanoseconds > 0 ? "-" : "";
  if (nanoseconds === 0) return "0s";
  if (nanoseconds < 1e3) return `${sign}${nanoseconds}ns`;
  if (nanoseconds < 1e6) return `${sign}${nanoseconds / 1e3}µs`;
  if (nanoseconds < 1e9) return `${sign}${nanoseconds / 1e6}ms`;

  const minutes = Math.floor(nanoseconds / 60e9);
  const seconds = `${((nanoseconds % 60e9) / 1e9).toFixed(9).replace(/\.?0+$/, "")}s`;
  if (minutes === 0) return `${sign}${seconds}`;
  if (minutes < 60) return `${sign}${minutes}m${seconds}`;
  return `${sign}${Math.floor(minutes / 60)}h${minutes % 60}m${seconds}`;
}

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
