import { err, ok, type Result } from "./result.ts";

/** A JSON value, and the offset behind it. */
interface JsonValue {
  readonly value: unknown;
  readonly end: number;
}

/** What keeps a text from being JSON; `at` is an offset in UTF-16 code units. */
interface JsonMistake {
  readonly at: number;
  readonly reason: string;
}

/** The values of RFC 8259 that are no string and have no brackets. */
const scalar = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/y;
const fourHexDigits = /[\da-fA-F]{4}/y;

/** How deeply values may be nested; Go's limit (encoding/json, `maxNestingDepth`). */
const deepest = 10_000;

/**
 * The first JSON value of a text, whatever follows it. The runtime's own parser tells neither its
 * end nor where a mistake is.
 */
export function parseFirstJson(text: string): Result<JsonValue, JsonMistake> {
  const end = endOfValue(text, 0);
  if (!end.ok) return end;
  return ok({ value: JSON.parse(text.slice(0, end.value)), end: end.value });
}

/** The value of a text that holds nothing else. */
export function parseJson(text: string): Result<unknown, JsonMistake> {
  const first = parseFirstJson(text);
  if (!first.ok) return first;
  const rest = endOfSpace(text, first.value.end);
  if (rest < text.length) return err(unexpected(text, rest));
  return ok(first.value.value);
}

/** The members of a JSON object's text, which must be valid, in order: also those whose name comes twice. */
export function membersOfText(
  text: string,
): readonly (readonly [key: string, valueText: string])[] {
  const members: (readonly [string, string])[] = [];
  let at = endOfSpace(text, endOfSpace(text, 0) + 1);
  while (text[at] === '"') {
    const keyEnd = endOfString(text, at);
    const colon = endOfSpace(text, keyEnd);
    const value = endOfSpace(text, colon + 1);
    const end = endOfValue(text, value);
    if (!end.ok) break;
    members.push([JSON.parse(text.slice(at, keyEnd)), text.slice(value, end.value)]);
    at = endOfSpace(text, endOfSpace(text, end.value) + 1);
  }
  return members;
}

/** The offset as people count: both from 1. */
export function positionText(text: string, at: number): string {
  const lines = text.slice(0, at).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}

/**
 * A JSON object's text with its members in the given order: `JSON.stringify` would put keys that
 * read like numbers first.
 */
export const objectText = (members: Iterable<readonly [key: string, valueText: string]>): string =>
  `{${Array.from(members, ([key, valueText]) => `${JSON.stringify(key)}:${valueText}`).join(",")}}`;

/**
 * JSON with those characters escaped that Go's encoder escapes (encoding/json, `HTMLEscape`), byte
 * for byte what mc-router writes. They stand only inside of strings.
 */
export const escapeLikeGo = (json: string): string =>
  json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

type Expected = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma-or-end";

/** Where the value that begins at `from` ends. */
function endOfValue(text: string, from: number): Result<number, JsonMistake> {
  /** The brackets that are open. */
  const open: string[] = [];
  let expected: Expected = "value";
  let at = from;
  for (;;) {
    const start = endOfSpace(text, at);
    const mark = text[start];
    const takesValue = expected === "value" || expected === "value-or-end";
    at = start + 1;

    if (mark === '"' && (takesValue || expected === "key" || expected === "key-or-end")) {
      at = endOfString(text, start);
      if (at === -1) return err(unexpected(text, start));
      if (!takesValue) {
        expected = "colon";
        continue;
      }
    } else if ((mark === "{" || mark === "[") && takesValue) {
      if (open.length === deepest) return err({ at: start, reason: "it is nested too deeply" });
      open.push(mark);
      expected = mark === "{" ? "key-or-end" : "value-or-end";
      continue;
    } else if (mark === ":" && expected === "colon") {
      expected = "value";
      continue;
    } else if (mark === "," && expected === "comma-or-end") {
      expected = open.at(-1) === "{" ? "key" : "value";
      continue;
    } else if (closes(mark, open.at(-1), expected)) {
      open.pop();
    } else {
      scalar.lastIndex = start;
      if (!takesValue || !scalar.test(text)) return err(unexpected(text, start));
      at = scalar.lastIndex;
    }

    if (open.length === 0) return ok(at);
    expected = "comma-or-end";
  }
}

const closes = (
  mark: string | undefined,
  opened: string | undefined,
  expected: Expected,
): boolean =>
  (mark === "}" && opened === "{" && (expected === "key-or-end" || expected === "comma-or-end")) ||
  (mark === "]" && opened === "[" && (expected === "value-or-end" || expected === "comma-or-end"));

/**
 * Where the string that begins at `start` ends; -1 when it is none. No regular expression takes a
 * string of any length.
 */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === quote) return at + 1;
    if (code < 0x20) return -1;
    if (code !== backslash) continue;
    at += 1;
    const escaped = text[at] ?? "";
    if (escaped === "u") {
      fourHexDigits.lastIndex = at + 1;
      if (!fourHexDigits.test(text)) return -1;
      at += 4;
    } else if (escaped === "" || !'"\\/bfnrt'.includes(escaped)) {
      return -1;
    }
  }
  return -1;
}

const quote = 0x22;
const backslash = 0x5c;

function endOfSpace(text: string, from: number): number {
  let at = from;
  let code = text.charCodeAt(at);
  while (code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09) {
    at += 1;
    code = text.charCodeAt(at);
  }
  return at;
}

function unexpected(text: string, at: number): JsonMistake {
  const [found] = text.slice(at, at + 2);
  if (found === undefined) return { at, reason: "it ends too early" };
  const advice = found === "/" || found === "#" ? " (JSON has no comments)" : "";
  return { at, reason: `${JSON.stringify(found)} is not expected there${advice}` };
}
