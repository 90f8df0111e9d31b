import { expect, test } from "bun:test";
import { readmeTexts } from "../support/docs/readme.ts";

test("the README lists exactly the settings that the code has (bun run readme writes them)", async () => {
  const { is, shouldBe } = await readmeTexts();
  expect(is).toBe(shouldBe);
});
