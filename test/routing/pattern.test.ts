import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { err, ok } from "../../src/base/result.ts";
import { toHostname } from "../../src/routing/hostname.ts";
import {
  type Pattern,
  parsePattern,
  parsePatterns,
  patternText,
} from "../../src/routing/pattern.ts";

const exact = (name: string, written?: string): Pattern => ({
  kind: "exact",
  hostname: toHostname(name),
  ...(written === undefined ? {} : { written }),
});
const wildcard = (name: string, written?: string): Pattern => ({
  kind: "wildcard",
  suffix: toHostname(name),
  ...(written === undefined ? {} : { written }),
});

describe("a pattern is read", () => {
  const rows: readonly { text: string; srv?: boolean; pattern: Pattern; printed: string }[] = [
    { text: "play.example.com", pattern: exact("play.example.com"), printed: "play.example.com" },
    {
      text: " Play.Example.COM.\r",
      pattern: exact("play.example.com", "Play.Example.COM."),
      printed: "play.example.com",
    },
    { text: "localhost", pattern: exact("localhost"), printed: "localhost" },
    { text: "my_server.lan", pattern: exact("my_server.lan"), printed: "my_server.lan" },
    {
      text: "BÜCHER.example",
      pattern: exact("bücher.example", "BÜCHER.example"),
      printed: "xn--bcher-kva.example",
    },
    {
      text: "xn--bcher-kva.example",
      pattern: exact("bücher.example"),
      printed: "xn--bcher-kva.example",
    },
    { text: "203.0.113.7", pattern: exact("203.0.113.7"), printed: "203.0.113.7" },
    { text: "*.example.com", pattern: wildcard("example.com"), printed: "*.example.com" },
    {
      text: "*.EXAMPLE.com.",
      pattern: wildcard("example.com", "*.EXAMPLE.com."),
      printed: "*.example.com",
    },
    { text: "*.lan", pattern: wildcard("lan"), printed: "*.lan" },
    {
      text: "_minecraft._tcp.a.b",
      pattern: exact("_minecraft._tcp.a.b"),
      printed: "_minecraft._tcp.a.b",
    },
    {
      text: "_minecraft._tcp.a.b",
      srv: true,
      pattern: exact("a.b", "_minecraft._tcp.a.b"),
      printed: "a.b",
    },
    {
      text: "*._tcp.a.b",
      srv: true,
      pattern: wildcard("a.b", "*._tcp.a.b"),
      printed: "*.a.b",
    },
    { text: "a".repeat(255), pattern: exact("a".repeat(255)), printed: "a".repeat(255) },
  ];

  for (const { text, srv, pattern, printed } of rows) {
    test(`from ${JSON.stringify(text.slice(0, 40))}${srv ? " with SRV simplification" : ""}`, () => {
      expect(parsePattern(text, srv)).toEqual(ok(pattern));
      expect(patternText(pattern)).toBe(printed);
    });
  }

  test("the default prints as *", () => {
    expect(patternText({ kind: "default" })).toBe("*");
  });
});

describe("a pattern is refused", () => {
  const empty = "is empty, expected a name or *.suffix";
  const star = "has a * that is not its whole first label";
  const inside = "has whitespace or a control character inside";
  const rows: readonly { name: string; text: string; srv?: boolean; reason: string }[] = [
    { name: "empty", text: "", reason: empty },
    { name: "only spaces", text: "  ", reason: empty },
    { name: "only a dot", text: ".", reason: empty },
    { name: "wildcard of nothing", text: "*.", reason: empty },
    { name: "wildcard of a dot", text: "*..", reason: empty },
    { name: "only what a proxy appends", text: "///203.0.113.7", reason: empty },
    { name: "SRV name of nothing", text: "_minecraft._tcp", srv: true, reason: empty },
    { name: "only *", text: "*", reason: "is only *, expected a name or *.suffix" },
    { name: "* without a dot", text: "*example.com", reason: star },
    { name: "* in the middle", text: "a.*.example.com", reason: star },
    { name: "* at the end", text: "example.*", reason: star },
    { name: "two wildcards", text: "*.*.example.com", reason: star },
    { name: "two stars", text: "**.example.com", reason: star },
    { name: "* in what is cut off", text: "example.com///*", reason: star },
    { name: "space inside", text: "a b.example.com", reason: inside },
    { name: "line break inside", text: "a\nb", reason: inside },
    { name: "NUL inside", text: "a\0b", reason: inside },
    { name: "delete character inside", text: "a\u007fb", reason: inside },
    { name: "line separator inside", text: "a\u2028b", reason: inside },
    { name: "256 characters", text: "a".repeat(256), reason: "is longer than 255 characters" },
  ];

  for (const { name, text, srv, reason } of rows) {
    test(`because of: ${name}`, () => {
      expect(parsePattern(text, srv)).toEqual(err(reason));
    });
  }
});

test("a list keeps its good parts, names its bad ones and drops empty ones", () => {
  expect(parsePatterns("a.example.com, *.b.example.com\r\n,, c d ,\n*,e.example.com,")).toEqual({
    patterns: [exact("a.example.com"), wildcard("b.example.com"), exact("e.example.com")],
    problems: [
      { text: "c d", reason: "has whitespace or a control character inside" },
      { text: "*", reason: "is only *, expected a name or *.suffix" },
    ],
  });
});

test("a list names each pattern once, in the order of first mention", () => {
  expect(parsePatterns("b.lan,a.lan,B.lan.,*.b.lan").patterns).toEqual([
    exact("b.lan", "B.lan."),
    exact("a.lan"),
    wildcard("b.lan"),
  ]);
});

test("a list simplifies SRV names when asked", () => {
  expect(parsePatterns("_minecraft._tcp.a.b", true).patterns).toEqual([
    exact("a.b", "_minecraft._tcp.a.b"),
  ]);
  expect(parsePatterns("_minecraft._tcp.a.b").patterns).toEqual([exact("_minecraft._tcp.a.b")]);
});

test("an empty list has neither patterns nor problems", () => {
  expect(parsePatterns(" ,\n, ")).toEqual({ patterns: [], problems: [] });
});

test("an accepted name is in the very form that a client's spelling of it takes", () => {
  const unit = fc.constantFrom(
    "a",
    "Z",
    "é",
    "Σ",
    "İ",
    ".",
    "-",
    "_",
    "_tcp",
    "/",
    "//",
    "\\",
    ":",
  );
  fc.assert(
    fc.property(fc.string({ unit }), fc.boolean(), (text, srv) => {
      const pattern = parsePattern(text, srv);
      if (!pattern.ok) return expect(toHostname(text, srv)).toBe(toHostname(""));
      return expect(pattern.value).toMatchObject({
        kind: "exact",
        hostname: toHostname(text, srv),
      });
    }),
  );
});

test("of a list without end the first 10,000 hostnames are read, and the rest is a problem", () => {
  const list = Array.from({ length: 500_000 }, (_, i) => `h${i}.example.org`).join(",");
  const { patterns, problems } = parsePatterns(list);
  expect(patterns.length).toBe(10_000);
  expect(problems).toEqual([
    {
      text: "h10000.example.org",
      reason: "and all that follow are ignored: an entry may list 10000 hostnames",
    },
  ]);
});
