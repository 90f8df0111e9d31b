import { expect, test } from "bun:test";
import { createRecent } from "../../src/base/recent.ts";

test("the entry that was set longest ago makes room for a new one", () => {
  const recent = createRecent<string, number>(2);
  recent.set("a", 1);
  recent.set("b", 2);
  recent.set("a", 3);
  recent.set("c", 4);
  expect([...recent.entries()]).toEqual([
    ["a", 3],
    ["c", 4],
  ]);
  expect(recent.get("b")).toBeNull();
});

test("an entry that was deleted is gone", () => {
  const recent = createRecent<string, number>(2);
  recent.set("a", 1);
  expect(recent.delete("a")).toBe(true);
  expect(recent.delete("a")).toBe(false);
  expect(recent.get("a")).toBeNull();
});
