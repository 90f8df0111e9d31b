import { expect, test } from "bun:test";
import { expectEqual, expectSoon, Unexpected } from "./expectation.ts";

test("a step that fails names itself, what was expected and what was seen", () => {
  expect(() => expectEqual("the state", { kind: "asleep" }, { kind: "awake" })).toThrow(
    new Unexpected("the state", { kind: "awake" }, { kind: "asleep" }),
  );
  const { message } = new Unexpected("the text", "good morning", ["good night"]);
  expect(message).toBe('the text\n  expected: good morning\n  seen:     [ "good night" ]');
});

test("equal values pass", () => {
  expect(() => expectEqual("the state", { kind: "awake" }, { kind: "awake" })).not.toThrow();
});

test("what comes true while we look passes", async () => {
  let looks = 0;
  await expectSoon("the third look", async () => ++looks, 3);
  expect(looks).toBe(3);
});

test("what does not come true fails with what was seen last", async () => {
  const waiting = expectSoon("the colour", async () => "red", "blue", 10);
  await expect(waiting).rejects.toThrow("the colour\n  expected: blue\n  seen:     red");
});

test("a look that fails is not taken for a wrong sight", async () => {
  const waiting = expectSoon("the colour", () => Promise.reject(new Error("blind")), "blue");
  await expect(waiting).rejects.toThrow("blind");
});
