import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readInteger, readLevel, readList, readMap, readText } from "../../src/config/readers.ts";
import { rows, tellsWithoutText } from "../support/reader-rows.ts";

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
  tellsWithoutText({ readInteger, readLevel });
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
      for (const reader of [readInteger, readLevel]) reader(text);
      readMap(text);
    }),
  );
});
