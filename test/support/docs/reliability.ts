import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { commitText, machineText, markdown } from "../../bench/report.ts";
import { withMarked } from "./marked.ts";

/** What the router promises; docs/reliability.md spells them out. */
export const promises = ["P1", "P2", "P3", "P4", "P5", "P6", "P7", "P8"] as const;

/** One line of the table in docs/reliability.md. */
export interface Measurement {
  /** Number of the scenario, such as `T1`. */
  readonly scenario: string;
  readonly promise: (typeof promises)[number];
  /** What was done to the router, in a phrase. */
  readonly what: string;
  /** What came of it, with the figures of this run and their limits. */
  readonly result: string;
}

/** Where `test/system/run.ts` collects the results of all files. */
export const resultsVariable = "RELIABILITY_RESULTS";

/** Notes what a scenario has come to, for the table that the runner prints. Does nothing where no runner asks for it. */
export function measured(measurement: Measurement): void {
  const path = process.env[resultsVariable];
  if (path) appendFileSync(path, `${JSON.stringify(measurement)}\n`);
}

/** What was noted in that file, by number of the scenario; of one number in the order of the notes. */
export function readMeasurements(path: string): readonly Measurement[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n").filter(Boolean);
  const number = ({ scenario }: Measurement): number => Number(scenario.replace(/^\D+/, ""));
  return lines.map((line): Measurement => JSON.parse(line)).sort((a, b) => number(a) - number(b));
}

/** The results as a Markdown table. */
export const measurementsText = (measurements: readonly Measurement[]): string =>
  markdown([
    ["", "what happens", "promise", "result"],
    ...measurements.map(({ scenario, what, promise, result }) =>
      [scenario, what, promise, result].map((cell) => cell.replaceAll("|", "\\|")),
    ),
  ]);

const document = join(import.meta.dir, "../../../docs/reliability.md");

/** Puts the results of one whole run into docs/reliability.md, with the commit, the machine and the date. */
export const writeResults = (measurements: readonly Measurement[]): Promise<void> =>
  writePart("results", measurementsText(measurements));

/** Puts what a long run has come to there, likewise. */
export const writeSoak = (lines: readonly string[]): Promise<void> =>
  writePart("soak", lines.map((line) => `* ${line}`).join("\n"));

async function writePart(mark: string, content: string): Promise<void> {
  const date = new Date().toISOString().slice(0, 10);
  const run = `${machineText()}; Bun ${Bun.version}; commit ${commitText()}; ${date}.`;
  const page = await Bun.file(document).text();
  await Bun.write(document, withMarked(page, mark, `${run}\n\n${content}`));
}
