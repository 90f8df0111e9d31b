import { expect, test } from "bun:test";
import { createDice } from "../support/dice.ts";
import { floorOf, slopeOf } from "./slope.ts";

const line = (perHour: number, noise: () => number) =>
  Array.from({ length: 200 }, (_, index) => ({
    seconds: index * 5,
    value: 100 + (perHour * index * 5) / 3600 + noise(),
  }));

test.each([0, 7.5, -3])("a straight line of %d an hour is found exactly", (perHour) => {
  const slope = slopeOf(line(perHour, () => 0));
  expect(slope.perHour).toBeCloseTo(perHour, 6);
  expect(slope.margin).toBeCloseTo(0, 6);
});

test("noise widens the margin, and the true slope lies within it", () => {
  const dice = createDice(1);
  const slope = slopeOf(line(20, () => dice.between(-1, 1)));
  expect(slope.margin).toBeGreaterThan(0.1);
  expect(Math.abs(slope.perHour - 20)).toBeLessThan(slope.margin * 1.6);
});

test("two samples are no line", () => {
  expect(() => slopeOf(line(0, () => 0).slice(0, 2))).toThrow("2 samples");
});

test("the floor has the least sample of each stretch", () => {
  const samples = [3, 1, 2, 9, 8, 7, 4].map((value, index) => ({ seconds: index * 10, value }));
  expect(floorOf(samples, 30).map(({ seconds, value }) => [seconds, value])).toEqual([
    [10, 1],
    [50, 7],
    [60, 4],
  ]);
});
