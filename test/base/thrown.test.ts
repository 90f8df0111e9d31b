import { expect, test } from "bun:test";
import { codeOf, messageOf, toError } from "../../src/base/thrown.ts";

const system = Object.assign(new Error("no such file"), { code: "ENOENT" });

test.each([
  { name: "an error with a code", thrown: system, code: "ENOENT", message: "no such file" },
  { name: "an error without one", thrown: new Error("late"), code: "", message: "late" },
  {
    name: "a code that is no text",
    thrown: Object.assign(new Error("x"), { code: 5 }),
    code: "",
    message: "x",
  },
  { name: "a text", thrown: "broken", code: "", message: "broken" },
  { name: "nothing", thrown: undefined, code: "", message: "undefined" },
])("$name is told", ({ thrown, code, message }) => {
  expect(codeOf(thrown)).toBe(code);
  expect(messageOf(thrown)).toBe(message);
  expect(toError(thrown).message).toBe(message);
});

test("an error stays the same error", () => {
  expect(toError(system)).toBe(system);
});
