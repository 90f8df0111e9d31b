import { expect, test } from "bun:test";
import { settingsPages } from "../support/docs/settings-page.ts";

test("docs/settings.md lists exactly the settings that the code has (bun run settings prints it)", async () => {
  const { is, shouldBe } = await settingsPages();
  expect(is).toBe(shouldBe);
});
