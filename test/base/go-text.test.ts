import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { formatDuration, readBoolean, readDuration } from "../../src/base/go-text.ts";
import { rows, tellsWithoutText } from "../support/reader-rows.ts";

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

describe("every refusal says what is expected, without the text", () => {
  tellsWithoutText({ readBoolean, readDuration });
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

test("no text makes a reader throw", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      for (const reader of [readBoolean, readDuration]) reader(text);
    }),
  );
});
