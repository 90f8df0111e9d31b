import { join } from "node:path";
import { withMarked } from "../support/docs/marked.ts";
import { costText } from "./cost.ts";
import { type Result, runText, tableText } from "./report.ts";

const document = join(import.meta.dir, "../../docs/performance.md");

/** The page with this result's table, and with what its figures cost a user. */
export const pageWith = (page: string, result: Result): string =>
  withMarked(
    withMarked(page, "result", `${runText(result)}\n\n${tableText(result.rows)}`),
    "cost",
    costText(result.rows),
  );

/** Puts the result into docs/performance.md. */
export async function writePage(result: Result): Promise<void> {
  await Bun.write(document, pageWith(await Bun.file(document).text(), result));
}
