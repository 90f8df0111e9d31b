import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { clientText, type Fields, type Level, logLine } from "../../src/observe/line.ts";

const time = "2026-08-22T10:11:12.345Z";
const entry = (fields: Fields) => ({ time, level: "info" as const, message: "joined", fields });

/** What no line may hold but its own line feed at the end. */
const steering = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}§]/u;

describe("a logfmt line", () => {
  const rows: readonly { name: string; fields: Fields; expected: string }[] = [
    { name: "needs no fields", fields: {}, expected: "" },
    { name: "has them in their order", fields: { b: "x", a: "y" }, expected: " b=x a=y" },
    {
      name: "leaves plain text bare",
      fields: { a: "mc-1.Ex_A/b@c^d+e" },
      expected: " a=mc-1.Ex_A/b@c^d+e",
    },
    {
      name: "quotes what has a colon, as logrus does",
      fields: { a: ":25565" },
      expected: ' a=":25565"',
    },
    { name: "quotes spaces", fields: { a: "b c" }, expected: ' a="b c"' },
    { name: "quotes an equals sign", fields: { a: "b=c" }, expected: ' a="b=c"' },
    { name: "quotes nothing", fields: { a: "" }, expected: ' a=""' },
    { name: "escapes quotes and backslashes", fields: { a: '"\\' }, expected: ' a="\\"\\\\"' },
    {
      name: "escapes line feeds",
      fields: { a: "x\nlevel=error" },
      expected: ' a="x\\nlevel=error"',
    },
    { name: "escapes ANSI sequences", fields: { a: "\u001b[31m" }, expected: ' a="\\u001b[31m"' },
    {
      name: "escapes C1 controls and DEL",
      fields: { a: "\u009b\u007f" },
      expected: ' a="\\u009b\\u007f"',
    },
    {
      name: "escapes line separators",
      fields: { a: "\u2028\u2029" },
      expected: ' a="\\u2028\\u2029"',
    },
    {
      name: "escapes bidi controls",
      fields: { a: "\u202e\u2066\u200f" },
      expected: ' a="\\u202e\\u2066\\u200f"',
    },
    {
      name: "escapes lone surrogates",
      fields: { a: "\ud800x\udc00" },
      expected: ' a="\\ud800x\\udc00"',
    },
    {
      name: "escapes tags beyond the first plane",
      fields: { a: "\u{e0041}" },
      expected: ' a="\\udb40\\udc41"',
    },
    { name: "escapes Minecraft's colour code", fields: { a: "§c" }, expected: ' a="\\u00a7c"' },
    {
      name: "keeps letters of any script",
      fields: { a: "Größe 東京 😀" },
      expected: ' a="Größe 東京 😀"',
    },
    {
      name: "writes numbers and booleans",
      fields: { a: 1.5, b: 10n, c: false },
      expected: " a=1.5 b=10 c=false",
    },
    {
      name: "leaves out null and undefined",
      fields: { a: null, b: undefined, c: 0 },
      expected: " c=0",
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, { fields, expected }) => {
    const line = logLine(entry(fields), "logfmt", false);
    expect(line).toBe(`time="${time}" level=info msg="joined"${expected}\n`);
  });

  test("has no time when there is none", () => {
    expect(logLine({ ...entry({}), time: null }, "logfmt", false)).toBe(
      'level=info msg="joined"\n',
    );
  });
});

describe("a JSON line", () => {
  test("is one object with time, level, msg and the fields", () => {
    const fields = { a: "x y", b: 1.5, c: 10n, d: true, e: null, f: undefined, g: Number.NaN };
    expect(logLine(entry(fields), "json", false)).toBe(
      `{"time":"${time}","level":"info","msg":"joined","a":"x y","b":1.5,"c":10,"d":true,"g":null}\n`,
    );
  });

  test("gives every text back", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), fc.string(), (value, message) => {
        const line = logLine({ level: "info", message, fields: { value } }, "json", false);
        expect(JSON.parse(line)).toEqual({ level: "info", msg: message, value });
      }),
    );
  });
});

