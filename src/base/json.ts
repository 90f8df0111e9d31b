import { err, ok, type Result } from "./result.ts";

/** A JSON value, and the offset behind it. */
export interface JsonValue {
  readonly value: unknown;
  readonly end: number;
}

/** What keeps a text from being JSON; `at` is an offset in UTF-16 code units. */
export interface JsonMistake {
  readonly at: number;
  readonly reason: string;
}

/** The tokens of RFC 8259, and the whitespace before them. */
const token =
  /[ \t\n\r]*(?:(?<string>"(?:[^"\\\p{Cc}]|[\x7f-\x9f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*")|(?<scalar>-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)|(?<mark>[{}[\],:]))/uy;
const space = /[ \t\n\r]*/y;

/** Nothing that people write is nested deeper, and the runtime's parser has a stack to keep. */
const deepest = 200;

/** The first JSON value of a text, whatever follows it. The runtime's own parser tells neither its end nor where a mistake is. */
export function parseFirstJson(text: string): Result<JsonValue, JsonMistake> {
  const end = endOfValue(text);
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

/** The offset as people count: both from 1. */
export function positionText(text: string, at: number): string {
  const lines = text.slice(0, at).split("\n");
  return `line ${lines.length}, column ${(lines.at(-1) ?? "").length + 1}`;
}

/** A JSON object's text with its members in the given order: `JSON.stringify` would put keys that read like numbers first. */
export const objectText = (members: Iterable<readonly [key: string, valueText: string]>): string =>
  `{${Array.from(members, ([key, valueText]) => `${JSON.stringify(key)}:${valueText}`).join(",")}}`;

/**
 * JSON with those characters escaped that Go's encoder escapes (encoding/json, `HTMLEscape`), byte for byte what mc-router
 * writes. They stand only inside of strings.
 */
export const escapeLikeGo = (json: string): string =>
  json.replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

type Expected = "value" | "value-or-end" | "key" | "key-or-end" | "colon" | "comma-or-end";

function endOfValue(text: string): Result<number, JsonMistake> {
  /** The brackets that are open. */
  const open: string[] = [];
  let expected: Expected = "value";
  let at = 0;
  for (;;) {
    token.lastIndex = at;
    const { string, scalar, mark } = token.exec(text)?.groups ?? {};
    const start = endOfSpace(text, at);
    at = token.lastIndex;
    const takesValue = expected === "value" || expected === "value-or-end";

    if (string !== undefined && (expected === "key" || expected === "key-or-end")) {
      expected = "colon";
      continue;
    }
    if ((mark === "{" || mark === "[") && takesValue) {
      if (open.length === deepest) return err({ at: start, reason: "it is nested too deeply" });
      open.push(mark);
      expected = mark === "{" ? "key-or-end" : "value-or-end";
      continue;
    }
    if (mark === ":" && expected === "colon") {
      expected = "value";
      continue;
    }
    if (mark === "," && expected === "comma-or-end") {
      expected = open.at(-1) === "{" ? "key" : "value";
      continue;
    }

    const isScalar = takesValue && (string !== undefined || scalar !== undefined);
    if (!isScalar && !closes(mark, open.at(-1), expected)) return err(unexpected(text, start));
    if (!isScalar) open.pop();
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

function endOfSpace(text: string, from: number): number {
  space.lastIndex = from;
  space.exec(text);
  return space.lastIndex;
}

function unexpected(text: string, at: number): JsonMistake {
  const [found] = text.slice(at, at + 2);
  if (found === undefined) return { at, reason: "it ends too early" };
  const advice = found === "/" || found === "#" ? " (JSON has no comments)" : "";
  return { at, reason: `${JSON.stringify(found)} is not expected there${advice}` };
}
