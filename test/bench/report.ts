import { cpus, release, totalmem } from "node:os";
import { isFast, type MicroRow } from "./micro.ts";
import { isMet, type Row } from "./row.ts";

/** What was measured, on what. */
export interface Result {
  readonly machine: string;
  /** Versions of what the router was measured beside and with. */
  readonly programs: string;
  /** What the working copy was; its name ends in `-dirty` when it held changes. */
  readonly commit: string;
  /** When the run began (ISO 8601). */
  readonly date: string;
  readonly mode: "full" | "quick";
  readonly seconds: number;
  readonly rows: readonly Row[];
}

/** Processor, cores, memory and kernel in one phrase. */
export function machineText(): string {
  const cores = cpus();
  const memory = Math.round(totalmem() / 2 ** 30);
  return `${cores.length} × ${cores[0]?.model.trim() ?? "unknown"}, ${memory} GB, Linux ${release()}`;
}

/** The commit that is checked out; its name ends in `-dirty` when files differ from it. */
export function commitText(): string {
  const git = Bun.spawnSync(
    ["git", "describe", "--always", "--abbrev=12", "--exclude=*", "--dirty"],
    {
      cwd: import.meta.dir,
    },
  );
  return git.exitCode === 0 ? git.stdout.toString().trim() : "unknown";
}

/** Which run it was, in one line. */
export const runText = ({ machine, programs, commit, date, mode, seconds }: Result): string =>
  `${machine}; ${programs}; commit ${commit}; ${date.slice(0, 10)}, ${mode} run of ${Math.round(seconds / 60)} minutes.`;

/** The rows as a Markdown table: ours, the others with the ratio of ours to theirs, and the goal. */
export function tableText(rows: readonly Row[]): string {
  const names = [...new Set(rows.flatMap(({ others }) => Object.keys(others)))];
  const lines = rows.map((row) => [
    row.scenario,
    row.unit,
    figure(row.ours),
    ...names.map((name) => {
      const other = row.others[name];
      return other === undefined ? "" : `${figure(other.value)} (${other.ratio.toFixed(2)})`;
    }),
    goalText(row),
    metText(row),
  ]);
  return markdown([["scenario", "unit", "automc-router", ...names, "goal", "met"], ...lines]);
}

/** The calls as a Markdown table. */
export const microText = (rows: readonly MicroRow[]): string =>
  markdown([
    ["call", "ns", "yardsticks", "limit", "met"],
    ...rows.map((row) => [
      row.call,
      figure(row.nanoseconds),
      figure(row.yardsticks),
      `≤ ${row.atMost}`,
      isFast(row) ? "yes" : "**no**",
    ]),
  ]);

/** Rows of cells as an aligned Markdown table; the first one is its head. */
export function markdown(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((cells) => cells[column]?.length ?? 0)),
  );
  const lines = rows.map(
    (cells) => `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`,
  );
  lines.splice(1, 0, `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`);
  return lines.join("\n");
}

function goalText({ goal }: Row): string {
  switch (goal.kind) {
    case "value":
      return `≤ ${figure(goal.atMost)}`;
    case "ratio":
      return `≤ ${goal.atMost} × ${goal.of.join(", ")}`;
    case "none":
      return "";
  }
}

function metText(row: Row): string {
  if (row.goal.kind === "none") return "";
  return isMet(row) ? "yes" : "**no**";
}

/** Three significant digits, large figures in full. */
export function figure(value: number): string {
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString("en-US");
  return String(Number(value.toPrecision(3)));
}
