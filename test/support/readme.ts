import { join } from "node:path";
import { settingsTable } from "../../src/config/reference.ts";

const readme = join(import.meta.dir, "../../README.md");
const from = "<!-- settings -->\n";
const to = "<!-- /settings -->";

/** The README as it is, and as it reads with the settings that the code has now. */
export async function readmeTexts(): Promise<{ readonly is: string; readonly shouldBe: string }> {
  const is = await Bun.file(readme).text();
  const [before, rest] = is.split(from);
  const after = rest?.split(to)[1];
  if (before === undefined || after === undefined) throw new Error("the README has lost its marks");
  return { is, shouldBe: `${before}${from}\n${settingsTable().trim()}\n\n${to}${after}` };
}

if (import.meta.main) await Bun.write(readme, (await readmeTexts()).shouldBe);