describe("under journald", () => {
  const priorities: readonly (readonly [Level, number])[] = [
    ["error", 3],
    ["warn", 4],
    ["info", 6],
    ["debug", 7],
    ["trace", 7],
  ];
  test.each(priorities)(
    "a line of level %s has priority %d in front, and no time",
    (level, priority) => {
      const line = logLine({ ...entry({ a: 1 }), level }, "logfmt", true);
      expect(line).toBe(`<${priority}>level=${level} msg="joined" a=1\n`);
    },
  );

  test("a JSON line has them too", () => {
    expect(logLine(entry({}), "json", true)).toBe('<6>{"level":"info","msg":"joined"}\n');
  });
});

test("a line is one line and steers nothing, whatever its values hold", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom(
      "<0>",
      "\r\n<0>x",
      "\u001b]0;x\u0007",
      "\ud83d",
      "\u2028",
      "§k",
      '" level=error',
    ),
  );
  fc.assert(
    fc.property(hostile, hostile, fc.boolean(), (value, message, journald) => {
      for (const format of ["logfmt", "json"] as const) {
        const line = logLine(
          { time, level: "debug", message, fields: { value } },
          format,
          journald,
        );
        expect(line).toEndWith("\n");
        expect(line.slice(0, -1)).not.toMatch(steering);
        expect(line).toMatch(/^(<7>)?(time=|level=|\{)/);
      }
    }),
  );
});

describe("text of a client's choosing", () => {
  const rows: readonly { name: string; text: string; expected: string }[] = [
    { name: "is kept when it is short", text: "mc.example.com", expected: "mc.example.com" },
    { name: "is kept at 64 characters", text: "x".repeat(64), expected: "x".repeat(64) },
    { name: "is cut beyond", text: "x".repeat(65), expected: `${"x".repeat(63)}…` },
    { name: "is cut however long it is", text: "x".repeat(32_767), expected: `${"x".repeat(63)}…` },
    {
      name: "is cut in front of a pair of surrogates",
      text: "x".repeat(62) + "😀".repeat(9),
      expected: `${"x".repeat(62)}…`,
    },
    {
      name: "is cut behind a pair of surrogates",
      text: "x".repeat(61) + "😀".repeat(9),
      expected: `${"x".repeat(61)}😀…`,
    },
  ];
  test.each(rows.map((row) => [row.name, row] as const))("%s", (_, { text, expected }) => {
    expect(clientText(text)).toBe(expected);
  });
});

describe("a line that would be too long", () => {
  const huge = "\u0000".repeat(1_000_000);
  for (const format of ["json", "logfmt"] as const) {
    test(`is at most 8 KiB as ${format}, with its level and message`, () => {
      const fields = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}`, huge]));
      const line = logLine({ time, level: "warn", message: huge, fields }, format, false);
      expect(Buffer.byteLength(line)).toBeLessThanOrEqual(8 * 1024);
      expect(line).toEndWith("\n");
      expect(line).toContain(format === "json" ? '"level":"warn"' : "level=warn");
      if (format === "json") expect(Object.keys(JSON.parse(line))).toContain("msg");
    });
  }

  test("has reasons of at most 500 characters", () => {
    const line = logLine(entry({ reason: "x".repeat(501) }), "json", false);
    expect(JSON.parse(line).reason).toBe(`${"x".repeat(499)}…`);
  });
});

describe("a line for a person at a terminal", () => {
  const fields = { event: "joined", player: "Steve\u001b[2J", waited_ms: 8100 };
  const clock = new Date(time).toTimeString().slice(0, 8);

  test("is short: the time of day, the level, the message, and what varies", () => {
    expect(logLine(entry(fields), "terminal", false)).toBe(
      `${clock} INFO  joined player="Steve\\u001b[2J" waited_ms=8100\n`,
    );
    expect(logLine({ ...entry({}), level: "error", time: null }, "terminal", false)).toBe(
      "ERROR joined\n",
    );
  });

  test("has colours, and none of a client's", () => {
    expect(logLine(entry(fields), "colours", false)).toBe(
      `\u001b[90m${clock}\u001b[0m \u001b[32mINFO \u001b[0m joined \u001b[90mplayer="Steve\\u001b[2J" waited_ms=8100\u001b[0m\n`,
    );
  });
});
