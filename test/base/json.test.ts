import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  membersOfText,
  objectText,
  parseFirstJson,
  parseJson,
  positionText,
} from "../../src/base/json.ts";

const good: readonly { name: string; text: string; value: unknown; end?: number }[] = [
  { name: "an object", text: '{"a":"b"}', value: { a: "b" } },
  {
    name: "space around",
    text: ' \r\n\t{ "a" : [ 1 , -2.5e+3 , null ] } \n',
    value: { a: [1, -2500, null] },
    end: 36,
  },
  { name: "empty brackets", text: '[{},[],""]', value: [{}, [], ""] },
  { name: "escapes", text: String.raw`"\u0041\"\\\/\n"`, value: 'A"\\/\n' },
  { name: "a delete and a C1 control, which JSON allows", text: '"\x7f\x85"', value: "\x7f\x85" },
  { name: "a string of 2 MB", text: JSON.stringify("x".repeat(2e6)), value: "x".repeat(2e6) },
  { name: "a lone surrogate", text: '"\ud800"', value: "\ud800" },
];

for (const { name, text, value, end } of good) {
  test(`${name} is read, and its end is known`, () => {
    expect(parseFirstJson(text)).toEqual({ ok: true, value: { value, end: end ?? text.length } });
    expect(parseJson(text)).toEqual({ ok: true, value });
  });
}

const bad: readonly { name: string; text: string; at: number; reason: string }[] = [
  { name: "nothing", text: "", at: 0, reason: "it ends too early" },
  { name: "a trailing comma", text: '{"a":1,}', at: 7, reason: '"}" is not expected there' },
  { name: "a trailing comma in a list", text: "[1,]", at: 3, reason: '"]" is not expected there' },
  {
    name: "a comment",
    text: "{ // no\n}",
    at: 2,
    reason: '"/" is not expected there (JSON has no comments)',
  },
  { name: "a missing colon", text: '{"a" 1}', at: 5, reason: '"1" is not expected there' },
  { name: "a missing comma", text: '{"a":1 "b":2}', at: 7, reason: '"\\"" is not expected there' },
  { name: "a key that is no string", text: "{a:1}", at: 1, reason: '"a" is not expected there' },
  { name: "single quotes", text: "{'a':1}", at: 1, reason: '"\'" is not expected there' },
  { name: "the wrong bracket", text: '{"a":[1}', at: 7, reason: '"}" is not expected there' },
  { name: "half of it", text: '{"a":"b', at: 5, reason: '"\\"" is not expected there' },
  { name: "an end inside", text: '{"a":1', at: 6, reason: "it ends too early" },
  { name: "a line feed in a string", text: '"a\nb"', at: 0, reason: '"\\"" is not expected there' },
  { name: "a leading zero", text: "[01]", at: 2, reason: '"1" is not expected there' },
  {
    name: "very deep nesting",
    text: "[".repeat(100_000),
    at: 10_000,
    reason: "it is nested too deeply",
  },
];

for (const { name, text, at, reason } of bad) {
  test(`${name} is refused, and the place is known`, () => {
    expect(parseFirstJson(text)).toEqual({ ok: false, error: { at, reason } });
    expect(parseJson(text).ok).toBe(false);
  });
}

test("values are read down to the depth that Go reads", () => {
  const text = "[".repeat(10_000) + "]".repeat(10_000);
  expect(parseJson(text).ok).toBe(true);
});

test("the members of a text are all that are there, as they are written", () => {
  const text = ' { "a" : [1, {"b":2}] ,"a":"}", "\\u0063":12345678901234567890 } ';
  expect(membersOfText(text)).toEqual([
    ["a", '[1, {"b":2}]'],
    ["a", '"}"'],
    ["c", "12345678901234567890"],
  ]);
  expect(membersOfText("{}")).toEqual([]);
});

test("what follows the first value matters only to who wants nothing else", () => {
  const text = '{"a":1} {"b"';
  expect(parseFirstJson(text)).toEqual({ ok: true, value: { value: { a: 1 }, end: 7 } });
  expect(parseJson(text)).toEqual({
    ok: false,
    error: { at: 8, reason: '"{" is not expected there' },
  });
});

describe("against the runtime's parser", () => {
  const runtime = (text: string): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      return undefined;
    }
  };
  const ours = (text: string): unknown => {
    const parsed = parseJson(text);
    return parsed.ok ? parsed.value : undefined;
  };

  test("any JSON is the same value", () => {
    fc.assert(fc.property(fc.json(), (text) => expect(ours(text)).toEqual(runtime(text))));
  });

  test("damaged JSON is JSON for both or for neither", () => {
    const damaged = fc
      .tuple(fc.json(), fc.nat(), fc.constantFrom("", ",", '"', "}", "[", "0", "\\", "\u0000"))
      .map(([text, at, change]) => {
        const cut = at % (text.length + 1);
        return text.slice(0, cut) + change + text.slice(cut + 1);
      });
    fc.assert(
      fc.property(damaged, (text) => expect(ours(text)).toEqual(runtime(text))),
      { numRuns: 1_000 },
    );
  });
});

test("an object's text keeps the order of its members and is what a parser reads back", () => {
  const members = [
    ["10", "1"],
    ["b", '"x"'],
    ["2", "{}"],
    ["__proto__", "null"],
  ] as const;
  expect(objectText(members)).toBe('{"10":1,"b":"x","2":{},"__proto__":null}');
  expect(objectText([])).toBe("{}");
});

test("a place is counted in lines and columns from 1", () => {
  expect(positionText("ab\ncd", 0)).toBe("line 1, column 1");
  expect(positionText("ab\ncd", 4)).toBe("line 2, column 2");
});
