import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  createCounter,
  createGauge,
  createHistogram,
  createReading,
  type Family,
  type Metric,
} from "../../src/observe/family.ts";

const metric: Metric = { name: "m", type: "gauge", help: "Help.", labels: ["a", "b"] };
const labels = (a: string, b = "") => ({ a, b });

/** The values by the first label. */
const values = (family: Family): Record<string, number> =>
  Object.fromEntries(family.samples().map((sample) => [sample.labels["a"], sample.value]));

describe("a counter", () => {
  test("has no series before its first change, and sums up for each combination of labels", () => {
    const counter = createCounter(metric);
    expect(counter.samples()).toEqual([]);
    counter.add(labels("x"));
    counter.add(labels("x"), 2);
    counter.add(labels("y"), 5);
    expect(values(counter)).toEqual({ x: 3, y: 5 });
  });

  test("forgets the series that has not changed for the longest time when there are too many", () => {
    const counter = createCounter(metric, 2);
    counter.add(labels("old"));
    counter.add(labels("middle"));
    counter.add(labels("old"));
    counter.add(labels("new"));
    expect(values(counter)).toEqual({ old: 2, new: 1 });
  });

  test("keeps labels apart whose texts only look alike when they are joined", () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.tuple(fc.string(), fc.string()), {
          selector: (pair) => JSON.stringify(pair),
        }),
        (pairs) => {
          const counter = createCounter(metric);
          for (const [a, b] of pairs) counter.add(labels(a, b));
          expect(counter.samples().map(({ value }) => value)).toEqual(pairs.map(() => 1));
        },
      ),
    );
  });
});

describe("a gauge", () => {
  test("shows what was set last, 0 included", () => {
    const gauge = createGauge(metric);
    gauge.set(labels("x"), 3);
    gauge.set(labels("x"), 0);
    expect(values(gauge)).toEqual({ x: 0 });
  });

  test("gives up the series that is at 0 for the longest time, and none that is not", () => {
    const gauge = createGauge(metric, 3);
    gauge.set(labels("live"), 1);
    gauge.set(labels("first"), 1);
    gauge.set(labels("second"), 1);
    gauge.set(labels("first"), 0);
    gauge.set(labels("second"), 0);
    gauge.set(labels("new"), 1);
    expect(values(gauge)).toEqual({ live: 1, second: 0, new: 1 });
  });

  test("leaves a series out when every place is taken by one that is not at 0", () => {
    const gauge = createGauge(metric, 1);
    gauge.set(labels("live"), 1);
    gauge.set(labels("late"), 1);
    gauge.set(labels("late"), 0);
    expect(values(gauge)).toEqual({ live: 1 });
  });
});

describe("a histogram", () => {
  const seconds: Metric = { name: "s", type: "histogram", help: "Help.", labels: [] };

  for (const { name, observed, buckets } of [
    { name: "on a bound: counts up to it", observed: [1], buckets: [1, 1, 1] },
    { name: "between two bounds: counts up to the larger", observed: [1.5], buckets: [0, 1, 1] },
    { name: "above all bounds: counts in the last bucket only", observed: [9], buckets: [0, 0, 1] },
    { name: "several: buckets hold all below", observed: [0, 2, 9], buckets: [1, 2, 3] },
  ]) {
    test(name, () => {
      const histogram = createHistogram(seconds, [1, 2]);
      for (const value of observed) histogram.observe({}, value);
      expect(histogram.samples()).toEqual([
        { name: "s_bucket", labels: { le: "1" }, value: buckets[0] ?? -1 },
        { name: "s_bucket", labels: { le: "2" }, value: buckets[1] ?? -1 },
        { name: "s_bucket", labels: { le: "+Inf" }, value: buckets[2] ?? -1 },
        { name: "s_sum", labels: {}, value: observed.reduce((sum, value) => sum + value) },
        { name: "s_count", labels: {}, value: observed.length },
      ]);
    });
  }

  test("a declared series is there at 0", () => {
    const histogram = createHistogram({ ...seconds, labels: ["a"] }, [1]);
    histogram.declare({ a: "x" });
    expect(histogram.samples().map(({ value }) => value)).toEqual([0, 0, 0, 0]);
  });
});

test("a reading leaves out what has no number at the moment", () => {
  const reading = createReading(metric, () => [
    { labels: labels("x"), value: null },
    { labels: labels("y"), value: 0 },
  ]);
  expect(values(reading)).toEqual({ y: 0 });
});
