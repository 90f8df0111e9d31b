import { expect, test } from "bun:test";
import { nearestName } from "../../src/base/nearest-name.ts";

const known = ["DSN", "HOLD", "SNAPSHOT", "WAKER_URL", "WAKER_TOKEN"];
const rows: readonly (readonly [string, string | null])[] = [
  ["WAKER_URL", "WAKER_URL"],
  ["WAKERURL", "WAKER_URL"],
  ["WAKER_TOKN", "WAKER_TOKEN"],
  ["SNAPHSOT", "SNAPSHOT"],
  ["HOLDS", "HOLD"],
  ["DNS", "DSN"],
  ["XYZ", null],
  ["", null],
];

test.each(rows)("%j is most likely meant to be %j", (name, meant) => {
  expect(nearestName(name, known)).toBe(meant);
});
