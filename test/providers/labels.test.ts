import { describe, expect, test } from "bun:test";
import { readBoolean } from "../../src/base/go-text.ts";
import { type LabelRules, type RouteLabels, readLabels } from "../../src/providers/labels.ts";
import { patternText } from "../../src/routing/pattern.ts";

/** Reads labels that are written without their prefix; a hostname is always there. */
function read(labels: Readonly<Record<string, string>>, rules: Partial<LabelRules> = {}) {
  const all = Object.entries({ host: "a.example", ...labels });
  return readLabels(new Map(all.map(([name, text]) => [`mc-router.${name}`, text])), {
    scaling: { up: false, down: false },
    simplifySrv: false,
    readDefault: readBoolean,
    ...rules,
  });
}

describe("labels", () => {
  test("that say nothing but a hostname leave everything as usual", () => {
    const { labels, complaint } = read({}, { scaling: { up: true, down: false } });
    expect(complaint).toBe("");
    expect(labels).toEqual({
      patterns: [{ kind: "exact", hostname: "a.example" as never }],
      port: 25565,
      network: null,
      scaling: { up: true, down: false, waitMs: 60_000 },
      asleep: "",
      loading: "",
      failed: "",
      restartDelay: "",
    });
  });

  test("are all read", () => {
    const { labels } = read({
      host: " A.example,,*.b.example\nc.example ",
      port: "25570",
      default: " true ",
      network: "games",
      "auto-scale-up": " 1 ",
      "auto-scale-down": "T",
      "auto-scale-wait-timeout": " 1m30s ",
      "auto-scale-asleep-motd": " Zzz ",
      "auto-scale-loading-motd": "Soon",
      "auto-scale-failed-motd": "Broken",
      "auto-scale-restart-delay-motd": "In {duration}",
    });
    expect(labels?.patterns.map(patternText)).toEqual([
      "a.example",
      "*.b.example",
      "c.example",
      "*",
    ]);
    expect({ ...labels, patterns: [] }).toEqual({
      patterns: [],
      port: 25570,
      network: "games",
      scaling: { up: true, down: true, waitMs: 90_000 },
      asleep: " Zzz ",
      loading: "Soon",
      failed: "Broken",
      restartDelay: "In {duration}",
    });
  });

  for (const host of ["", " , \n"]) {
    test(`without a hostname are nobody's business: ${JSON.stringify(host)}`, () => {
      expect(read({ host, port: "nonsense" })).toEqual({ labels: null, complaint: "" });
    });
  }

  test("of another program are nobody's business", () => {
    const rules = {
      scaling: { up: true, down: true },
      simplifySrv: false,
      readDefault: readBoolean,
    };
    expect(readLabels(new Map([["host", "a.example"]]), rules).labels).toBeNull();
  });

  test("with one bad hostname keep the others", () => {
    const { labels, complaint } = read({ host: "a.example, b c" });
    expect(labels?.patterns.map(patternText)).toEqual(["a.example"]);
    expect(complaint).toBe('the hostname "b c" has whitespace or a control character inside');
  });

  test("with a hostname that no client sends keep the others, and say what was meant", () => {
    const { labels, complaint } = read({ host: "a.example, https://b.example" });
    expect(labels?.patterns.map(patternText)).toEqual(["a.example"]);
    expect(complaint).toBe(
      'the hostname "https://b.example" is a URL, expected only its hostname; did you mean b.example?',
    );
  });

  const taken: readonly { name: string; text: string; gives: Partial<RouteLabels> }[] = [
    { name: "port", text: "0", gives: { port: 25565 } },
    { name: "port", text: "", gives: { port: 25565 } },
    { name: "port", text: "65535", gives: { port: 65535 } },
    {
      name: "auto-scale-wait-timeout",
      text: "0s",
      gives: { scaling: { up: false, down: false, waitMs: 60_000 } },
    },
    {
      name: "auto-scale-wait-timeout",
      text: "1000h",
      gives: { scaling: { up: false, down: false, waitMs: 86_400_000 } },
    },
  ];
  for (const { name, text, gives } of taken) {
    test(`take ${name}=${text}`, () => expect(read({ [name]: text }).labels).toMatchObject(gives));
  }

  const refused: readonly { name: string; text: string; expected: string }[] = [
    { name: "port", text: " 25565", expected: "a port from 0 to 65535" },
    { name: "port", text: "65536", expected: "a port from 0 to 65535" },
    { name: "port", text: "-1", expected: "a port from 0 to 65535" },
    { name: "default", text: "yes", expected: "true or false" },
    { name: "auto-scale-up", text: "on", expected: "true or false" },
    { name: "auto-scale-down", text: "2", expected: "true or false" },
    {
      name: "auto-scale-wait-timeout",
      text: "5",
      expected: "a duration such as 90s, 1h30m or 300ms",
    },
  ];
  for (const { name, text, expected } of refused) {
    test(`with ${name}=${text} route nothing, and say so`, () => {
      expect(read({ [name]: text })).toEqual({
        labels: null,
        complaint: `the label mc-router.${name} is ${JSON.stringify(text)}, expected ${expected}`,
      });
    });
  }

  test("that are not known are named, and the others count", () => {
    const { labels, complaint } = read({ prot: "25570", note: "mine" });
    expect(labels?.port).toBe(25565);
    expect(complaint).toBe(
      'the label "mc-router.prot" is not known; did you mean mc-router.port?; ' +
        'the label "mc-router.note" is not known',
    );
  });

  test("may have words of their own for the default route", () => {
    const readDefault = (text: string) => ({ ok: true, value: text === "no" }) as const;
    const { labels } = read({ default: " no " }, { readDefault });
    expect(labels?.patterns.map(patternText)).toEqual(["a.example", "*"]);
  });
});
