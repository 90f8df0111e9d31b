import { expect, test } from "bun:test";
import { createGauge, createReading, type Family } from "../../src/observe/family.ts";
import { prometheusParts } from "../../src/observe/prometheus.ts";

const textOf = (families: readonly Family[]): string => [...prometheusParts(families)].join("");

const gauge = (
  name: string,
  help: string,
  labels: Readonly<Record<string, string>>,
  value: number,
) =>
  createReading({ name, type: "gauge", help, labels: Object.keys(labels) }, () => [
    { labels, value },
  ]);

for (const { name, family, text } of [
  {
    name: "a number without labels",
    family: gauge("a", "Help.", {}, 1.5),
    text: "# HELP a Help.\n# TYPE a gauge\na 1.5\n",
  },
  {
    name: "labels in their order",
    family: gauge("a", "Help.", { z: "1", b: "2" }, 0),
    text: '# HELP a Help.\n# TYPE a gauge\na{z="1",b="2"} 0\n',
  },
  {
    name: "a label value with a quote, a backslash and a line feed",
    family: gauge("a", "Help.", { b: '"\\\n' }, 0),
    text: '# HELP a Help.\n# TYPE a gauge\na{b="\\"\\\\\\n"} 0\n',
  },
  {
    name: "a help text with a backslash and a line feed, in which a quote stays",
    family: gauge("a", 'x\\y\n"z"', {}, 0),
    text: '# HELP a x\\\\y\\n"z"\n# TYPE a gauge\na 0\n',
  },
  {
    name: "infinity",
    family: gauge("a", "Help.", {}, Number.POSITIVE_INFINITY),
    text: "# HELP a Help.\n# TYPE a gauge\na +Inf\n",
  },
  {
    name: "minus infinity",
    family: gauge("a", "Help.", {}, Number.NEGATIVE_INFINITY),
    text: "# HELP a Help.\n# TYPE a gauge\na -Inf\n",
  },
  {
    name: "no number at all: no line",
    family: createGauge({ name: "a", type: "gauge", help: "Help.", labels: [] }),
    text: "",
  },
]) {
  test(`${name} reads as Prometheus wants it`, () => {
    expect(textOf([family])).toBe(text);
  });
}

test("families are sorted by name", () => {
  const families = [gauge("b", "Help.", {}, 1), gauge("a", "Help.", {}, 1)];
  expect(textOf(families).match(/^[ab] /gm)).toEqual(["a ", "b "]);
});

test("a large family comes in parts that are one text when joined", () => {
  const large = createGauge({ name: "a", type: "gauge", help: "Help.", labels: ["b"] });
  for (let i = 1; i <= 1_234; i++) large.set({ b: `${i}` }, i);
  const parts = [...prometheusParts([large])];
  expect(parts.length).toBeGreaterThan(3);
  expect([...(parts.join("").match(/^a.*$/gm) ?? [])]).toEqual(
    Array.from({ length: 1_234 }, (_, i) => `a{b="${i + 1}"} ${i + 1}`),
  );
});
