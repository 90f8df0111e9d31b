import { expect, test } from "bun:test";
import { createFaultLimit } from "../../src/system/fault-limit.ts";

const minute = 60_000;

/** Times of defects, and which of them are too many. */
const rows = [
  { name: "ten at once", times: new Array(10).fill(0), tooMany: [] },
  { name: "the eleventh at once", times: new Array(11).fill(0), tooMany: [10] },
  { name: "every one after that", times: new Array(13).fill(0), tooMany: [10, 11, 12] },
  { name: "the eleventh a minute later", times: [...new Array(10).fill(0), minute], tooMany: [] },
  {
    name: "the eleventh just before",
    times: [...new Array(10).fill(0), minute - 1],
    tooMany: [10],
  },
  {
    name: "one each six seconds, for ever",
    times: Array.from({ length: 100 }, (_, index) => index * 6_000),
    tooMany: [],
  },
  {
    name: "ten in one minute and eleven in another",
    times: [...new Array(10).fill(0), ...new Array(11).fill(10 * minute)],
    tooMany: [20],
  },
];
test.each(rows)("$name", ({ times, tooMany }) => {
  let now = 0;
  const isTooMany = createFaultLimit(() => now);
  const found: number[] = [];
  for (const [index, time] of times.entries()) {
    now = time;
    if (isTooMany()) found.push(index);
  }
  expect(found).toEqual(tooMany);
});
