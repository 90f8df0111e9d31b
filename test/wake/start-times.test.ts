import { expect, test } from "bun:test";
import { createStartTimes } from "../../src/wake/start-times.ts";

test("three of four of the last ten starts were no longer than the usual time", () => {
  const times = createStartTimes(() => undefined);
  expect(times.usualMs("a")).toBeNull();
  times.note("a", 48_000);
  expect(times.usualMs("a")).toBe(48_000);
  for (const seconds of [90, 90, 90, 10, 20, 30, 40, 50, 60, 70, 80, 15, 25]) {
    times.note("a", seconds * 1_000);
  }
  // The last ten: 10, 15, 20, 25, 30, 40, 50, 60, 70 and 80 s.
  expect(times.usualMs("a")).toBe(60_000);
  expect(times.usualMs("b")).toBeNull();
});

test("what is saved can be restored, and anything else is passed over", () => {
  let changes = 0;
  const times = createStartTimes(() => {
    changes += 1;
  });
  times.note("a", 1_000.4);
  times.note("a", 2_000);
  expect(changes).toBe(2);
  const saved = JSON.parse(JSON.stringify(times.save()));
  expect(saved).toEqual([{ startsOf: "a", tookMs: [1_000, 2_000] }]);
  const later = createStartTimes(() => undefined);
  later.restore([...saved, null, 7, {}, { startsOf: "b", tookMs: ["x"] }, { startsOf: "b" }]);
  expect(later.save()).toEqual(saved);
});
