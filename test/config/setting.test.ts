import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  formatDuration,
  type Reader,
  readBoolean,
  readDuration,
  readInteger,
  readLevel,
  readList,
  readMap,
  readText,
} from "../../src/config/setting.ts";

/** Rows of texts that a reader takes; undefined marks those it refuses. */
function rows<T>(reader: Reader<T>, expected: Readonly<Record<string, T | undefined>>): void {
  for (const [text, value] of Object.entries(expected)) {
    const verdict = value === undefined ? "is refused" : `is ${value}`;
    test(`${JSON.stringify(text)} ${verdict}`, () => {
      const read = reader(text);
      if (value === undefined) expect(read.ok).toBe(false);
      else expect(read).toEqual({ ok: true, value });
    });
  }
}

describe("a boolean is one of twelve words", () => {
  rows(readBoolean, {
    "1": true,
    t: true,
    T: true,
    TRUE: true,
    true: true,
    True: true,
    "0": false,
    f: false,
    F: false,
    FALSE: false,
    false: false,
    False: false,
    "": undefined,
    yes: undefined,
    no: undefined,
    on: undefined,
    tRUE: undefined,
    " true": undefined,
    "true ": undefined,
    "2": undefined,
    "-1": undefined,
  });
});

describe("an integer is a Go literal", () => {
  rows(readInteger, {
    "0": 0,
    "-0": 0,
    "25565": 25565,
    "+5": 5,
    "-5": -5,
    "25_565": 25565,
    "010": 8,
    "0_7": 7,
    "0o17": 15,
    "0O17": 15,
    "0x1F": 31,
    "0Xff": 255,
    "0x_1f": 31,
    "-0x10": -16,
    "0b101": 5,
    "0B1": 1,
    "9223372036854775807": 2 ** 63,
    "-9223372036854775808": -(2 ** 63),
    "9223372036854775808": undefined,
    "-9223372036854775809": undefined,
    "0x10000000000000000": undefined,
    "": undefined,
    "+": undefined,
    "--1": undefined,
    "08": undefined,
    "0o8": undefined,
    "0x": undefined,
    "0x_": undefined,
    "0b2": undefined,
    _1: undefined,
    "1_": undefined,
    "1__0": undefined,
    "1.0": undefined,
    "1e3": undefined,
    " 1": undefined,
    "1 ": undefined,
    "1\n": undefined,
    ten: undefined,
    "１": undefined,
  });
});

describe("a duration is what Go's time.ParseDuration takes, in milliseconds", () => {
  rows(readDuration, {
    "0": 0,
    "+0": 0,
    "-0": 0,
    "0s": 0,
    "10m": 600_000,
    "10m0s": 600_000,
    "1h30m": 5_400_000,
    "300ms": 300,
    "1h15m30.918s": 4_530_918,
    "1.5h": 5_400_000,
    ".5s": 500,
    "1.s": 1_000,
    "-1s": -1_000,
    "+1s": 1_000,
    "1ns": 1e-6,
    "0.9ns": 0,
    "1us": 1e-3,
    "1\u00b5s": 1e-3,
    "1\u03bcs": 1e-3,
    "1s1s": 2_000,
    "1m1h": 3_660_000,
    "2562047h47m16.854775807s": 2 ** 63 / 1e6,
    "-2562047h47m16.854775808s": -(2 ** 63) / 1e6,
    "2562047h47m16.854775808s": undefined,
    "9223372036854775808ns": undefined,
    "99999999999999999999h": undefined,
    "": undefined,
    "-": undefined,
    "30": undefined,
    "1.5": undefined,
    ".s": undefined,
    ".": undefined,
    s: undefined,
    "1d": undefined,
    "1S": undefined,
    "1 s": undefined,
    " 1s": undefined,
    "1s ": undefined,
    "1s2": undefined,
    "1s-2s": undefined,
    "1..5s": undefined,
    "1,5s": undefined,
    "1constructor": undefined,
  });
});

describe("a log level is one of logrus', in any case", () => {
  rows(readLevel, {
    panic: "error",
    fatal: "error",
    error: "error",
    warn: "warn",
    warning: "warn",
    info: "info",
    debug: "debug",
    trace: "trace",
    WARNING: "warn",
    Info: "info",
    "": undefined,
    verbose: undefined,
    " info": undefined,
    constructor: undefined,
  });
});

describe("every refusal says what is expected, without the text", () => {
  const readers = { readBoolean, readInteger, readDuration, readLevel };
  for (const [name, reader] of Object.entries(readers)) {
    test(name, () => {
      const read = reader("hunter2");
      expect(read.ok ? "" : read.error).toMatch(/^(an? |true|error)/);
      expect(read.ok ? "" : read.error).not.toContain("hunter2");
    });
  }
});

describe("a duration is printed as Go prints it", () => {
  const expected: readonly (readonly [number, string])[] = [
    [0, "0s"],
    [3_600_000, "1h0m0s"],
    [600_000, "10m0s"],
    [45_000, "45s"],
    [500, "500ms"],
    [1.5e-3, "1.5µs"],
    [1e-6, "1ns"],
    [1_500, "1.5s"],
    [4_530_918, "1h15m30.918s"],
    [3_600_000.000001, "1h0m0.000000001s"],
    [86_400_000, "24h0m0s"],
    [-90_000, "-1m30s"],
    [-1e-9, "0s"],
  ];
  test.each(expected)("%p ms is %p", (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });

  test("and reads back as the same time", () => {
    const wholeMs = fc.integer({ min: -(2 ** 38), max: 2 ** 38 });
    fc.assert(
      fc.property(wholeMs, (ms) => {
        expect(readDuration(formatDuration(ms))).toEqual({ ok: true, value: ms });
      }),
    );
  });
});

describe("a list is cut at commas and newlines", () => {
  const expected: readonly (readonly [string, readonly string[]])[] = [
    ["", []],
    ["a", ["a"]],
    ["a,b", ["a", "b"]],
    ["a\nb\r\nc\n", ["a", "b", "c"]],
    [" a , b ,", ["a", "b"]],
    [",,\n,", []],
    ["a b", ["a b"]],
    ["\u00a0\u0085a\u2003", ["a"]],
    ["\ufeffa", ["\ufeffa"]],
  ];
  test.each(expected)("%j is %j", (text, parts) => {
    expect(readList(text)).toEqual(parts);
  });
});

describe("a map is a list of key=value", () => {
  const expected: readonly (readonly [string, readonly (readonly [string, string])[]])[] = [
    ["", []],
    ["a=b", [["a", "b"]]],
    ["a=b=c", [["a", "b=c"]]],
    ["a", [["a", ""]]],
    ["a=", [["a", ""]]],
    ["=b", [["", "b"]]],
    [
      "a = b\n c =d",
      [
        ["a", "b"],
        ["c", "d"],
      ],
    ],
    [
      "a=1,a=2",
      [
        ["a", "1"],
        ["a", "2"],
      ],
    ],
  ];
  test.each(expected)("%j is %j", (text, entries) => {
    expect(readMap(text).map(({ key, value }) => [key, value] as const)).toEqual([...entries]);
  });
});

test("a text is taken verbatim", () => {
  expect(readText(" a \n")).toEqual({ ok: true, value: " a \n" });
});

test("no text makes a reader throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const reader of [readBoolean, readInteger, readDuration, readLevel]) reader(text);
      readMap(text);
    }),
  );
});
