import { join } from "node:path";
import { settingsTable } from "../../../src/config/reference.ts";
import { withMarked } from "./marked.ts";

const readme = join(import.meta.dir, "../../../README.md");

/** The README as it is, and as it reads with the settings that the code has now. */
export async function readmeTexts(): Promise<{ readonly is: string; readonly shouldBe: string }> {
  const is = await Bun.file(readme).text();
  return { is, shouldBe: withMarked(is, "settings", settingsTable()) };
}

if (import.meta.main) await Bun.write(readme, (await readmeTexts()).shouldBe);
