import { formatDuration, type Reader, readDuration } from "../base/go-text.ts";
import { err, ok } from "../base/result.ts";
import { withCodes } from "../session/texts.ts";
import type { Remark, SettingReader } from "./setting.ts";

/** How much the log says; upstream's `panic` and `fatal` are `error` here, as nothing is logged above it. */
export type LogLevel = "error" | "warn" | "info" | "debug" | "trace";

/**
 * The integer literals of the Go specification; a leading 0 makes an octal one. An underscore stands between
 * digits, or behind the base.
 */
const integerLiteral =
  /^[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*|[1-9](?:_?[0-9])*)$/;

/**
 * A Go integer (`strconv.ParseInt` with base 0 and 64 bits). Beyond 2^53 the number is the nearest one that
 * JavaScript has.
 */
export const readInteger: Reader<number> = (text) => {
  const expected = err("an integer");
  if (!integerLiteral.test(text)) return expected;
  const digits = text.replace(/^[+-]/, "").replaceAll("_", "");
  const size = BigInt(/^0\d/.test(digits) ? `0o${digits.slice(1)}` : digits);
  const value = text.startsWith("-") ? -size : size;
  return BigInt.asIntN(64, value) === value ? ok(Number(value)) : expected;
};

/** An integer of at least and at most so much. */
export const integerWithin =
  (least: number, most: number): Reader<number> =>
  (text) => {
    const integer = readInteger(text);
    if (integer.ok && integer.value >= least && integer.value <= most) return integer;
    return err(`an integer from ${least} to ${most}`);
  };

/** How many of something; 0 means what the setting says. */
export const readCount = integerWithin(0, 1_000_000);

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

/** One `key=value` of a map; `text` is the whole entry. */
export interface MapEntry {
  readonly key: string;
  readonly value: string;
  readonly text: string;
}

/**
 * A list whose parts are cut at their first `=`; without one the value is empty. A repeated key is given each
 * time.
 */
export const readMap = (text: string): readonly MapEntry[] =>
  readList(text).map((part) => {
    const cut = part.indexOf("=");
    if (cut === -1) return { key: part, value: "", text: part };
    return {
      key: trimSpace(part.slice(0, cut)),
      value: trimSpace(part.slice(cut + 1)),
      text: part,
    };
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

/** One of these lower-case words, in any case. */
export const oneOf =
  <const Word extends string>(...words: readonly Word[]): Reader<Word> =>
  (text) => {
    const word = words.find((known) => known === text.toLowerCase());
    return word === undefined ? err(inWords(words)) : ok(word);
  };

/** `a, b or c`. */
const inWords = (words: readonly string[]): string =>
  [words.slice(0, -1).join(", "), words.at(-1)].filter((part) => part !== "").join(" or ");

/** Null for no text, else what the reader gives. */
export const optional =
  <T>(read: SettingReader<T>): SettingReader<T | null> =>
  (text, world) =>
    text === "" ? ok(null) : read(text, world);

/** What the reader gives, changed. */
export const mapped =
  <T, U>(read: Reader<T>, change: (value: T) => U): Reader<U> =>
  (text) => {
    const value = read(text);
    return value.ok ? ok(change(value.value)) : value;
  };

/**
 * Every entry of a list, each with the same reader, whose error completes "the entry ...". Each bad entry is
 * a fault of its own. `what` says what the list is made of.
 */
export const listOf =
  <T>(read: Reader<T>, what: string): SettingReader<readonly T[]> =>
  (text) => {
    const values: T[] = [];
    const faults: Remark[] = [];
    for (const entry of readList(text)) {
      const value = read(entry);
      if (value.ok) values.push(value.value);
      else faults.push({ expected: `${what} (the entry ${value.error})`, value: entry });
    }
    return faults.length === 0 ? ok(values) : err(faults);
  };

/** The entries of a map, in order. */
export const readEntries: Reader<readonly MapEntry[]> = (text) => ok(readMap(text));

/** Any text is a value, down to its whitespace. */
export const readText: Reader<string> = (text) => ok(text);

/** Words for players: `&a` is a colour code, as `§a` is. */
export const readWords: Reader<string> = (text) => ok(withCodes(text));

/**
 * Whitespace as Go defines it: NEL counts, the byte order mark does not; in JavaScript it is the other way
 * round.
 */
const trimSpace = (text: string): string =>
  text.replace(/^\p{White_Space}+|\p{White_Space}+$/gu, "");
