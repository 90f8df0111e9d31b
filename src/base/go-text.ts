import { err, ok, type Result } from "./result.ts";

/** Reads the text of one value. The error completes "expected ..." and never holds the text. */
export type Reader<T> = (text: string) => Result<T, string>;

/** The words of Go's `strconv.ParseBool`, and no others: no trimming, no `yes`. */
export const readBoolean: Reader<boolean> = (text) => {
  if (["1", "t", "T", "TRUE", "true", "True"].includes(text)) return ok(true);
  if (["0", "f", "F", "FALSE", "false", "False"].includes(text)) return ok(false);
  return err("true or false");
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

/**
 * A Go duration (`time.ParseDuration`): `1h30m`, `.5s`, `-300ms`, `0`. In milliseconds, possibly
 * with a fraction; at most about 292 years.
 */
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
