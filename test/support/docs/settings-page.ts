import { join } from "node:path";
import { settingsPage } from "../../../src/config/help.ts";

const path = join(import.meta.dir, "../../../docs/settings.md");

/** The page of settings as it is, and as the code prints it. */
export async function settingsPages(): Promise<{ readonly is: string; readonly shouldBe: string }> {
  return { is: await Bun.file(path).text(), shouldBe: settingsPage() };
}

if (import.meta.main) await Bun.write(path, settingsPage());
